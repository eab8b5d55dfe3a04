"""Killed at any instruction and started again, the jobs end where they would have ended undisturbed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from db.store import Store
from jobs.collect import collect
from jobs.rules import Watching
from jobs.score import score
from jobs.watch import watch
from monitor.collectors.file import FileCollector
from monitor.collectors.x import build
from tests import x_rig
from tests.fake_x import FakeX
from tests.support import Keywords, brand, kept_counts, recounted, rows, source
from tests.x_rig import MINUTE, PRICE, T0, TOKEN

POSTS = 1500  # on X and in the file, each


@dataclass(frozen=True, slots=True)
class World:
    """What there is to read."""

    x: FakeX
    file: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    dice = random.Random(20)
    texts = ["acme is awful", "love acme", "acme and bolt", "bolt was charged twice", "acme 12", "nothing of note"]
    file = tmp_path_factory.mktemp("world") / "posts.jsonl"
    with file.open("w") as out, FakeX(token=TOKEN, now=lambda: T0, limit=10**6) as x:
        for number in range(POSTS):
            at = T0 - MINUTE - timedelta(seconds=dice.randrange(5 * 86400))
            line = {"id": number, "source": "forum", "author": "a", "created_at": at.isoformat()}
            out.write(json.dumps(line | {"text": dice.choice(texts)}) + "\n")
            x.add(dice.choice(texts[:3]), T0 - MINUTE - timedelta(seconds=dice.randrange(5 * 86400)))
        out.flush()
        yield World(x, file)


def work(database: Path, url: str, file: Path) -> None:
    """What the process does that is killed: all of the pipeline that no person sees."""
    brands = [brand(), brand("Bolt")]
    with Store(database) as store:
        for name, collector in (("x", build(x_rig.options(url), brands[:1])), ("forum", FileCollector(str(file)))):
            outcome = collect(store, source(collector, name), brands, T0)
            assert outcome.error is None, outcome.error
        score(store, Keywords(), lambda: T0)
        watch(store, Watching(), T0)


def totals(database: Path) -> Mapping[str, list[tuple[Any, ...]]]:
    """All that must come out the same."""
    asked = {
        "posts": "SELECT source, source_id, text, created_at FROM mentions ORDER BY 1, 2",
        "found": "SELECT rowid FROM mentions_fts WHERE mentions_fts MATCH 'acme' ORDER BY 1",
        "matches": """SELECT m.source, m.source_id, k.brand, k.state, k.sentiment, k.stage, k.model, k.negative
            FROM matches k JOIN mentions m ON m.id = k.mention_id ORDER BY 1, 2, 3""",
        "scores": "SELECT model, sentiment, count(*) FROM scores GROUP BY 1, 2 ORDER BY 1, 2",
        "buckets": "SELECT * FROM buckets ORDER BY 1, 2, 3, 4, 5",
        "cursors": "SELECT source, stream, cursor, resume FROM cursors ORDER BY 1, 2",
        "alerts": "SELECT brand, starts, ends, observed FROM alerts ORDER BY 1, 2",
        "unwatched": "SELECT * FROM unwatched",
    }
    return {name: rows(database, sql) for name, sql in asked.items()}


@pytest.fixture(scope="module")
def undisturbed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[tuple[Any, ...]]]:
    path = tmp_path_factory.mktemp("undisturbed") / "sentimon.db"
    work(path, world.x.url, world.file)
    result = totals(path)
    assert len(result["posts"]) > 2500
    assert result["buckets"]
    return result


def start(path: Path, world: World, die_at: int = 0) -> subprocess.Popen[str]:
    arguments = [str(path), world.x.url, str(world.file), str(die_at)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.test_crash", *arguments], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )


def after_statements(dice: random.Random, most: int) -> Callable[[Path, World], int]:
    """The process kills itself before a random statement that it gives to SQLite."""

    def run(path: Path, world: World) -> int:
        with start(path, world, die_at=dice.randrange(1, most)) as process:
            process.communicate(timeout=60)
        return process.returncode

    return run


def after_moments(dice: random.Random, longest: float) -> Callable[[Path, World], int]:
    """The process is killed from outside, a random moment after it began to work."""

    def run(path: Path, world: World) -> int:
        with start(path, world) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(dice.uniform(0, longest))
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
        return process.returncode

    return run


def killed_until_done(path: Path, world: World, kills: int, run: Callable[[Path, World], int]) -> int:
    """Start it again after each kill, then let it come to its end; returns how often it was killed at work."""
    killed = 0
    for _ in range(kills):
        code = run(path, world)
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        assert rows(path, "PRAGMA integrity_check") == [("ok",)] if path.exists() else True
        if path.exists() and rows(path, "SELECT 1 FROM sqlite_master WHERE name = 'buckets'"):
            assert kept_counts(path) == recounted(path)
    with start(path, world) as process:
        process.communicate(timeout=60)
    assert process.returncode == 0
    return killed


def check(path: Path, world: World, undisturbed: Mapping[str, list[tuple[Any, ...]]], billed_before: int) -> None:
    after = totals(path)
    for name, expected in undisturbed.items():
        if name != "found":
            assert after[name] == expected, name
    assert len(after["found"]) == len(undisturbed["found"])
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(path, "PRAGMA foreign_key_check") == []
    with Store(path) as store:
        spent = store.sources.spent("x", f"{T0:%Y-%m}")
    assert spent >= (world.x.billed - billed_before) * PRICE > Decimal(0)


def test_killed_four_times_it_ends_as_if_nothing_had_happened(
    world: World, undisturbed: Mapping[str, list[tuple[Any, ...]]], tmp_path: Path
) -> None:
    path, billed = tmp_path / "sentimon.db", world.x.billed
    run = after_statements(random.Random(3), 30_000)  # while it reads X, then the file, then twice while it scores
    assert killed_until_done(path, world, 4, run) == 4
    check(path, world, undisturbed, billed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_twenty_times_it_ends_as_if_nothing_had_happened(
    world: World, undisturbed: Mapping[str, list[tuple[Any, ...]]], tmp_path: Path, seed: int
) -> None:
    path, billed, dice = tmp_path / "sentimon.db", world.x.billed, random.Random(seed)
    run = after_statements(dice, 12_000) if seed == 1 else after_moments(dice, longest=0.4)
    assert killed_until_done(path, world, 20, run) >= 10
    check(path, world, undisturbed, billed)


def main(database: str, url: str, file: str, die_at: str) -> None:
    import sqlite3

    import tweepy  # noqa: F401  loaded before the clock of the test starts

    if int(die_at):
        connect, count = sqlite3.connect, [0]

        def counting(*given: Any, **more: Any) -> sqlite3.Connection:
            connection = connect(*given, **more)
            connection.set_trace_callback(step)
            return connection

        def step(_: str) -> None:
            count[0] += 1
            if count[0] == int(die_at):
                os.kill(os.getpid(), signal.SIGKILL)

        sqlite3.connect = counting  # type: ignore[assignment]
    print("at work", flush=True)
    work(Path(database), url, Path(file))


if __name__ == "__main__":
    main(*sys.argv[1:])
