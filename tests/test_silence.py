"""A brand that always talks and falls silent is found; nights, weekends, small brands and unread hours are not."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from models.silence import HOUR, LOOK_BACK, Posts, Silence, find_silences

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = 24
WEEK = 7 * DAY
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]


def brand(seed: int, per_hour: float, weeks: int, weekend: float = 0.7) -> Counts:
    """Hourly mentions with low nights and weekends, a level that wanders, and posts in clusters."""
    rng = np.random.default_rng(seed)
    at = np.arange(weeks * WEEK)
    rate = np.exp(rng.uniform(0.5, 1.2) * np.cos(2 * np.pi * at / DAY)) * np.where(at // DAY % 7 >= 5, weekend, 1)
    spread, keep = rng.uniform(0.15, 0.4), np.exp(-1 / rng.uniform(1, 6))
    level = lfilter([1], [1, -keep], rng.normal(0, spread * np.sqrt(1 - keep**2), len(at)))
    rate *= per_hour / rate.mean() * np.exp(np.asarray(level))
    authors = rng.poisson(rate / 1.3)
    return np.asarray(authors + rng.poisson(authors * 0.3))


def found(mentions: Counts, read: Flags | None = None, since: datetime = START) -> list[Silence]:
    return find_silences(Posts(START, mentions, np.ones(len(mentions), dtype=bool) if read is None else read), since)


def silenced(mentions: Counts, hour: int, hours: int) -> Counts:
    result = mentions.copy()
    result[hour : hour + hours] = 0
    return result


@pytest.mark.parametrize("per_hour", [0.3, 1, 3, 10, 30, 100, 1000])
def test_nights_and_weekends_raise_at_most_one_alarm_in_fifty_brand_weeks(per_hour: float) -> None:
    alarms = [len(found(brand(seed, per_hour, 14, weekend))) for seed in range(8) for weekend in (0.3, 1.0)]
    assert sum(alarms) <= 0.02 * 12 * len(alarms)


@pytest.mark.parametrize("per_hour", [3, 10, 30, 100])
def test_a_brand_that_is_only_talked_about_on_working_days_is_not_silent_at_weekends(per_hour: float) -> None:
    alarms = [len(found(brand(seed, per_hour, 14, weekend=0.0))) for seed in range(6)]
    assert sum(alarms) <= 0.02 * 12 * len(alarms)


@pytest.mark.parametrize(("per_hour", "within"), [(1000, 1), (100, 3), (30, 6), (10, 12), (5, 18)])
def test_the_bigger_the_brand_the_sooner_its_silence_is_found(per_hour: float, within: int) -> None:
    hour = 6 * WEEK + 9
    for seed in range(6):
        (silence,) = found(silenced(brand(seed, per_hour, 8), hour, 30), since=START + HOUR * hour)
        assert silence.found_at <= START + HOUR * (hour + within)
        assert abs(silence.starts - (START + HOUR * hour)) <= HOUR * 2  # the hour before may have been empty too
        assert silence.expected > 11
        assert silence.probability <= 1e-5
        assert silence.hours == (silence.found_at - silence.starts) // HOUR


def test_a_silence_is_over_when_a_post_comes() -> None:
    hour = 6 * WEEK + 9
    mentions = silenced(brand(1, 50, 8), hour, 30)
    mentions[hour + 30] = 1
    (silence,) = found(mentions)
    assert silence.ends == START + HOUR * (hour + 30)
    (open_one,) = found(mentions[: hour + 30])
    assert open_one.ends is None
    assert found(mentions, since=START + HOUR * (hour + 31)) == []


def test_a_brand_too_small_to_tell_within_a_day_is_never_silent() -> None:
    for seed in range(5):
        assert found(silenced(brand(seed, 0.5, 10), 6 * WEEK, 3 * WEEK)) == []


def test_unread_hours_are_not_silent() -> None:
    hour = 6 * WEEK
    mentions = silenced(brand(2, 50, 8), hour, 40)
    read = np.ones(len(mentions), dtype=bool)
    read[hour : hour + 40] = False
    assert found(mentions, read) == []
    assert len(found(mentions)) == 1


def test_unread_hours_do_not_break_a_silence_into_two() -> None:
    hour = 6 * WEEK
    mentions = silenced(brand(2, 4, 8), hour, 48)
    read = np.ones(len(mentions), dtype=bool)
    read[hour + 3 : hour + 8] = False
    (silence,) = found(mentions, read, START + HOUR * hour)
    (whole,) = found(mentions, since=START + HOUR * hour)
    assert silence.starts == whole.starts
    assert silence.found_at >= whole.found_at
    assert silence.hours < (silence.found_at - silence.starts) // HOUR
    assert silence.ends == whole.ends


def test_a_post_in_an_hour_that_was_read_in_part_ends_a_silence() -> None:
    hour = 6 * WEEK
    mentions = silenced(brand(2, 50, 8), hour, 40)
    read = np.ones(len(mentions), dtype=bool)
    mentions[hour + 20], read[hour + 20] = 2, False
    first, second = found(mentions, read, START + HOUR * hour)
    assert first.ends == START + HOUR * (hour + 20)
    assert second.starts == START + HOUR * (hour + 21)


def test_what_was_not_read_in_the_past_is_not_taken_for_a_quiet_past() -> None:
    hour = 6 * WEEK
    mentions = silenced(brand(3, 50, 8), hour, 30)
    read = np.ones(len(mentions), dtype=bool)
    lost = silenced(mentions, 4 * WEEK, 8 * DAY)
    read[4 * WEEK : 4 * WEEK + 8 * DAY] = False
    assert found(lost, read, START + HOUR * hour)[0].expected == pytest.approx(
        found(mentions, since=START + HOUR * hour)[0].expected, rel=0.3
    )


def test_a_brand_that_faded_is_expected_to_say_less() -> None:
    hour = 6 * WEEK + 9
    mentions = brand(4, 50, 8)
    faded = mentions.copy()
    faded[hour - 2 * DAY : hour] //= 8
    loud = found(silenced(mentions, hour, 30), since=START + HOUR * hour)[0]
    quiet = found(silenced(faded, hour, 30), since=START + HOUR * hour)[0]
    assert quiet.found_at > loud.found_at


def test_nothing_is_said_in_the_first_two_weeks_or_of_a_brand_nobody_mentions() -> None:
    assert found(silenced(brand(5, 100, 3), 10 * DAY, 2 * DAY)) == []
    assert len(found(silenced(brand(5, 100, 4), 16 * DAY, 2 * DAY))) == 1
    assert found(np.zeros(6 * WEEK, dtype=np.int64)) == []
    assert found(np.zeros(0, dtype=np.int64)) == []
    late = np.concatenate((np.zeros(5 * WEEK, dtype=np.int64), brand(5, 100, 1)))
    late[6 * WEEK - 20 :] = 0
    assert found(late) == []  # it was not watched before


def test_the_future_changes_nothing() -> None:
    mentions = silenced(silenced(brand(6, 20, 9), 5 * WEEK, 20), 7 * WEEK + 3, 60)
    whole = found(mentions)
    assert len(whole) == 2
    for hour in range(5 * WEEK, 9 * WEEK, 13):
        now = START + HOUR * hour
        cut = found(mentions[:hour])
        assert [each.found_at for each in cut] == [each.found_at for each in whole if each.found_at <= now]
        assert [each.score for each in cut] == [each.score for each in whole if each.found_at <= now]


def test_what_lies_further_back_than_is_looked_back_changes_nothing() -> None:
    hour = 18 * WEEK + 9
    mentions = silenced(brand(7, 8, 20), hour, 30)
    since = START + HOUR * hour
    (whole,) = found(mentions, since=since)
    first = (since - LOOK_BACK - START) // HOUR
    later = Posts(START + HOUR * first, mentions[first:], np.ones(len(mentions) - first, dtype=bool))
    (again,) = find_silences(later, since)
    assert (again.starts, again.found_at, again.ends) == (whole.starts, whole.found_at, whole.ends)
    assert again.score == pytest.approx(whole.score)


def test_a_lower_threshold_finds_it_sooner() -> None:
    mentions = silenced(brand(8, 4, 8), 6 * WEEK, 24)
    posts = Posts(START, mentions, np.ones(len(mentions), dtype=bool))
    early, late = (find_silences(posts, START + timedelta(weeks=6), threshold) for threshold in (3.0, 6.0))
    assert early[0].found_at < late[0].found_at
