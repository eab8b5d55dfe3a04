"""X: recent search through its paid API v2, a stream or more a brand, and the mentions of own accounts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from db.errors import InputError
from db.records import Batch, Checked, Position
from jobs.collector import Collector, Meter
from monitor.collectors.dialects import LONGEST, x_queries
from monitor.collectors.x_compliance import AT_ONCE, ComplianceJob, look_up
from monitor.collectors.x_limits import Limits
from monitor.collectors.x_mentions import Timeline
from monitor.collectors.x_options import XOptions
from monitor.collectors.x_reply import make
from monitor.collectors.x_search import FRESH, WINDOW, Search
from monitor.plugins import Brand, CollectorKind, RegisterCollector, hookimpl

if TYPE_CHECKING:
    from monitor.collectors.x_api import Api

FILTERED = "filtered"
_NUMBER = re.compile("[0-9]{1,19}")  # as X numbers posts


class XCollector:
    """Reads for each brand what was posted since its cursor; a Historian too."""

    def __init__(self, options: XOptions, brands: Sequence[Brand]) -> None:
        self._options = options
        self._limits = Limits()
        self._overlap = timedelta(seconds=options.overlap)
        self._own = list(dict.fromkeys(name for brand in brands if brand.own and (name := _account(brand))))
        self._ids: dict[str, str] = {}  # of own accounts, as far as they were looked up
        self._queries = _searches(brands, self._own)
        self._accounts: dict[str, str] = {}
        if options.mentions:
            for brand in brands:
                if brand.own and (name := _account(brand)):
                    self._accounts[_unused(f"mentions:{brand.name}", self._queries)] = name
        self._filtered = [_unused(FILTERED, self._queries)] if options.stream else []

    def streams(self) -> Sequence[str]:
        return [*self._queries, *self._accounts, *self._filtered]

    def beside(self) -> Sequence[str]:
        """What is heard, the searches bring too."""
        return self._filtered

    def explain(self) -> Sequence[str]:
        """Say what each stream reads, with the length that a search has of what X takes."""
        searches = [
            f"{stream}: {query} ({len(query)} of {LONGEST} characters)" for stream, query in self._queries.items()
        ]
        timelines = [f"{stream}: posts that mention @{account}" for stream, account in self._accounts.items()]
        listening = f"the filtered stream, for {self._options.listen:g} s a run, with a rule for each search"
        return [*searches, *timelines, *(f"{stream}: {listening}" for stream in self._filtered)]

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        """Read what is new; of a search first the rest of an interrupted run."""
        with self._api(meter, now) as api:
            if stream in self._queries:
                yield from self._search(api, stream, now).new(position)
            elif stream in self._accounts:
                yield from self._timeline(api, stream, now).new(position)
            elif stream in self._filtered:
                from monitor.collectors.x_stream import Look

                yield from Look(api, self._options, self._queries, now).new()
            else:
                raise InputError(f"the source has no stream {stream!r}")

    def oldest(self, stream: str, now: datetime) -> datetime | None:
        """Search goes back seven days; timelines are limited by number, not by time; the present passes."""
        if stream in self._accounts:
            return None
        return now if stream in self._filtered else now - WINDOW

    def history(
        self, stream: str, since: datetime, until: datetime, resume: str | None, meter: Meter, now: datetime
    ) -> Iterator[Batch]:
        """Read a span of the last seven days, or of a timeline of mentions as far as it goes."""
        with self._api(meter, now) as api:
            if stream in self._queries:
                yield from self._search(api, stream, now).past(since, until, resume)
            elif stream in self._accounts:
                yield from self._timeline(api, stream, now).past(since, until)
            else:
                raise InputError(f"the source has no stream {stream!r} whose past can be read")

    def count(self, stream: str, since: datetime, until: datetime, meter: Meter, now: datetime) -> int:
        """Count what a search would bring of the last seven days, for the price of one request."""
        if stream not in self._queries:
            raise InputError(f"X counts posts of a search only, not of {stream!r}")
        with self._api(meter, now) as api:
            end = until if until <= now - FRESH else None
            return api.count(self._queries[stream], max(since, now - WINDOW), end)

    def _api(self, meter: Meter, now: datetime) -> "Api":
        from monitor.collectors.x_api import Api

        return Api(self._options, self._limits, meter, now)

    def _search(self, api: "Api", stream: str, now: datetime) -> Search:
        return Search(api, stream, self._queries[stream], self._overlap, self._options.look_first, now)

    def _timeline(self, api: "Api", stream: str, now: datetime) -> Timeline:
        return Timeline(api, stream, self._accounts[stream], self._own, self._ids, self._overlap, now)


class CheckingXCollector(XCollector):
    """A Checker too: it tells which stored posts X no longer shows."""

    platform = "x"

    def __init__(self, options: XOptions, brands: Sequence[Brand]) -> None:
        super().__init__(options, brands)
        self.check_size = AT_ONCE[options.compliance]

    def check(self, ids: Sequence[str], resume: str | None, meter: Meter, now: datetime) -> Checked:
        """Ask X about stored posts: by looking them up, or by a compliance job that `resume` names."""
        asked = [
            each for each in ids if _NUMBER.fullmatch(each)
        ]  # others were imported; X would refuse them all for one
        if not asked:
            return Checked()
        with self._api(meter, now) as api:
            if self._options.compliance == "batch":
                return ComplianceJob(api, self._options, now).check(asked, resume)
            return look_up(api, asked, now)


def _account(brand: Brand) -> str:
    return brand.accounts.get("x", "").removeprefix("@").casefold()


def _searches(brands: Sequence[Brand], ours: Sequence[str]) -> Mapping[str, str]:
    """Each brand's searches, by stream, without posts of its own account and of every own brand's.

    X names authors by number, so a post of such an account that a competitor's search brought could not be told later.
    A brand's first search has the brand's name, so that its cursor holds whether or not others follow.
    """
    names = {brand.name for brand in brands}
    searches: dict[str, str] = {}
    for brand in brands:
        authors = dict.fromkeys(account for account in [_account(brand), *ours] if account)
        first, *others = x_queries(brand.query, list(authors))
        searches[brand.name] = first
        for number, query in enumerate(others, 2):
            searches[_unused(f"{brand.name} {number}", {*names, *searches})] = query
    return searches


def _unused(name: str, taken: Mapping[str, str] | set[str]) -> str:
    """A name for a stream that no brand has."""
    while name in taken:
        name += "'"
    return name


def build(options: XOptions, brands: Sequence[Brand]) -> Collector:
    """Make the collector; without `compliance` it is no Checker."""
    return XCollector(options, brands) if options.compliance == "off" else CheckingXCollector(options, brands)


def explain(options: XOptions, brands: Sequence[Brand]) -> Sequence[str]:
    """Say what each stream reads."""
    return XCollector(options, brands).explain()


@hookimpl
def register_collectors(register: RegisterCollector) -> None:
    """Offer the source kind "x"."""
    register(CollectorKind("x", XOptions, build, explain, price=lambda options: options.price_per_post, replier=make))
