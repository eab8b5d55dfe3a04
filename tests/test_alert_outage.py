"""A collector that is down is told as that, and as nothing else; what comes late or never spoils no past."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from db.errors import CollectorError
from db.records import Batch, Coverage, Gap, Mention, Position
from db.store import Store
from db.times import to_text
from jobs.collect import Source, collect
from jobs.collector import Meter
from jobs.rules import Watching
from tests.alert_rig import START, Life, arriving, burst, settle, talk
from tests.support import DAY, HOUR, MINUTE, brand, rows

DOWN = (START, START + 3 * HOUR)
TURN = 15 * MINUTE
BEGIN = START - HOUR
SOURCES = ("x", "reddit")
PARTS: Mapping[str, Any] = {"stage": "using", "pillar": "device"}


@dataclass
class Platform:
    """A platform with posts on it; while it is down every reading fails, and afterwards it has forgotten some."""

    posts: Sequence[Mention]
    down: tuple[datetime, datetime] | None = None
    forgets: bool = False

    def streams(self) -> Sequence[str]:
        return ["all"]

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        if self.down and self.down[0] <= now < self.down[1]:
            raise CollectorError("x: no answer (503)")
        since = datetime.fromisoformat(position.cursor) if position.cursor else now - TURN
        gap = None
        if self.forgets and self.down and since < self.down[1] <= now:
            gap = Gap(since, self.down[1], "no older posts are given", "capped")
            since = self.down[1]
        found = [post for post in self.posts if since <= post.created_at < now]
        yield Batch(found, cursor=now.isoformat(), fetched=len(found), gap=gap)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen days of talk, read wholly and watched."""
    path = tmp_path_factory.mktemp("before") / "sentimon.db"
    since, until = START - 16 * DAY, BEGIN - TURN
    with Store(path) as store:
        for name in SOURCES:
            read = Coverage(f"{name}-main", "all", until, since, until, "complete", None, 0, 0, Decimal(0))
            with store.transaction():
                store.sources.configured(read.source, name, "1")
                store.sources.cover(read)
    posts = [post for post in talk(since, until, 12, **PARTS) if post.source in SOURCES]
    Life(path, arriving(posts)).run(until, until)
    return path


@pytest.fixture
def path(before: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(before, tmp_path / "sentimon.db"))


def run(
    path: Path,
    down: Sequence[str] = (),
    *,
    forgets: bool = False,
    speechless: bool = False,
    more: Sequence[Mention] = (),
    until: datetime = START + 8 * HOUR,
) -> Life:
    """The collectors take turns; those in `down` fail for three hours.

    `forgets` says that what was written meanwhile is never given, `speechless` that nothing was.
    """
    now = [*talk(BEGIN - TURN, until, 12, seed=2, **PARTS), *more]
    now = [post for post in now if not (speechless and DOWN[0] <= post.created_at < DOWN[1])]
    platforms = {
        name: Platform([post for post in now if post.source == name], DOWN if name in down else None, forgets)
        for name in SOURCES
    }

    def read(store: Store, at: datetime) -> None:
        for name, platform in platforms.items():
            collect(store, Source(f"{name}-main", name, platform, "1", Decimal(1)), [brand()], at)
        settle(store, (), at)

    watching = Watching(
        every={f"{name}-main": TURN for name in SOURCES}, platforms={f"{name}-main": name for name in SOURCES}
    )
    lived = Life(path, [], watching, before=read)
    lived.run_on(BEGIN, until, TURN)
    return lived


@pytest.mark.parametrize(
    ("down", "forgets"),
    [
        pytest.param(["x"], False, id="one of two, and the backlog comes"),
        pytest.param(["x"], True, id="one of two, and nothing comes", marks=pytest.mark.slow),
        pytest.param(["x", "reddit"], False, id="all, and the backlog comes", marks=pytest.mark.slow),
        pytest.param(["x", "reddit"], True, id="all, and nothing comes"),
    ],
)
def test_a_collector_that_is_down_for_three_hours_is_one_stale_source_and_no_other_alert(
    path: Path, down: Sequence[str], forgets: bool
) -> None:
    lived = run(path, down, forgets=forgets)
    told = [(rule, scope, reason) for rule, scope, reason, _, _ in lived.told()]
    assert sorted(told) == sorted(
        ("stale source", f"{name}-main", reason) for name in down for reason in ("first", "resolved")
    )
    assert rows(lived.path, "SELECT rule FROM alerts") == [("stale source",)] * len(down)
    when = [at for *_, at in lived.told()]
    assert START + HOUR - TURN <= min(when) <= START + HOUR + TURN
    assert max(when) == DOWN[1]
    came = "SELECT count(*) FROM mentions WHERE source = 'x' AND created_at >= ? AND created_at < ?"
    assert (rows(lived.path, came, *(to_text(at) for at in DOWN))[0][0] > 15) is not forgets


def test_the_same_three_hours_read_and_without_a_word_are_a_silence(path: Path) -> None:
    lived = run(path, speechless=True)
    assert [(rule, reason) for rule, _, reason, _, _ in lived.told()] == [("silence", "first"), ("silence", "resolved")]


@pytest.mark.slow
@pytest.mark.parametrize("forgets", [False, True], ids=["the backlog comes", "it never comes"])
def test_a_day_with_a_hole_in_it_spoils_no_expectation(path: Path, tmp_path: Path, forgets: bool) -> None:
    tomorrow = burst(30, START + DAY + HOUR, source="x", **PARTS)
    until = START + DAY + 4 * HOUR
    undisturbed = run(Path(shutil.copy(path, tmp_path / "undisturbed.db")), more=tomorrow, until=until)
    disturbed = run(path, SOURCES, forgets=forgets, more=tomorrow, until=until)
    asked = "SELECT starts, observed, expected FROM alerts WHERE rule = 'negative spike' AND scope = ''"
    ((starts, observed, expected),) = rows(undisturbed.path, asked)
    assert starts >= to_text(START + DAY)
    ((_, also_observed, also_expected),) = rows(disturbed.path, asked)
    assert also_observed == observed
    assert also_expected == pytest.approx(expected, rel=0.0 if not forgets else 0.2)
