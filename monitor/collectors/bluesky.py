"""Bluesky: its public stream of all posts and, with an account, search, notifications and the check of stored posts."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from db.errors import InputError
from db.records import Batch, Checked, Gap, Position
from jobs.collector import Collector, Meter
from monitor.collectors.addresses import secret_address
from monitor.collectors.bluesky_api import Account
from monitor.collectors.bluesky_parse import is_post
from monitor.collectors.bluesky_reply import BlueskyReplier
from monitor.collectors.bluesky_search import Span, read_notifications, read_searches
from monitor.collectors.bluesky_stream import KEPT, REWIND, Stream, from_cursor
from monitor.collectors.dialects import bluesky_queries
from monitor.plugins import Brand, CollectorKind, RegisterCollector, hookimpl
from monitor.sections import SECONDS

POSTS, NOTIFICATIONS, SEARCH = "posts", "notifications", "search:"
LIVE = timedelta(seconds=3)  # the stream is caught up when its events are so new
BEHIND = timedelta(minutes=1)  # an end of reading that is told: clocks may differ by less
FIRST = timedelta(days=1)  # what a first search reads of the past


def _duration(text: str) -> str:
    found = re.fullmatch(r"([0-9]{1,6})\s*([smhd])", text.strip())
    if not found:
        raise ValueError('should be a number and a unit (s, m, h or d), for example "30m"')
    if int(found[1]) * SECONDS[found[2]] > KEPT.total_seconds():
        raise ValueError(f'Jetstream keeps no more than 36 hours: give "36h" at most, not "{found[0]}"')
    return found[1] + found[2]


def _stream_address(url: str) -> str:
    if not re.fullmatch(r"wss?://[^\s/?#@]+(/[^\s?#]*)?", url):
        raise ValueError("give an address such as wss://jetstream.us-east.bsky.network/xrpc")
    return url.rstrip("/")


class BlueskyOptions(BaseModel, extra="forbid", hide_input_in_errors=True):
    """The options of a source of kind "bluesky"."""

    handle: str | None = None
    app_password: SecretStr | None = None
    stream: bool = True
    search: bool = True  # where an account is given
    listen: Annotated[float, Field(gt=0, le=600)] = 20  # seconds that a run reads the stream at most
    replay: Annotated[str, AfterValidator(_duration)] = "0s"  # how far back a first run reads the stream
    overlap: Annotated[int, Field(ge=0, le=10_080)] = 60  # minutes searched again: posts show late
    replies: bool = False  # posts are answered in the name of the account
    timeout: Annotated[float, Field(gt=0, le=300)] = 15  # seconds
    jetstream_url: Annotated[str, AfterValidator(_stream_address)] = "wss://jetstream.us-east.bsky.network/xrpc"
    service_url: Annotated[str, AfterValidator(secret_address)] = "https://bsky.social"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.handle is None) != (self.app_password is None):
            raise ValueError("give `handle` and `app_password` together, or neither")
        if self.handle is None and not self.stream:
            raise ValueError("nothing is left to read: give an account, or leave `stream` on")
        if self.replies and self.handle is None:
            raise ValueError("`replies` needs an account: give `handle` and `app_password`")
        return self

    @property
    def first(self) -> timedelta:
        """What a first run reads of the stream's past."""
        return timedelta(seconds=int(self.replay[:-1]) * SECONDS[self.replay[-1]])


class BlueskyCollector:
    """Reads the stream, which needs no account, and matches it here."""

    def __init__(self, options: BlueskyOptions, brands: Sequence[Brand]) -> None:
        self._options, self._brands = options, brands

    def streams(self) -> Sequence[str]:
        return [POSTS] if self._options.stream else []

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        """Read the stream from the cursor until now, or as far as the time goes."""
        self._known(stream)
        at = position.resume or position.cursor
        known = from_cursor(at) if at else None
        if known:
            yield from self._open(now).read(known - REWIND, now - LIVE, known, BEHIND)
            return
        start = now - self._options.first
        before: Gap | None = Gap(None, start, "the stream is read from then on, see `replay`", "capped")
        for batch in self._open(now).read(start, now - LIVE, None, BEHIND):
            yield replace(batch, gap=batch.gap or before)
            before = None

    def oldest(self, stream: str, now: datetime) -> datetime | None:
        return now - KEPT if stream == POSTS else None

    def history(
        self, stream: str, since: datetime, until: datetime, resume: str | None, meter: Meter, now: datetime
    ) -> Iterator[Batch]:
        """Read the stream anew for a span of the last hours; later posts that come along are yielded too."""
        self._known(stream)
        known = from_cursor(resume) if resume else since
        yield from self._open(now).read(known, min(until, now - LIVE), known, timedelta(0))

    def _open(self, now: datetime) -> Stream:
        options = self._options
        return Stream(options.jetstream_url, options.timeout, options.listen, self._brands, now)

    def _known(self, stream: str) -> None:
        if stream not in self.streams():
            raise InputError(f"the source has no stream {stream!r}")


class BlueskyAccountCollector(BlueskyCollector):
    """Reads what only an account can ask for, too."""

    platform = "bluesky"
    check_size = 25

    def __init__(
        self, options: BlueskyOptions, brands: Sequence[Brand], account: Account, searches: dict[str, list[str]]
    ) -> None:
        super().__init__(options, brands)
        self._account, self._searches = account, searches

    def streams(self) -> Sequence[str]:
        return [*super().streams(), *self._searches, NOTIFICATIONS]

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        """First the rest of an interrupted run, then what is new. The cursor is up to when everything was read."""
        if stream == POSTS:
            yield from super().collect(stream, position, meter, now)
            return
        read = datetime.fromisoformat(position.cursor) if position.cursor else None
        if position.resume:
            rest = Span.from_json(position.resume)
            yield from self._read(stream, rest, now)
            read = rest.until
        since = read - timedelta(minutes=self._options.overlap) if read else now - FIRST
        yield from self._read(stream, Span(since, now), now)
        yield Batch((), cursor=now.isoformat())

    def history(
        self, stream: str, since: datetime, until: datetime, resume: str | None, meter: Meter, now: datetime
    ) -> Iterator[Batch]:
        """Read a span of the past."""
        if stream == POSTS:
            yield from super().history(stream, since, until, resume, meter, now)
            return
        yield from self._read(stream, Span.from_json(resume) if resume else Span(since, until), now)
        yield Batch((), cursor=until.isoformat())

    def check(self, ids: Sequence[str], resume: str | None, meter: Meter, now: datetime) -> Checked:
        """Ask for up to 25 posts again: what is not shown is deleted, or its author has blocked the account."""
        asked = [uri for uri in ids if is_post(uri)]
        if not asked:
            return Checked()
        with self._account:
            page = self._account.posts(asked, now)
        return Checked([uri for uri in asked if uri not in page.shown], [mention for mention, _ in page.posts])

    def _read(self, stream: str, span: Span, now: datetime) -> Iterator[Batch]:
        self._known(stream)
        with self._account:
            if stream == NOTIFICATIONS:
                yield from read_notifications(self._account, span, now)
            else:
                yield from read_searches(self._account, self._searches[stream], span, now)


def _searches(options: BlueskyOptions, brands: Sequence[Brand]) -> dict[str, list[str]]:
    if options.handle is None or not options.search:
        return {}
    return {f"{SEARCH}{brand.name}": bluesky_queries(brand.query) for brand in brands}


def build(options: BlueskyOptions, brands: Sequence[Brand]) -> Collector:
    for brand in brands:
        own = brand.accounts.get("bluesky")
        if own and not own.startswith("did:"):
            raise InputError(
                f"the account of {brand.name} on Bluesky: give its DID (did:plc:…), as the stream names no handles; "
                f"https://bsky.social/xrpc/com.atproto.identity.resolveHandle?handle={own} shows it"
            )
    if options.handle is None or options.app_password is None:
        return BlueskyCollector(options, brands)
    account = _account(options.handle, options.app_password, options)
    return BlueskyAccountCollector(options, brands, account, _searches(options, brands))


def _account(handle: str, password: SecretStr, options: BlueskyOptions) -> Account:
    return Account(options.service_url, handle.strip().removeprefix("@"), password, options.timeout)


def replier(options: BlueskyOptions, brands: Sequence[Brand]) -> BlueskyReplier | None:
    """Make what answers posts, with a session of its own; None where the source does not."""
    if not options.replies or options.handle is None or options.app_password is None:
        return None
    return BlueskyReplier(_account(options.handle, options.app_password, options))


def explain(options: BlueskyOptions, brands: Sequence[Brand]) -> Sequence[str]:
    lines = [f"{POSTS}: all of {urlsplit(options.jetstream_url).hostname}, matched here"] if options.stream else []
    lines += [f"{stream}: {' | '.join(queries)}" for stream, queries in _searches(options, brands).items()]
    if options.handle:
        lines.append(f"{NOTIFICATIONS}: mentions of {options.handle}, replies to it, quotes of it")
    return lines


@hookimpl
def register_collectors(register: RegisterCollector) -> None:
    register(CollectorKind("bluesky", BlueskyOptions, build, explain, replier=replier))
