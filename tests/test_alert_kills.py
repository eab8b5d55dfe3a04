"""Killed anywhere between detection and delivery and started again, each alert is told once, or twice with one key."""

import json
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from db.store import Store
from jobs.channel import Message
from jobs.group import group
from jobs.notify import Telling, notify
from jobs.outlet import Outlet
from jobs.rules import Watching
from jobs.score import score
from jobs.watch import watch
from tests.alert_rig import START, Words, burst, settle, talk
from tests.support import DAY, HOUR, MINUTE, keep, rows

BRANDS: Mapping[str, Mapping[str, Any]] = {  # and what all of their posts have
    "Acme": {"stage": "using", "pillar": "device", "source": "x"},
    "Bolt": {"stage": "using", "pillar": "device"},
}
CHANNELS = ("desk", "boss")
NOW = START + 90 * MINUTE
WHERE = ("before sending", "after sending")


@dataclass
class Till:
    """A channel that adds a line to a file for each message; it may die before it does, or just after."""

    file: Path
    name: str
    dies: str = ""

    def send(self, message: Message) -> None:
        if self.dies == "before sending":
            die()
        line = json.dumps([self.name, message.key, message.title]) + "\n"
        out = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(out, line.encode())
        os.close(out)
        if self.dies == "after sending":
            die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work(database: Path, now: datetime, at: int = 0, where: str = "") -> None:
    """The jobs from what was collected to what is told; killed before the statement `at`, or in the send `at`."""
    file = database.with_suffix(".told")
    with Store(database) as store:
        statements = count(store, 0 if where else at)
        group(store)
        score(store, Words(), lambda: now)
        watch(store, Watching(["negative spike"]), now)
        outlets = {}
        for number, name in enumerate(CHANNELS):
            outlets[name] = Outlet(Till(file, name, where if number == at else ""))
        notify(store, outlets, Telling(), now)
        store._db.conn.set_trace_callback(None)
        database.with_suffix(".count").write_text(str(len(statements)))


def count(store: Store, last: int) -> list[None]:
    """Count statements from here on, and die before the last one."""
    seen: list[None] = []

    def step(_: str) -> None:
        seen.append(None)
        if len(seen) == last:
            die()

    store._db.conn.set_trace_callback(step)
    return seen


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two brands with days of usual talk that was watched, and a burst each that nobody has looked at."""
    path = tmp_path_factory.mktemp("prepared") / "sentimon.db"
    with Store(path) as store:
        for seed, (brand, parts) in enumerate(BRANDS.items()):
            past = talk(START - 4 * DAY, START - HOUR, 2, seed=10 + seed, **parts)
            settle(store, past, START - HOUR, brand)
            watch(store, Watching(["negative spike"]), START - HOUR)
            coming = [*talk(START - HOUR, NOW, 2, seed=20 + seed, **parts), *burst(40, seed=30 + seed, **parts)]
            keep(store, *(post for post in coming if post.created_at <= NOW), brands=[brand])
    return path


@pytest.fixture(scope="module")
def workers() -> Any:
    """A server without threads that forks the processes which are killed."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.test_alert_kills", "scipy.special", "scipy.stats", "datasketch"])
    return context


def lived(context: Any, *given: object) -> bool:
    """Run the jobs in a process of their own; false where it was killed."""
    process: ForkServerProcess = context.Process(target=work, args=given)
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


def what_came_out(path: Path) -> list[list[tuple[Any, ...]]]:
    return [
        rows(
            path,
            "SELECT brand, scope, starts, last_seen, ends, observed, score, summary, story FROM alerts ORDER BY id",
        ),
        rows(path, "SELECT * FROM alert_posts ORDER BY 1, 2"),
        rows(path, "SELECT match_id, alert_id, reason, state, priority FROM cases ORDER BY match_id"),
        rows(
            path, "SELECT alert_id, channel, reason, state, observed FROM deliveries WHERE state = 'sent' ORDER BY 1, 2"
        ),
    ]


def sent(path: Path) -> list[tuple[str, str, str]]:
    return [tuple(json.loads(line)) for line in path.with_suffix(".told").read_text().splitlines()]


def killed_once_each(prepared: Path, folder: Path, workers: Any, kills: int, seed: int) -> Counter[int]:
    """Kill so many runs, each on a file of its own, at moments that are drawn; return how often a message came."""
    undisturbed = Path(shutil.copy(prepared, folder / "undisturbed.db"))
    assert lived(workers, undisturbed, NOW)
    statements = int(undisturbed.with_suffix(".count").read_text())
    expected = what_came_out(undisturbed)
    assert {row[0] for row in expected[0]} == set(BRANDS)
    assert sorted(Counter(sent(undisturbed)).values()) == [1] * len(BRANDS) * len(CHANNELS)
    dice, came = random.Random(seed), Counter[int]()
    for number in range(kills):
        path = Path(shutil.copy(prepared, folder / f"{number}.db"))
        if number % 4:  # before a statement, of those after the posts were judged more often
            first = 1 if number % 2 else statements * 3 // 4
            assert not lived(workers, path, NOW, dice.randrange(first, statements + 1))
        else:
            assert not lived(workers, path, NOW, dice.randrange(len(CHANNELS)), dice.choice(WHERE))
        assert lived(workers, path, NOW + MINUTE)  # what was cut off waits so long
        assert what_came_out(path) == expected
        messages = Counter(sent(path))
        assert len(messages) == len(BRANDS) * len(CHANNELS), f"kill {number}: told {messages}"
        assert {key for _, key, _ in messages} == {key for _, key, _ in sent(undisturbed)}
        came.update(messages.values())
        for each in folder.glob(f"{number}.*"):
            each.unlink()
    assert set(came) <= {1, 2}
    assert came.total() == kills * len(BRANDS) * len(CHANNELS)
    return came


def test_killed_twenty_times_each_alert_is_told_once_or_twice_with_one_key(
    prepared: Path, tmp_path: Path, workers: Any
) -> None:
    assert killed_once_each(prepared, tmp_path, workers, 20, seed=1)[2] > 0


@pytest.mark.slow
def test_killed_two_hundred_times_each_alert_is_told_once_or_twice_with_one_key(
    prepared: Path, tmp_path: Path, workers: Any
) -> None:
    came = killed_once_each(prepared, tmp_path, workers, 200, seed=2)
    print(f"told once {came[1]}, twice {came[2]}")
    assert came[1] > came[2] > 0
