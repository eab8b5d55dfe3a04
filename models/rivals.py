"""The simple rules that vendors' help pages and textbooks give, over the same counts as ours, to be held against it.

Each is a pure function of counts in five-minute steps, from the series' start, and looks at nothing later. The rules
are taken at their best: they count negatives rather than all mentions, need as many of them as our own rule does, say
nothing in the first two days, and what crosses the line again within three hours is one alert.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]  # one dimension, posts in each step
Rule = Callable[[Array, Array], Array]

HOUR, DAY, WEEK = 12, 288, 2016  # steps of five minutes
HOLD = 3 * HOUR  # crossings no further apart than this are one alert
SETTLING = 2 * DAY
MINIMUM = 5  # negatives in the window, as in `models.spikes`
ENOUGH = 20  # mentions in the window, for a share


@dataclass(frozen=True, slots=True)
class Rival:
    """A rule: it alerts where its score reaches a threshold."""

    name: str  # as people are shown it
    habit: str  # what it looks at, and who does so
    threshold: float  # as it is usually set, in the unit of the score
    rule: Rule

    def scores(self, negatives: Counts | Array, others: Counts | Array) -> Array:
        """Return the score after each step, 0 where the rule has nothing to say."""
        bad, rest = np.asarray(negatives, dtype=np.float64), np.asarray(others, dtype=np.float64)
        score = self.rule(bad, rest)
        score[:SETTLING] = 0.0
        return score

    def alerts(self, negatives: Counts | Array, others: Counts | Array, threshold: float | None = None) -> Counts:
        """Return the steps after which a notification would go out, at the usual threshold unless told another."""
        return crossings(self.scores(negatives, others), self.threshold if threshold is None else threshold)


def crossings(scores: Array, threshold: float) -> Counts:
    """Return the steps at which alerts begin: the threshold is reached, and was not in the `HOLD` steps before."""
    over = np.flatnonzero(scores >= threshold)
    return np.asarray(over[np.diff(over, prepend=-HOLD - 1) > HOLD], dtype=np.int64)


def hour_over_week(negatives: Array, others: Array) -> Array:
    """The last hour over the hourly mean of the seven days before it, of which at least one post is assumed."""
    hour = trailing(negatives, HOUR)
    before = trailing(negatives, WEEK, HOUR)
    hours = trailing(np.ones_like(negatives), WEEK, HOUR) / HOUR
    mean = np.maximum(before, 1.0) / np.maximum(hours, 1.0)
    return np.where(hour >= MINIMUM, hour / mean, 0.0)


def day_over_week(negatives: Array, others: Array) -> Array:
    """How many standard deviations of the seven days before the last 24 hours lie above them, looked at each hour."""
    day = trailing(negatives, DAY)
    return _each_hour(np.where(day >= MINIMUM, _deviations(day, range(1, 8)), 0.0))


def ears_c2(negatives: Array, others: Array) -> Array:
    """The last hour against the same hour of seven days, the last two days left out, looked at each hour."""
    hour = trailing(negatives, HOUR)
    return _each_hour(np.where(hour >= MINIMUM, _deviations(hour, range(3, 10)), 0.0))


def windowed_gaussian(negatives: Array, others: Array) -> Array:
    """The last hour in standard deviations of all hours that ended in the seven days before it."""
    hour = trailing(negatives, HOUR)
    steps = np.maximum(trailing(np.ones_like(hour), WEEK, HOUR), 1.0)
    mean = trailing(hour, WEEK, HOUR) / steps
    variance = np.maximum(trailing(hour**2, WEEK, HOUR) / steps - mean**2, 1.0)
    return np.where(hour >= MINIMUM, (hour - mean) / np.sqrt(variance), 0.0)


def share_jump(negatives: Array, others: Array) -> Array:
    """The negative share of the last three hours less that of the three hours before, in percentage points."""
    bad, mentions = trailing(negatives, 3 * HOUR), trailing(negatives + others, 3 * HOUR)
    share = 100.0 * bad / np.maximum(mentions, 1.0)
    enough = (mentions >= ENOUGH) & (_back(mentions, 3 * HOUR) >= ENOUGH) & (bad >= MINIMUM)
    return np.where(enough, share - _back(share, 3 * HOUR), 0.0)


RIVALS = (
    Rival(
        "last hour over 7-day mean",
        "the last hour has k times the hourly mean of seven days: Agility PR, Wizikey, Pivony and most home-made rules",
        2.0,
        hour_over_week,
    ),
    Rival(
        "24 hours over 7-day mean",
        "the last 24 hours lie k standard deviations above the seven days before: Socialmetrix (k 1.5, 2 or 3)",
        2.0,
        day_over_week,
    ),
    Rival(
        "EARS-C2",
        "the last hour lies k standard deviations above the same hour of seven days: public health (R's surveillance)",
        3.09,
        ears_c2,
    ),
    Rival(
        "windowed Gaussian",
        "the last hour lies k standard deviations above the hours of seven days: metric monitors, NAB's baseline",
        3.0,
        windowed_gaussian,
    ),
    Rival(
        "share up in 3 hours",
        "the negative share rose by k points in three hours, of 20 mentions at least: Sightlabs and others",
        15.0,
        share_jump,
    ),
)


def trailing(values: Array, length: int, lag: int = 0) -> Array:
    """Return the sum of the `length` values up to `lag` steps before each step, as far as there are so many."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    end = np.maximum(np.arange(len(values)) + 1 - lag, 0)
    return np.asarray(total[end] - total[np.maximum(end - length, 0)])


def _back(values: Array, steps: int) -> Array:
    """The values as they were so many steps ago, 0 before the start."""
    return np.concatenate((np.zeros(min(steps, len(values))), values[: max(len(values) - steps, 0)]))


def _deviations(values: Array, days: range) -> Array:
    """The values in standard deviations above those of so many days ago; 0 where one of the days is missing.

    A deviation is one post at least, as is advised for thin counts (`minSigma` in R's surveillance).
    """
    past = np.stack([_back(values, day * DAY) for day in days])
    score = (values - past.mean(axis=0)) / np.maximum(past.std(axis=0, ddof=1), 1.0)
    score[: (max(days) + 1) * DAY] = 0.0
    return np.asarray(score)


def _each_hour(scores: Array) -> Array:
    """The scores as they stood at the end of the last whole hour."""
    ended = (np.arange(len(scores)) + 1) // HOUR * HOUR - 1
    return np.where(ended >= 0, scores[np.maximum(ended, 0)], 0.0) if len(scores) else scores
