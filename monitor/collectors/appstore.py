"""Reviews in Apple's App Store, by the feed of each app in each country, newest first."""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Field

from db.errors import InputError, SourceUnavailable, StreamRefused
from db.records import Batch, Gap, Mention, Position, Reach
from jobs.collector import Collector, Meter
from monitor.collectors.addresses import web_address
from monitor.collectors.feed_entries import Entry, read_entries
from monitor.collectors.fetch import Fetcher
from monitor.collectors.markup import line_of
from monitor.plugins import Brand, CollectorKind, RegisterCollector, hookimpl

log = logging.getLogger(__name__)

PLATFORM = "appstore"
PAGES = 10  # of 50 reviews each: there are no more
BUSY = (403, 429)  # no credentials are asked for: a 403 is how Apple answers who asks too often


def _countries(codes: list[str]) -> list[str]:
    """In small letters, and each once."""
    for code in codes:
        if not re.fullmatch("[A-Za-z]{2}", code.strip()):
            raise ValueError(f'{code!r} is no country code; write two letters, such as "us"')
    return list(dict.fromkeys(code.strip().lower() for code in codes))


class AppStoreOptions(BaseModel, extra="forbid"):
    """The options of a source of kind "appstore"."""

    app_id: Annotated[list[Annotated[int, Field(gt=0, lt=10**15)]], Field(min_length=1)]
    countries: Annotated[list[str], Field(min_length=1), AfterValidator(_countries)] = ["us"]
    with_name: bool = True  # begin each text with the app's name: reviews seldom name what they are about
    app_name: str | None = None  # instead of its name in the store
    base_url: Annotated[str, AfterValidator(web_address)] = "https://itunes.apple.com"
    timeout: Annotated[float, Field(gt=0, le=300)] = 15  # seconds


@dataclass(frozen=True, slots=True)
class Mark:
    """The cursor: the newest review known (or when there was none yet), and the app's name as it was first read.

    The name stays: texts that change with it would count as edited.
    """

    newest: datetime
    any: bool
    name: str | None

    def to_json(self) -> str:
        return json.dumps([self.newest.isoformat(), self.any, self.name])

    @classmethod
    def from_json(cls, text: str) -> Self:
        newest, some, name = json.loads(text)
        return cls(datetime.fromisoformat(newest), some, name)


class AppStoreCollector:
    """Reads the reviews of each app in each country, back to the newest one known."""

    def __init__(self, options: AppStoreOptions, brands: Sequence[Brand]) -> None:
        self._options, self._brands = options, brands
        self._streams = {f"{app}:{country}": (app, country) for app in options.app_id for country in options.countries}
        if options.with_name and options.app_name and not self._names_a_brand(options.app_name):
            raise InputError(f"app_name {options.app_name!r} is matched by no brand's query: no review would be kept")

    def streams(self) -> Sequence[str]:
        return list(self._streams)

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        """Read pages until one holds a review that is no newer than the cursor. All that is on them is handed on."""
        if stream not in self._streams:
            raise InputError(f"the source has no stream {stream!r}")
        app, country = self._streams[stream]
        called = f"the App Store ({country}, app {app})"
        before = Mark.from_json(position.cursor) if position.cursor else None
        newest, any_yet = (before.newest, before.any) if before else (None, False)
        with Fetcher(called, self._options.timeout, now, BUSY) as fetcher:
            name = self._name(fetcher, called, app, country, before.name if before else None)
            for page in range(1, PAGES + 1):
                reviews = self._page(fetcher, called, app, country, page)
                if page == 1 and not reviews and any_yet:
                    raise SourceUnavailable(f"{called} sent no review, though it had some; the next run tries again")
                mentions = _mentions(reviews, called, name, now)
                times = [mention.created_at for mention in mentions]
                newest = max([*times, newest] if newest else times, default=None)
                any_yet = any_yet or bool(mentions)
                unread = bool(before and times and min(times) > before.newest)
                if reviews and page < PAGES and (unread or not before):
                    yield Batch(mentions, fetched=len(reviews))
                    continue
                gap = None
                if before and unread:
                    gap = Gap(before.newest, min(times), f"{called} gives the newest 500 reviews, and all are new")
                cursor = Mark(newest or now, any_yet, name).to_json()
                yield Batch(mentions, cursor=cursor, fetched=len(reviews), gap=gap)
                return

    def _page(self, fetcher: Fetcher, called: str, app: int, country: str, page: int) -> list[Entry]:
        path = f"{country}/rss/customerreviews/page={page}/id={app}/sortby=mostrecent/xml"
        entries = read_entries(called, fetcher.get(f"{self._options.base_url}/{path}"))
        return [entry for entry in entries if "im_rating" in entry.fields]  # the app itself is an entry at times

    def _name(self, fetcher: Fetcher, called: str, app: int, country: str, known: str | None) -> str | None:
        """What a text begins with: looked up once, then known by the cursor."""
        if not self._options.with_name:
            return None
        if self._options.app_name or known:
            return self._options.app_name or known
        answer = fetcher.json(f"{self._options.base_url}/lookup", {"id": app, "country": country})
        name = _looked_up(called, answer)
        if not self._names_a_brand(name):
            log.warning(
                "%s: no brand's query matches the app's name %r; set app_name, or add it to a query", called, name
            )
        return name

    def _names_a_brand(self, name: str) -> bool:
        return any(brand.query.matches(name) for brand in self._brands)


def _looked_up(called: str, answer: Any) -> str:
    results = answer.get("results") if isinstance(answer, dict) else None
    if results == []:
        raise StreamRefused(f"{called} knows no such app; correct app_id or countries")
    first = results[0] if isinstance(results, list) else None
    name = first.get("trackName") if isinstance(first, dict) else None
    if not isinstance(name, str) or not line_of(name):
        raise SourceUnavailable(f"{called} did not tell the app's name; the next run tries again")
    return line_of(name)


def _mentions(reviews: Sequence[Entry], called: str, name: str | None, now: datetime) -> Sequence[Mention]:
    """The mentions of a page. A review that cannot be read is left out; a page of nothing else is SourceUnavailable."""
    mentions = []
    for review in reviews:
        missing = [field for field in ("id", "posted") if not getattr(review, field)]
        if missing or not (review.title or review.body):
            log.warning("%s: a review is left out, it lacks %s", called, " and ".join(missing) or "a text")
            continue
        mentions.append(_mention(review, review.posted or now, name, now))
    if reviews and not mentions:
        raise SourceUnavailable(f"{called} sent nothing but reviews that cannot be read; the next run tries again")
    return mentions


def _mention(review: Entry, posted: datetime, name: str | None, now: datetime) -> Mention:
    """A mention. Stars are no words: they are left out."""
    said = [part for part in (name, review.title, review.body) if part]
    return Mention(
        source=PLATFORM,
        source_id=review.id,
        author=review.author,
        text="\n\n".join(said),
        created_at=min(posted, now),
        collected_at=now,
        url=review.link,
        reach=Reach(likes=_votes(review.fields.get("im_votesum"))),
    )


def _votes(told: object) -> int | None:
    """How many found a review helpful."""
    return min(int(told), 2**31) if isinstance(told, str) and re.fullmatch("[0-9]{1,20}", told) else None


def build(options: AppStoreOptions, brands: Sequence[Brand]) -> Collector:
    return AppStoreCollector(options, brands)


def explain(options: AppStoreOptions, brands: Sequence[Brand]) -> Sequence[str]:
    return [f"{stream}: the newest reviews" for stream in AppStoreCollector(options, brands).streams()]


@hookimpl
def register_collectors(register: RegisterCollector) -> None:
    register(CollectorKind("appstore", AppStoreOptions, build, explain))
