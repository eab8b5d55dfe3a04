"""How long the watch job takes when every brand has new posts: the second part of `make bench-watch`.

Brands of three sources and three stages (eight series each) with four days of posts, all in a real store. Measured is
the whole job: reading, looking, telling, storing; of one core, so that whatever else the machine does adds nothing.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from db.records import Answer, Mention, Score
from db.store import Store
from jobs.rules import Watching
from jobs.watch import watch
from monitor.cli.output import print_table

NOW = datetime(2026, 1, 12, 12, tzinfo=UTC)
DAYS, POSTS, NEW = 4, 60, 2  # posts of a brand before, and in the last minutes
SPIKE = 40  # negatives that one brand in fifty has in the last hour
SIZES = (100, 1_000)
COLUMNS = ("brands", "alerts found", "a tick of the job, s", "ms a brand")


@dataclass(frozen=True, slots=True)
class Tick:
    """What one run of the job took, and how many alerts it opened."""

    brands: int
    seconds: float
    opened: int


def main(sizes: Sequence[int] = SIZES) -> None:
    """Measure, and print a table."""
    ticks = [measure(brands) for brands in sizes]
    rows = [
        [f"{tick.brands:,}", tick.opened, f"{tick.seconds:.2f}", f"{tick.seconds / tick.brands * 1000:.1f}"]
        for tick in ticks
    ]
    print_table("the watch job, every brand with new posts", COLUMNS, rows, right=COLUMNS)


def measure(brands: int) -> Tick:
    """Fill a store, let the job learn, and time the run after new posts."""
    rng = np.random.default_rng(7)
    with TemporaryDirectory() as folder, Store(Path(folder) / "sentimon.db") as store:
        for number in range(brands):
            _store(store, f"brand {number}", _posts(rng, number, POSTS, NOW - timedelta(days=DAYS), NOW))
        watch(store, Watching(), NOW)
        later = NOW + timedelta(minutes=5)
        for number in range(brands):
            count = SPIKE if number % 50 == 0 else NEW
            since = NOW - timedelta(hours=1) if number % 50 == 0 else NOW
            _store(store, f"brand {number}", _posts(rng, number, count, since, later, angry=number % 50 == 0))
        started = time.process_time()
        done = watch(store, Watching(), later)
        taken = time.process_time() - started
    if not done.counts["opened"]:
        raise SystemExit("watch: the spikes that were put in are not found; what was measured means nothing")
    return Tick(brands, taken, done.counts["opened"])


def _posts(
    rng: np.random.Generator, number: int, count: int, since: datetime, until: datetime, angry: bool = False
) -> Iterator[tuple[Mention, Score]]:
    for post in range(count):
        at = since + (until - since) * float(rng.random())
        name = f"{number}-{until:%H%M}-{post}"
        source = ("x", "reddit", "bluesky")[int(rng.integers(3))]
        feeling = "negative" if angry or rng.random() < 0.25 else "neutral"
        stage = ("use", "purchase", "cultivation")[int(rng.integers(3))]
        answers = {"sentiment": Answer(feeling, {feeling: 1.0}), "stage": Answer(stage, {stage: 1.0})}
        yield Mention(source, name, f"author {name}", f"post {name}", at, until), Score("made up", True, "en", answers)


def _store(store: Store, brand: str, posts: Iterator[tuple[Mention, Score]]) -> None:
    made = list(posts)
    scores = {mention.source_id: score for mention, score in made}
    with store.transaction():
        store.mentions.add([(mention, [brand]) for mention, _ in made])
        waiting = store.mentions.pending(len(made))
        store.scores.save([(match, scores[match.mention.source_id]) for match in waiting], NOW)


if __name__ == "__main__":
    main()
