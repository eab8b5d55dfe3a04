"""Negative spikes are found soon, and nothing else is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from models.episodes import Finding, episodes
from models.spikes import STEP, Episode, Series, find_spikes

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = 288
Counts = NDArray[np.int64]


def stream(seed: int, per_hour: float, days: int, share: float = 0.25) -> tuple[Counts, Counts]:
    """Poisson counts with a daily cycle."""
    rng = np.random.default_rng(seed)
    mean = per_hour / 12 * (1 + 0.8 * np.sin(2 * np.pi * np.arange(days * DAY) / DAY))
    return rng.poisson(mean * share), rng.poisson(mean * (1 - share))


def found(negatives: Counts, others: Counts, from_step: int = 0) -> list[Episode]:
    return find_spikes(Series(START, negatives, others), START + STEP * from_step)


def minutes_until_told(episode: Episode, step: int) -> float:
    return (episode.notify[0].at - (START + STEP * step)) / timedelta(minutes=1)


def demo(seed: int = 3) -> tuple[Counts, Counts, int]:
    """About 18 mentions a day for two weeks, then 50 negatives within three hours."""
    negatives, others = stream(seed, 0.75, 15)
    burst = 14 * DAY + 100
    np.add.at(negatives, burst + np.random.default_rng(seed).integers(0, 36, 50), 1)
    return negatives, others, burst


def test_steady_streams_give_at_most_one_false_alarm_in_ten_brand_weeks() -> None:
    alarms = [len(found(*stream(seed, per_hour, 42))) for seed in range(3) for per_hour in (0.5, 5, 50, 500)]
    assert sum(alarms) <= 0.1 * 6 * len(alarms)


@pytest.mark.parametrize("per_hour", [5, 50, 500])
def test_four_times_the_mentions_with_the_usual_share_are_no_negative_spike(per_hour: float) -> None:
    negatives, others = stream(1, per_hour, 28)
    burst = slice(20 * DAY + 100, 20 * DAY + 124)
    more, more_others = stream(2, per_hour * 4, 28)
    negatives[burst], others[burst] = more[burst], more_others[burst]
    assert found(negatives, others, burst.start) == []


def test_bursts_of_five_times_the_negatives_are_found_within_half_an_hour() -> None:
    soon = 0
    for seed in range(10):
        negatives, others = stream(seed, 50, 28)
        rng = np.random.default_rng(100 + seed)
        step = int(24 * DAY + rng.integers(DAY // 2))  # by day, when people post
        usual = 50 / 12 * 0.25 * (1 + 0.8 * np.sin(2 * np.pi * np.arange(step, step + 24) / DAY))
        negatives[step : step + 24] += rng.poisson(4 * usual)
        soon += any(0 < minutes_until_told(episode, step) <= 30 for episode in found(negatives, others, step))
    assert soon >= 8


def test_fifty_negatives_in_three_hours_stand_out_from_eighteen_mentions_a_day() -> None:
    for seed in range(5):
        negatives, others, burst = demo(seed)
        (episode,) = found(negatives, others, burst)
        assert 0 < minutes_until_told(episode, burst) <= 60
        assert episode.peak.observed >= 40
        assert episode.peak.factor > 10
        assert episode.peak.probability <= 1e-4
        assert episode.peak.share > 0.7 > 0.5 > episode.peak.usual_share


def test_a_spike_goes_on_until_an_hour_of_calm_and_then_has_ended() -> None:
    negatives, others, burst = demo()
    (whole,) = found(negatives, others, burst)
    assert whole.ends is not None
    assert START + STEP * (burst + 36) < whole.ends < START + STEP * (burst + 36 + 60)
    during = (whole.last_seen - START) // STEP
    (cut,) = found(negatives[:during], others[:during], burst)
    assert cut.ends is None
    assert found(negatives, others, (whole.ends - START) // STEP + 1) == []


def test_a_longer_series_tells_the_same_story_of_its_past() -> None:
    negatives, others = stream(4, 30, 21)
    for step in (10 * DAY, 15 * DAY + 50, 18 * DAY + 7):
        negatives[step : step + 12] += 12
    told = [f for episode in found(negatives, others) for f in episode.notify]
    assert len({f.at.date() for f in told}) == 3
    for step in (10 * DAY + 4, 15 * DAY + 55, 18 * DAY + 19, 19 * DAY):
        now = START + STEP * step
        cut = [f for episode in found(negatives[:step], others[:step]) for f in episode.notify]
        assert [f.at for f in cut] == [f.at for f in told if f.at <= now]
        assert [f.score for f in cut] == pytest.approx([f.score for f in told if f.at <= now])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_three_times_the_mentions_for_good_are_no_negative_spike(seed: int) -> None:
    negatives, others = stream(seed, 50, 25)
    after, others_after = stream(seed + 10, 150, 25)
    step = 20 * DAY + 77
    negatives[step:], others[step:] = after[step:], others_after[step:]
    assert found(negatives, others, step) == []


def test_a_big_brand_after_weeks_of_silence_is_no_negative_spike() -> None:
    negatives, others = stream(1, 500, 24)
    negatives[: 20 * DAY], others[: 20 * DAY] = 0, 0
    others[0] = 1
    assert found(negatives, others) == []


def test_a_complaint_channel_alerts_on_the_count_alone() -> None:
    negatives, others = stream(1, 20, 28, share=0.85)
    step = 24 * DAY + 60
    negatives[step : step + 24] += np.random.default_rng(5).poisson(4 * 20 / 12 * 0.85, 24)
    assert found(negatives[:step], others[:step]) == []
    (episode,) = found(negatives, others, step)
    assert minutes_until_told(episode, step) <= 60


def test_nothing_alerts_in_the_first_two_days_however_long_the_silence_before() -> None:
    negatives, others = np.zeros(12 * DAY, dtype=np.int64), np.zeros(12 * DAY, dtype=np.int64)
    others[10 * DAY :: 12] = 1
    negatives[10 * DAY + 200 : 10 * DAY + 230] = 3
    assert found(negatives, others) == []


def test_few_negatives_never_alert() -> None:
    negatives, others = stream(1, 0.5, 28)
    negatives[20 * DAY :] = 0
    negatives[20 * DAY + 100] = 4
    assert found(negatives, others, 20 * DAY) == []
    negatives[20 * DAY + 100] = 12
    assert len(found(negatives, others, 20 * DAY)) == 1


@pytest.mark.parametrize("length", [0, 1, 3, 3 * DAY])
@pytest.mark.parametrize("value", [0, 1])
def test_series_without_a_story_give_nothing(length: int, value: int) -> None:
    assert find_spikes(Series(START, [value] * length, [0] * length), START) == []


def at(hour: float, observed: int, score: float = 5.0) -> Finding:
    when = START + timedelta(hours=hour)
    return Finding(when, timedelta(hours=1), observed, 1.0, observed, observed, 1.0, 0.2, score)


def grouped(*findings: Finding, until: float = 100) -> list[Episode]:
    return episodes(findings, START + timedelta(hours=until), threshold=4.0)


def test_a_story_that_comes_back_within_a_day_is_the_same_episode() -> None:
    (episode,) = grouped(at(1, 10), at(20, 12))
    assert [f.observed for f in episode.notify] == [10]
    assert episode.starts == START
    assert episode.last_seen == START + timedelta(hours=20)
    assert episode.peak.observed == 12


def test_a_story_that_comes_back_after_a_day_is_a_new_episode() -> None:
    assert len(grouped(at(1, 10), at(26, 12))) == 2


def test_an_episode_is_told_again_each_time_the_negatives_doubled() -> None:
    (episode,) = grouped(at(1, 10), at(1.25, 15), at(1.5, 20), at(1.75, 30), at(2, 40))
    assert [f.observed for f in episode.notify] == [10, 20, 40]


def test_a_score_between_calm_and_threshold_keeps_an_episode_open() -> None:
    (episode,) = grouped(at(1, 10), *(at(1 + i / 2, 10, score=2.5) for i in range(60)), at(31.5, 12))
    assert episode.last_seen == START + timedelta(hours=31.5)


def test_an_end_is_known_after_an_hour_of_calm() -> None:
    (episode,) = grouped(at(1, 10), until=1.9)
    assert episode.ends is None
    (episode,) = grouped(at(1, 10), until=2)
    assert episode.ends == START + timedelta(hours=1, minutes=5)


def test_a_story_goes_on_over_midnight_as_if_it_were_looked_at_in_one() -> None:
    findings = [at(20, 10), at(22, 25), at(23.5, 20, score=2.5), at(24.25, 51), at(26, 12), at(50, 9), at(60, 9)]
    whole = grouped(*findings)
    for cut in range(1, len(findings)):
        until = START + timedelta(hours=(findings[cut].at - START) / timedelta(hours=1)) - STEP
        first = episodes(findings[:cut], until, threshold=4.0)
        later = episodes(findings[cut:], START + timedelta(hours=100), threshold=4.0, before=first[-1])
        assert [*first[:-1], *later] == whole
    assert [[f.observed for f in episode.notify] for episode in whole] == [[10, 25, 51], [9]]


def test_steps_that_are_looked_at_again_change_nothing_of_an_open_story() -> None:
    findings = [at(1, 10), at(1.5, 15), at(2, 12), at(2.5, 12, score=2.5)]
    (told,) = grouped(*findings, until=2.6)
    assert told.ends is None
    for again in range(4):
        (same,) = episodes(findings[again:], START + timedelta(hours=2.6), threshold=4.0, before=told)
        assert same == told


def test_a_story_of_which_only_the_last_step_over_the_threshold_is_known_is_over_an_hour_later() -> None:
    (told,) = grouped(at(1, 10), until=1.5)
    known = replace(told, lasts=None)
    assert [e.ends for e in episodes([], START + timedelta(hours=1.75), 4.0, before=known)] == [None]
    assert [e.ends for e in episodes([], START + timedelta(hours=3), 4.0, before=known)] == [told.last_seen + STEP]
    (over,) = grouped(at(1, 10), until=3)
    (back,) = episodes([at(5, 30)], START + timedelta(hours=5.25), 4.0, before=replace(over, lasts=None))
    assert (back.ends, back.starts, len(back.notify)) == (None, told.starts, 2)


def test_a_second_burst_on_the_same_day_is_told_once_the_first_was_told_six_hours_ago() -> None:
    negatives, others = stream(7, 100, 24)
    bursts = [20 * DAY + 60, 20 * DAY + 60 + 12 * 9]
    for step in bursts:
        negatives[step : step + 12] += 20
    first, second = found(negatives, others)
    assert [0 < minutes_until_told(one, step) <= 30 for one, step in zip((first, second), bursts, strict=True)] == [
        True
    ] * 2
    soon = bursts[0] + 12 * 4
    negatives, others = stream(7, 100, 24)
    for step in (bursts[0], soon):
        negatives[step : step + 12] += 20
    assert len(found(negatives, others)) == 1
