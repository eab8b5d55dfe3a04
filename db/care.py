"""How long people waited for an answer: what the figures of the team's work are counted from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

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
class Outcome:
    """What became of so many cases of a brand on a source: "answered", "dismissed" for a reason, or "open".

    `overdue` and `untouched` are among the open ones; nobody has done anything about the latter yet.
    """

    brand: str
    source: str
    what: str
    reason: str | None
    cases: int
    overdue: int
    untouched: int


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
            f"""SELECT c.id, c.brand, c.source, c.posted, c.created_at, c.replied_at, {_DUE},
                (SELECT author FROM replies WHERE case_id = c.id AND state IN ('sent', 'by hand') ORDER BY id LIMIT 1)
            FROM cases c WHERE c.replied_at >= ? AND c.replied_at < ? AND {where} ORDER BY c.replied_at, c.id""",
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

    def outcomes(
        self, brands: Sequence[str], sources: Sequence[str], since: datetime, until: datetime, now: datetime
    ) -> list[Outcome]:
        """Count what became of the cases whose posts were written in a span."""
        where, values = _within(brands, sources)
        rows = self._db.execute(
            f"""SELECT c.brand, c.source, CASE WHEN c.replied_at IS NOT NULL THEN 'answered'
                    WHEN c.state = 'dismissed' THEN 'dismissed' ELSE 'open' END AS what,
                CASE WHEN c.replied_at IS NULL AND c.state = 'dismissed'
                    THEN coalesce(c.dismissed_for, 'other') END AS reason,
                count(*), coalesce(sum(c.due < ?), 0), sum(c.triaged_at IS NULL AND c.closed_at IS NULL)
            FROM cases c WHERE c.posted >= ? AND c.posted < ? AND {where} GROUP BY 1, 2, 3, 4""",
            [to_text(now), to_text(since), to_text(until), *values],
        )
        return [Outcome(*row) for row in rows.fetchall()]

    def waits(
        self, brands: Sequence[str], sources: Sequence[str], since: datetime, until: datetime
    ) -> list[tuple[int, int | None]]:
        """Return of each case whose post was written in a span the seconds from the post to the case, and from there to
        the first time that somebody did something about it, None where nobody has."""
        where, values = _within(brands, sources)
        sql = f"""SELECT {_seconds("posted", "created_at")}, {_seconds("created_at", "triaged_at")} FROM cases c
            WHERE c.posted >= ? AND c.posted < ? AND {where}"""
        rows: list[tuple[int, int | None]] = self._db.execute(sql, [to_text(since), to_text(until), *values]).fetchall()
        return rows

    def chosen_from(self) -> Mapping[str, list[str]]:
        """Name the brands and the sources that have a post."""
        rows = self._db.execute("SELECT brand, source FROM totals WHERE brand != '' AND posts > 0").fetchall()
        return {"brands": sorted({brand for brand, _ in rows}), "sources": sorted({source for _, source in rows})}


# By when the first answer was due: of a case that was reopened since, what its reopening replaced.
_DUE = """coalesce((SELECT json_extract(detail, '$.was_due') FROM events
    WHERE case_id = c.id AND what = 'reopened' AND at >= c.replied_at ORDER BY id LIMIT 1), c.due)"""


def _seconds(since: str, until: str) -> str:
    """Write how long it is from one column to another; julianday is read in a third of the time of strftime('%s')."""
    return f"CAST(round((julianday(c.{until}) - julianday(c.{since})) * 86400) AS INTEGER)"


def _within(brands: Sequence[str], sources: Sequence[str]) -> tuple[str, list[object]]:
    clauses, values = ["1 = 1"], list[object]()
    for column, names in (("brand", brands), ("source", sources)):
        if names:
            clauses.append(f"c.{column} IN ({', '.join('?' * len(names))})")
            values += names
    return " AND ".join(clauses), values
