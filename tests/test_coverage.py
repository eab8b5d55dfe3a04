"""What each hour of a source is said to be: read, read in part, or not read, and why."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from db.records import Coverage, Hour
from db.store import Store

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened, opened.transaction():
        opened.sources.configured("s", "x", "1")
        yield opened


def cover(
    store: Store,
    since: datetime | None,
    until: datetime,
    state: str = "complete",
    cause: str | None = None,
    stream: str = "all",
    fetched: int = 0,
) -> None:
    reason = f"why: {cause}" if cause else None
    store.sources.cover(Coverage("s", stream, until, since, until, state, reason, fetched, 0, Decimal(0), cause))


def hours(store: Store, now: datetime, since: datetime = T0 - 9 * HOUR) -> list[tuple[int, str, str | None]]:
    found: list[Hour] = store.sources.hours("s", since, now, now)
    return [(hour.start.hour, hour.state, hour.cause) for hour in found]


def test_an_hour_that_runs_read_piece_by_piece_is_complete(store: Store) -> None:
    cover(store, None, T0 + 5 * MINUTE)
    for minute in range(5, 60, 5):
        cover(store, T0 + minute * MINUTE, T0 + (minute + 5) * MINUTE)
    assert hours(store, T0 + HOUR) == [(12, "complete", None)]


def test_hours_before_the_first_reading_are_not_told_of(store: Store) -> None:
    cover(store, None, T0 + 30 * MINUTE)
    assert hours(store, T0 + 40 * MINUTE) == [(12, "complete", None)]


def test_a_first_try_that_fails_on_the_hour_leaves_it_unread(store: Store) -> None:
    cover(store, None, T0, "missing", "unavailable")
    assert hours(store, T0 + MINUTE) == [(12, "missing", "unavailable")]


def test_a_first_reading_on_the_hour_stands_for_it(store: Store) -> None:
    cover(store, None, T0)
    assert hours(store, T0 + MINUTE) == [(12, "complete", None)]


def test_what_could_not_be_read_is_missing_with_its_reason(store: Store) -> None:
    cover(store, None, T0)
    cover(store, T0, T0 + 3 * HOUR, "missing", "unavailable")
    assert hours(store, T0 + 3 * HOUR) == [
        (12, "missing", "unavailable"),
        (13, "missing", "unavailable"),
        (14, "missing", "unavailable"),
    ]


def test_what_was_begun_and_cut_off_is_partial(store: Store) -> None:
    cover(store, None, T0)
    cover(store, T0, T0 + HOUR, "partial", "limited", fetched=40)
    assert hours(store, T0 + HOUR)[0] == (12, "partial", "limited")


def test_a_later_reading_of_the_whole_span_heals_its_hours(store: Store) -> None:
    cover(store, None, T0)
    cover(store, T0, T0 + 2 * HOUR, "missing", "unavailable")
    cover(store, T0, T0 + 3 * HOUR)
    assert [state for _, state, _ in hours(store, T0 + 3 * HOUR)] == ["complete"] * 3


def test_a_gap_inside_an_hour_makes_it_partial_and_its_filling_complete(store: Store) -> None:
    cover(store, None, T0)
    cover(store, T0 + 10 * MINUTE, T0 + 20 * MINUTE, "missing", "saturated")
    cover(store, T0 + 20 * MINUTE, T0 + HOUR)
    cover(store, T0, T0 + 10 * MINUTE)
    assert hours(store, T0 + HOUR) == [(12, "partial", "saturated")]
    cover(store, T0 + 10 * MINUTE, T0 + 20 * MINUTE)  # a backfill
    assert hours(store, T0 + HOUR) == [(12, "complete", None)]


def test_a_source_is_partial_where_its_streams_differ(store: Store) -> None:
    for stream in ("a", "b"):
        cover(store, None, T0, stream=stream)
    cover(store, T0, T0 + HOUR, stream="a")
    cover(store, T0, T0 + HOUR, "missing", "refused", stream="b")
    assert hours(store, T0 + HOUR)[0] == (12, "partial", "refused")


def test_hours_after_the_last_reading_are_missing(store: Store) -> None:
    cover(store, None, T0 + 30 * MINUTE)
    now = T0 + 3 * HOUR
    assert hours(store, now) == [
        (12, "partial", "unavailable"),
        (13, "missing", "unavailable"),
        (14, "missing", "unavailable"),
    ]
    assert "not read since 2026-11-20 12:30" in str(store.sources.hours("s", T0, now, now)[1].reason)


@pytest.mark.parametrize(("state", "cause"), [("missing", "refused"), ("partial", "budget"), ("missing", "limited")])
def test_hours_in_which_nothing_is_asked_are_told_with_what_stopped_the_source(
    store: Store, state: str, cause: str
) -> None:
    cover(store, None, T0 + 30 * MINUTE)
    cover(store, T0 + 30 * MINUTE, T0 + 40 * MINUTE, state, cause)
    now = T0 + 3 * HOUR
    assert hours(store, now)[1:] == [(13, "missing", cause), (14, "missing", cause)]
    assert store.sources.hours("s", T0, now, now)[1].reason == f"why: {cause}"


def test_hours_of_a_source_that_was_refused_from_the_first_are_told(store: Store) -> None:
    cover(store, None, T0 + 10 * MINUTE, "missing", "refused")
    assert hours(store, T0 + 2 * HOUR) == [(12, "missing", "refused"), (13, "missing", "refused")]


def test_streams_whose_turn_did_not_come_are_told_with_what_stopped_the_source(store: Store) -> None:
    cover(store, None, T0 + 30 * MINUTE, stream="a")
    cover(store, None, T0 + 40 * MINUTE, "missing", "refused", stream="b")
    assert hours(store, T0 + HOUR) == [(12, "partial", "refused")]


def test_a_stream_that_is_read_no_more_holds_no_hour_open(store: Store) -> None:
    for stream in ("a", "b"):
        cover(store, None, T0 + 30 * MINUTE, stream=stream)
    cover(store, T0 + 30 * MINUTE, T0 + 2 * HOUR, stream="a")
    assert hours(store, T0 + 2 * HOUR)[0] == (12, "partial", "unavailable")  # it may have failed
    store.sources.succeeded("s", T0 + 2 * HOUR)
    assert hours(store, T0 + 2 * HOUR) == [(12, "complete", None), (13, "complete", None)]


def test_the_hour_that_goes_on_is_not_held_against_the_source(store: Store) -> None:
    cover(store, None, T0)
    cover(store, T0, T0 + 20 * MINUTE)
    assert hours(store, T0 + 25 * MINUTE) == [(12, "complete", None)]


def test_the_hours_lie_in_a_table_that_others_can_read(store: Store) -> None:
    cover(store, None, T0 + 5 * MINUTE)
    cover(store, T0 + 5 * MINUTE, T0 + HOUR + MINUTE, "missing", "budget")
    rows = store._db.execute("SELECT hour, state, cause FROM coverage_hours ORDER BY hour").fetchall()
    assert rows == [("2026-11-20T12:00:00Z", "partial", "budget"), ("2026-11-20T13:00:00Z", "missing", "budget")]


def test_an_hour_of_which_a_past_reading_brought_the_first_minutes_is_not_complete(store: Store) -> None:
    cover(store, None, T0)
    cover(store, T0 - 5 * HOUR, T0 - 2 * HOUR + 10 * MINUTE)
    assert hours(store, T0)[-2:] == [(9, "complete", None), (10, "partial", None)]


def test_nothing_is_said_of_the_hour_that_begins_where_a_past_reading_ended(store: Store) -> None:
    cover(store, None, T0)
    cover(store, T0 - 5 * HOUR, T0 - 2 * HOUR)
    assert hours(store, T0) == [(hour, "complete", None) for hour in (7, 8, 9)]


def test_a_past_that_was_read_first_is_judged_by_whole_hours_once_live_runs_begin(store: Store) -> None:
    cover(store, T0 - 5 * HOUR, T0 - 2 * HOUR + 10 * MINUTE)
    cover(store, None, T0)
    assert hours(store, T0 + MINUTE)[-2:] == [(10, "partial", None), (12, "complete", None)]
