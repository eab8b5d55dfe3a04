"""Counts by time of posting: five minutes, rolled up to hours, days and weeks, which begin on Monday.

Counts are always made again from the rows below, in the transaction that changed them. So they cannot drift, and
scoring a post a second time changes nothing. Posts that a person found not to be about the brand are not counted.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlite_utils import Database

from db.facets import recount_facets
from db.times import FIVE_MINUTES, floor, from_text, monday, to_text
from db.voices import recount_voices

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Cell:
    """Five minutes of one brand on one source."""

    brand: str
    source: str
    start: datetime

    @classmethod
    def of(cls, brand: str, source: str, posted: datetime) -> "Cell":
        """Return the cell that a post falls into."""
        return cls(brand, source, floor(posted, FIVE_MINUTES))


def recount(db: Database, cells: Collection[Cell]) -> None:
    """Count the cells again from their matches, and the hours and days above them; runs in the caller's transaction."""
    fine = [(c.brand, c.source, to_text(c.start), to_text(c.start + FIVE_MINUTES)) for c in cells]
    db.conn.executemany(
        "DELETE FROM buckets WHERE span = '5m' AND brand = ? AND source = ? AND start = ?", [f[:3] for f in fine]
    )
    db.conn.executemany(
        """INSERT INTO buckets (span, start, brand, source, stage, negative, neutral, positive, not_rated)
        SELECT '5m', ?3, ?1, ?2, coalesce(stage, 'none'), sum(sentiment IS 'negative'), sum(sentiment IS 'neutral'),
            sum(sentiment IS 'positive'), sum(state = 'not_rated')
        FROM matches WHERE brand = ?1 AND source = ?2 AND created_at >= ?3 AND created_at < ?4 AND state != 'pending'
            AND about = 1
        GROUP BY coalesce(stage, 'none')""",
        fine,
    )
    recount_voices(db, fine)
    for span, below, step in (("1h", "5m", _HOUR), ("1d", "1h", _DAY), ("1w", "1d", _WEEK)):
        above = {(c.brand, c.source, monday(c.start) if step == _WEEK else floor(c.start, step)) for c in cells}
        coarse = [(brand, source, to_text(start), to_text(start + step)) for brand, source, start in above]
        db.conn.executemany(
            f"DELETE FROM buckets WHERE span = '{span}' AND brand = ? AND source = ? AND start = ?",
            [c[:3] for c in coarse],
        )
        db.conn.executemany(
            f"""INSERT INTO buckets (span, start, brand, source, stage, negative, neutral, positive, not_rated)
            SELECT '{span}', ?3, brand, source, stage, sum(negative), sum(neutral), sum(positive), sum(not_rated)
            FROM buckets WHERE span = '{below}' AND brand = ?1 AND source = ?2 AND start >= ?3 AND start < ?4
            GROUP BY stage""",
            coarse,
        )
        recount_facets(db, span, below, coarse)


def mark_unwatched(db: Database, cells: Collection[Cell]) -> None:
    """Remember from when on each brand's counts have changed; runs in the caller's transaction."""
    for brand in {cell.brand for cell in cells}:
        since = to_text(min(cell.start for cell in cells if cell.brand == brand))
        db.execute(
            """INSERT INTO unwatched (brand, since) VALUES (?, ?)
            ON CONFLICT (brand) DO UPDATE SET since = min(since, excluded.since), changes = changes + 1""",
            (brand, since),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """From when on a brand's counts have changed; the number grows with every change until they are watched."""

    since: datetime
    number: int


@dataclass(frozen=True, slots=True)
class Counts:
    """A brand's five-minute counts by time of posting: start, negatives and other rated posts."""

    start: datetime
    negative: int
    other: int


class Buckets:
    """The counts that detection reads."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def unwatched(self, until: datetime) -> dict[str, Change]:
        """Return from when on each brand's counts before `until` have changed since they were last watched."""
        sql = "SELECT brand, since, changes FROM unwatched WHERE since < ?"
        rows = self._db.execute(sql, (to_text(until),)).fetchall()
        return {brand: Change(from_text(since), changes) for brand, since, changes in rows}

    def watched(self, brand: str, seen: Change, until: datetime) -> None:
        """Move the brand's mark on to its posts from `until` on, if there are any: their time has yet to come.

        Where more has been counted since the change was seen, the mark stays for the next run. Runs in the caller's
        transaction.
        """
        gone = self._db.execute("DELETE FROM unwatched WHERE brand = ? AND changes = ?", (brand, seen.number))
        if gone.rowcount:
            self._db.execute(
                """INSERT INTO unwatched (brand, since) SELECT brand, min(start) FROM buckets
                WHERE span = '5m' AND brand = ? AND start >= ? GROUP BY brand""",
                (brand, to_text(until)),
            )

    def counts(self, brand: str, since: datetime, until: datetime) -> list[Counts]:
        """Return a brand's counts over all sources, in order; five minutes without a post have no row."""
        rows = self._db.execute(
            """SELECT start, sum(negative), sum(neutral + positive) FROM buckets
            WHERE span = '5m' AND brand = ? AND start >= ? AND start < ? GROUP BY start ORDER BY start""",
            (brand, to_text(since), to_text(until)),
        ).fetchall()
        return [Counts(from_text(start), int(negative), int(other)) for start, negative, other in rows]

    def hourly(self, brand: str, since: datetime, until: datetime) -> list[tuple[datetime, str, int]]:
        """Return hour, source and number of a brand's posts, those that are not rated too, in order of time.

        Hours without a post have no row.
        """
        rows = self._db.execute(
            """SELECT start, source, sum(negative + neutral + positive + not_rated) FROM buckets
            WHERE span = '1h' AND brand = ? AND start >= ? AND start < ? GROUP BY start, source ORDER BY start""",
            (brand, to_text(since), to_text(until)),
        ).fetchall()
        return [(from_text(start), source, int(posts)) for start, source, posts in rows]
