"""X: recent search through its paid API v2, one stream a brand."""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, Field, SecretStr, field_validator

from db.errors import SourceUnavailable
from db.records import Batch, Gap, Position
from jobs.collector import Collector, Meter
from monitor.collectors.dialects import x_query
from monitor.collectors.x_parse import read_mentions, time_of
from monitor.plugins import Brand, CollectorKind, RegisterCollector, hookimpl

if TYPE_CHECKING:
    from monitor.collectors.x_api import Api

log = logging.getLogger(__name__)

WINDOW = timedelta(days=7) - timedelta(minutes=1)  # how far back recent search reads, less a minute for the clocks
LATE = timedelta(days=1)  # read again where only time says what is new: X indexes some posts late
STALLED = 3


class XOptions(BaseModel, extra="forbid", hide_input_in_errors=True):
    """The options of a source of kind "x"."""

    bearer_token: SecretStr
    api_url: str = "https://api.twitter.com"
    monthly_budget: Decimal | None = Field(None, ge=0)
    price_per_post: Decimal = Field(Decimal("0.005"), ge=0)
    timeout: float = Field(15, gt=0)

    @field_validator("bearer_token")
    @classmethod
    def _one_word(cls, token: SecretStr) -> SecretStr:
        word = token.get_secret_value().strip()
        if not re.fullmatch(r"[!-~]+", word):
            raise ValueError("give the app's bearer token: one word without spaces")
        return SecretStr(word)

    @field_validator("api_url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
            raise ValueError("give an address that starts with https:// or http://")
        return url.rstrip("/")


@dataclass(frozen=True, slots=True)
class Mark:
    """The cursor: the newest post known, and up to when everything has been read."""

    newest_id: int | None
    read: datetime

    def to_json(self) -> str:
        return json.dumps({"newest_id": _text(self.newest_id), "read": self.read.isoformat()})

    @classmethod
    def from_json(cls, text: str) -> Self:
        mark = json.loads(text)
        return cls(_number(mark["newest_id"]), datetime.fromisoformat(mark["read"]))


@dataclass(frozen=True, slots=True)
class Span:
    """The posts to read: newer than the mark and, where a run was interrupted, older than until_id."""

    since: Mark | None
    until_id: int | None = None
    newest_id: int | None = None  # of all posts up to `begun`
    begun: datetime | None = None  # when the interrupted run began

    def to_json(self) -> str:
        return json.dumps(
            {
                "since": self.since and self.since.to_json(),
                "newest_id": _text(self.newest_id),
                "until_id": _text(self.until_id),
                "begun": self.begun and self.begun.isoformat(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        span = json.loads(text)
        since = span["since"] and Mark.from_json(span["since"])
        return cls(since, int(span["until_id"]), int(span["newest_id"]), datetime.fromisoformat(span["begun"]))


class XCollector:
    """Searches for each brand what was posted since its cursor."""

    def __init__(self, options: XOptions, queries: dict[str, str]) -> None:
        self._options, self._queries = options, queries

    def streams(self) -> Sequence[str]:
        return list(self._queries)

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        """First the rest of an interrupted run, then what is new."""
        from monitor.collectors.x_api import Api

        options = self._options
        token = options.bearer_token.get_secret_value()
        since = Mark.from_json(position.cursor) if position.cursor else None
        with Api(options.api_url, token, options.timeout, options.price_per_post, meter, now) as api:
            rest = _rest(stream, position)
            if rest is not None and rest.begun is not None:
                yield from self._read(api, stream, rest, now)
                since = Mark(rest.newest_id, rest.begun)
            yield from self._read(api, stream, Span(since, begun=now), now)

    def _read(self, api: "Api", stream: str, span: Span, now: datetime) -> Iterator[Batch]:
        """Page from the newest post of the span to its oldest; the cursor moves with the last page only."""
        from monitor.collectors.x_api import IdTooOld

        floor = now - WINDOW
        begun = span.begun or now
        read = span.since.read if span.since else None
        since = span.since.newest_id if span.since else None
        start, gap = None, None
        if span.until_id is not None and begun <= floor:
            reason = "interrupted for longer than the 7 days that X's recent search covers"
            yield Batch((), cursor=Mark(span.newest_id, begun).to_json(), gap=Gap(read, begun, reason))
            return
        if read is not None and read < floor:
            gap = Gap(read, floor, "older than the 7 days that X's recent search covers")
            since, start = None, floor  # X refuses a since_id of that age
        elif read is not None and since is None:
            start = max(read - LATE, floor)

        newest, oldest, token = span.newest_id, span.until_id, None
        tokens: set[str] = set()
        stalled = 0
        while True:
            try:
                page = api.search(self._queries[stream], since, span.until_id, start, token)
            except IdTooOld:
                if since is not None:  # no post for a week, though all was read: it goes on by time
                    since, start = None, floor if read is None else max(read - LATE, floor)
                    continue
                if oldest is None or span.until_id is None:
                    raise
                reason = "interrupted, and the rest is older than the 7 days that X's recent search covers"
                gap = Gap(read, _rest_reaches(oldest, read, begun), reason)
                yield Batch((), cursor=Mark(newest, begun).to_json(), gap=gap)
                return
            for error in page.errors:
                log.warning("X left something out of the search for %s: %s", stream, error)
            mentions = list(read_mentions(page, now))
            lowest = min(page.ids, default=None)
            newest = newest or max(page.ids, default=None)
            if page.next_token is None:
                known = newest if newest is not None else (span.since.newest_id if span.since else None)
                yield Batch(mentions, cursor=Mark(known, begun).to_json(), fetched=page.fetched, gap=gap)
                return
            stalled = 0 if lowest is not None and (oldest is None or lowest < oldest) else stalled + 1
            oldest = min((each for each in (lowest, oldest) if each is not None), default=None)
            resume = None if oldest is None else Span(span.since, oldest, newest, begun).to_json()
            yield Batch(mentions, resume=resume, fetched=page.fetched)
            if page.next_token in tokens or stalled == STALLED:
                raise SourceUnavailable(f"X sends the same page of {stream} again and again; the next run goes on")
            token = page.next_token
            tokens.add(token)


def _rest(stream: str, position: Position) -> Span | None:
    if position.resume is None:
        return None
    try:
        return Span.from_json(position.resume)
    except (ValueError, KeyError, TypeError):
        log.warning("X: cannot tell where the reading of %s was interrupted; it is read again from its cursor", stream)
        return None


def _rest_reaches(oldest: int, read: datetime | None, begun: datetime) -> datetime:
    """Up to when an interrupted run left posts unread; `begun` where the id of the oldest post read tells no time."""
    made = time_of(oldest)
    return made if (read or begun - WINDOW - LATE) <= made <= begun else begun


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _queries(brands: Sequence[Brand]) -> dict[str, str]:
    """Each brand's search, without posts of its own account and of every own brand's.

    X names authors by number, so a post of such an account that a competitor's search brought could not be told later.
    """
    ours = [brand.accounts.get("x") for brand in brands if brand.own]
    searches = {}
    for brand in brands:
        accounts = dict.fromkeys(account for account in [brand.accounts.get("x"), *ours] if account)
        searches[brand.name] = x_query(brand.query, list(accounts))
    return searches


def build(options: XOptions, brands: Sequence[Brand]) -> Collector:
    return XCollector(options, _queries(brands))


def explain(options: XOptions, brands: Sequence[Brand]) -> Sequence[str]:
    return [f"{name}: {query}" for name, query in _queries(brands).items()]


@hookimpl
def register_collectors(register: RegisterCollector) -> None:
    register(CollectorKind("x", XOptions, build, explain, price=lambda options: options.price_per_post))
