"""Questions about feelings over time, answered from the counts, or from the posts where copies are to be left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC

from sqlite_utils import Database

from db.filters import Filter

TIME_KEYS = ("hour", "day", "week")
KEYS = (*TIME_KEYS, "source", "stage", "brand")

_BUCKET = {
    "hour": "substr(start, 1, 13) || ':00:00Z'",
    "day": "substr(start, 1, 10)",
    "week": "date(start, '-6 days', 'weekday 1')",  # its Monday
}
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

    def __init__(self, db: Database) -> None:
        self._db = db

    def by(self, keys: Sequence[str], chosen: Filter, copies: bool = True) -> list[Trend]:
        """Count per brand and the given keys (of KEYS; the finest time key counts), in order of time.

        Without `copies`, of posts that say nearly the same within a week only the first counts.
        """
        time = next((key for key in TIME_KEYS if key in keys), None)
        others = [key for key in ("source", "stage") if key in keys]
        bucket = _BUCKET[time] if time else "NULL"
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


def _span(time: str | None, chosen: Filter) -> str:
    """Choose the coarsest counts that still cut where the question does."""
    edges = [edge.astimezone(UTC) for edge in (chosen.since, chosen.until) if edge is not None]
    if any(edge.minute or edge.second for edge in edges):
        return "5m"
    return "1h" if time == "hour" or any(edge.hour for edge in edges) else "1d"
