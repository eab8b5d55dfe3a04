"""Microseconds that the search for spikes takes for each five minutes of a brand's past."""

from datetime import UTC, datetime

import numpy as np

from benchmarks.table import Line, seconds
from models.spikes import STEP, Series, find_spikes

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = (35, 400)  # what a run looks at, and the longest import


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
    return lines
