"""X's recent search: pages from the newest post back to what is known, and spans of the last seven days.

X's index is late: a post can be found a minute or two after it was made, and after newer ones. So a run reads again
what was younger than `overlap` when the run before it read. It does so by the id to read from: that of the newest post
known that was already older then. A post is therefore read, and paid for, twice at most where runs are further apart
than the overlap, and once where it was older when it was first read; hours without posts cost nothing.
"""

import json
import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from db.errors import CollectorError, SourceUnavailable
from db.records import Batch, Gap, Mention, Position
from monitor.collectors.x_parse import Page, read_mentions, time_of

if TYPE_CHECKING:
    from monitor.collectors.x_api import Api

log = logging.getLogger(__name__)

WINDOW = timedelta(days=7) - timedelta(minutes=1)  # how far back recent search reads, less a minute for the clocks
LATE = timedelta(days=1)  # read again where only time says what is new
FRESH = timedelta(seconds=40)  # X takes no end_time that is nearer: it searches what is half a minute old
STALLED = 3
OLD = "that X's recent search covers"


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to when everything has been read, and the newest post that is so old that none before it can still turn up."""

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
    begun: datetime  # when the run began
    until_id: int | None = None
    newest_id: int | None = None  # for the next mark, as far as it is known

    def to_json(self) -> str:
        return json.dumps(
            {
                "since": self.since and self.since.to_json(),
                "newest_id": _text(self.newest_id),
                "until_id": _text(self.until_id),
                "begun": self.begun.isoformat(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        span = json.loads(text)
        since = span["since"] and Mark.from_json(span["since"])
        begun = datetime.fromisoformat(span["begun"])
        return cls(since, begun, int(span["until_id"]), _number(span["newest_id"]))


@dataclass(frozen=True, slots=True)
class Search:
    """One stream: a query, read through an Api."""

    api: "Api"
    stream: str
    query: str
    overlap: timedelta
    look_first: bool
    now: datetime

    def new(self, position: Position) -> Iterator[Batch]:
        """Read first the rest of an interrupted run, then what is new."""
        since = Mark.from_json(position.cursor) if position.cursor else None
        rest = _rest(self.stream, position)
        if rest is not None:
            since = yield from self._read(rest)
        yield from self._read(Span(since, self.now))

    def past(self, since: datetime, until: datetime, resume: str | None) -> Iterator[Batch]:
        """Read what was posted in a span, newest first; `resume` is the id of the oldest post read."""
        from monitor.collectors.x_api import IdTooOld

        floor = self.now - WINDOW
        gap = Gap(since, min(floor, until), f"older than the 7 days {OLD}", "capped") if since < floor else None
        if until <= floor:
            yield Batch((), cursor=until.isoformat(), gap=gap)
            return
        oldest = until_id = int(resume) if resume else None
        end = None if until_id is not None or until > self.now - FRESH else up(until)
        turns = _Turns(self.stream)
        while True:
            try:
                page = self.api.search(self.query, None, until_id, max(since, floor), turns.token, end)
            except IdTooOld:
                if oldest is None:
                    raise
                reached = _reaches(oldest, since, until)
                yield Batch(
                    (), cursor=until.isoformat(), gap=Gap(since, reached, f"older than the 7 days {OLD}", "capped")
                )
                return
            mentions = [each for each in self._mentions(page) if since <= each.created_at < until]
            if page.next_token is None:
                yield Batch(mentions, cursor=until.isoformat(), fetched=page.fetched, gap=gap)
                return
            oldest = _least(oldest, page)
            yield Batch(mentions, resume=_text(oldest), fetched=page.fetched)
            turns.next(page)

    def _read(self, span: Span) -> Generator[Batch, None, Mark]:
        """Page from the newest post of the span to its oldest; the cursor moves with the last page only."""
        from monitor.collectors.x_api import IdTooOld

        floor = self.now - WINDOW
        read = span.since.read if span.since else None
        since = span.since.newest_id if span.since else None
        start, gap = None, None
        if span.until_id is not None and span.begun <= floor:
            mark = Mark(span.newest_id, span.begun)
            reason = f"interrupted for longer than the 7 days {OLD}"
            yield Batch((), cursor=mark.to_json(), gap=Gap(read, span.begun, reason, "capped"))
            return mark
        if read is not None and read < floor:
            gap = Gap(read, floor, f"older than the 7 days {OLD}", "capped")
            since, start = None, floor  # X refuses a since_id of that age
        elif read is not None and since is None:
            start = max(read - LATE, floor)

        newest, oldest = span.newest_id, span.until_id
        turns = _Turns(self.stream)
        while True:
            try:
                page = self.api.search(self.query, since, span.until_id, start, turns.token)
            except IdTooOld:
                if since is not None:  # no post for a week, though all was read: it goes on by time
                    since, start = None, floor if read is None else max(read - LATE, floor)
                    continue
                if oldest is None or span.until_id is None:
                    raise
                mark = Mark(newest, span.begun)
                reason = f"interrupted, and the rest is older than the 7 days {OLD}"
                reached = _reaches(oldest, read or span.begun - WINDOW - LATE, span.begun)
                yield Batch((), cursor=mark.to_json(), gap=Gap(read, reached, reason, "capped"))
                return mark
            mentions = self._mentions(page)
            newest = newest or page.newest(span.begun - self.overlap)
            if page.next_token is None:
                mark = Mark(newest or (span.since.newest_id if span.since else None), span.begun)
                yield Batch(mentions, cursor=mark.to_json(), fetched=page.fetched, gap=gap)
                return mark
            oldest = _least(oldest, page)
            resume = None if oldest is None else Span(span.since, span.begun, oldest, newest).to_json()
            yield Batch(mentions, resume=resume, fetched=page.fetched)
            if self.look_first and turns.token is None:
                self._look(start or read or floor)
            turns.next(page)

    def _mentions(self, page: Page) -> list[Mention]:
        tell(page, f"the search for {self.stream}")
        return list(read_mentions(page, self.now))

    def _look(self, since: datetime) -> None:
        """Say how much a search that goes over many pages will bring. Reading goes on where that cannot be told."""
        try:
            found = self.api.count(self.query, max(since, self.now - WINDOW), None)
        except CollectorError as error:
            log.warning("X does not tell how many posts there are for %s: %s", self.stream, error)
        else:
            log.info("X has about %d posts for %s since %s UTC", found, self.stream, f"{since:%Y-%m-%d %H:%M}")


class _Turns:
    """The pages of one search: which is next, and whether X goes in circles."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._tokens: set[str] = set()
        self._lowest: int | None = None
        self._stalled = 0
        self.token: str | None = None

    def next(self, page: Page) -> None:
        lowest = min(page.ids, default=None)
        lower = lowest is not None and (self._lowest is None or lowest < self._lowest)
        self._stalled = 0 if lower else self._stalled + 1
        if lower:
            self._lowest = lowest
        self.token = page.next_token
        if self.token is None or self.token in self._tokens or self._stalled == STALLED:
            raise SourceUnavailable(f"X sends the same page of {self._stream} again and again; the next run goes on")
        self._tokens.add(self.token)


def tell(page: Page, what: str) -> None:
    """Log what X left out of a page."""
    for error in page.errors:
        log.warning("X left something out of %s: %s", what, error)


def _rest(stream: str, position: Position) -> Span | None:
    if position.resume is None:
        return None
    try:
        return Span.from_json(position.resume)
    except (ValueError, KeyError, TypeError):
        log.warning("X: cannot tell where the reading of %s was interrupted; it is read again from its cursor", stream)
        return None


def _least(oldest: int | None, page: Page) -> int | None:
    return min((each for each in (oldest, *page.ids) if each is not None), default=None)


def _reaches(oldest: int, since: datetime, until: datetime) -> datetime:
    """Up to when an interrupted run left posts unread; `until` where the id of the oldest post read tells no time."""
    made = time_of(oldest)
    return made if since <= made <= until else until


def up(time: datetime) -> datetime:
    """The next whole second: tweepy cuts off the rest."""
    return time if not time.microsecond else time.replace(microsecond=0) + timedelta(seconds=1)


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
