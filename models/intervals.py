"""How far a share may lie from what was counted: intervals that also hold for few posts.

A share of few is not spread like a bell around what was counted, and a share of 0 of 5 is not certainly 0. Wilson's
interval (1927) is right there; differences are put together from such intervals (Newcombe, "Interval estimation for the
difference between independent proportions", 1998; Zou and Donner, "Construction of confidence limits", 2008).
"""

from functools import lru_cache
from math import sqrt

Z95 = 1.959964  # of 100 such intervals, 95 hold what is true
REMEMBERED = 8_192  # of a year's days only the last one has changed since they were asked for last
CLUSTERS = 1.3  # posts come in clusters that feel alike: so many of them tell as much as one that stands alone would


@lru_cache(REMEMBERED)
def wilson(count: float, of: float, z: float = Z95) -> tuple[float, float]:
    """Return between what a share of `count` in `of` lies; (0, 1) where there is none to count."""
    if of <= 0:
        return 0.0, 1.0
    share, spread = count / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * sqrt(max(share * (1 - share), 0.0) / of + spread / (4 * of))
    # At the ends of the scale rounding must not move the limit off it.
    return (0.0 if count <= 0 else max(middle - half, 0.0)), (1.0 if count >= of else min(middle + half, 1.0))


def difference(
    count: float, of: float, other_count: float, other_of: float, z: float = Z95
) -> tuple[float, float, float]:
    """Return a share less another one, and between what that lies: Newcombe's hybrid score interval.

    The two are of different posts. Raises ValueError where one of them is of none.
    """
    if of <= 0 or other_of <= 0:
        raise ValueError("a share of nothing cannot be compared")
    share, other = count / of, other_count / other_of
    return apart((share, *wilson(count, of, z)), (other, *wilson(other_count, other_of, z)))


@lru_cache(REMEMBERED)
def net(negative: float, neutral: float, positive: float, z: float = Z95) -> tuple[float, float, float]:
    """Return net sentiment, (positive - negative) / all, and between what it lies.

    The two shares are of the same posts: where one is high the other must be low, which Newcombe's tenth method
    for paired shares reckons with. Raises ValueError where nothing was rated.
    """
    of = negative + neutral + positive
    if of <= 0:
        raise ValueError("of no posts there is no net sentiment")
    up, down = positive / of, negative / of
    (up_low, up_high), (down_low, down_high) = wilson(positive, of, z), wilson(negative, of, z)
    inside = up * (1 - up) * down * (1 - down)
    joint = -sqrt(up * down / ((1 - up) * (1 - down))) if inside > 0 else 0.0
    below = _length(up - up_low, down_high - down, joint)
    above = _length(up_high - up, down - down_low, joint)
    value = up - down
    return value, max(value - below, -1.0), min(value + above, 1.0)


def apart(one: tuple[float, float, float], other: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return how far one value lies above another that does not depend on it; both are (value, low, high)."""
    value = one[0] - other[0]
    below, above = _length(one[0] - one[1], other[2] - other[0]), _length(one[2] - one[0], other[0] - other[1])
    return value, value - below, value + above


def _length(one: float, other: float, joint: float = 0.0) -> float:
    return sqrt(max(one * one + other * other - 2 * joint * one * other, 0.0))
