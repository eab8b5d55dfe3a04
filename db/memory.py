"""Answers that are made of the posts of some brands in some weeks, remembered as long as nothing changes there.

Triggers set a new mark, drawn at random, for the brand and week of each post that comes, goes, is judged anew or loses
its words. An answer whose weeks have the marks that they had when it was found is right: also of a file that somebody
has put back from a copy.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from threading import Lock
from typing import Any, TypeVar, cast

from sqlite_utils import Database

from db.desk import Labels
from db.filters import Filter
from db.times import monday, to_text

Found = TypeVar("Found")


class Memory:
    """Remembers so many answers, those that were asked for last; for stores of one file, and for any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._known: dict[Hashable, tuple[Hashable, Any]] = {}

    def of(self, db: Database, question: Hashable, chosen: Filter, find: Callable[[], Found]) -> Found:
        """Return what `find` does for the posts that are chosen, from memory where none of them has changed."""
        marks = _marks(db, chosen)  # before anything is read
        with self._lock:
            known = self._known.pop((question, chosen), None)
            if known and known[0] == marks:
                self._known[question, chosen] = known
                return cast("Found", known[1])
        found = find()
        with self._lock:
            self._known[question, chosen] = (marks, found)
            if len(self._known) > self._most:
                del self._known[next(iter(self._known))]
        return found


Counts = Mapping[tuple[str, ...], Labels]


def by_brand(
    db: Database, memory: Memory, question: Hashable, chosen: Filter, count: Callable[[Filter], Counts]
) -> Counts:
    """Add up the counts of each brand that is chosen: a post on one of them does not end those of the others."""
    found: dict[tuple[str, ...], Labels] = {}
    for brand in chosen.brands:
        one = replace(chosen, brands=(brand,))
        for key, labels in memory.of(db, question, one, partial(count, one)).items():
            found[key] = found[key] + labels if key in found else labels
    return found


def _marks(db: Database, chosen: Filter) -> Hashable:
    """Sum up the marks of the weeks that a span touches: another mark makes another sum."""
    if chosen.since is None or chosen.until is None:
        raise ValueError("what is remembered is asked of a span")
    since, until = to_text(monday(chosen.since)), to_text(monday(chosen.until) + timedelta(days=7))
    brands = f"AND brand IN ({', '.join('?' * len(chosen.brands))})" if chosen.brands else ""
    return cast(
        "Hashable",
        db.execute(
            f"SELECT count(*), sum(mark) FROM tides WHERE week >= ? AND week < ? {brands}",
            (since, until, *chosen.brands),
        ).fetchone(),
    )


@dataclass(frozen=True, slots=True)
class Memories:
    """What stores of one file remember: counts, and texts, which are larger."""

    counts: Memory = field(default_factory=lambda: Memory(512))
    texts: Memory = field(default_factory=lambda: Memory(24))
