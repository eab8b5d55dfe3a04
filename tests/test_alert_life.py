"""One burst is told once, once more per doubling, and once when it ends: whatever happens meanwhile."""

import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from db.filters import Filter
from db.records import Mention, Silence, Verdict
from db.store import Store
from jobs.decide import Policy
from jobs.notify import Telling
from jobs.rules import Watching
from tests.alert_rig import START, Desk, Life, arriving, burst, settle, talk
from tests.support import DAY, HOUR, MINUTE, rows

ONE_SLICE: Mapping[str, Any] = {
    "source": "x",
    "stage": "using",
    "pillar": "device",
}  # of each kind: one story to tell, and not twelve
PEAK_OVER = START + 3 * HOUR
END = START + 8 * HOUR

Meanwhile = Callable[[Store, datetime], None]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A week of a brand's usual talk, watched."""
    path = tmp_path_factory.mktemp("quiet") / "sentimon.db"
    Life(path, arriving(talk(START - 7 * DAY, START - HOUR, 3, **ONE_SLICE))).run(START - HOUR, START - HOUR)
    return path


@pytest.fixture
def path(quiet: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(quiet, tmp_path / "sentimon.db"))


def coming() -> list[tuple[datetime, Mention, str]]:
    """A burst, and the usual talk beside it."""
    return arriving([*talk(START - HOUR, END, 3, seed=9, **ONE_SLICE), *burst(60, **ONE_SLICE)])


def life(path: Path, posts: Sequence[tuple[datetime, Mention, str]] | None = None, **more: Any) -> Life:
    """A burst on its way, a channel that waits an hour between two messages, and one that does not."""
    return Life(
        path,
        list(posts or coming()),
        channels={"desk": Desk(), "eager": Desk()},
        policies={"eager": Policy(cooldown=timedelta(0))},
        **more,
    )


def through(lived: Life, restarts: bool = True) -> Life:
    """Step through the burst in fives, and in quarters of an hour until it is over."""
    run = lived.run if restarts else lived.run_on
    run(START - 30 * MINUTE, PEAK_OVER)
    run(PEAK_OVER + 15 * MINUTE, END, 15 * MINUTE)
    return lived


def check(lived: Life, brand: str = "Acme") -> None:
    """Each channel was told of one story from its beginning to its end, and of each doubling."""
    for channel in ("desk", "eager"):
        told = lived.told(channel)
        assert {(rule, scope) for rule, scope, *_ in told} == {("negative spike", "")}
        reasons = lived.reasons(channel)
        assert [reasons[0], *set(reasons[1:-1]), reasons[-1]] == ["first", "worsened", "resolved"]
        counts = [observed for _, _, _, observed, _ in told[:-1]]
        assert all(later >= 2 * earlier for earlier, later in pairwise(counts))
        sent = lived.channels[channel]
        assert isinstance(sent, Desk)
        assert len({message.key for message in sent.messages}) == len(sent.messages) == len(told)
    ((peak, ends),) = rows(
        lived.path,
        "SELECT observed, ends FROM alerts WHERE scope = '' AND brand = ? AND rule = 'negative spike'",
        brand,
    )
    assert peak < 2 * lived.told("eager")[-2][3]
    assert ends is not None


def kept(path: Path) -> list[list[tuple[Any, ...]]]:
    """All that is kept of alerts, and what was told of them."""
    tables = {"alerts": "id", "alert_posts": "alert_id, match_id", "deliveries": "id"}
    return [rows(path, f"SELECT * FROM {table} ORDER BY {order}") for table, order in tables.items()]


@pytest.fixture(scope="module")
def undisturbed(quiet: Path, tmp_path_factory: pytest.TempPathFactory) -> Life:
    path = Path(shutil.copy(quiet, tmp_path_factory.mktemp("undisturbed") / "sentimon.db"))
    return through(life(path), restarts=False)


def test_one_burst_is_told_when_it_begins_when_it_doubles_and_when_it_ends(undisturbed: Life) -> None:
    check(undisturbed)
    assert len(undisturbed.told("eager")) >= 5
    assert len(undisturbed.told("desk")) == 3
    assert undisturbed.told()[0][4] <= START + 30 * MINUTE


def again(posts: Sequence[tuple[datetime, Mention, str]]) -> list[tuple[datetime, Mention, str]]:
    """Every post arrives once more, or twice, some time later."""
    dice = random.Random(4)
    more = [(at + dice.random() * 3 * HOUR, *rest) for at, *rest in posts for _ in range(dice.randrange(1, 3))]
    return [*posts, *more]  # type: ignore[list-item]


def forget_pasts(store: Store, now: datetime) -> None:
    with store.transaction():
        store._db.execute("DELETE FROM pasts")


def test_restarts_duplicates_and_lost_pasts_change_nothing(path: Path, undisturbed: Life) -> None:
    posts = again(coming())
    assert kept(through(life(path, posts, before=forget_pasts)).path) == kept(undisturbed.path)


def backlog(posts: Sequence[tuple[datetime, Mention, str]]) -> list[tuple[datetime, Mention, str]]:
    """What was written within the hour of the peak arrives at once when it is over."""
    since, until = START + 40 * MINUTE, START + 100 * MINUTE
    return [(until if since <= at < until else at, *rest) for at, *rest in posts]  # type: ignore[misc]


@pytest.mark.slow
def test_a_backlog_that_lands_at_once_belongs_to_the_burst(path: Path) -> None:
    check(through(life(path, backlog(coming()))))


def silence(store: Store, starts: datetime, ends: datetime) -> None:
    with store.transaction():
        store.silences.add(Silence(0, starts, ends, "ann", "known", "Acme"))


def test_a_silence_in_the_middle_holds_what_grows_until_it_ends(path: Path) -> None:
    with Store(path) as store:
        silence(store, START + 40 * MINUTE, START + 2 * HOUR)
    lived = through(life(path))
    check(lived)
    first, worsened, *_ = lived.told("eager")
    assert first[4] < START + 40 * MINUTE
    assert worsened[4] == START + 2 * HOUR


@pytest.mark.slow
def test_the_end_of_a_burst_that_was_silenced_after_its_beginning_is_told_after_the_silence(path: Path) -> None:
    with Store(path) as store:
        silence(store, START + 40 * MINUTE, START + 7 * HOUR)
    lived = through(life(path))
    assert lived.reasons() == ["first", "resolved"]
    assert lived.told()[1][4] == START + 7 * HOUR


@pytest.mark.slow
def test_a_burst_whose_beginning_is_silenced_is_told_when_the_silence_ends(path: Path) -> None:
    with Store(path) as store:
        silence(store, START, START + 2 * HOUR)
    lived = through(life(path))
    assert lived.told()[0][2:5:2] == ("first", START + 2 * HOUR)
    assert lived.reasons() == ["first", "resolved"]


def test_slices_and_a_volume_spike_beside_a_burst_are_told_with_it(path: Path) -> None:
    other = talk(START - 7 * DAY, START - HOUR, 1, seed=8, source="reddit", stage="compare", pillar="device")
    with Store(path) as store:
        settle(store, other, START - HOUR)
    lived = through(life(path, watching=Watching(["negative spike", "volume spike"])))
    check(lived)
    beside = rows(path, "SELECT rule, scope, held FROM alerts WHERE id > 1 ORDER BY rule, scope")
    assert {(rule, scope) for rule, scope, _ in beside} == {
        ("negative spike", "source x"),
        ("negative spike", "stage use"),
        ("volume spike", ""),
    }
    assert {held for _, _, held in beside} == {"inhibited: part of alert 1, negative spike"}


def turn_half(store: Store, now: datetime) -> None:
    """At the peak a person says of every second post of the burst that it is not negative."""
    if now == START + 70 * MINUTE:
        posts = [
            match for match in store.mentions.every(Filter(START, brands=("Acme",))) if match.sentiment == "negative"
        ]
        with store.transaction():
            store.verdicts.give([Verdict(match.id, "ann", now, {"sentiment": "neutral"}) for match in posts[::2]])


@pytest.mark.slow
def test_verdicts_that_turn_half_of_the_posts_make_no_new_story(path: Path, undisturbed: Life) -> None:
    lived = through(life(path, before=turn_half))
    for channel in ("desk", "eager"):
        reasons = lived.reasons(channel)
        assert [reasons[0], reasons[-1]] == ["first", "resolved"]
        assert set(reasons[1:-1]) <= {"worsened"}
    assert len(rows(path, "SELECT id FROM alerts WHERE scope = ''")) == 1
    peak = "SELECT observed FROM alerts WHERE scope = ''"
    assert rows(path, peak) < rows(undisturbed.path, peak)


@pytest.mark.slow
def test_the_same_burst_on_a_competitor_is_told_to_nobody(path: Path) -> None:
    posts = coming()
    with Store(path) as store:
        mine = [replace(post, source_id=f"own {post.source_id}") for post in talk(START - 7 * DAY, START - HOUR, 1)]
        settle(store, mine, START - HOUR, "Own")
    lived = life(path, posts, watching=Watching(["negative spike"], ["Acme"]), telling=Telling(["Acme"]))
    through(lived)
    assert lived.told() == lived.told("eager") == []
    assert len(rows(path, "SELECT id FROM alerts WHERE scope = '' AND brand = 'Acme'")) == 1
    assert rows(path, "SELECT count(*) FROM cases") == [(0,)]
