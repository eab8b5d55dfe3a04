"""How far platforms were read, and the counts of a brand and its slices that detection looks at."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from db.coverage import HOUR
from db.records import Coverage
from db.store import Store
from db.voices import Voice
from jobs.reading import Reading, reading
from jobs.series import parts_of, seen, slices, tally
from tests.support import DAY, MINUTE, NOW

START = NOW.replace(hour=0)  # a midnight
STEPS = 288


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


def cover(
    store: Store, source: str, since: datetime, until: datetime, state: str = "complete", fetched: int = 0
) -> None:
    """A run at the end of a span says how it was read."""
    with store.transaction():
        store.sources.configured(source, "x", "1")
        cause = None if state == "complete" else "unavailable"
        store.sources.cover(Coverage(source, "main", until, since, until, state, cause, fetched, 0, Decimal(0), cause))


def voice(
    hours: float, source: str = "x", kind: str = "all", name: str = "", negative: int = 1, other: int = 1
) -> Voice:
    return Voice(START + timedelta(hours=hours), source, kind, name, negative, other)


def hours_of(read: Reading, platform: str = "x") -> dict[str, list[int]]:
    """Hours since START, by state."""
    states = {"missing": read.missing, "partial": read.partial, "complete": read.complete}
    return {
        state: sorted(int((hour - START) / HOUR) for hour in hours[platform])
        for state, hours in states.items()
        if hours.get(platform)
    }


def test_an_hour_is_what_coverage_says(store: Store) -> None:
    cover(store, "a", START, START + 3 * HOUR)
    cover(store, "a", START + 3 * HOUR, START + 5 * HOUR, "missing")
    cover(store, "a", START + 5 * HOUR, START + 6 * HOUR, "partial", fetched=9)
    read = reading(store, {"a": "x"}, START, START + 6 * HOUR)
    assert hours_of(read) == {"missing": [3, 4], "partial": [5], "complete": [0, 1, 2]}


def test_hours_since_the_last_reading_are_missing_and_those_before_the_first_are_unknown(store: Store) -> None:
    cover(store, "a", START + 2 * HOUR, START + 4 * HOUR)
    read = reading(store, {"a": "x"}, START, START + 7 * HOUR)
    assert hours_of(read) == {"missing": [4, 5, 6], "complete": [2, 3]}


@pytest.mark.parametrize(
    ("other", "expected"),
    [("complete", "complete"), ("partial", "partial"), ("missing", "partial")],
)
def test_of_two_sources_of_a_platform_both_must_have_read_an_hour_for_it_to_be_complete(
    store: Store, other: str, expected: str
) -> None:
    cover(store, "a", START, START + HOUR)
    cover(store, "b", START, START + HOUR, other, fetched=other == "partial")
    assert hours_of(reading(store, {"a": "x", "b": "x"}, START, START + HOUR)) == {expected: [0]}


def test_an_hour_is_missing_where_it_is_missing_on_all_sources_of_the_platform(store: Store) -> None:
    for source in "ab":
        cover(store, source, START, START + HOUR, "missing")
    assert hours_of(reading(store, {"a": "x", "b": "x"}, START, START + HOUR)) == {"missing": [0]}


def test_files_and_webhooks_and_sources_of_the_past_are_not_told_of(store: Store) -> None:
    cover(store, "gone", START, START + HOUR, "missing")
    read = reading(store, {"hook": "inbound", "file": "forum"}, START, START + 5 * HOUR)
    assert read == Reading()
    assert read.remark(START, START + 5 * HOUR) is None


def test_a_remark_names_what_was_not_read_of_a_span() -> None:
    first = START + HOUR
    read = Reading({"x": [first, first + HOUR]}, {"reddit": [first], "x": [first + 9 * HOUR]})
    assert read.remark(START, START + 4 * HOUR) == "reddit not wholly read for 1 h; x not read for 2 h"
    assert read.remark(first + HOUR, first + 90 * MINUTE) == "x not read for 1 h"
    assert read.remark(START, first) is None


def test_series_are_the_whole_and_the_slices_that_are_not_all_of_it() -> None:
    posts = [
        voice(1),
        voice(2, "reddit"),
        voice(1, kind="stage", name="use"),
        voice(2, "reddit", "stage", "use"),
        voice(1, kind="pillar", name="process"),
        voice(2, "reddit", "pillar", "none"),
        voice(1, kind="touchpoint", name="store"),
    ]
    assert slices(posts) == ["", "pillar process", "source reddit", "source x"]
    assert slices(posts[:1]) == [""]
    assert slices([]) == [""]


def test_posts_are_counted_in_their_step_and_slices() -> None:
    posts = [voice(0, negative=2, other=3), voice(0.25, "reddit"), voice(23.95), voice(24), voice(-1), voice(1, "news")]
    negatives, others = tally(posts, ["", "source x"], START, STEPS)
    assert negatives.shape == others.shape == (2, STEPS)
    assert (negatives[0, 0], others[0, 0], negatives[0, 3], negatives[1, 3]) == (2, 3, 1, 0)
    assert (negatives[0].sum(), negatives[1].sum()) == (5, 3)  # what is before or after has no step


def test_what_is_missing_is_the_part_that_the_platform_brings() -> None:
    parts = parts_of({("source", "x"): (10, 20), ("source", "reddit"): (5, 5), ("stage", "use"): (1, 2)})
    assert parts == {"x": 0.75, "reddit": 0.25}
    read = Reading({"x": [START + HOUR], "reddit": [START + HOUR, START + 2 * HOUR], "news": [START]})
    found = seen(["", "source x", "source reddit", "stage use"], parts, read, START, STEPS)
    assert found[:, 0].tolist() == [1, 1, 1, 1]
    assert found[:, 12].tolist() == [0, 0, 0, 0]
    assert found[:, 24].tolist() == [0.75, 1, 0, 0.75]
    assert found[:, 36].tolist() == [1, 1, 1, 1]


def test_hours_outside_of_the_steps_change_nothing() -> None:
    read = Reading({"x": [START - HOUR, START - DAY, START + 30 * HOUR]})
    assert seen([""], {"x": 1.0}, read, START, STEPS).min() == 1.0
    assert parts_of({}) == {}
