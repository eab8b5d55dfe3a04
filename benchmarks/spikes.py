"""How often spike detection is wrong, and what it finds: `python -m benchmarks.spikes [CSV …]`.

Without files, simulated brands: 1 to 1,000 mentions an hour, a daily and weekly rhythm, a level and a mood that
drift, days that are only busy, and bursts of negatives (twice, three or five times as many, for one to three hours).
With files (columns timestamp and value, every five minutes), real volumes, thinned into negatives and others, into
which the bursts are put. The first four weeks are for learning; nothing is counted there.
"""

import csv
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from models.spikes import STEP, Series, find_spikes

Counts = NDArray[np.int64]
START = datetime(2026, 1, 5, tzinfo=UTC)
DAY, WEEK, HOUR = 288, 2016, 12  # steps of five minutes
LEARNING = 4 * WEEK
FACTORS = (2, 3, 5)
SHARES = (0.1, 0.25, 0.4)
RATES = (1, 3, 10, 30, 100, 300, 1000)  # mentions an hour
BRANDS = 12  # simulated brands at each rate


@dataclass(frozen=True, slots=True)
class Burst:
    """Negatives multiplied by a factor from one step to another."""

    start: int
    end: int
    factor: int


@dataclass
class Tally:
    """What was found, over many series."""

    weeks: float = 0.0
    false: int = 0
    busy: int = 0  # alerts on days that were only busy
    found: dict[int, list[bool]] = field(default_factory=lambda: {factor: [] for factor in FACTORS})
    delays: list[int] = field(default_factory=list)  # minutes

    def add(self, negatives: Counts, others: Counts, bursts: Iterable[Burst], busy: NDArray[np.bool_]) -> None:
        """Run detection over one series."""
        told = [
            round((episode.notify[0].at - START) / STEP) - 1
            for episode in find_spikes(Series(START, negatives, others), START)
        ]
        late = [burst for burst in bursts if burst.start >= LEARNING]
        self.weeks += (len(negatives) - LEARNING) / WEEK
        for step in told:
            if step < LEARNING or any(b.start <= step < b.end + 3 * HOUR for b in bursts):
                continue
            self.busy += bool(busy[step])
            self.false += not busy[step]
        for burst in late:
            hits = [step for step in told if burst.start <= step < burst.end + HOUR // 2]
            self.found[burst.factor].append(bool(hits))
            self.delays += [(hits[0] - burst.start + 1) * 5] if hits else []

    def line(self, name: str) -> str:
        """Write one line."""
        every = [hit for hits in self.found.values() for hit in hits]
        by_factor = ", ".join(f"x{factor} {np.mean(hits):.0%}" for factor, hits in self.found.items() if hits)
        delay = f"{np.median(self.delays):.0f} min" if self.delays else "-"
        return (
            f"{name:<22}{self.false / self.weeks:>8.3f}{self.weeks:>8.0f}{np.mean(every):>8.1%}{len(every):>8}"
            f"{delay:>9}{self.busy:>7}  {by_factor}"
        )


HEADER = f"{'':<22}{'false/w':>8}{'weeks':>8}{'found':>8}{'bursts':>8}{'delay':>9}{'busy':>7}"


def main(paths: list[str]) -> None:
    """Print a line a rate, or a line a file, and one for all."""
    print(HEADER)
    print((real(paths) if paths else simulated()).line("all"))


def simulated() -> Tally:
    """Brands that are made up."""
    rng = np.random.default_rng(7)
    all_of_them = Tally()
    for rate in RATES:
        tally = Tally()
        for number in range(BRANDS):
            series = _brand(rng, rate, SHARES[number % len(SHARES)], steps=10 * WEEK)
            tally.add(*series)
            all_of_them.add(*series)
        print(tally.line(f"{rate} mentions/h"))
    return all_of_them


def real(paths: list[str]) -> Tally:
    """Volumes that were measured."""
    rng = np.random.default_rng(3)
    all_of_them = Tally()
    for path in sorted(paths):
        with open(path, newline="", encoding="utf-8") as lines:
            volume = np.array([int(float(row["value"])) for row in csv.DictReader(lines)])
        tally = Tally()
        for share in SHARES * 2:
            negatives = rng.binomial(volume, _drifting(rng, len(volume), share))
            others = volume - negatives
            bursts = _bursts(rng, len(volume), 6, np.full(len(volume), 1 / len(volume)))
            usual = np.convolve(volume * share, np.ones(HOUR) / HOUR, "same")
            for burst in bursts:
                here = slice(burst.start, burst.end)
                negatives[here] += rng.poisson(usual[here] * (burst.factor - 1))
            for one in (tally, all_of_them):
                one.add(negatives, others, bursts, np.zeros(len(volume), dtype=np.bool_))
        print(tally.line(path.rsplit("/", 1)[-1][:20]))
    return all_of_them


def _brand(
    rng: np.random.Generator, rate: float, share: float, steps: int
) -> tuple[Counts, Counts, list[Burst], NDArray[np.bool_]]:
    at = np.arange(steps)
    rhythm = np.exp(rng.uniform(0.5, 1.2) * np.cos(2 * np.pi * at / DAY - rng.uniform(0, 2 * np.pi)))
    mentions = rhythm * np.where((at // DAY) % 7 >= 5, rng.uniform(0.5, 1), 1)
    mentions *= rate / HOUR / mentions.mean()
    mentions *= np.exp(_wander(rng, steps, rng.uniform(0.15, 0.4), HOUR * rng.uniform(1, 6)))
    busy = np.zeros(steps, dtype=np.bool_)
    for _ in range(rng.poisson(steps / WEEK / 2)):
        start, length = int(rng.integers(steps)), int(rng.integers(HOUR, 3 * HOUR))
        mentions[start : start + length] *= rng.uniform(2, 4)
        busy[start : start + length + 3 * HOUR] = True
    negatives = mentions * _drifting(rng, steps, share)
    others = mentions - negatives
    bursts = _bursts(rng, steps, int(rng.poisson(steps / WEEK * 0.75)), rhythm / rhythm.sum())
    for burst in bursts:
        negatives[burst.start : burst.end] *= burst.factor
    copies = rng.uniform(1, 1.6)  # posts come in clusters of like mind
    return _draw(rng, negatives, copies), _draw(rng, others, copies), bursts, busy


def _bursts(rng: np.random.Generator, steps: int, number: int, likely: NDArray[np.float64]) -> list[Burst]:
    chosen: list[Burst] = []
    for _ in range(number):
        start = int(rng.choice(steps, p=likely))
        if all(abs(start - other.start) >= 2 * DAY for other in chosen) and start < steps - 6 * HOUR:
            chosen.append(Burst(start, start + HOUR * int(rng.integers(1, 4)), int(rng.choice(FACTORS))))
    return chosen


def _drifting(rng: np.random.Generator, steps: int, share: float) -> NDArray[np.float64]:
    mood = _wander(rng, steps, rng.uniform(0.1, 0.35), HOUR * rng.uniform(2, 12))
    return np.asarray(1 / (1 + np.exp(-(np.log(share / (1 - share)) + mood))))


def _wander(rng: np.random.Generator, steps: int, spread: float, memory: float) -> NDArray[np.float64]:
    from scipy.signal import lfilter

    keep = np.exp(-1 / memory)
    shocks = rng.normal(0, spread * np.sqrt(1 - keep * keep), steps)
    return np.asarray(lfilter([1], [1, -keep], shocks))


def _draw(rng: np.random.Generator, mean: NDArray[np.float64], copies: float) -> Counts:
    authors = rng.poisson(mean / copies)
    return np.asarray(authors + rng.poisson(authors * (copies - 1)))


if __name__ == "__main__":
    main(sys.argv[1:])
