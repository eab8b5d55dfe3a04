"""Silence: a brand that is always talked about is not mentioned at all.

Expected is what the brand had at this hour of the day in the last 28 days, or on the same weekday where that was less
(thin data are shrunk towards the brand's mean), brought down to the level of the last hours and days where that was
lower. Only hours that were read completely count: an hour that was not neither is silent nor ends a silence. The chance
of no post at all is that of a negative binomial whose dispersion is fitted to the brand's last 28 days.

What cannot be told within 24 silent hours is not told: brands with fewer than 13 mentions a day are never found silent.
A brand that is mentioned far less than usual, but is mentioned, is not silent either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HOUR = timedelta(hours=1)
DAY = 24  # hours
DAYS = 28  # of the past
LEARNING = 14 * DAY  # hours of the last 28 days that must have been read
LONGEST = 24  # silent hours in which a silence must be found
POSTS = 10.0  # that the wider estimate counts for when a narrower one is made
WEEKLY_POSTS = 2.0  # the same, for the weekday
LEVELS = (6, DAY, 3 * DAY)  # hours before a silence; the lowest level of them holds
BLOCK = 6  # hours whose counts the dispersion is fitted to
TYPICAL_ALPHA, BLOCKS = 0.15, 40.0  # the dispersion before it was measured, and how many blocks that counts for
LOOK_BACK = timedelta(days=60)  # counts before the time that is asked about


@dataclass(frozen=True, slots=True)
class Posts:
    """Hourly counts of one brand by time of posting, whole hours only."""

    start: datetime  # aware, a full hour
    mentions: Sequence[int] | NDArray[np.int64]  # all of them, those that are not rated too
    read: Sequence[bool] | NDArray[np.bool_]  # coverage says that all sources were read completely


@dataclass(frozen=True, slots=True)
class Silence:
    """A span without a post. Its numbers are those of the time at which it was found."""

    starts: datetime
    found_at: datetime  # end of the hour that made it too unlikely
    ends: datetime | None  # start of the hour of the next post; None while it goes on
    hours: int  # read and silent
    expected: float  # mentions in these hours
    score: float  # -log10 of the chance

    @property
    def probability(self) -> float:
        """How rarely these hours stay empty without a cause."""
        return float(10.0**-self.score)


def find_silences(posts: Posts, since: datetime, threshold: float = 5.0) -> list[Silence]:
    """Return the silences that are going on at or after `since`. It never looks ahead: more hours have the same past.

    Counts should begin `LOOK_BACK` before `since`. A brand's first two weeks are for learning.
    """
    mentions = np.asarray(posts.mentions, dtype=np.float64)
    talking = np.flatnonzero(mentions)
    if not talking.size:
        return []
    read = np.asarray(posts.read, dtype=bool).copy()
    read[: talking[0]] = False  # before its first mention the brand was not watched
    usual, least = _usual(mentions, read)
    alpha = _dispersion(mentions, usual, read)
    learned = _before(read.astype(np.float64), DAYS * DAY) >= LEARNING
    found = []
    for first, end in zip(talking + 1, [*talking[1:].tolist(), len(mentions)], strict=True):
        silent = first + np.flatnonzero(read[first:end])[:LONGEST]
        if not silent.size or not learned[silent[0]]:
            continue
        begin = int(silent[0])
        needed = np.expm1(threshold * alpha[begin] * np.log(10)) / alpha[begin]  # mentions for so low a chance of none
        expected = np.cumsum(least[silent])
        if expected[-1] < needed:
            continue
        expected *= _level(mentions, usual, read, begin)
        over = np.flatnonzero(expected >= needed)
        if over.size:
            at = int(over[0])
            found.append(
                Silence(
                    starts=posts.start + HOUR * begin,
                    found_at=posts.start + HOUR * (int(silent[at]) + 1),
                    ends=posts.start + HOUR * end if end < len(mentions) else None,
                    hours=at + 1,
                    expected=float(expected[at]),
                    score=float(np.log1p(alpha[begin] * expected[at]) / alpha[begin] / np.log(10)),
                )
            )
    return [silence for silence in found if silence.ends is None or silence.ends >= since]


def _before(values: Array, length: int) -> Array:
    """The sum of the `length` values before each hour."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    hour = np.arange(len(values))
    result: Array = total[hour] - total[np.maximum(hour - length, 0)]
    return result


def _around(values: Array) -> Array:
    """The sum of each hour and the two beside it."""
    padded = np.pad(values, 1)
    result: Array = padded[:-2] + padded[1:-1] + padded[2:]
    return result


def _usual(mentions: Array, read: NDArray[np.bool_]) -> tuple[Array, Array]:
    """What each hour has had on the same weekdays before, and what it has had at least.

    The first takes the hour either side with it; both are shrunk towards the same hour of all days, and that towards
    the brand's mean. Some brands are not talked about on Sundays, and stop at midnight: the least is that of the
    weekday's very hour, where it had less than all days.
    """
    posts, hours = np.where(read, mentions, 0.0), read.astype(np.float64)
    mean = (_before(posts, DAYS * DAY) + 0.5) / (_before(hours, DAYS * DAY) + 1.0)
    known = min(DAYS, (len(mentions) - 1) // DAY)
    weeks = range(7, known + 1, 7)
    every = _past(range(1, known + 1), _around(posts), _around(hours), POSTS, mean)
    weekday = _past(weeks, _around(posts), _around(hours), WEEKLY_POSTS, every)
    return weekday, np.minimum(every, _past(weeks, posts, hours, WEEKLY_POSTS, weekday))


def _past(days: range, posts: Array, hours: Array, least: float, wider: Array) -> Array:
    """Posts an hour so many days before, newer ones counting more, as if `least` had been seen at the wider rate."""
    events, exposure = np.zeros_like(posts), np.zeros_like(posts)
    for day in days:
        events[day * DAY :] += 0.98**day * posts[: -day * DAY]
        exposure[day * DAY :] += 0.98**day * hours[: -day * DAY]
    result: Array = (events + least) / (exposure + least / wider)
    return result


def _level(mentions: Array, usual: Array, read: NDArray[np.bool_], hour: int) -> float:
    """How far the talk before an hour was below what is usual, as a factor of 1 at the most."""
    lowest = 1.0
    for length in LEVELS:
        past = slice(max(hour - length, 0), hour)
        had, expected = mentions[past][read[past]].sum(), usual[past][read[past]].sum()
        lowest = min(lowest, float((had + POSTS) / (expected + POSTS)))
    return lowest


def _dispersion(mentions: Array, usual: Array, read: NDArray[np.bool_]) -> Array:
    """Alpha of variance = mean + alpha * mean², from blocks of six hours that ended before each hour.

    Weighted method of moments. Residuals are cut, so that a few busy days do not make every silence likely.
    """
    ones = read.astype(np.float64)
    whole = _before(ones, BLOCK) >= BLOCK
    had, mean = _before(mentions * ones, BLOCK), np.maximum(_before(usual * ones, BLOCK), 1e-9)
    variance = mean + TYPICAL_ALPHA * mean**2
    weight = np.where(whole, mean**2 / variance, 0.0) ** 2  # how much a block tells of alpha
    most = 3.5 * np.sqrt(variance) + 3.0
    excess = (np.clip(had - mean, -most, most) ** 2 - mean) / mean**2
    told, all_told = (_before(values, DAYS * DAY) / BLOCK for values in (weight * excess, weight))
    prior = BLOCKS * np.maximum(all_told / np.maximum(_before(whole.astype(np.float64), DAYS * DAY) / BLOCK, 1.0), 1e-9)
    result: Array = np.clip((told + prior * TYPICAL_ALPHA) / (all_told + prior), 0.02, 3.0)
    return result
