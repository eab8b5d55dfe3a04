"""When an answer is due, and how long somebody waited: business hours, nights, holidays, changes to summer time."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.errors import ConfigError, InputError
from jobs.desk.hours import DAYS, Hours, due, holidays_of, targets, working
from monitor import config, plugins
from tests.cli_rig import configure

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HALF_AN_HOUR = 30 * MINUTE
BERLIN, NEW_YORK, LORD_HOWE = (ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"))
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")


def at(zone: ZoneInfo, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("zone", "friday", "monday"),
    [
        (ZoneInfo("UTC"), "2026-03-06", "2026-03-09"),
        (BERLIN, "2026-03-06", "2026-03-09"),
        (BERLIN, "2026-03-27", "2026-03-30"),  # to summer time on the Sunday between
        (BERLIN, "2026-10-23", "2026-10-26"),  # and back
        (NEW_YORK, "2026-03-06", "2026-03-09"),
        (NEW_YORK, "2026-10-30", "2026-11-02"),
        (LORD_HOWE, "2026-04-03", "2026-04-06"),  # by half an hour
        (LORD_HOWE, "2026-10-02", "2026-10-05"),
    ],
    ids=str,
)
def test_what_comes_on_friday_afternoon_is_due_on_monday_morning(zone: ZoneInfo, friday: str, monday: str) -> None:
    hours = Hours(zone)
    received = at(zone, f"{friday} 16:45")
    answer = due(received, HALF_AN_HOUR, hours)
    assert answer == at(zone, f"{monday} 09:15")
    assert answer.tzinfo is UTC
    assert working(received, answer, hours) == HALF_AN_HOUR


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ("2026-03-04 16:30", "2026-03-04 17:00"),  # at closing time, not on the next day
        ("2026-03-04 17:00", "2026-03-05 09:30"),  # received when they go
        ("2026-03-04 16:59", "2026-03-05 09:29"),
        ("2026-03-04 02:10", "2026-03-04 09:30"),  # at night
        ("2026-03-04 09:00", "2026-03-04 09:30"),
        ("2026-03-07 12:00", "2026-03-09 09:30"),  # on a Saturday
    ],
)
def test_the_clock_runs_while_somebody_is_there(received: str, expected: str) -> None:
    assert due(at(BERLIN, received), HALF_AN_HOUR, Hours(BERLIN)) == at(BERLIN, expected)


def test_nobody_is_there_on_holidays() -> None:
    hours = Hours(BERLIN, holidays=holidays_of("DE"))
    thursday_before_easter = at(BERLIN, "2026-04-02 16:45")
    assert due(thursday_before_easter, HALF_AN_HOUR, hours) == at(BERLIN, "2026-04-07 09:15")  # Good Friday, Monday
    assert working(thursday_before_easter, at(BERLIN, "2026-04-07 00:00"), hours) == 15 * MINUTE


def test_a_part_of_a_country_has_holidays_of_its_own() -> None:
    epiphany = at(BERLIN, "2026-01-06 10:00")
    assert due(epiphany, HOUR, Hours(BERLIN, holidays=holidays_of("DE-BY"))) == at(BERLIN, "2026-01-07 10:00")
    assert due(epiphany, HOUR, Hours(BERLIN, holidays=holidays_of("DE"))) == at(BERLIN, "2026-01-06 11:00")


@pytest.mark.parametrize("place", ["Atlantis", "DE-XX", "", "de_DE.UTF-8"])
def test_a_place_without_known_holidays_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="no holidays are known of"):
        holidays_of(place)


def test_hours_that_pass_midnight_belong_to_the_day_on_which_they_begin() -> None:
    night = Hours(BERLIN, time(22), time(6))
    assert due(at(BERLIN, "2026-03-07 05:45"), HALF_AN_HOUR, night) == at(BERLIN, "2026-03-09 22:15")  # Friday's night
    assert due(at(BERLIN, "2026-03-05 23:50"), HOUR, night) == at(BERLIN, "2026-03-06 00:50")
    assert working(at(BERLIN, "2026-03-02 00:00"), at(BERLIN, "2026-03-09 00:00"), night) == 5 * 8 * HOUR


@pytest.mark.parametrize(("saturday", "length"), [("2026-03-28", 7), ("2026-10-24", 9), ("2026-03-21", 8)])
def test_the_night_in_which_the_clocks_are_changed_is_as_long_as_it_is(saturday: str, length: int) -> None:
    night = Hours(BERLIN, time(22), time(6), frozenset({5}))
    begins = at(BERLIN, f"{saturday} 22:00")
    assert working(begins, begins + timedelta(days=2), night) == length * HOUR
    assert due(begins, length * HOUR, night) == at(BERLIN, f"{saturday} 06:00") + timedelta(days=1)


def test_round_the_clock_every_hour_counts() -> None:
    always = Hours(BERLIN, time(0), time(0), frozenset(range(7)))
    received = at(BERLIN, "2026-03-28 20:00")
    assert due(received, 24 * HOUR, always) == received.astimezone(UTC) + 24 * HOUR
    assert working(received, at(BERLIN, "2026-03-29 20:00"), always) == 23 * HOUR


def test_hours_without_a_day_are_told_and_not_looked_for_for_ever() -> None:
    with pytest.raises(InputError, match="no day on which anybody is there"):
        due(datetime(2026, 3, 4, tzinfo=UTC), HOUR, Hours(days=frozenset()))


def test_nothing_passes_backwards_and_no_target_is_due_at_once() -> None:
    noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert working(noon, noon - HOUR, Hours()) == working(noon, noon, Hours()) == timedelta(0)
    night = noon + 11 * HOUR
    assert due(night, timedelta(0), Hours()) == night


def test_a_day_of_work_is_as_long_as_the_business_hours() -> None:
    assert targets({}, Hours()) == {
        "urgent": HALF_AN_HOUR,
        "high": 2 * HOUR,
        "normal": 8 * HOUR,
        "low": 24 * HOUR,
    }
    assert targets({"low": "2d", "high": "90s"}, Hours(opens=time(22), closes=time(6, 30)))["low"] == 17 * HOUR
    assert targets({"high": "90s"}, Hours())["high"] == timedelta(seconds=90)


NIGHT = datetime(2026, 3, 7, 23, 30, tzinfo=UTC)  # a Saturday
DESK = """[desk]
timezone = "Europe/Berlin"
hours = "22:00-06:30"
days = ["fri", "sat"]
holidays = "DE-BY"
targets = { high = "1h", low = "2d" }
"""


def test_the_file_says_when_the_team_is_there(tmp_path: Path) -> None:
    desk = config.load(configure(tmp_path, DESK), plugins.load(), {}).desk
    hours = desk.business
    assert (hours.zone, hours.opens, hours.closes, hours.days) == (BERLIN, time(22), time(6, 30), frozenset({4, 5}))
    assert date(2026, 1, 6) in hours.holidays
    assert desk.within == {"urgent": HALF_AN_HOUR, "high": HOUR, "normal": 8 * HOUR, "low": 17 * HOUR}


def test_a_team_that_is_there_round_the_clock_says_so(tmp_path: Path) -> None:
    every_day = 'days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]'
    desk = config.load(configure(tmp_path, '[desk]\nhours = "00:00-24:00"', every_day), plugins.load(), {}).desk
    assert due(NIGHT, HOUR, desk.business) == NIGHT + HOUR
    assert working(NIGHT, NIGHT + 60 * HOUR, desk.business) == 60 * HOUR


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('holidays = "Atlantis"', "desk.holidays: no holidays are known of 'Atlantis'"),
        ('hours = "9-17"', "desk.hours: should be from when to when"),
        ("days = []", "desk.days"),
        ('days = ["someday"]', "desk.days"),
        ('timezone = "Mars"', "desk.timezone"),
        ('targets = { urgent = "soon" }', "desk.targets.urgent"),
        ('targets = { huge = "1h" }', "desk.targets"),
    ],
)
def test_hours_that_cannot_be_are_told_in_one_line(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as told:
        config.load(configure(tmp_path, "[desk]", line), plugins.load(), {})
    assert complaint in str(told.value)
    assert "\n" not in str(told.value)


START = datetime(2025, 1, 1, tzinfo=UTC)
moments = st.integers(0, 3 * 365 * 86400).map(lambda seconds: START + timedelta(seconds=seconds))
spans = st.integers(1, 60 * 60 * 60).map(lambda seconds: timedelta(seconds=seconds))
clocks = st.builds(time, st.integers(0, 23), st.sampled_from((0, 30)))
days_off = st.frozensets(st.dates(date(2025, 1, 1), date(2027, 12, 31)), max_size=40)
any_hours = st.builds(
    Hours,
    st.sampled_from(ZONES).map(ZoneInfo),
    clocks,
    clocks,
    st.frozensets(st.integers(0, len(DAYS) - 1), min_size=1),
    days_off,
)


@settings(max_examples=300, deadline=None)
@given(any_hours, moments, spans)
def test_exactly_the_target_is_worked_until_an_answer_is_due(
    hours: Hours, received: datetime, target: timedelta
) -> None:
    answer = due(received, target, hours)
    assert working(received, answer, hours) == target
    assert working(received, answer - timedelta(seconds=1), hours) < target  # and at no earlier moment


@settings(max_examples=200, deadline=None)
@given(any_hours, moments, spans, spans, spans)
def test_later_or_slower_is_never_due_earlier(
    hours: Hours, received: datetime, target: timedelta, later: timedelta, more: timedelta
) -> None:
    assert due(received, target, hours) <= due(received + later, target, hours)
    assert due(received, target, hours) < due(received, target + more, hours)


@settings(max_examples=200, deadline=None)
@given(any_hours, moments, spans, spans)
def test_business_time_adds_up(hours: Hours, since: datetime, first: timedelta, second: timedelta) -> None:
    middle, until = since + first, since + first + second
    whole = working(since, until, hours)
    assert whole == working(since, middle, hours) + working(middle, until, hours)
    assert timedelta(0) <= whole <= until - since
