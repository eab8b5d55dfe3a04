"""Counts in rows of one length, checked and laid over steps of five minutes.

What a row counts is spread evenly over its time: shorter rows are added up, longer ones divided, to fractions of a
post. Rows that are left out were not read. The steps begin with the first row, wherever in five minutes that is.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from db.errors import InputError
from models.counts import STEP, Array, Counts

Values = Sequence[float] | NDArray[np.int64] | Array  # one for each row
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(hours=1)  # of a row
JITTER = 0.1  # of a row's length that its time may be off by
FIRST_YEAR, LAST_YEAR = 1970, 2200  # dates outside are mistakes
MOST_STEPS = 2_000_000  # 19 years


@dataclass(frozen=True)
class Regular:
    """Rows of one length. `starts` and `ends` say, in steps from the first row on, where each row lies."""

    times: Sequence[datetime]  # as given, in UTC
    starts: Array
    ends: Array

    @property
    def midnight(self) -> datetime:
        """When the day of the first row began, in UTC."""
        return self.times[0].replace(hour=0, minute=0, second=0, microsecond=0)

    @property
    def before(self) -> int:
        """Whole steps between that midnight and the first row, which is brought down to a five-minute mark."""
        return (self.times[0] - self.midnight) // STEP

    @property
    def steps(self) -> int:
        """Whole steps over which the rows lie."""
        return int(self.ends[-1] + 1e-6)

    def counts(self, negatives: Array, others: Array) -> Counts:
        """Counts by step from that midnight on, of counts by row; NaN where a row has no value."""
        read = ~np.isnan(negatives + others)
        seen = np.clip(self.laid(np.where(read, self.ends - self.starts, 0.0)), 0.0, 1.0)
        laid = (self.laid(np.where(read, values, 0.0)) for values in (negatives, others))
        return Counts(self.midnight, *(np.pad(values, (self.before, 0))[None] for values in (*laid, seen)))

    def laid(self, values: Array) -> Array:
        """Counts of rows, by step."""
        edges = np.stack([self.starts, self.ends], axis=1).ravel()
        total = np.cumsum(values)
        sums = np.stack([total - values, total], axis=1).ravel()
        result = np.diff(np.interp(np.arange(self.steps + 1), edges, sums))
        whole = np.round(result)
        # What interpolation is off by is no post.
        return np.asarray(np.where(np.abs(result - whole) < 1e-6, whole, result))

    def ended(self) -> list[range]:
        """The steps that end within each row. Where none does, an empty range after the last one that did."""
        first, end = (np.floor(edge + 1e-6).astype(int).tolist() for edge in (self.starts, self.ends))
        return [range(one, other) for one, other in zip(first, end, strict=True)]


def regular(timestamps: Sequence[datetime]) -> Regular:
    """Rows that begin at these times, in UTC unless they say otherwise. How long a row is, is what most rows are apart.

    InputError names the first row that does not fit.
    """
    if len(timestamps) < 2:
        raise InputError("two rows at least are needed to know how long a row is")
    times = [_utc(time, row) for row, time in enumerate(timestamps, start=1)]
    for row in range(1, len(times)):
        if times[row] == times[row - 1]:
            raise InputError(f"row {row + 1}: {_shown(times[row])} is there twice")
        if times[row] < times[row - 1]:
            raise InputError(
                f"row {row + 1}: {_shown(times[row])} is earlier than the row before; sort the rows by time"
            )
    apart = Counter(later - earlier for earlier, later in pairwise(times))
    length = min(apart, key=lambda one: (-apart[one], one))
    if not SHORTEST <= length <= LONGEST:
        raise InputError(f"row 2: most rows are {length} apart; counts of 1 to 60 minutes are needed")
    if (times[-1] - times[0]) / STEP > MOST_STEPS:
        raise InputError(f"row {len(times)}: {_shown(times[-1])} is more than 19 years after the first row")
    exact = np.array([(time - times[0]) / length for time in times])
    places = np.round(exact)
    stray = (np.abs(exact - places) > JITTER) | (np.diff(places, prepend=-1.0) < 1)
    if stray.any():
        row = int(stray.argmax())
        raise InputError(
            f"row {row + 1}: {_shown(times[row])} is {times[row] - times[row - 1]} after the row before; "
            f"the other rows are {length} apart, or a multiple of that"
        )
    return Regular(times, places * (length / STEP), (places + 1) * (length / STEP))


def checked(values: Values, rows: int, name: str) -> Array:
    """Counts of rows, NaN where there is no value. InputError names the first row that is no count."""
    counts = np.asarray(values, dtype=np.float64)
    if counts.shape != (rows,):
        raise InputError(f"{name}: {counts.size} values for {rows} timestamps")
    wrong = np.flatnonzero((counts < 0) | np.isinf(counts))
    if wrong.size:
        raise InputError(f"row {int(wrong[0]) + 1}: {counts[wrong[0]]:g} is no count ({name})")
    return counts


def _utc(time: datetime, row: int) -> datetime:
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise InputError(f"row {row}: {time.year} is no year between {FIRST_YEAR} and {LAST_YEAR}")
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"
