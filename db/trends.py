"""Questions about feelings over time, answered from the counts, or from the posts where copies are to be left out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC

from sqlite_utils import Database

from db.desk import Labels
from db.filters import Filter
from db.memory import Memory, by_brand
from db.ranges import BUCKET, cells, known_brands, open_end, ranges
from db.times import to_text

TIME_KEYS = ("hour", "day", "week")
KEYS = (*TIME_KEYS, "source", "stage", "brand")
_COLUMNS = {key: key for key in ("brand", "source", "stage")}

# The columns of buckets, made of single posts: those that pass on or copy another one are left out.
_ORIGINALS = """(SELECT k.created_at AS start, k.brand, k.source, coalesce(k.stage, 'none') AS stage,
        k.sentiment IS 'negative' AS negative, k.sentiment IS 'neutral' AS neutral,
        k.sentiment IS 'positive' AS positive, k.state = 'not_rated' AS not_rated
    FROM matches k JOIN mentions m ON m.id = k.mention_id
    WHERE k.state != 'pending' AND k.about = 1 AND m.copy_of IS NULL AND m.repost_of IS NULL)"""


@dataclass(frozen=True, slots=True)
class Trend:
    """Counts of one brand in one bucket of time (None: the whole span asked for)."""

    bucket: str | None
    brand: str
    keys: Mapping[str, str]  # source and stage, where asked for
    negative: int
    neutral: int
    positive: int
    not_rated: int

    @property
    def mentions(self) -> int:
        """All posts, those that could not be rated included."""
        return self.negative + self.neutral + self.positive + self.not_rated

    @property
    def net_sentiment(self) -> float | None:
        """(positive - negative) / (positive + negative + neutral), None where nothing was rated."""
        rated = self.negative + self.neutral + self.positive
        return round((self.positive - self.negative) / rated, 4) if rated else None


class Trends:
    """Sums over the table buckets, or over the posts themselves."""

    def __init__(self, db: Database, memory: Memory | None = None, texts: Memory | None = None) -> None:
        self._db = db
        self._memory, self._texts = memory or Memory(0), texts or Memory(0)

    def by(self, keys: Sequence[str], chosen: Filter, copies: bool = True) -> list[Trend]:
        """Count per brand and the given keys (of KEYS; the finest time key counts), in order of time.

        Without `copies`, of posts that say nearly the same within a week only the first counts.
        """
        time = next((key for key in TIME_KEYS if key in keys), None)
        others = [key for key in ("source", "stage") if key in keys]
        bucket = BUCKET[time] if time else "NULL"
        where, values = chosen.where("start", counted=True)
        columns = ", ".join([f"{bucket} AS bucket", "brand", *others])
        groups = ", ".join(["1", "brand", *others])
        rows = self._db.query(
            f"""SELECT {columns}, sum(negative) AS negative, sum(neutral) AS neutral, sum(positive) AS positive,
                sum(not_rated) AS not_rated
            FROM {"buckets" if copies else _ORIGINALS} WHERE {"span = ?" if copies else "1"} AND {where}
            GROUP BY {groups} ORDER BY {groups}""",
            [*([_span(time, chosen)] if copies else []), *values],
        )
        return [
            Trend(
                row["bucket"],
                row["brand"],
                {key: row[key] for key in others},
                row["negative"],
                row["neutral"],
                row["positive"],
                row["not_rated"],
            )
            for row in rows
        ]

    def counts(
        self, chosen: Filter, by: Sequence[str] = (), step: str | None = None
    ) -> Mapping[tuple[str, ...], Labels]:
        """Count the posts of a span by the keys given ("brand", "source", "stage").

        The keys of the answer are those, in this order, with the step's beginning before them where there is a `step`
        ("hour", "day", "week"). The span begins and ends with whole hours. Brands, sources and stages narrow it. Whole
        weeks and days are read as such, hours at the edges only: months of a large store are answered in milliseconds.
        """
        return by_brand(
            self._db,
            self._memory,
            ("counts", tuple(by), step),
            replace(chosen, brands=chosen.brands or known_brands(self._db)),
            lambda one: self._counts(one, by, step),
        )

    def _counts(self, chosen: Filter, by: Sequence[str], step: str | None) -> dict[tuple[str, ...], Labels]:
        if chosen.since is None or chosen.until is None:
            raise ValueError("counts are asked of a span")
        columns = [*([BUCKET[step]] if step else []), *(f"b.{_COLUMNS[key]}" for key in by)]
        groups = f"GROUP BY {', '.join(str(number + 1) for number in range(len(columns)))}" if columns else ""
        stages = f"WHERE stage IN ({', '.join('?' * len(chosen.stages))})" if chosen.stages else ""
        sql = f"""SELECT {"".join(f"{column}, " for column in columns)} coalesce(sum(negative), 0),
                coalesce(sum(neutral), 0), coalesce(sum(positive), 0), coalesce(sum(not_rated), 0)
            FROM json_each(?) AS c CROSS JOIN buckets AS b ON b.span = ? AND b.brand = json_extract(c.value, '$[0]')
                AND b.source = json_extract(c.value, '$[1]') AND b.start >= ? AND b.start < ?
            {stages} {groups}"""
        found: dict[tuple[str, ...], Labels] = {}
        where = cells(self._db, chosen.brands, chosen.sources)
        for part in ranges(chosen.since, open_end(self._db, "buckets", chosen.until), step):
            for *key, negative, neutral, positive, not_rated in self._db.execute(
                sql, (where, *part, *chosen.stages)
            ).fetchall():
                counted = Labels(negative, neutral, positive, not_rated)
                found[tuple(key)] = found.get(tuple(key), Labels()) + counted
        return found

    def brands(self) -> list[str]:
        """Name the brands that a post names."""
        return list(known_brands(self._db))

    def sources(self) -> list[str]:
        """Name the platforms that there is a post of."""
        return sorted({source for _, source in json.loads(cells(self._db, (), ()))})

    def newest_texts(self, chosen: Filter, posts: int, letters: int) -> Sequence[str]:
        """Return the beginnings of the texts of a span's newest posts, less those that pass on or copy another one.

        So many posts are looked at, at the most; of these the ones that are left out, and those of other stages, are
        fewer to be returned.
        """
        return self._texts.of(self._db, (posts, letters), chosen, lambda: self._newest(chosen, posts, letters))

    def _newest(self, chosen: Filter, posts: int, letters: int) -> list[str]:
        if chosen.since is None or chosen.until is None:
            raise ValueError("texts are asked of a span")
        known = json.loads(cells(self._db, chosen.brands, chosen.sources))
        places = [("brand = ? AND source = ?", tuple(one)) for one in known]
        if not chosen.sources:  # the index by brand has all sources in order of time
            places = [("brand = ?", (brand,)) for brand in sorted({brand for brand, _ in known})]
        newest: list[tuple[str, int, str | None]] = []
        for where, values in places:
            newest += self._db.execute(
                f"""SELECT created_at, mention_id, stage FROM matches
                WHERE {where} AND created_at >= ? AND created_at < ? AND about = 1 ORDER BY created_at DESC LIMIT ?""",
                (*values, to_text(chosen.since), to_text(chosen.until), posts),
            ).fetchall()
        newest.sort(reverse=True, key=lambda row: row[:2])
        ids = [post for _, post, stage in newest[:posts] if not chosen.stages or stage in chosen.stages]
        rows = self._db.execute(
            """SELECT substr(m.text, 1, ?) FROM json_each(?) AS c CROSS JOIN mentions AS m ON m.id = c.value
            WHERE m.copy_of IS NULL AND m.repost_of IS NULL AND m.gone_at IS NULL""",
            (letters, json.dumps(list(dict.fromkeys(ids)))),
        )
        return [text for (text,) in rows.fetchall()]


def _span(time: str | None, chosen: Filter) -> str:
    """Choose the coarsest counts that still cut where the question does."""
    edges = [edge.astimezone(UTC) for edge in (chosen.since, chosen.until) if edge is not None]
    if any(edge.minute or edge.second for edge in edges):
        return "5m"
    if time == "hour" or any(edge.hour for edge in edges):
        return "1h"
    return "1d" if edges or time == "day" else "1w"
