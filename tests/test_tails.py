"""Tails are those of the distributions, as another library has them."""

import numpy as np
import pytest
from scipy import stats

from models.tails import count_tail, interval, share_tail

OBSERVED = np.array([1, 5, 9, 40, 300, 9000.0])
MEAN = np.array([0.01, 4.9, 0.5, 20, 290, 5000])
VARIANCE = np.array([0.02, 5.2, 2.5, 50, 900, 2e5])


def test_count_tail_is_the_mid_p_of_a_negative_binomial() -> None:
    known = stats.nbinom(MEAN**2 / (VARIANCE - MEAN), MEAN / VARIANCE)
    expected = known.sf(OBSERVED) + known.pmf(OBSERVED) / 2
    assert count_tail(OBSERVED, MEAN, VARIANCE) == pytest.approx(expected, rel=1e-9)


def test_count_tail_of_what_cannot_vary_less_is_nearly_that_of_a_poisson() -> None:
    (tail,) = count_tail(np.array([12.0]), np.array([5.0]), np.array([1.0]))
    assert tail == pytest.approx(stats.poisson.sf(12, 5) + stats.poisson.pmf(12, 5) / 2, rel=0.15)


def test_share_tail_of_posts_that_do_not_resemble_each_other_is_that_of_a_binomial() -> None:
    observed, mentions, share = np.array([5, 30, 7.0]), np.array([20, 40, 7.0]), np.array([0.2, 0.5, 0.3])
    known = stats.binom(mentions, share)
    ones, zeros = np.ones(3), np.zeros(3)
    expected = known.sf(observed) + known.pmf(observed) / 2
    assert share_tail(observed, mentions, share, ones, zeros) == pytest.approx(expected, rel=1e-9)
    assert (share_tail(observed, mentions, share, ones, zeros + 0.1) > 1.2 * expected).all()
    assert (share_tail(observed, mentions, share, 2 * ones, zeros) > 1.1 * expected).all()


def test_what_never_happens_has_a_chance_above_nothing() -> None:
    assert count_tail(np.array([1e5]), np.array([1.0]), np.array([1.3]))[0] == 1e-300


def test_interval_holds_95_percent_of_a_negative_binomial() -> None:
    known = stats.nbinom(MEAN**2 / (VARIANCE - MEAN), MEAN / VARIANCE)
    low, high = interval(MEAN, VARIANCE)
    assert (low == known.ppf(0.025)).all()
    assert (high == known.ppf(0.975)).all()
    assert [float(end[0]) for end in interval(np.zeros(1), np.zeros(1))] == [0.0, 0.0]
