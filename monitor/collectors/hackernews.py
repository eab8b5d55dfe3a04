"""Hacker News: stories and comments by Algolia's search, a stream a brand; what became of them by the official API."""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field

from db.errors import SourceUnavailable
from db.records import Batch, Checked, Gap, Position
from jobs.collector import Collector, Meter
from monitor.collectors.addresses import web_address
from monitor.collectors.dialects import hackernews_queries
from monitor.collectors.fetch import Fetcher
from monitor.collectors.hackernews_parse import PLATFORM, read_items, read_page
from monitor.plugins import Brand, CollectorKind, RegisterCollector, hookimpl

log = logging.getLogger(__name__)

PAGE = 1_000  # hits, and the most that one search gives in all its pages
SECOND = timedelta(seconds=1)
LOOK_BACK = 90  # days, for a first look


class HackerNewsOptions(BaseModel, extra="forbid"):
    """The options of a source of kind "hackernews"."""

    api_url: Annotated[str, AfterValidator(web_address)] = "https://hn.algolia.com/api/v1/search_by_date"
    item_url: Annotated[str, AfterValidator(web_address)] = "https://hacker-news.firebaseio.com/v0/item"
    first_days: Annotated[int, Field(ge=1, le=10_000)] = 7  # that the first reading of a brand goes back
    overlap: Annotated[int, Field(ge=0, le=10_080)] = 60  # minutes read again: Algolia shows some posts late
    timeout: Annotated[float, Field(gt=0, le=300)] = 15  # seconds


@dataclass(frozen=True, slots=True)
class Span:
    """The posts to read, in seconds since 1970: later than `after`, up to and with `until`.

    Where reading was interrupted, `search` is the one to go on with, for what is not later than `below`.
    """

    after: int
    until: int
    search: str | None = None
    below: int | None = None

    def to_json(self) -> str:
        return json.dumps([self.after, self.until, self.search, self.below])

    @classmethod
    def from_json(cls, text: str) -> Self:
        after, until, search, below = json.loads(text)
        return cls(int(after), int(until), str(search), int(below))


class HackerNewsCollector:
    """Searches for each brand what was posted since its cursor."""

    platform = PLATFORM
    check_size = 30

    def __init__(self, options: HackerNewsOptions, searches: Mapping[str, Sequence[str]]) -> None:
        self._options, self._searches = options, searches

    def streams(self) -> Sequence[str]:
        return list(self._searches)

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        """First the rest of an interrupted run, then what is new, read from its newest post to its oldest."""
        cursor = datetime.fromisoformat(position.cursor) if position.cursor else None
        rest = _rest(stream, position.resume)
        with self._fetcher(now) as fetcher:
            if rest is not None:
                cursor = datetime.fromtimestamp(rest.until, UTC)
                yield from self._read(fetcher, stream, rest, now)
            start = now - timedelta(days=self._options.first_days)
            if cursor is not None:
                start = min(cursor, now) - timedelta(minutes=self._options.overlap)
            yield from self._read(fetcher, stream, Span(int(start.timestamp()), int(now.timestamp())), now)

    def oldest(self, stream: str, now: datetime) -> datetime | None:
        """Algolia has everything since 2006."""
        return None

    def history(
        self, stream: str, since: datetime, until: datetime, resume: str | None, meter: Meter, now: datetime
    ) -> Iterator[Batch]:
        """Read a span of the past, from its newest post to its oldest."""
        whole = Span(_seconds_up(since) - 1, _seconds_up(until) - 1)
        with self._fetcher(now) as fetcher:
            yield from self._read(fetcher, stream, _rest(stream, resume) or whole, now)

    def check(self, ids: Sequence[str], resume: str | None, meter: Meter, now: datetime) -> Checked:
        """Ask the official API, one request a post: what is deleted, dead (flagged, or by a banned author) is gone."""
        numbers = [number for number in ids if re.fullmatch("[0-9]+", number)]  # others were imported
        with self._fetcher(now) as fetcher:
            answers = {number: fetcher.json(f"{self._options.item_url}/{number}.json") for number in numbers}
        return read_items(answers, now)

    def _fetcher(self, now: datetime) -> Fetcher:
        return Fetcher("Hacker News", self._options.timeout, now)

    def _read(self, fetcher: Fetcher, stream: str, span: Span, now: datetime) -> Iterator[Batch]:
        """Read a span of all the searches, one after the other; the cursor moves with the last page of the last."""
        left = list(self._searches[stream])
        if span.search in left:  # else the brand's query is another by now: all is read again
            left = left[left.index(span.search) :]
        else:
            span = replace(span, below=None)
        cursor = datetime.fromtimestamp(span.until, UTC).isoformat()
        for number, search in enumerate(left, 1):
            below: int | None = span.until if span.below is None or number > 1 else span.below
            last: set[str] = set()  # the page before, whose oldest second is read twice
            while below is not None:
                batch, below = self._page(fetcher, search, span.after, below, now)
                new = [mention for mention in batch.mentions if mention.source_id not in last]
                last = {mention.source_id for mention in batch.mentions}
                batch = replace(batch, mentions=new)
                if below is not None:
                    yield replace(batch, resume=replace(span, search=search, below=below).to_json())
                elif number == len(left):
                    yield replace(batch, cursor=cursor)
                else:
                    yield replace(batch, resume=replace(span, search=left[number], below=span.until).to_json())

    def _page(self, fetcher: Fetcher, search: str, after: int, below: int, now: datetime) -> tuple[Batch, int | None]:
        """Read the newest posts of a search, and up to when its rest goes: None where there is none.

        Algolia gives 1,000 hits of a search, so the rest is a search of its own. It begins with the oldest second
        read once more, as other posts may have been made in it.
        """
        answer = fetcher.json(self._options.api_url, _parameters(search, after, below))
        page = read_page(answer, now)
        batch = Batch(page.mentions, fetched=page.fetched)
        if page.oldest is None or PAGE > page.fetched >= page.found:
            return batch, None
        if page.oldest > below:
            raise SourceUnavailable("Hacker News sent posts of another time than was asked for")
        if page.oldest < below:
            return batch, page.oldest
        second = datetime.fromtimestamp(page.oldest, UTC)
        reason = f"more posts in one second than the {page.fetched:,} that Algolia gives"
        rest = page.oldest - 1 if page.oldest - 1 > after else None
        return replace(batch, gap=Gap(second, second + SECOND, reason)), rest


def _parameters(search: str, after: int, below: int) -> dict[str, str | int]:
    return {
        "query": search,
        "tags": "(story,comment)",
        "numericFilters": f"created_at_i>{after},created_at_i<={below}",
        "hitsPerPage": PAGE,
        "typoTolerance": "false",
        "advancedSyntax": "false",  # words only: nothing in them is an operator
        "restrictSearchableAttributes": "title,story_text,comment_text",
    }


def _rest(stream: str, resume: str | None) -> Span | None:
    if resume is None:
        return None
    try:
        return Span.from_json(resume)
    except (ValueError, TypeError):
        log.warning("Hacker News: cannot tell where the reading of %s was interrupted; it is read again", stream)
        return None


def _seconds_up(time: datetime) -> int:
    return -int(-time.timestamp() // 1)


def _searches(brands: Sequence[Brand]) -> dict[str, Sequence[str]]:
    return {brand.name: hackernews_queries(brand.query) for brand in brands}


def build(options: HackerNewsOptions, brands: Sequence[Brand]) -> Collector:
    return HackerNewsCollector(options, _searches(brands))


def explain(options: HackerNewsOptions, brands: Sequence[Brand]) -> Sequence[str]:
    return [f"{name}: {' | '.join(searches)}" for name, searches in _searches(brands).items()]


def first_look(name: str) -> Mapping[str, object]:
    return {"first_days": LOOK_BACK}


@hookimpl
def register_collectors(register: RegisterCollector) -> None:
    register(CollectorKind("hackernews", HackerNewsOptions, build, explain, first_look))
