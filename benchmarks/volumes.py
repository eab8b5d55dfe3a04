"""Volumes that were measured, thinned into negatives and others, with bursts put in; their own spikes stay."""

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from benchmarks.brands import (
    APART,
    BURSTS,
    DAY,
    FACTORS,
    HOUR,
    LEARNING,
    SHARES,
    WEEK,
    Array,
    Burst,
    Counts,
    Noise,
    Random,
    Stream,
    share_at,
)
from db.errors import InputError

STEP = timedelta(minutes=5)


def read_volume(path: str) -> Counts:
    """Read the column `value` of a CSV with a row every five minutes."""
    try:
        with open(path, newline="", encoding="utf-8") as lines:
            rows = [(datetime.fromisoformat(row["timestamp"]), float(row["value"])) for row in csv.DictReader(lines)]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a CSV file") from error
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: needs the columns timestamp and value, a time and a number in each row") from error
    for (before, _), (after, _) in pairwise(rows):
        if after - before != STEP:
            raise InputError(f"{path}: {after} does not come five minutes after {before}; fill the gap, or cut there")
    for at, value in rows:
        if not 0 <= value < float("inf"):
            raise InputError(f"{path}: {value:g} is no count of mentions; mend the row of {at}")
    if len(rows) < (LEARNING + 1) * WEEK:
        raise InputError(f"{path}: {len(rows):,} rows; five weeks of five minutes are needed, four to learn from")
    return np.array([value for _, value in rows]).astype(np.int64)


def thinned(volume: Counts, seed: Sequence[int], each: int) -> Iterator[Stream]:
    """Split a volume `each` times at every share, with correlated noise in the share and bursts put in.

    Two volumes need two seeds, or their bursts are alike.
    """
    for share in SHARES:
        for number in range(each):
            yield _thinned(volume, share, np.random.default_rng([*seed, round(100 * share), number]))


def _thinned(volume: Counts, share: float, rng: Random) -> Stream:
    mood = Noise(rng.uniform(0.10, 0.35), HOUR * rng.uniform(2.0, 12.0))
    shares = share_at(share, mood.draw(rng, len(volume)))
    negatives = rng.binomial(volume, shares)
    others = volume - negatives
    lately = np.convolve(volume * shares, np.ones(HOUR) / HOUR, "same")
    bursts = []
    for start, end in _spans(rng, volume):
        factor = int(rng.choice(FACTORS))
        more = rng.poisson(lately[start:end] * (factor - 1))
        negatives[start:end] += more
        bursts.append(Burst(start, end, factor, int(more.sum())))
    return Stream(float(volume.mean() * HOUR), negatives, others, tuple(bursts))


def _spans(rng: Random, volume: Counts) -> Sequence[tuple[int, int]]:
    """From where to where bursts last: at times of day when people post, none near another."""
    day = np.bincount(np.arange(len(volume)) % DAY, weights=volume)
    likely: Array = np.resize(day, len(volume) - 6 * HOUR)
    spans: list[tuple[int, int]] = []
    for _ in range(rng.poisson(BURSTS * len(volume) / WEEK)):
        start = int(rng.choice(len(likely), p=likely / likely.sum()))
        end = start + HOUR * int(rng.integers(1, 4))
        if all(start >= other_end + APART or other_start >= end + APART for other_start, other_end in spans):
            spans.append((start, end))
    return sorted(spans)
