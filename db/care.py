"""How long people waited for an answer: what the figures of the team's work are counted from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlite_utils import Database

from db.times import from_text, from_text_or_none, to_text


@dataclass(frozen=True, slots=True)
class Answered:
    """A case and when it was first answered; `by` wrote what went out first, None where that is not known."""

    case_id: int
    brand: str
    source: str
    posted: datetime
    opened: datetime
    replied: datetime
    due: datetime | None
    by: str | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A case, whatever became of it."""

    brand: str
    source: str
    posted: datetime
    opened: datetime
    triaged: datetime | None
    due: datetime | None
    answered: bool
    dismissed_for: str | None  # set where it was closed without an answer
    closed: bool


class CareTimes:
    """Questions to the table cases. `brands` and `sources` narrow them; none: all."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def answered(
        self, brands: Sequence[str], sources: Sequence[str], since: datetime, until: datetime
    ) -> list[Answered]:
        """Return the cases that were first answered in a span."""
        where, values = _within(brands, sources)
        rows = self._db.execute(
            f"""SELECT c.id, k.brand, k.source, k.created_at, c.created_at, c.replied_at, {_DUE},
                (SELECT author FROM replies WHERE case_id = c.id AND state IN ('sent', 'by hand') ORDER BY id LIMIT 1)
            FROM cases c CROSS JOIN matches k ON k.id = c.match_id
            WHERE c.replied_at >= ? AND c.replied_at < ? AND {where} ORDER BY c.replied_at, c.id""",
            [to_text(since), to_text(until), *values],
        )
        return [
            Answered(
                number,
                brand,
                source,
                from_text(posted),
                from_text(opened),
                from_text(replied),
                from_text_or_none(due),
                by,
            )
            for number, brand, source, posted, opened, replied, due, by in rows.fetchall()
        ]

    def opened(self, brands: Sequence[str], sources: Sequence[str], since: datetime, until: datetime) -> list[Opened]:
        """Return the cases whose posts were written in a span."""
        where, values = _within(brands, sources)
        rows = self._db.execute(
            f"""SELECT k.brand, k.source, k.created_at, c.created_at, c.triaged_at, c.due, c.replied_at IS NOT NULL,
                CASE WHEN c.state = 'dismissed' THEN coalesce(c.dismissed_for, 'other') END, c.closed_at IS NOT NULL
            FROM cases c CROSS JOIN matches k ON k.id = c.match_id
            WHERE c.created_at >= ? AND k.created_at >= ? AND k.created_at < ? AND {where} ORDER BY +c.id""",
            [to_text(since - _AHEAD), to_text(since), to_text(until), *values],
        )
        return [
            Opened(
                brand,
                source,
                from_text(posted),
                from_text(opened),
                from_text_or_none(triaged),
                from_text_or_none(due),
                bool(answered),
                dismissed,
                bool(closed),
            )
            for brand, source, posted, opened, triaged, due, answered, dismissed, closed in rows.fetchall()
        ]

    def chosen_from(self) -> Mapping[str, list[str]]:
        """Name the brands and the sources that have a post."""
        rows = self._db.execute("SELECT brand, source FROM totals WHERE brand != '' AND posts > 0").fetchall()
        return {"brands": sorted({brand for brand, _ in rows}), "sources": sorted({source for _, source in rows})}


_AHEAD = timedelta(days=1)  # a case is opened after its post was written, as far as the platform's clock is right
# By when the first answer was due: of a case that was reopened since, what its reopening replaced.
_DUE = """coalesce((SELECT json_extract(detail, '$.was_due') FROM events
    WHERE case_id = c.id AND what = 'reopened' AND at >= c.replied_at ORDER BY id LIMIT 1), c.due)"""


def _within(brands: Sequence[str], sources: Sequence[str]) -> tuple[str, list[object]]:
    clauses, values = ["1 = 1"], list[object]()
    for column, names in (("brand", brands), ("source", sources)):
        if names:
            clauses.append(f"k.{column} IN ({', '.join('?' * len(names))})")
            values += names
    return " AND ".join(clauses), values
