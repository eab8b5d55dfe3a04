"""A share of negatives that has risen for days is found once; a day's burst and a wandering share are not."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from models.shifts import HOUR, LOOK_BACK, Shift, Talk, find_shifts

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = 24
WEEK = 7 * DAY
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def mood(rng: np.random.Generator, hours: int, spread: float, memory: float) -> Floats:
    """Log-odds that wander and forget."""
    keep = np.exp(-1 / memory)
    return np.asarray(lfilter([1], [1, -keep], rng.normal(0, spread * np.sqrt(1 - keep**2), hours)))


def brand(
    seed: int, per_hour: float, weeks: int, share: float = 0.2, lift: Floats | None = None
) -> tuple[Counts, Counts]:
    """A brand with a daily and weekly rhythm, a level and a share that wander, and posts in clusters of like mind."""
    rng = np.random.default_rng(seed)
    at = np.arange(weeks * WEEK)
    rate = np.exp(rng.uniform(0.5, 1.2) * np.cos(2 * np.pi * at / DAY)) * np.where(at // DAY % 7 >= 5, 0.7, 1)
    rate *= per_hour / rate.mean() * np.exp(mood(rng, len(at), rng.uniform(0.15, 0.4), rng.uniform(1, 6)))
    odds = np.log(share / (1 - share)) + mood(rng, len(at), rng.uniform(0.1, 0.35), rng.uniform(2, 12))
    part = 1 / (1 + np.exp(-odds - (0 if lift is None else lift)))
    clusters = rng.uniform(1, 1.6)

    def draw(mean: Floats) -> Counts:
        authors = rng.poisson(mean / clusters)
        return np.asarray(authors + rng.poisson(authors * (clusters - 1)))

    return draw(rate * part), draw(rate * (1 - part))


def risen(
    weeks: int, at: int, to: float = 0.35, share: float = 0.2, over: int = 3 * DAY, until: int | None = None
) -> Floats:
    """How far the log-odds have risen: from hour `at` on, over three days."""
    hour = np.arange(weeks * WEEK)
    lift = np.interp(hour, [at, at + over], [0, np.log(to / (1 - to)) - np.log(share / (1 - share))])
    return np.where(hour < (until or len(hour)), lift, 0)


def talk(counts: tuple[Counts, Counts], seen: Floats | None = None) -> Talk:
    return Talk(START, *counts, np.ones(len(counts[0])) if seen is None else seen)


def found(counts: tuple[Counts, Counts], seen: Floats | None = None) -> list[Shift]:
    return find_shifts(talk(counts, seen), START)


def after(hour: int, shifts: list[Shift]) -> list[Shift]:
    return [shift for shift in shifts if shift.found.at > START + HOUR * hour]


@pytest.mark.parametrize("per_hour", [1, 3, 10, 30, 100, 300, 1000])
def test_a_share_that_only_wanders_raises_at_most_one_alarm_in_fifty_brand_weeks(per_hour: float) -> None:
    alarms = [len(found(brand(seed, per_hour, 14, share))) for seed in range(6) for share in (0.1, 0.25, 0.4)]
    assert sum(alarms) <= 0.02 * len(alarms) * 12  # the first two weeks are for learning


def test_a_share_that_rises_by_fifteen_points_within_three_days_is_found_within_four() -> None:
    soon = 0
    for seed in range(20):
        at = 6 * WEEK + 5 * seed
        told = after(at, found(brand(seed, 30, 9, lift=risen(9, at))))
        soon += bool(told) and told[0].found.at <= START + HOUR * (at + 4 * DAY)
        assert len(told) <= 1
    assert soon >= 14


def test_a_shift_says_what_was_seen_and_what_is_usual() -> None:
    at = 6 * WEEK
    (shift,) = found(brand(3, 100, 8, lift=risen(8, at)))
    seen = shift.peak
    assert shift.starts < START + HOUR * (at + 4 * DAY)
    assert 0.17 < seen.usual_share < 0.23
    assert seen.share > 0.3 > seen.interval[1] > seen.usual_share > seen.interval[0]
    assert seen.negatives > 1.3 * seen.expected
    assert seen.mentions > 1000
    assert shift.found.probability <= 1e-4
    assert shift.found.window in (timedelta(days=1), timedelta(days=3), timedelta(days=7))
    assert shift.last_seen >= shift.found.at


def test_a_shift_that_stays_is_found_once_and_settles_into_the_new_normal() -> None:
    for seed in (0, 2, 3):  # the share of the second wanders so far that it nearly goes back
        at = 6 * WEEK
        (shift,) = after(at, found(brand(seed, 100, 16, lift=risen(16, at))))
        assert shift.settled
        assert shift.ends is not None
        assert timedelta(days=28) <= shift.ends - shift.starts <= timedelta(days=28, hours=1)


def test_a_shift_that_goes_back_is_over_before_it_settles() -> None:
    at, back = 6 * WEEK, 8 * WEEK
    for seed in range(4):
        (shift,) = found(brand(seed, 100, 12, lift=risen(12, at, until=back)))
        assert not shift.settled
        assert shift.ends is not None
        assert START + HOUR * back < shift.ends < START + HOUR * (back + 7 * DAY)


def test_a_burst_of_hours_is_no_shift_however_high() -> None:
    for seed in range(6):
        for per_hour in (10, 100):
            negatives, others = brand(seed, per_hour, 9)
            burst = slice(7 * WEEK + 5 * seed, 7 * WEEK + 5 * seed + 3)
            negatives[burst] += np.maximum(negatives[burst], 1) * 30
            assert found((negatives, others)) == found(brand(seed, per_hour, 9))


def test_one_bad_day_is_over_before_the_week_is() -> None:
    negatives, others = brand(2, 100, 10)
    day = slice(7 * WEEK, 7 * WEEK + DAY)
    negatives[day] *= 4
    (shift,) = found((negatives, others))
    assert shift.found.window == timedelta(days=1)
    assert shift.ends is not None
    assert shift.ends <= START + HOUR * (7 * WEEK + 3 * DAY)


def test_fewer_negatives_is_no_shift() -> None:
    assert found(brand(1, 100, 9, share=0.4, lift=risen(9, 6 * WEEK, to=0.15, share=0.4))) == []


def test_a_brand_in_the_news_with_its_usual_share_has_not_shifted() -> None:
    calm, busy = brand(4, 30, 9), brand(5, 150, 9)
    counts = tuple(np.where(np.arange(9 * WEEK) < 7 * WEEK, low, high) for low, high in zip(calm, busy, strict=True))
    assert found((counts[0], counts[1])) == []


def test_few_negatives_say_nothing() -> None:
    negatives, others = np.zeros(9 * WEEK, dtype=np.int64), np.zeros(9 * WEEK, dtype=np.int64)
    others[::12] = 1
    negatives[7 * WEEK :: 12], others[7 * WEEK :] = 1, 0
    assert find_shifts(talk((negatives, others)), START, minimum=30) == []
    assert len(found((negatives, others))) == 0  # 14 a week


def test_hours_that_were_not_read_say_nothing() -> None:
    at = 6 * WEEK
    negatives, others = brand(7, 100, 9)
    seen = np.ones(9 * WEEK)
    seen[at : at + 5 * DAY] = 0.5
    bad, good = negatives.copy(), others.copy()
    good[at : at + 5 * DAY] //= 10  # only the negatives were read
    assert found((bad, good), seen) == found((negatives, others), seen)
    assert found((bad, good)) != []


def test_a_gap_in_reading_does_not_hide_a_shift() -> None:
    at = 6 * WEEK
    seen = np.ones(9 * WEEK)
    seen[at + 2 * DAY : at + 2 * DAY + 10] = 0
    seen[4 * WEEK : 4 * WEEK + 5 * DAY] = 0
    (shift,) = found(brand(3, 100, 9, lift=risen(9, at)), seen)
    assert shift.found.at < START + HOUR * (at + 6 * DAY)


def test_the_first_two_weeks_are_for_learning() -> None:
    counts = brand(3, 300, 3, lift=risen(3, 7 * DAY, to=0.6))
    assert all(shift.found.at > START + timedelta(days=15) for shift in found(counts))
    before = [np.concatenate((np.zeros(9 * WEEK, dtype=np.int64), each)) for each in brand(3, 300, 2, share=0.6)]
    assert found((before[0], before[1])) == []  # nobody posted before: that is no past


def test_the_future_changes_nothing() -> None:
    counts = brand(3, 60, 12, lift=risen(12, 6 * WEEK, until=9 * WEEK))
    (whole,) = found(counts)
    assert whole.ends is not None
    for hour in range(6 * WEEK, 12 * WEEK, 55):
        now = START + HOUR * hour
        told = found((counts[0][:hour], counts[1][:hour]))
        assert [shift.found for shift in told] == ([whole.found] if now >= whole.found.at else [])
        assert [shift.ends for shift in told if shift.ends] == ([whole.ends] if now >= whole.ends else [])


def test_what_lies_further_back_than_is_looked_back_changes_nothing() -> None:
    counts = brand(8, 60, 22, lift=risen(22, 18 * WEEK))
    since = START + HOUR * 20 * WEEK
    (whole,) = find_shifts(talk(counts), since)
    first = (since - LOOK_BACK - START) // HOUR
    later = Talk(START + HOUR * first, counts[0][first:], counts[1][first:], np.ones(22 * WEEK - first))
    (again,) = find_shifts(later, since)
    assert (again.found.at, again.starts, again.ends) == (whole.found.at, whole.starts, whole.ends)
    assert again.found.score == pytest.approx(whole.found.score)


def test_only_what_is_open_since_a_time_is_told() -> None:
    counts = brand(3, 100, 14, lift=risen(14, 6 * WEEK, until=8 * WEEK))
    (shift,) = found(counts)
    assert shift.ends is not None
    assert find_shifts(talk(counts), shift.ends) == [shift]
    assert find_shifts(talk(counts), shift.ends + HOUR) == []


def test_a_lower_threshold_finds_it_no_later() -> None:
    counts = brand(3, 30, 9, lift=risen(9, 6 * WEEK))
    early, late = (find_shifts(talk(counts), START, threshold=threshold) for threshold in (3.0, 5.0))
    assert early[0].found.at <= late[0].found.at


def test_no_counts_no_shift() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert found((nothing, nothing)) == []
    assert found((np.zeros(5 * WEEK, dtype=np.int64), np.zeros(5 * WEEK, dtype=np.int64))) == []
