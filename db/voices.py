"""Counts that hear each person once: five minutes of a brand's rated posts without echoes, by source and slice.

Detection reads them, while people are shown all posts (db/buckets.py). They are made again from the rows as those are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from db.times import from_text, from_text_or_none, to_text

ALL = "all"  # the kind that counts every post
KINDS = {ALL: "''", "stage": "coalesce(stage, 'none')", "pillar": "coalesce(pillar, 'none')"}
KINDS["touchpoint"] = "coalesce(touchpoint, 'none')"


def recount_voices(db: Database, spans: Sequence[tuple[str, str, str, str]]) -> None:
    """Count again from the matches; a span is brand, source, start and end. Runs in the caller's transaction."""
    db.conn.executemany("DELETE FROM voices WHERE brand = ?1 AND source = ?2 AND start = ?3", [s[:3] for s in spans])
    for kind, name in KINDS.items():
        db.conn.executemany(
            f"""INSERT INTO voices (brand, start, source, kind, name, negative, other)
            SELECT ?1, ?3, ?2, '{kind}', {name}, sum(sentiment IS 'negative'), sum(sentiment IS NOT 'negative')
            FROM matches WHERE brand = ?1 AND source = ?2 AND created_at >= ?3 AND created_at < ?4 AND state = 'rated'
                AND about = 1 AND echo = 0
            GROUP BY {name}""",
            spans,
        )


@dataclass(frozen=True, slots=True)
class Voice:
    """Five minutes of one slice of a brand on one source."""

    start: datetime
    source: str
    kind: str
    name: str
    negative: int
    other: int


class Voices:
    """The table voices."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of(self, brand: str, since: datetime, until: datetime, kinds: Sequence[str] = tuple(KINDS)) -> list[Voice]:
        """Return what was heard of a brand in a span, in order of time; where nothing was heard there is no row."""
        rows = self._db.execute(
            f"""SELECT start, source, kind, name, negative, other FROM voices
            WHERE brand = ? AND start >= ? AND start < ? AND kind IN ({", ".join("?" * len(kinds))}) ORDER BY start""",
            (brand, to_text(since), to_text(until), *kinds),
        ).fetchall()
        return [Voice(from_text(start), *rest) for start, *rest in rows]

    def first(self, brand: str, since: datetime) -> datetime | None:
        """Return when a brand was first heard of since a time."""
        sql = "SELECT min(start) FROM voices WHERE brand = ? AND start >= ?"
        (start,) = self._db.execute(sql, (brand, to_text(since))).fetchone()
        return from_text_or_none(start)

    def totals(
        self, brand: str, since: datetime, until: datetime, scope: str = ""
    ) -> dict[tuple[str, str], tuple[int, int]]:
        """Return negatives and others of each slice of a brand in a span, by kind ("source", "stage", …) and name.

        With a scope ("source x") of the posts in that slice only: the stages, pillars and touchpoints of a source, the
        sources of a stage or pillar.
        """
        kind, _, name = scope.partition(" ")
        within = {"": "1", "source": f"source = ?4 AND kind != '{ALL}'"}.get(kind, "kind = ?5 AND name = ?4")
        by_source = "kind = ?5" if scope else f"kind = '{ALL}'"
        rows = self._db.execute(
            f"""SELECT iif({by_source}, 'source', kind), iif({by_source}, source, name), sum(negative), sum(other)
            FROM voices WHERE brand = ?1 AND start >= ?2 AND start < ?3 AND {within} GROUP BY 1, 2""",
            (brand, to_text(since), to_text(until), *((name, kind) if scope else ())),
        ).fetchall()
        return {(kind, name): (int(negative), int(other)) for kind, name, negative, other in rows}

    def hourly(self, brand: str, since: datetime, until: datetime) -> list[tuple[datetime, int, int]]:
        """Return hour, negatives and others of a brand, in order of time; where nothing was heard there is no row."""
        rows = self._db.execute(
            f"""SELECT substr(start, 1, 13) || ':00:00Z', sum(negative), sum(other) FROM voices
            WHERE brand = ? AND start >= ? AND start < ? AND kind = '{ALL}' GROUP BY 1 ORDER BY 1""",
            (brand, to_text(since), to_text(until)),
        ).fetchall()
        return [(from_text(hour), int(negative), int(other)) for hour, negative, other in rows]

    def brands(self) -> list[str]:
        """Name the brands that were ever heard of."""
        # A step in the index for each brand, however many rows it has.
        rows = self._db.execute(
            """WITH RECURSIVE found (brand) AS (
                SELECT min(brand) FROM voices
                UNION ALL SELECT (SELECT min(brand) FROM voices v WHERE v.brand > found.brand) FROM found
                WHERE found.brand IS NOT NULL
            ) SELECT brand FROM found WHERE brand IS NOT NULL"""
        ).fetchall()
        return [brand for (brand,) in rows]
