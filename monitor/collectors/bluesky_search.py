"""Reading Bluesky's search and notifications back from the newest post to a time."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from db.errors import SourceUnavailable
from db.records import Batch
from monitor.collectors.bluesky_api import Account, Page

PAGES = 50  # of one search; then a new one asks for what is older: Bluesky does not page beyond 10,000 posts
CUT_SHORT = 1_000  # a search that ends after so many posts may have been cut
STEP = timedelta(milliseconds=1)  # the finest that the API tells of times


@dataclass(frozen=True, slots=True)
class Span:
    """The posts to read: from `since` until before `until`.

    Where reading was interrupted, `query` is the search to go on with, for what is older than `below`.
    """

    since: datetime
    until: datetime
    query: str | None = None
    below: datetime | None = None

    def to_json(self) -> str:
        below = self.below.isoformat() if self.below else None
        return json.dumps([self.since.isoformat(), self.until.isoformat(), self.query, below])

    @classmethod
    def from_json(cls, text: str) -> Self:
        since, until, query, below = json.loads(text)
        read = datetime.fromisoformat
        return cls(read(since), read(until), query, read(below) if below else None)


def read_searches(account: Account, queries: Sequence[str], span: Span, now: datetime) -> Iterator[Batch]:
    """Read a span of all the searches, one after the other; each batch says where to go on after it."""
    left = list(queries)
    if span.query in left:  # else the brand's query is another by now
        left = left[left.index(span.query) :]
        yield from _read_search(account, left.pop(0), span, span.below or span.until, now)
    for query in left:
        yield from _read_search(account, query, span, span.until, now)


def _read_search(account: Account, query: str, span: Span, below: datetime, now: datetime) -> Iterator[Batch]:
    oldest = below
    while True:
        pages, seen = 0, 0
        for page in _pages(account, query, span.since, below, now):
            pages, seen = pages + 1, seen + page.fetched
            oldest = min([oldest, *(mention.created_at for mention, _ in page.posts)])
            mentions = tuple(mention for mention, _ in page.posts if mention.created_at >= span.since)
            rest = replace(span, query=query, below=oldest + STEP)
            yield Batch(mentions, resume=rest.to_json(), fetched=page.fetched)
            if oldest < span.since:
                return
            if pages == PAGES:
                break
        if seen < CUT_SHORT:
            return
        if oldest + STEP >= below:
            raise SourceUnavailable("Bluesky's search sends the same posts again and again; the next run tries again")
        below = oldest + STEP


def _pages(account: Account, query: str, since: datetime, below: datetime, now: datetime) -> Iterator[Page]:
    cursors: set[str] = set()
    cursor: str | None = None
    while cursor not in cursors:
        if cursor:
            cursors.add(cursor)
        page = account.search(query, since, below, cursor, now)
        yield page
        if page.cursor is None:
            return
        cursor = page.cursor
    raise SourceUnavailable("Bluesky's search sends the same page again and again; the next run tries again")


def read_notifications(account: Account, span: Span, now: datetime) -> Iterator[Batch]:
    """Read what the account was told in a span. Nobody is told so much that it were worth going on inside it."""
    cursors: set[str] = set()
    cursor: str | None = None
    while cursor not in cursors:
        if cursor:
            cursors.add(cursor)
        page = account.notifications(cursor, now)
        addressed = (account.did,) if account.did else ()
        found = (mention for mention, indexed in page.posts if span.since <= indexed < span.until)
        mentions = tuple(replace(mention, addressed=addressed) for mention in found)
        yield Batch(mentions, fetched=page.fetched)
        if page.cursor is None or any(indexed < span.since for _, indexed in page.posts):
            return
        cursor = page.cursor
    raise SourceUnavailable("Bluesky lists the same notifications again and again; the next run tries again")
