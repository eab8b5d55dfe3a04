"""How a brand was talked about, step by step of a span: what a digest counts and draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.desk import Counted
from db.filters import Filter
from db.store import Store
from db.times import from_text

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Mood(Counted):
    """Posts of one step: how many, and how those that were rated feel."""

    start: datetime
    end: datetime
    negative: int = 0
    neutral: int = 0
    positive: int = 0
    not_rated: int = 0


Moods = Mapping[str, Sequence[Mood]]  # of each brand


def moods(store: Store, brands: Sequence[str], since: datetime, until: datetime) -> Moods:
    """Count each brand's posts of a span: by the hour, and by the day (from `since` on) where it has more than two."""
    step = DAY if until - since > 2 * DAY else HOUR
    last = (
        max(round((until - since) / step), 1) - 1
    )  # where the clock was changed, the last day has an hour more or less
    counts = {brand: [[0, 0, 0, 0] for _ in range(last + 1)] for brand in brands}
    for trend in store.trends.by(("hour",), Filter(since, until, tuple(brands))) if brands else ():
        hour = max(
            from_text(trend.bucket or ""), since
        )  # of an hour that begins before the span, what lies in it counts
        row = counts[trend.brand][min((hour - since) // step, last)]
        for kind, count in enumerate((trend.negative, trend.neutral, trend.positive, trend.not_rated)):
            row[kind] += count
    edges = [since + number * step for number in range(last + 1)] + [until]
    return {
        brand: [Mood(start, end, *row) for start, end, row in zip(edges, edges[1:], counts[brand], strict=False)]
        for brand in brands
    }


def together(steps: Sequence[Mood]) -> Mood:
    """Add up the steps of a span, one at least."""
    return Mood(
        steps[0].start,
        steps[-1].end,
        sum(step.negative for step in steps),
        sum(step.neutral for step in steps),
        sum(step.positive for step in steps),
        sum(step.not_rated for step in steps),
    )
