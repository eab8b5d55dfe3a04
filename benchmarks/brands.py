"""Brands that are made up, five minutes by five minutes, with what truly lay behind their counts.

A brand has a daily and a weekly cycle, a level that drifts, correlated noise in its volume and in its negative share,
posts that come in clusters of like mind, events that only bring more talk, and bursts of negatives; all of them from
the first day on, so that what a detector learns from is contaminated too. Everything follows from the seed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Random = np.random.Generator

HOUR, DAY, WEEK = 12, 288, 2016  # steps of five minutes
WEEKS, LEARNING = 12, 4  # of a brand; the first ones are not scored
RATES = (1, 3, 10, 30, 100, 300, 1000)  # mentions an hour
SHARES = (0.10, 0.25, 0.40)  # of negatives among them
FACTORS = (2, 3, 5)  # of a burst
BURSTS, EVENTS = 0.75, 0.5  # a week
APART = 6 * HOUR  # at least, from the end of one to the start of the next
HEARD, MISHEARD = 0.80, 0.10  # of the negatives and of the others that a classifier calls negative


@dataclass(frozen=True, slots=True)
class Burst:
    """Negatives multiplied by a factor from one step to another."""

    start: int
    end: int
    factor: int
    excess: int  # negatives that it brought


@dataclass(frozen=True, slots=True)
class Event:
    """All talk multiplied by a factor from one step to another, the share as it was."""

    start: int
    end: int
    factor: float


@dataclass(frozen=True, slots=True)
class Stream:
    """What a detector is shown of one series, and what was put into it."""

    rate: float  # mentions an hour, events and bursts not counted
    negatives: Counts  # for each step
    others: Counts
    bursts: tuple[Burst, ...]
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Noise:
    """Correlated noise on a logarithmic scale: its standard deviation, and the steps after which 1/e of it is left."""

    spread: float
    memory: float

    def draw(self, rng: Random, steps: int) -> Array:
        """Draw one value for each step."""
        from scipy.signal import lfilter

        keep = np.exp(-1.0 / self.memory)
        shocks = rng.normal(0.0, self.spread * np.sqrt(1.0 - keep**2), steps)
        shocks[0] = rng.normal(0.0, self.spread)
        return np.asarray(lfilter([1.0], [1.0, -keep], shocks))

    def variance_of_mean(self, steps: int) -> float:
        """Return the variance of the mean of so many steps in a row."""
        lag = np.arange(1, steps)
        return float(self.spread**2 * (steps + 2.0 * np.sum((steps - lag) * np.exp(-lag / self.memory))) / steps**2)


@dataclass(frozen=True, slots=True)
class Truth:
    """What no detector knows: expected counts without noise, events and bursts, and how the noise was made."""

    negatives: Array  # for each step
    others: Array
    volume: Noise
    mood: Noise  # of the logit of the share
    cluster: float  # mean size


@dataclass(frozen=True, slots=True)
class Brand:
    """One brand, and what truly lay behind its counts."""

    share: float  # of negatives, before noise
    stream: Stream
    truth: Truth


def brands(seed: int, each: int, rates: Sequence[int] = RATES) -> Iterator[Brand]:
    """Draw `each` brands for every rate and share. The first of each are the same however many are asked for."""
    for rate in rates:
        for share in SHARES:
            for number in range(each):
                yield brand(np.random.default_rng([seed, rate, round(100 * share), number]), rate, share)


def brand(rng: Random, rate: float, share: float, weeks: int = WEEKS) -> Brand:
    """Draw one brand."""
    steps = weeks * WEEK
    usual = _rhythm(rng, steps) * _level(rng, steps)
    usual *= rate / HOUR / usual.mean()
    volume = Noise(rng.uniform(0.15, 0.40), HOUR * rng.uniform(1.0, 6.0))
    mood = Noise(rng.uniform(0.10, 0.35), HOUR * rng.uniform(2.0, 12.0))
    cluster = rng.uniform(1.0, 1.6)
    talk = usual * np.exp(volume.draw(rng, steps) - volume.spread**2 / 2.0)
    shares = share_at(share, mood.draw(rng, steps))
    is_burst, starts, lengths = _times(rng, usual, weeks)
    events = []
    for start, length in zip(starts[~is_burst], lengths[~is_burst], strict=True):
        events.append(Event(int(start), int(start + length), float(rng.uniform(2.0, 4.0))))
        talk[start : start + length] *= events[-1].factor
    negatives, others = posts(rng, talk * shares, cluster), posts(rng, talk * (1.0 - shares), cluster)
    bursts = []
    for start, length in zip(starts[is_burst], lengths[is_burst], strict=True):
        factor, here = int(rng.choice(FACTORS)), slice(start, start + length)
        more = posts(rng, (talk * shares)[here] * (factor - 1), cluster)
        negatives[here] += more
        bursts.append(Burst(int(start), int(start + length), factor, int(more.sum())))
    mean_share = float(share_at(share, mood.spread * rng.standard_normal(10_000)).mean())
    truth = Truth(usual * mean_share, usual * (1.0 - mean_share), volume, mood, cluster)
    return Brand(share, Stream(rate, negatives, others, tuple(bursts), tuple(events)), truth)


def classified(stream: Stream, rng: Random) -> Stream:
    """Return the stream as a classifier sees it, which is wrong about each post by itself."""
    taken = rng.binomial(stream.negatives, HEARD) + rng.binomial(stream.others, MISHEARD)
    return replace(stream, negatives=taken, others=stream.negatives + stream.others - taken)


def share_at(share: float, mood: Array) -> Array:
    """Return the negative share, moved by so much on the logit scale."""
    return np.asarray(1.0 / (1.0 + (1.0 - share) / share * np.exp(-mood)))


def _rhythm(rng: Random, steps: int) -> Array:
    """The day, its peak 3 to 11 times its trough, and the week, with weekends of half the weekdays or the same."""
    turn = 2.0 * np.pi * np.arange(DAY) / DAY
    shape = np.cos(turn - rng.uniform(0.0, 2.0 * np.pi))
    shape += rng.uniform(0.0, 0.4) * np.cos(2.0 * turn - rng.uniform(0.0, 2.0 * np.pi))
    day = rng.uniform(3.0, 11.0) ** ((shape - shape.min()) / np.ptp(shape))
    week = rng.uniform(0.9, 1.1, 7)
    week[5:] *= rng.uniform(0.5, 1.0)
    return np.resize(np.outer(week, day).ravel(), steps)


def _level(rng: Random, steps: int) -> Array:
    """A trend of up to a factor of 1.5 in twelve weeks, and slow swings about it."""
    trend = rng.uniform(-1.0, 1.0) * np.log(1.5) * np.arange(steps) / (12 * WEEK)
    return np.asarray(np.exp(trend + Noise(rng.uniform(0.0, 0.15), rng.uniform(1.0, 2.0) * WEEK).draw(rng, steps)))


def _times(rng: Random, usual: Array, weeks: int) -> tuple[NDArray[np.bool_], Counts, Counts]:
    """What happens, none near another: whether it is a burst, its first step, its length of one to three hours."""
    number = int(rng.poisson((BURSTS + EVENTS) * weeks))
    lengths = HOUR * rng.integers(1, 4, number)
    starts = rng.choice(len(usual) - 6 * HOUR, number, p=usual[: -6 * HOUR] / usual[: -6 * HOUR].sum())
    is_burst = rng.random(number) < BURSTS / (BURSTS + EVENTS)
    kept: list[int] = []
    for one in range(number):
        if all(
            starts[one] >= starts[other] + lengths[other] + APART or starts[other] >= starts[one] + lengths[one] + APART
            for other in kept
        ):
            kept.append(one)
    kept.sort(key=lambda one: int(starts[one]))
    return is_burst[kept], starts[kept], lengths[kept]


def posts(rng: Random, mean: Array, cluster: float) -> Counts:
    """Draw how many posts each step has, in clusters of that mean size: authors, and those who pass on their words."""
    authors = rng.poisson(mean / cluster)
    return np.asarray(authors + rng.poisson(authors * (cluster - 1.0)))
