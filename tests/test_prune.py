"""What is older than it is to be kept loses text and author; old records of runs go."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from db.backfills import ASKED, DONE
from db.filters import Filter
from db.records import Coverage
from db.store import Store
from jobs.prune import prune
from monitor import config, plugins
from monitor.app import App
from tests.cli_rig import configure
from tests.support import DAY, NOW, judge, keep, kept_counts, mention, recounted, rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened:
        yield opened


def shown(store: Store) -> dict[tuple[str, str], str]:
    return {(m.mention.source, m.mention.source_id): m.mention.shown for m in store.mentions.every(Filter())}


def test_old_posts_of_a_platform_lose_text_and_author_and_stay_counted(store: Store) -> None:
    for number, days in enumerate((1, 89, 91, 300)):
        keep(store, mention(number, f"acme is awful {number}", NOW - days * DAY))
    keep(store, mention(9, at=NOW - 300 * DAY, source="reddit"))
    judge(store)
    counted = kept_counts(store.path)
    assert prune(store, {"x": 90 * DAY}, NOW).counts["aged"] == 2
    assert shown(store) == {
        ("x", "0"): "acme is awful 0",
        ("x", "1"): "acme is awful 1",
        ("x", "2"): "(no longer kept)",
        ("x", "3"): "(no longer kept)",
        ("reddit", "9"): "acme is fine",
    }
    authors = "SELECT author, url FROM mentions WHERE source = 'x' ORDER BY id"
    assert rows(store.path, authors) == [("someone", None)] * 2 + [(None, None)] * 2
    assert kept_counts(store.path) == counted == recounted(store.path)
    assert [match.sentiment for match in store.mentions.every(Filter(sources=("x",)))] == ["negative"] * 4
    assert store.mentions.find("awful", Filter(sources=("x",)), 9) != []
    assert len(store.mentions.find("awful", Filter(), 9)) == 2


def test_what_has_aged_is_not_brought_back_by_reading_it_again(store: Store) -> None:
    old = mention(1, at=NOW - 100 * DAY)
    keep(store, old)
    prune(store, {"x": 90 * DAY}, NOW)
    keep(store, mention(1, at=old.created_at, collected_at=NOW + DAY))
    assert shown(store) == {("x", "1"): "(no longer kept)"}
    assert prune(store, {"x": 90 * DAY}, NOW + DAY).counts["aged"] == 0


def test_more_posts_than_fit_into_a_transaction_are_all_pruned(store: Store) -> None:
    keep(store, *(mention(number, at=NOW - 100 * DAY) for number in range(1100)))
    assert prune(store, {"x": 90 * DAY}, NOW).counts["aged"] == 1100


def test_without_an_age_posts_are_kept_for_ever(store: Store) -> None:
    keep(store, mention(1, at=NOW - 3000 * DAY))
    assert prune(store, {}, NOW).counts == {"aged": 0, "records": 0}
    assert shown(store) == {("x", "1"): "acme is fine"}


def test_records_of_what_was_read_go_after_four_hundred_days(store: Store) -> None:
    store.sources.configured("x", "x", "1")
    for days in (401, 399):
        at = NOW - days * DAY
        with store.transaction():
            run = Coverage("x", "Acme", at, at - timedelta(minutes=20), at, "complete", None, 1, 1, Decimal(0))
            store.sources.cover(run)
            for stream in ("ended", "open"):
                (span,) = store.backfills.request("x", f"{stream} {days}", at - DAY, at, ASKED, at)
                if stream == "ended":
                    store.backfills.close(span, DONE)
    prune(store, {}, NOW)
    assert rows(store.path, "SELECT count(*) FROM coverage") == [(1,)]
    (first,) = rows(store.path, "SELECT min(hour) FROM coverage_hours")[0]
    assert first >= "2025-01-28T"
    assert [span.stream for span in store.backfills.all()] == ["open 401", "ended 399", "open 399"]
    assert prune(store, {}, NOW).counts["records"] == 0


def test_what_finds_copies_goes_with_the_age_of_the_posts(store: Store) -> None:
    keep(store, mention(1, at=NOW - 401 * DAY), mention(2, at=NOW - 399 * DAY))
    with store.transaction():
        store._db.execute("INSERT INTO shingles (band, hash, mention_id) VALUES (0, 7, 1), (0, 7, 2)")
    assert prune(store, {}, NOW).counts["records"] == 1
    assert rows(store.path, "SELECT mention_id FROM shingles") == [(2,)]


def test_of_two_sources_on_a_platform_the_shorter_time_holds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "BUILT_IN", ("monitor.collectors.file", "tests.fake_archive"))
    entry = '[[sources]]\nkind = "archive"\nname = "{}"\n{}'
    entries = [entry.format(name, keep) for name, keep in (("a", 'keep = "90d"'), ("b", 'keep = "30d"'), ("c", ""))]
    path = configure(folder, *entries)
    assert App(config.load(path, plugins.load())).keeps == {"archive": 30 * DAY}


@pytest.mark.parametrize("written", ["0d", "12h", "365", "-3d", "99999d", "ever"])
def test_an_age_is_a_number_of_days(folder: Path, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "BUILT_IN", ("monitor.collectors.file", "tests.fake_archive"))
    for key in ("keep", "recheck"):
        path = configure(folder, f'[[sources]]\nkind = "archive"\n{key} = "{written}"')
        with pytest.raises(config.ConfigError, match=rf"sources\.archive\.{key}: should be a number of days"):
            config.load(path, plugins.load())


def test_checking_again_is_on_for_thirty_days_unless_it_is_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "BUILT_IN", ("monitor.collectors.file", "tests.fake_archive"))
    for written, meant in (("", 30 * DAY), ('recheck = "7d"', 7 * DAY), ('recheck = "off"', None)):
        path = configure(folder, f'[[sources]]\nkind = "archive"\n{written}')
        (source,) = config.load(path, plugins.load()).sources
        assert source.recheck == meant
