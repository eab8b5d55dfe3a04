"""The vendors' simple rules say what their help pages say they do, and look at nothing later."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.rivals import DAY, HOUR, MINIMUM, RIVALS, Rival, crossings

Counts = NDArray[np.int64]
NAMED = {rival.name: rival for rival in RIVALS}
every_rule = pytest.mark.parametrize("rival", RIVALS, ids=list(NAMED))


def flat(value: int, days: float) -> Counts:
    return np.full(round(days * DAY), value, dtype=np.int64)


def noisy(seed: int, days: int = 14) -> tuple[Counts, Counts]:
    """A daily cycle with three hours of anger on the eleventh day."""
    rng = np.random.default_rng(seed)
    mean = 3.0 * (1.0 + 0.8 * np.sin(2.0 * np.pi * np.arange(days * DAY) / DAY))
    negatives, others = rng.poisson(0.25 * mean), rng.poisson(0.75 * mean)
    negatives[10 * DAY + 40 : 10 * DAY + 40 + 3 * HOUR] += 10
    return negatives, others


@every_rule
def test_the_future_changes_no_past_score(rival: Rival) -> None:
    negatives, others = noisy(1)
    whole = rival.scores(negatives, others)
    for step in (2 * DAY + 1, 10 * DAY + 41, 10 * DAY + 50, 13 * DAY + 7):
        np.testing.assert_allclose(rival.scores(negatives[:step], others[:step]), whole[:step])


@every_rule
def test_three_hours_of_anger_score_far_above_the_day_before(rival: Rival) -> None:
    negatives, others = noisy(2)
    scores = rival.scores(negatives, others)
    most = scores[10 * DAY + 40 : 11 * DAY].max()
    assert most > max(1.5 * scores[: 10 * DAY + 40].max(), rival.threshold)
    (alert,) = rival.alerts(negatives, others, 0.9 * most)
    assert 10 * DAY + 40 <= alert < 11 * DAY


@every_rule
def test_nothing_is_said_in_the_first_two_days(rival: Rival) -> None:
    negatives, others = flat(0, 2), flat(2, 2)
    negatives[DAY + 100 : DAY + 200] = 50
    assert not rival.scores(negatives, others).any()


@every_rule
def test_fewer_negatives_than_our_own_rule_asks_for_say_nothing(rival: Rival) -> None:
    negatives, others = flat(0, 14), flat(2, 14)
    negatives[12 * DAY + 100] = MINIMUM - 1
    assert not rival.scores(negatives, others).any()


@every_rule
@pytest.mark.parametrize("length", [0, 1, 11, 12, DAY])
def test_a_short_series_has_a_score_a_step_and_no_alert(rival: Rival, length: int) -> None:
    counts = np.full(length, 9, dtype=np.int64)
    assert rival.scores(counts, counts).shape == (length,)
    assert rival.alerts(counts, counts).size == 0


@every_rule
def test_a_threshold_of_ones_own_replaces_the_usual_one(rival: Rival) -> None:
    negatives, others = noisy(3)
    most = rival.scores(negatives, others).max()
    assert rival.alerts(negatives, others, most).size == 1
    assert rival.alerts(negatives, others, most * 1.001).size == 0


def test_the_last_hour_is_compared_with_the_hourly_mean_of_seven_days() -> None:
    rival = NAMED["last hour over 7-day mean"]
    negatives = flat(1, 10)
    negatives[9 * DAY : 9 * DAY + HOUR] = 3
    scores = rival.scores(negatives, negatives)
    assert scores[9 * DAY - 1] == pytest.approx(1.0)
    assert scores[9 * DAY + HOUR - 1] == pytest.approx(3.0)
    assert rival.alerts(negatives, negatives).tolist() == [9 * DAY + 5]  # six steps with twice more: 24 for 12


def test_a_week_without_a_negative_counts_as_one_with_one() -> None:
    negatives = flat(0, 10)
    negatives[-1] = 5
    assert NAMED["last hour over 7-day mean"].scores(negatives, negatives)[-1] == pytest.approx(5 * 7 * 24)


def test_the_last_day_is_compared_with_the_seven_before_in_standard_deviations_and_once_an_hour() -> None:
    rival = NAMED["24 hours over 7-day mean"]
    days = np.zeros((10, DAY), dtype=np.int64)
    days[:, 6] = (9, 10, 12, 14, 10, 12, 14, 12, 20, 12)
    negatives = days.ravel()
    scores = rival.scores(negatives, negatives)
    past = np.array([10, 12, 14, 10, 12, 14, 12])
    first = 8 * DAY + HOUR - 1  # the end of the hour in which the twenty were posted
    assert scores[first] == pytest.approx((20 - past.mean()) / past.std(ddof=1))
    assert set(scores[first : first + HOUR].tolist()) == {scores[first]}
    assert scores[first - 1] == 0.0  # there were no eight days yet


def test_ears_c2_leaves_out_the_last_two_days_and_compares_the_same_hour() -> None:
    rival = NAMED["EARS-C2"]
    hours = np.zeros((11, 24), dtype=np.int64)
    hours[:, 7] = 6
    hours[10, 7] = 9
    by_day = np.zeros((11, 24, HOUR), dtype=np.int64)
    by_day[:, :, 0] = hours
    seen = 10 * DAY + 8 * HOUR - 1  # the end of that hour on the last day

    def score(counts: Counts) -> float:
        return float(rival.scores(counts.ravel(), counts.ravel())[seen])

    usual = score(by_day)
    assert usual == pytest.approx(3.0)  # a deviation is one post at least
    lately, before = by_day.copy(), by_day.copy()
    lately[8:10, 7, 0] = 60
    before[7, 7, 0] = 60
    assert score(lately) == usual
    assert score(before) < 0


def test_a_windowed_gaussian_counts_deviations_of_the_hours_of_seven_days() -> None:
    rival = NAMED["windowed Gaussian"]
    negatives, others = noisy(4)
    hour = np.convolve(negatives, np.ones(HOUR))[: len(negatives)]
    step = 10 * DAY + 60
    past = hour[step + 1 - 7 * DAY - HOUR : step + 1 - HOUR]
    assert rival.scores(negatives, others)[step] == pytest.approx((hour[step] - past.mean()) / past.std())


def test_a_share_is_compared_with_that_of_the_three_hours_before_in_points() -> None:
    rival = NAMED["share up in 3 hours"]
    negatives, others = flat(1, 4), flat(9, 4)
    negatives[3 * DAY :], others[3 * DAY :] = 4, 6
    scores = rival.scores(negatives, others)
    assert scores[3 * DAY + 3 * HOUR - 1] == pytest.approx(30.0)
    assert scores[3 * DAY - 1] == pytest.approx(0.0)
    assert rival.alerts(negatives, others).tolist() == [3 * DAY + 17]  # half of the three hours


def test_a_share_of_fewer_than_twenty_mentions_says_nothing() -> None:
    rival = NAMED["share up in 3 hours"]
    negatives, others = flat(0, 4), flat(0, 4)
    negatives[::HOUR], others[6::HOUR] = 2, 4  # 18 mentions in three hours
    negatives[3 * DAY + 4] += 30
    assert not rival.scores(negatives, others)[: 3 * DAY + 3 * HOUR].any()


def test_a_crowd_that_is_no_angrier_moves_the_counts_and_not_the_share() -> None:
    negatives, others = flat(1, 10), flat(3, 10)
    negatives[9 * DAY :] *= 4
    others[9 * DAY :] *= 4
    assert NAMED["share up in 3 hours"].alerts(negatives, others).size == 0
    assert NAMED["last hour over 7-day mean"].alerts(negatives, others).size == 1


def test_what_crosses_again_within_three_hours_is_one_alert() -> None:
    scores = np.zeros(200)
    scores[[10, 11, 47, 84, 130]] = 5.0  # 36 steps after the last, then 37, then 46
    assert crossings(scores, 5.0).tolist() == [10, 84, 130]
    assert crossings(scores, 5.1).tolist() == []
    assert crossings(np.ones(50), 1.0).tolist() == [0]
