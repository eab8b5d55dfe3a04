"""Intervals hold what they promise, and agree with published tables."""

import random

import pytest

from models.intervals import apart, difference, net, wilson


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [  # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_shares_have_the_intervals_of_the_published_table(count: int, of: int, low: float, high: float) -> None:
    assert wilson(count, of) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [  # Newcombe, "Interval estimation for the difference between independent proportions", 1998, table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_differences_have_the_intervals_of_the_published_table(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    value, found_low, found_high = difference(*one, *other)
    assert value == pytest.approx(one[0] / one[1] - other[0] / other[1])
    assert (found_low, found_high) == pytest.approx((low, high), abs=1e-4)


def test_of_nothing_anything_may_be_true() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="nothing"):
        difference(0, 0, 1, 2)
    with pytest.raises(ValueError, match="no posts"):
        net(0, 0, 0)


def test_the_interval_of_net_sentiment_stays_on_its_scale() -> None:
    for counts in ((5, 0, 0), (0, 0, 5), (0, 5, 0), (1, 0, 0), (3, 0, 3)):
        value, low, high = net(*counts)
        assert -1 <= low <= value <= high <= 1
        assert high > low
    assert net(0, 0, 5)[2] == 1
    assert net(5, 0, 0)[1] == -1


@pytest.mark.parametrize(("shares", "of"), [((0.3, 0.4, 0.3), 20), ((0.05, 0.9, 0.05), 40), ((0.6, 0.3, 0.1), 200)])
def test_the_interval_of_net_sentiment_holds_what_is_true_in_95_of_100_cases(
    shares: tuple[float, float, float], of: int
) -> None:
    draws = random.Random(7)
    true, held, times = shares[2] - shares[0], 0, 3000
    for _ in range(times):
        drawn = draws.choices(range(3), shares, k=of)
        _, low, high = net(drawn.count(0), drawn.count(1), drawn.count(2))
        held += low <= true <= high
    assert 0.93 < held / times < 0.985


def test_a_difference_of_two_estimates_is_as_unsure_as_both() -> None:
    assert apart((0.5, 0.4, 0.6), (0.2, 0.2, 0.2)) == pytest.approx((0.3, 0.2, 0.4))
    value, low, high = apart((0.5, 0.2, 0.6), (0.1, 0.0, 0.5))
    assert (value, low, high) == pytest.approx((0.4, -0.1, 0.4 + (0.01 + 0.01) ** 0.5))
