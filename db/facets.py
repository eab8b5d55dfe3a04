"""Counts of hours, days and weeks by pillar, touchpoint and reply, as db/buckets.py has them by stage."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlite_utils import Database

from db.desk import Labels
from db.filters import Filter
from db.memory import Memory, by_brand
from db.ranges import BUCKET, cells, known_brands, open_end, ranges

KINDS = ("pillar", "touchpoint", "reply")

# The posts of an hour are read once for the three of them.
_HOUR = f"""INSERT INTO facets (span, start, brand, source, kind, name, negative, neutral, positive, not_rated)
    WITH posts AS MATERIALIZED (
        SELECT coalesce(pillar, 'none') AS pillar, coalesce(touchpoint, 'none') AS touchpoint,
            coalesce(reply, 'none') AS reply, sum(sentiment IS 'negative') AS negative,
            sum(sentiment IS 'neutral') AS neutral, sum(sentiment IS 'positive') AS positive,
            sum(state = 'not_rated') AS not_rated
        FROM matches WHERE brand = ?1 AND source = ?2 AND created_at >= ?3 AND created_at < ?4 AND state != 'pending'
            AND about = 1
        GROUP BY 1, 2, 3
    ) {
    " UNION ALL ".join(
        f"SELECT '1h', ?3, ?1, ?2, '{kind}', {kind}, sum(negative), sum(neutral), sum(positive), sum(not_rated) "
        f"FROM posts GROUP BY {kind}"
        for kind in KINDS
    )
}"""
_ABOVE = """INSERT INTO facets (span, start, brand, source, kind, name, negative, neutral, positive, not_rated)
    SELECT '{span}', ?3, brand, source, kind, name, sum(negative), sum(neutral), sum(positive), sum(not_rated)
    FROM facets WHERE span = '{below}' AND brand = ?1 AND source = ?2 AND start >= ?3 AND start < ?4
    GROUP BY kind, name"""


def recount_facets(db: Database, span: str, below: str, spans: Sequence[tuple[str, str, str, str]]) -> None:
    """Count hours ("1h") again from their matches, longer spans from those `below`; runs in the caller's transaction.

    Each of `spans` is brand, source, start and end.
    """
    db.conn.executemany(
        f"DELETE FROM facets WHERE span = '{span}' AND brand = ? AND source = ? AND start = ?", [s[:3] for s in spans]
    )
    db.conn.executemany(_HOUR if span == "1h" else _ABOVE.format(span=span, below=below), spans)


class Facets:
    """The table facets."""

    def __init__(self, db: Database, memory: Memory | None = None) -> None:
        self._db = db
        self._memory = memory or Memory(0)

    def counts(
        self, chosen: Filter, kinds: Sequence[str] = KINDS, by: Sequence[str] = (), step: str | None = None
    ) -> Mapping[tuple[str, ...], Labels]:
        """Count the posts of a span by kind, name and the keys given ("brand", "source").

        The keys of the answer are (kind, name, *by), with the step's beginning before them where there is a `step`
        ("hour", "day", "week"). The span begins and ends with whole hours. Brands and sources narrow it; stages and
        other labels do not: these counts do not know them.
        """
        return by_brand(
            self._db,
            self._memory,
            ("facets", tuple(kinds), tuple(by), step),
            replace(chosen, brands=chosen.brands or known_brands(self._db)),
            lambda one: self._counts(one, kinds, by, step),
        )

    def _counts(
        self, chosen: Filter, kinds: Sequence[str], by: Sequence[str], step: str | None
    ) -> dict[tuple[str, ...], Labels]:
        if chosen.since is None or chosen.until is None:
            raise ValueError("counts are asked of a span")
        columns = [*([BUCKET[step]] if step else []), "kind", "name", *(f"f.{_KEYS[key]}" for key in by)]
        places = ", ".join(str(number + 1) for number in range(len(columns)))
        sql = f"""SELECT {", ".join(columns)}, sum(negative), sum(neutral), sum(positive), sum(not_rated)
            FROM json_each(?1) AS c CROSS JOIN facets AS f ON f.span = ?2 AND f.brand = json_extract(c.value, '$[0]')
                AND f.source = json_extract(c.value, '$[1]') AND f.start >= ?3 AND f.start < ?4
            WHERE kind IN ({", ".join(f"'{kind}'" for kind in KINDS if kind in kinds)}) GROUP BY {places}"""
        found: dict[tuple[str, ...], Labels] = {}
        where = cells(self._db, chosen.brands, chosen.sources)
        for part in ranges(chosen.since, open_end(self._db, "facets", chosen.until), step):
            for *key, negative, neutral, positive, not_rated in self._db.execute(sql, (where, *part)).fetchall():
                counted = Labels(negative, neutral, positive, not_rated)
                found[tuple(key)] = found.get(tuple(key), Labels()) + counted
        return found


_KEYS = {"brand": "brand", "source": "source"}
