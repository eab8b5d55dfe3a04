"""Microseconds that the search for spikes takes for each five minutes of a brand's past, alone and in company."""

from datetime import UTC, datetime

import numpy as np

from benchmarks.table import Line, seconds
from models.spikes import STEP, Counts, Series, find_spikes, fresh, replay

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = (35, 400)  # what a backtest looks at, and the longest import
TOGETHER = 50  # brands that are looked at in one go


def measure() -> list[Line]:
    """Search made-up pasts: calm talk, and an hour of anger at the end."""
    lines = []
    for days in DAYS:
        steps = days * 288
        draw = np.random.default_rng(7)
        negatives, others = draw.poisson(0.2, steps), draw.poisson(1.0, steps)
        negatives[-12:] += 5
        series = Series(START, negatives, others)
        if not find_spikes(series, START + STEP * (steps - 12)):
            raise SystemExit("detection: the spike that was put in is not found; what was measured means nothing")
        taken = seconds(lambda series=series: find_spikes(series, START))  # type: ignore[misc]
        lines.append(Line(f"detection over {days} days", taken / steps * 1e6, "µs a five-minute step"))
    steps = DAYS[0] * 288
    one = Series(START, negatives[-steps:], others[-steps:]).counts()
    many = Counts(START, *(np.repeat(part, TOGETHER, axis=0) for part in (one.negatives, one.others, one.seen)))
    taken = seconds(lambda: replay(fresh(TOGETHER, many.day), many))
    name = f"detection over {DAYS[0]} days, {TOGETHER} brands at once"
    lines.append(Line(name, taken / steps / TOGETHER * 1e6, "µs a five-minute step", (lines[0].what,)))
    return lines
