"""How long people waited for an answer: what the figures of the team's work are counted from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlite_utils import Database

from db.times import to_text


class Answered(NamedTuple):  # thousands are read for a page
    """A case and when it was first answered, in seconds since 1970; `by` wrote what went out first, None where that is
    not known. `in_time` is None where the case had no target."""

    case_id: int
    brand: str
    source: str
    posted: float
    replied: float
    in_time: bool | None
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
            f"""SELECT c.id, c.brand, c.source, {_SINCE_1970.format("c.posted")}, {_SINCE_1970.format("c.replied_at")},
                c.replied_at <= {_DUE},
                (SELECT author FROM replies WHERE case_id = c.id AND state IN ('sent', 'by hand') ORDER BY id LIMIT 1)
            FROM cases c WHERE c.replied_at >= ? AND c.replied_at < ? AND {where} ORDER BY c.replied_at, c.id""",
            [to_text(since), to_text(until), *values],
        )
        return list(map(Answered._make, rows.fetchall()))

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
    ) -> list[tuple[float, float | None]]:
        """Return of each case whose post was written in a span the seconds from the post to the case, and from there to
        the first time that somebody did something about it, None where nobody has."""
        where, values = _within(brands, sources)
        posted, opened, triaged = (_SINCE_1970.format(f"c.{time}") for time in ("posted", "created_at", "triaged_at"))
        sql = f"""SELECT {opened} - {posted}, {triaged} - {opened} FROM cases c
            WHERE c.posted >= ? AND c.posted < ? AND {where}"""
        rows: list[tuple[float, float | None]] = self._db.execute(
            sql, [to_text(since), to_text(until), *values]
        ).fetchall()
        return rows

    def mark(self) -> int:
        """Return a number that is another one as soon as anything changes that these questions are answered from."""
        return int(self._db.execute("SELECT mark FROM care").fetchone()[0])


# SQLite reads a time with julianday in a third of the time that strftime('%s') takes, and Python takes as long as that.
_SINCE_1970 = "round((julianday({}) - 2440587.5) * 86400)"
# By when the first answer was due: of a case that was reopened since, what its reopening replaced.
_DUE = """coalesce((SELECT json_extract(detail, '$.was_due') FROM events
    WHERE case_id = c.id AND what = 'reopened' AND at >= c.replied_at ORDER BY id LIMIT 1), c.due)"""


def _within(brands: Sequence[str], sources: Sequence[str]) -> tuple[str, list[object]]:
    clauses, values = ["1 = 1"], list[object]()
    for column, names in (("brand", brands), ("source", sources)):
        if names:
            clauses.append(f"c.{column} IN ({', '.join('?' * len(names))})")
            values += names
    return " AND ".join(clauses), values
