"""Five-minute counts of many series, and sums over them. Arrays are [series, steps], float64; days are days in UTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

STEP = timedelta(minutes=5)
DAY = 288  # steps
RECENT = 36  # the last three hours say nothing about what is usual: they may be the spike


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of S series by time of posting, [S, steps]. `start` is aware and the beginning of a day in UTC.

    `seen` is the part (0 to 1) of the usual posts that could be read in each step: where nothing was read, nothing is
    known, which is not the same as nothing said.
    """

    start: datetime
    negatives: Array
    others: Array  # all other rated mentions
    seen: Array

    def __post_init__(self) -> None:
        if self.start.utcoffset() != timedelta(0) or self.start.time() != datetime.min.time():
            raise ValueError(f"counts begin at a midnight in UTC, not at {self.start}")
        if not self.negatives.shape == self.others.shape == self.seen.shape or self.negatives.ndim != 2:
            raise ValueError("negatives, others and seen are [series, steps], all three of one shape")

    @property
    def day(self) -> date:
        return self.start.date()

    @property
    def steps(self) -> int:
        return int(self.negatives.shape[1])

    def part(self, first: int, end: int) -> "Counts":
        """The days from one midnight (as a step) to another step."""
        here = slice(first, end)
        return Counts(self.start + STEP * first, self.negatives[:, here], self.others[:, here], self.seen[:, here])


@dataclass(frozen=True, slots=True)
class Series:
    """Five-minute counts of one series by time of posting, from any time on."""

    start: datetime  # aware, aligned to five minutes
    negatives: Sequence[int] | NDArray[np.int64]
    others: Sequence[int] | NDArray[np.int64]  # all other rated mentions
    seen: Sequence[float] | NDArray[np.float64] | None = None  # None where everything was read

    def counts(self) -> Counts:
        """The same from the midnight before it on; what lies before the start was not seen."""
        start = self.start.astimezone(UTC)
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        before = (0, 0), ((start - midnight) // STEP, 0)
        seen = np.ones(len(self.negatives)) if self.seen is None else self.seen
        return Counts(midnight, *(np.pad(_row(values), before) for values in (self.negatives, self.others, seen)))


def _row(values: Sequence[float] | NDArray[np.int64] | Array) -> Array:
    return np.asarray(values, dtype=np.float64)[None]


def running(values: Array) -> Array:
    """Sums up to and without each step, [S, steps + 1]."""
    total = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=total[:, 1:])
    return total


def between(total: Array, first: int, end: int, length: int, lag: int = 0) -> Array:
    """Of running sums: the sum of the last `length` values up to each step in [first, end), without the last `lag`.

    first >= length - 1.
    """
    result: Array = total[:, first + 1 - lag : end + 1 - lag] - total[:, first + 1 - length : end + 1 - length]
    return result


def centred(values: Array, half: int) -> Array:
    """The sum of the values up to `half` steps before and after each step, as far as there are any."""
    total = running(values)
    step = np.arange(values.shape[1])
    result: Array = total[:, np.minimum(step + half + 1, values.shape[1])] - total[:, np.maximum(step - half, 0)]
    return result
