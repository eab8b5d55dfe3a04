"""Asking for the past: what `sentimon backfill` plans, says, reads and leaves to the schedule."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from db.store import Store
from jobs.collect import collect
from monitor.cli.past import plan_of, streams_of
from tests.backfill_rig import BRANDS, WEEK, archive, ask, source, turn
from tests.cli_rig import complaint, configure, said, sentimon
from tests.fake_archive import Archive
from tests.support import DAY, HOUR, NOW, Script, batch, brand, rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened:
        yield opened


class TestPlanning:
    BRANDS = ("Acme", "Bolt")

    def test_streams_of_a_brand_are_its_own_and_those_of_no_brand(self) -> None:
        names = ("Acme", "Bolt", "search:Acme", "search:Bolt", "tag:kettle", "comments", "tag:Acme", "Acme2")
        found = streams_of(Archive([], names=names), "Acme", self.BRANDS)
        assert found == ["Acme", "search:Acme", "tag:kettle", "comments", "tag:Acme", "Acme2"]

    def test_a_brand_that_is_named_with_a_colon_has_its_streams(self) -> None:
        assert streams_of(Archive([], names=("a:b", "s:a:b", "s:b")), "a:b", ("a:b", "b")) == ["a:b", "s:a:b"]

    def plans(self, store: Store, past: Any, until: datetime | None = None, again: bool = False) -> list[str]:
        found = plan_of(store, source(past), "Acme", self.BRANDS, WEEK, until, NOW, again)
        return [plan.line() for plan in found]

    def test_a_source_without_a_past_says_so(self, store: Store) -> None:
        assert self.plans(store, Script({"Acme": []})) == ['x-main: not possible: sources of kind "x" give no past']

    def test_what_the_platform_does_not_give_is_told(self, store: Store) -> None:
        assert self.plans(store, archive(first=NOW - DAY)) == [
            "x-main (Acme): 2026-03-03 12:00 to 2026-03-04 12:00 UTC; the platform gives nothing older"
        ]
        assert self.plans(store, archive(first=NOW - DAY), until=NOW - 2 * DAY) == [
            "x-main (Acme): not possible: the platform gives nothing before 2026-03-03 12:00 UTC"
        ]

    def test_a_brands_own_stream_is_read_up_to_where_it_was_first_collected(self, store: Store) -> None:
        collect(store, source(Script({"Acme": [batch(cursor="1")]})), BRANDS, NOW - 2 * DAY)
        lines = self.plans(store, archive(names=("Acme", "comments")))
        assert [line.partition(" to ")[2] for line in lines] == ["2026-03-02 12:00 UTC", "2026-03-04 12:00 UTC"]

    def read_live(self, store: Store, stream: str, name: str = "Acme") -> None:
        """Live runs every twelve hours of the last four days, which find nothing."""
        for half_day in range(8, -1, -1):
            collect(store, source(Script({stream: [batch(cursor="1")]})), [brand(name)], NOW - half_day * 12 * HOUR)

    @pytest.mark.parametrize("stream", ["Acme", "comments"])
    def test_what_live_runs_have_read_wholly_is_not_read_again_though_they_found_nothing(
        self, store: Store, stream: str
    ) -> None:
        self.read_live(store, stream)
        past = archive(names=(stream,))
        before = [f"x-main ({stream}): 2026-02-25 12:00 to 2026-02-28 12:00 UTC"]
        assert self.plans(store, past) == before
        assert self.plans(store, past, until=NOW) == before
        assert self.plans(store, past, until=NOW, again=True) == [
            f"x-main ({stream}): 2026-02-25 12:00 to 2026-03-04 12:00 UTC"
        ]

    def test_what_live_runs_could_not_read_is_asked_for(self, store: Store) -> None:
        self.read_live(store, "Acme")
        gone = "UPDATE coverage SET state = 'missing' WHERE until = '2026-03-02T12:00:00Z'"
        store._db.execute(gone)
        assert self.plans(store, archive(), until=NOW)[1:] == [
            "x-main (Acme): 2026-03-02 00:00 to 2026-03-02 12:00 UTC"
        ]

    def test_a_stream_of_all_brands_is_read_for_a_brand_that_is_new(self, store: Store) -> None:
        self.read_live(store, "comments", "Bolt")
        past = archive(names=("comments",))
        assert self.plans(store, past) == ["x-main (comments): 2026-02-25 12:00 to 2026-03-04 12:00 UTC"]
        collect(store, source(Script({"comments": [batch(cursor="1")]})), BRANDS, NOW)
        assert len(self.plans(store, past)) == 1

    def test_what_was_read_before_is_told(self, store: Store) -> None:
        ask(store)
        turn(store, source(archive()))
        assert self.plans(store, archive()) == ["x-main (Acme): not possible: read before; --again reads it anew"]
        assert self.plans(store, archive(), again=True) == ["x-main (Acme): 2026-02-25 12:00 to 2026-03-04 12:00 UTC"]


@pytest.fixture
def plugged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose configuration may name sources of the kinds "archive" and "file"."""
    from monitor import plugins

    monkeypatch.setattr(plugins, "BUILT_IN", ("monitor.collectors.file", "tests.fake_archive"))
    return folder


def past(*options: str) -> str:
    return "\n".join(('[[sources]]\nkind = "archive"\nname = "old"', *options))


ASK = ("backfill", "--brand", "acme", "--since", "2d")


class TestCommand:
    def stored(self, folder: Path) -> int:
        (count,) = rows(folder / "posts.db", "SELECT count(*) FROM mentions")[0]
        return int(count)

    def test_it_says_what_it_asks_for_reads_it_and_tells_how_that_went(self, plugged: Path) -> None:
        configure(plugged, past())
        first, second = said(sentimon(*ASK), *ASK).splitlines()
        assert first.startswith("old (Acme): ")
        assert second.endswith(f"done, {self.stored(plugged)} fetched, {self.stored(plugged)} stored")
        assert self.stored(plugged) in (48, 49)

    def test_a_dry_run_asks_for_nothing(self, plugged: Path) -> None:
        configure(plugged, past(), '[[sources]]\nkind = "file"\npath = "x.csv"')
        lines = said(sentimon(*ASK, "--dry-run"), *ASK).splitlines()
        assert lines[1] == 'file: not possible: sources of kind "file" give no past'
        assert rows(plugged / "posts.db", "SELECT count(*) FROM backfills") == [(0,)]
        assert self.stored(plugged) == 0

    def test_where_the_platform_asks_to_wait_it_ends_and_asking_again_goes_on(self, plugged: Path) -> None:
        configure(plugged, past("limited_at = 3"))
        line = said(sentimon(*ASK), *ASK).splitlines()[-1]
        assert "10 fetched, 10 stored; waits until 2" in line
        assert line.endswith("`sentimon run` goes on with it")
        configure(plugged, past())  # with other options it is not held back any more
        result = said(sentimon(*ASK), *ASK)
        assert "done" in result
        assert self.stored(plugged) in (48, 49)

    def test_interrupted_it_leaves_the_rest_to_the_schedule(self, plugged: Path) -> None:
        configure(plugged, past("interrupted_at = 3"))
        assert said(sentimon(*ASK), *ASK).splitlines()[-1] == "left to `sentimon run`, which goes on with it"
        assert self.stored(plugged) == 10
        configure(plugged, past())
        said(sentimon("run", "--once", "--job", "collect"))
        assert "1 done" in said(sentimon("run", "--once", "--job", "backfill"))
        assert self.stored(plugged) in (48, 49)

    def test_beside_a_running_schedule_it_only_asks(self, plugged: Path) -> None:
        from monitor.cli.run import alone

        configure(plugged, past())
        with alone(plugged / "posts.db"):
            assert "is at work on this database and reads it" in said(sentimon(*ASK), *ASK)
        assert self.stored(plugged) == 0
        assert rows(plugged / "posts.db", "SELECT state FROM backfills") == [("open",)]

    def test_a_refusal_is_told_and_is_a_failure(self, plugged: Path) -> None:
        configure(plugged, past("refused_at = 2"))
        result = sentimon(*ASK)
        assert result.exit_code == 1
        assert result.stdout.splitlines()[-1].endswith("refused: the plan has no archive")

    def test_an_end_that_lies_in_the_future_is_now(self, plugged: Path) -> None:
        """What is still to be posted was not read, and the live runs go on where they stood."""
        configure(plugged, past())
        said(sentimon(*ASK, "--until", "2999-01-01"))
        assert rows(plugged / "posts.db", "SELECT 1 FROM backfills WHERE until > '2998'") == []
        assert rows(plugged / "posts.db", "SELECT 1 FROM coverage WHERE until > '2998'") == []

    @pytest.mark.parametrize(
        ("args", "told"),
        [
            (("--brand", "Bolt", "--since", "2d"), "no brand 'Bolt'"),
            (("--brand", "Acme", "--since", "2d", "--source", "new"), "no source 'new'; there are: old"),
            (("--brand", "Acme", "--since", "2d", "--until", "3d"), "--since must be before --until"),
            (("--brand", "Acme", "--since", "2999-01-01"), "--since must lie in the past"),
        ],
    )
    def test_what_cannot_be_meant_is_one_line(self, plugged: Path, args: tuple[str, ...], told: str) -> None:
        configure(plugged, past())
        assert told in complaint(sentimon("backfill", *args))
