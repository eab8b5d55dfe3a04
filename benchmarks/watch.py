"""How long a tick of detection takes, and how it grows: `make bench-watch`.

A store is filled with made-up brands of all sizes: what is remembered of each at midnight, and the counts of half a
day. Measured is what a tick does with them: read the states and the day's counts, and score the newest step. Beside it
all steps of the day, as after late posts, what midnight adds once a day, and what a tick takes without states, which is
learning anew from 35 days of counts (without reading them; measured on a few brands and multiplied). Seconds are those
of one core, so that whatever else the machine does adds nothing.
"""

import argparse
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from db.store import Store
from db.times import to_text
from models.counts import DAY, STEP, Array, Counts
from models.spikes import LAYOUT, fold, fresh, look, replay
from models.state import Past, pack, unpack
from monitor.cli.output import print_table

SIZES = (100, 1_000, 10_000)
TOGETHER = 200  # brands that are looked at in one go: more do not fit into a processor's cache
LEARNT = 3  # days that the states rest on; a longer past is as large
ANEW, ANEW_DAYS = 50, 35
NOON = DAY // 2
MIDNIGHT = datetime(2026, 1, 12, tzinfo=UTC)
COLUMNS = (
    "brands",
    "a tick, s",
    "reading of it, s",
    "all steps of half a day, s",
    "midnight, s",
    "without states, s",
    "times",
)


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds for so many brands."""

    brands: int
    tick: float
    reading: float  # of that
    half_day: float
    midnight: float
    anew: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watch", description="Measure ticks of detection.")
    parser.add_argument("--brands", type=int, nargs="+", default=SIZES, help="how many (%(default)s)")
    given = parser.parse_args(arguments)
    if min(given.brands) < 1:
        parser.error("--brands is 1 or more")
    rows = []
    for brands in given.brands:
        taken = measure(brands)
        parts = (taken.tick, taken.reading, taken.half_day, taken.midnight, taken.anew)
        rows.append([f"{brands:,}", *(f"{part:,.2f}" for part in parts), f"{taken.anew / taken.tick:,.0f}"])
    print_table("detection, ticks from the store", COLUMNS, rows, right=COLUMNS)


def measure(brands: int) -> Taken:
    """Fill a store and look at all of its brands."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sentimon.db"
        store = Store(path)
        names = [f"brand {number}" for number in range(brands)]
        _fill(store, names)
        alerts = sum(
            int((look(past, day).score >= 4).any(axis=1).sum()) for past, day in _read(store, names[:TOGETHER])
        )
        if not alerts:
            raise SystemExit("watch: the spikes that were put in are not found; what was measured means nothing")
        reading = _seconds(lambda: [len(past) for past, _ in _read(store, names)])
        tick = _seconds(lambda: [look(past, day, first=NOON - 1) for past, day in _read(store, names)])
        half_day = _seconds(lambda: [look(past, day) for past, day in _read(store, names)])
        midnight = _seconds(
            lambda: [_fold(store, *one) for one in zip(_chunks(names), _read(store, names), strict=True)]
        )
        store.close()
    return Taken(brands, tick, reading, half_day, midnight, _anew() / ANEW * brands)


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(names), TOGETHER):
        yield names[first : first + TOGETHER]


def _read(store: Store, names: Sequence[str]) -> Iterator[tuple[Past, Counts]]:
    """What is remembered of brands, and their counts of the day so far."""
    for some in _chunks(names):
        states, counts = [], np.zeros((2, len(some), NOON))
        for row, name in enumerate(some):
            found = store.pasts.before(LAYOUT.name, name, MIDNIGHT)
            if found is None:
                raise SystemExit(f"watch: no state of {name} was kept")
            states.append(found[1][""])
            for voice in store.voices.of(name, MIDNIGHT, MIDNIGHT + STEP * NOON):
                at = (voice.start - MIDNIGHT) // STEP
                counts[0, row, at] += voice.negative
                counts[1, row, at] += voice.other
        yield unpack(LAYOUT, states), Counts(MIDNIGHT, counts[0], counts[1], np.ones_like(counts[0]))


def _fold(store: Store, names: Sequence[str], read: tuple[Past, Counts]) -> None:
    past, half = read
    whole = Counts(MIDNIGHT, *(np.tile(part, 2) for part in (half.negatives, half.others, half.seen)))
    after = fold(past, whole)
    with store.transaction():
        for row, name in enumerate(names):
            store.pasts.save(LAYOUT.name, name, MIDNIGHT + STEP * DAY, {"": pack(after, row)})


def _fill(store: Store, names: Sequence[str]) -> None:
    """States of some days, and half a day of counts with a spike at its end in every tenth brand."""
    rng = np.random.default_rng(7)
    for some in _chunks(names):
        before = _talk(rng, len(some), LEARNT)
        past = replay(fresh(len(some), before.day), before)[1]
        with store.transaction():
            for row, name in enumerate(some):
                store.pasts.save(LAYOUT.name, name, MIDNIGHT, {"": pack(past, row)})
        today = _talk(rng, len(some), 1)
        today.negatives[::10, NOON - 3 : NOON] += 30
        _count(store.path, some, today)


def _count(path: Path, names: Sequence[str], today: Counts) -> None:
    """Where nobody wrote anything there is no row."""
    rows = [
        (names[row], to_text(MIDNIGHT + STEP * int(at)), int(today.negatives[row, at]), int(today.others[row, at]))
        for row, at in zip(*np.nonzero(today.negatives[:, :NOON] + today.others[:, :NOON]), strict=True)
    ]
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO voices VALUES (?, ?, 'x', 'all', '', ?, ?)", rows)
    connection.close()


def _talk(rng: np.random.Generator, brands: int, days: int) -> Counts:
    """One to a thousand mentions an hour, most brands small."""
    mean = 10.0 ** rng.uniform(0.0, 3.0, (brands, 1)) / 12.0
    rhythm = 1.0 + 0.8 * np.sin(2.0 * np.pi * np.arange(days * DAY) / DAY)
    counts: list[Array] = [rng.poisson(mean * part * rhythm).astype(np.float64) for part in (0.25, 0.75)]
    return Counts(MIDNIGHT - STEP * DAY * (days if days > 1 else 0), *counts, np.ones_like(counts[0]))


def _anew() -> float:
    """Seconds that it takes to learn and look without states."""
    counts = _talk(np.random.default_rng(3), ANEW, ANEW_DAYS)
    return _seconds(lambda: replay(fresh(ANEW, counts.day), counts))


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
