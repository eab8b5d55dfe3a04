"""The story of a burst in one slice names the slice; no alert knows the future, nor what was kept of the past."""

import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from db.records import Mention
from db.store import Store
from jobs.rules import Watching
from jobs.watch import watch
from tests.alert_rig import PARTS, SOURCES, STAGES, START, burst, settle, talk
from tests.support import DAY, HOUR, MINUTE, rows

SPIKES = Watching(["negative spike"])
SIZES = (4, 12, 40)  # mentions an hour


Brands = Callable[[int], Path]


@pytest.fixture(scope="module")
def brands(tmp_path_factory: pytest.TempPathFactory) -> Brands:
    """Twelve days of usual talk of brands of several sizes, each made when it is first asked for."""
    folder = tmp_path_factory.mktemp("brands")

    @cache
    def made(size: int) -> Path:
        path = folder / f"{size}.db"
        with Store(path) as store:
            settle(store, talk(START - 12 * DAY, START + 4 * HOUR, size, seed=size), START)
            watch(store, SPIKES, START - DAY)
        return path

    return made


@dataclass(frozen=True)
class Told:
    """Whether a burst was found, and what its story says: the slice, and how many people stand for it."""

    named: bool
    authors: int
    first_by_slice: bool


def confined(path: Path, size: int, number: int) -> Told | None:
    """Let a burst happen in a slice that is drawn, and see what is told of it; None where it is not found."""
    dice = random.Random(number)
    kind = dice.choice(["source", "stage"])
    word = dice.choice(list(SOURCES if kind == "source" else PARTS["stage"]))
    start = START + dice.random() * HOUR
    count = round(size * dice.choice([1, 2, 3])) + 10
    given: dict[str, Any] = {kind: word}
    name = f"{kind} {word if kind == 'source' else STAGES[word]}"
    with Store(path) as store:
        before = {row[0] for row in rows(path, "SELECT id FROM alerts")}
        settle(store, burst(count, start, 2 * HOUR, seed=number, **given), START + 3 * HOUR)
        for minutes in (30, 60, 120, 180):
            watch(store, SPIKES, START + minutes * MINUTE)
        told = [alert for alert in store.alerts.open() if alert.id not in before]
        whole = [alert for alert in told if not alert.scope]
        if not told:
            return None
        alert = (whole or [max(told, key=lambda each: each.score)])[0]
        assert alert.story is not None
        posts = store.mentions.of(alert.story.posts)
        within = [(post, post.mention.source if kind == "source" else post.stage) for post in posts]
        authors = {post.mention.author for post, slice_name in within if f"{kind} {slice_name}" == name}
        slice_ = alert.story.confined_to
        said = alert.scope or (f"{slice_.kind} {slice_.name}" if slice_ else "")
        return Told(said == name, len(authors), bool(whole) and whole[0].id != min(each.id for each in told))


def told_of(brands: Brands, folder: Path, numbers: Sequence[int]) -> list[Told | None]:
    found = []
    for number in numbers:
        size = SIZES[number % len(SIZES)]
        path = Path(shutil.copy(brands(size), folder / f"{number}.db"))
        found.append(confined(path, size, number))
        path.unlink()
    return found


def test_the_story_of_a_burst_in_one_slice_names_it(brands: Brands, tmp_path: Path) -> None:
    found = told_of(brands, tmp_path, (0, 1, 3))
    assert all(told and told.named and told.authors >= 3 for told in found)


@pytest.mark.slow
def test_of_sixty_bursts_in_one_slice_nineteen_in_twenty_name_it(brands: Brands, tmp_path: Path) -> None:
    found = [told for told in told_of(brands, tmp_path, range(100, 160)) if told]
    named = sum(told.named and told.authors >= 3 for told in found)
    print(f"found {len(found)}, named {named}, told by the slice first {sum(told.first_by_slice for told in found)}")
    assert len(found) >= 40
    assert named >= 0.95 * len(found)


# --- no future, no memory ---------------------------------------------------------------------------------------------

COLUMNS = (
    "brand, rule, scope, starts, last_seen, ends, severity, observed, expected, factor, probability, mentions, share"
)
COLUMNS += ", usual_share, window_minutes, summary, in_common, score, low, high, story"


def alerts(path: Path, until: datetime | None = None) -> list[tuple[Any, ...]]:
    last = f"{until:%Y-%m-%dT%H:%M:%SZ}" if until else "A"
    return rows(path, f"SELECT {COLUMNS} FROM alerts WHERE starts < ? ORDER BY starts, rule, scope", last)


BOTH = Watching(["negative spike", "volume spike"])
BURSTS = (START - 4 * DAY, START - 2 * DAY - 5 * HOUR, START)


def past_of(days: int = 12, until: datetime = START + 3 * HOUR) -> list[Mention]:
    parts: Mapping[str, Any] = {"stage": "using", "pillar": "device"}
    posts = talk(START - days * DAY, until, 4, seed=3, **parts)
    for number, start in enumerate(BURSTS):
        posts += burst(40, start, seed=50 + number, **parts)
    return [post for post in posts if post.created_at < until]


def test_what_is_yet_to_come_changes_no_alert(tmp_path: Path) -> None:
    now = START + 3 * HOUR
    future = talk(now, now + 2 * DAY, 20, seed=7, negative=0.9)
    for name, posts in (("without", past_of()), ("with", [*past_of(), *future])):
        with Store(tmp_path / name) as store:
            settle(store, posts, now)
            watch(store, BOTH, now - 5 * MINUTE)
    assert len(alerts(tmp_path / "without")) >= 5
    assert alerts(tmp_path / "with") == alerts(tmp_path / "without")
    over = START - DAY
    with Store(tmp_path / "with") as store:
        watch(store, BOTH, now + 2 * DAY)
    assert alerts(tmp_path / "with", over) == alerts(tmp_path / "without", over)


def test_alerts_from_kept_pasts_are_those_of_a_replay(tmp_path: Path) -> None:
    """Step through three days, once with the pasts that are kept, once with none; then look at all of it at once."""
    posts = past_of()
    begin, end = START - 3 * DAY, START + 3 * HOUR
    for name in ("kept", "forgotten", "at once"):
        with Store(tmp_path / name) as store:
            settle(store, [post for post in posts if post.created_at < begin], begin)
            left = [post for post in posts if post.created_at >= begin]
            now = end if name == "at once" else begin
            while now <= end:
                settle(store, [post for post in left if post.created_at < now], now)
                left = [post for post in left if post.created_at >= now]
                if name == "forgotten":
                    with store.transaction():
                        store._db.execute("DELETE FROM pasts")
                watch(store, BOTH, now - timedelta(seconds=1))
                now += 3 * HOUR
    assert len(alerts(tmp_path / "kept")) >= 5
    assert alerts(tmp_path / "kept") == alerts(tmp_path / "forgotten")
    numbers = (
        "SELECT scope, starts, ends, observed, expected, score FROM alerts WHERE rule = 'negative spike' ORDER BY 2, 1"
    )
    assert rows(tmp_path / "kept", numbers) == rows(tmp_path / "at once", numbers)


@pytest.mark.parametrize(("hours", "found"), [(40, False), (72, True)])
def test_nothing_is_told_before_a_brand_is_known_for_two_days(tmp_path: Path, hours: int, found: bool) -> None:
    with Store(tmp_path / "sentimon.db") as store:
        settle(store, [*talk(START - hours * HOUR, START + 2 * HOUR, 12), *burst(60)], START)
        watch(store, BOTH, START + 2 * HOUR)
        assert bool(store.alerts.open()) is found
