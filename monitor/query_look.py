"""What a query would ask of each source, what that would bring and cost, and which stored posts it matches."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ValidationError

from db.errors import InputError
from db.records import Mention
from db.store import Store
from db.times import to_text
from models.brand import Brand
from models.query import And, Near, Node, Not, Or, Phrase, Query, Word
from models.tokens import wild
from monitor.config import Config
from monitor.first_look import wants_key
from monitor.plugins import CollectorKind, Kinds

NAME = "test"  # of the brand that the query is tried as
WEEK = timedelta(days=7)
MONTHLY = Decimal(30) / 7  # weeks of a month
EXAMPLES: Mapping[str, Mapping[str, object]] = {  # what kinds that need a key must be told, to be shown without one
    "x": {"bearer_token": "missing"},
    "reddit": {"subreddits": ["all"], "client_id": "missing", "client_secret": "missing"},
}


@dataclass(frozen=True, slots=True)
class Place:
    """A source that could be asked; options None where too much is missing to say how."""

    name: str
    kind: CollectorKind
    options: BaseModel | None = field(repr=False)
    missing: str = ""


def configured(config: Config) -> list[Place]:
    """Name the sources of the configuration, those that lack a key too."""
    return [
        Place(source.name, source.collector_kind, source.preview, "; ".join(source.missing))
        for source in config.sources
    ]


def unconfigured(kinds: Kinds, query: Query, keyless: bool = False) -> list[Place]:
    """Name the kinds that need no key, with their default options, and, unless `keyless`, those of EXAMPLES."""
    found = []
    for name, kind in sorted(kinds.collectors.items()):
        if keyless and wants_key(kind):
            continue
        if options := _options(kind, query):
            found.append(Place(name, kind, options))
    return found


def _options(kind: CollectorKind, query: Query) -> BaseModel | None:
    """Make up options to show a kind with; None where there is nothing to search, or a person has to say what."""
    if kind.pushed:
        return None
    tries: list[Mapping[str, object]] = [{}, EXAMPLES.get(kind.kind, {})]
    if kind.first_look:
        tries.append(kind.first_look(_name_in(query.root) or ""))
    for values in tries:
        try:
            return kind.options.model_validate(values)
        except (ValidationError, InputError):
            continue
    return None


def _name_in(node: Node) -> str | None:
    """Name what a query looks for first; what has a wildcard is the beginning of many names, and no name itself."""
    match node:
        case Word(text):
            return None if wild(text) else text.lstrip("@#")
        case Phrase(words):
            return None if any(wild(word.text) for word in words) else " ".join(word.text for word in words)
        case Near(left, right, _):
            return _name_in(left) or _name_in(right)
        case And(parts) | Or(parts):
            return next(filter(None, map(_name_in, parts)), None)
        case Not():
            return None


def take_query(
    query: Query,
    hide: Query | None,
    places: Sequence[Place],
    store: Store | None,
    since: datetime | None,
    limit: int,
    now: datetime,
) -> dict[str, Any]:
    """Gather it as plain values. `since` and `limit` are for the stored posts; without a store there are none."""
    found = _Found(query, hide, since, now - WEEK, limit)
    earliest = min(since, now - WEEK) if since else None
    found.look(store.rematching.mentions(earliest) if store else ())
    return {
        "query": str(query),
        "hide": str(hide) if hide else None,
        "sources": [_asked(place, query, hide) | _expected(place, found) for place in places],
        "posts": {
            "since": to_text(since) if since else None,
            "stored": found.posts,
            "matching": found.matching.total(),
            "hidden": found.hidden.total(),
            "by_source": {
                source: {"matching": count, "hidden": found.hidden[source]}
                for source, count in sorted(found.matching.items())
            },
            "newest": [_post_json(post, hidden) for post, hidden in found.newest()],
        },
    }


class _Found:
    """Counts of stored posts, and the newest that match."""

    def __init__(self, query: Query, hide: Query | None, since: datetime | None, week: datetime, limit: int) -> None:
        self._query, self._hide, self._since, self._week, self._limit = query, hide, since, week, limit
        self._newest: list[tuple[datetime, int, Mention, bool]] = []
        self.posts = 0
        self.matching, self.hidden = Counter[str](), Counter[str]()
        self.week_posts, self.week_matching = Counter[str](), Counter[str]()  # of the last seven days

    def look(self, posts: Iterable[Mention]) -> None:
        for number, post in enumerate(posts):
            matches = self._query.matches(post.text)
            if post.created_at >= self._week:
                self.week_posts[post.source] += 1
                self.week_matching[post.source] += matches
            if self._since and post.created_at < self._since:
                continue
            self.posts += 1
            if not matches:
                continue
            hidden = self._hide is not None and self._hide.matches(post.text)
            self.matching[post.source] += 1
            self.hidden[post.source] += hidden
            heapq.heappush(self._newest, (post.created_at, number, post, hidden))
            if len(self._newest) > self._limit:
                heapq.heappop(self._newest)

    def newest(self) -> Iterator[tuple[Mention, bool]]:
        for _, _, post, hidden in sorted(self._newest, reverse=True):
            yield post, hidden


def _asked(place: Place, query: Query, hide: Query | None) -> dict[str, Any]:
    """Say what a source would be asked for, or why it cannot be."""
    streams: list[str] = []
    error = None
    if place.options is None:
        error = f"missing {place.missing}"
    else:
        try:
            streams = list(place.kind.explain(place.options, [Brand(NAME, query, hide=hide)]))
        except InputError as refusal:
            error = str(refusal)
    return {
        "name": place.name,
        "kind": place.kind.kind,
        "streams": streams,
        "error": error,
        "missing": place.missing or None,
    }


def _expected(place: Place, found: _Found) -> dict[str, Any]:
    """Say what it would bring and cost in a month, as far as posts of the last seven days tell."""
    kind = place.kind
    price = None if place.options is None else kind.price(place.options)
    seen = found.week_matching[kind.kind]
    month = seen * MONTHLY
    return {
        "price_per_post": None if price is None else str(price),
        "brought": kind.pushed or kind.kind == "file",  # nothing is asked for
        "first_look": kind.first_look is not None,
        "stored_last_7_days": found.week_posts[kind.kind],
        "matching_last_7_days": seen,
        "posts_a_month": round(month) if seen else None,
        "cost_a_month": f"{month * price:.2f}" if seen and price is not None else None,
    }


def _post_json(post: Mention, hidden: bool) -> dict[str, Any]:
    return {
        "id": post.source_id,
        "source": post.source,
        "author": post.author,
        "created_at": to_text(post.created_at),
        "text": post.text,
        "url": post.url,
        "hidden": hidden,
    }
