"""How far counts stray from what is expected of them, learnt by the day.

What is learnt are sums over the windows of past days, each day worth a little less than the next; estimates are made
from them and from a prior, which counts for a number of windows like the one that is looked at.
"""

from dataclasses import dataclass

import numpy as np

from models.counts import Array, Flags

KEEP = 0.965  # of what was learnt is left a day later: worth 28 days in all
WINDOWS = 20.0  # independent windows that a prior counts for
ALIKE = 0.02  # correlation of the posts of a window, before it was measured
SURE_OF_ALPHA, SURE_OF_ALIKE = 500.0, 2000.0  # as information: what is usual strays by about 0.06 and 0.03
PHI = 1.3
FIT, LEVEL, SHARE = 5, 2, 2  # sums that each estimate needs
SUMS = 3 * FIT + LEVEL + SHARE  # for one window length


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Variance = phi * mean + alpha * mean²: phi is for posts that come in clusters, alpha for a level that wanders."""

    phi: Array
    alpha: Array

    def variance(self, mean: Array) -> Array:
        return self.phi * mean + self.alpha * mean**2


@dataclass(frozen=True, slots=True)
class Window:
    """What windows of one length hold, [S, steps]: counts, what was expected of them, and the priors of alpha."""

    length: int
    negatives: Array
    others: Array
    negatives_mean: Array
    others_mean: Array
    alpha: Array
    others_alpha: Array


@dataclass(frozen=True, slots=True)
class Spread:
    """What is made of them, [S, steps]."""

    bad: Dispersion  # of the negatives around their mean
    good: Dispersion
    expected: Array  # negatives, given the others
    given: Dispersion  # of the negatives around that
    alike: Array  # how alike the posts of one window are: intra-class correlation of being negative


def spread(window: Window, learnt: Array) -> Spread:
    """Estimates from what was learnt, [S, SUMS]."""
    bad = _fitted(window.negatives_mean, window.alpha, learnt[:, 0:FIT])
    good = _fitted(window.others_mean, window.others_alpha, learnt[:, FIT : 2 * FIT])
    level = learnt[:, 3 * FIT : 3 * FIT + LEVEL]
    expected = window.negatives_mean * _shared_level(window, bad, good, level)
    given = _fitted(expected, window.alpha, learnt[:, 2 * FIT : 3 * FIT])
    share = learnt[:, 3 * FIT + LEVEL :]
    alike = (share[:, 1:] + SURE_OF_ALIKE * ALIKE) / (share[:, :1] + SURE_OF_ALIKE)
    return Spread(bad, good, expected, given, np.clip(alike, 0.004, 0.3))


def learn(window: Window, made: Spread, used: Flags) -> Array:
    """The sums of one day, [S, SUMS], from those windows [S, steps] that are used.

    Residuals are cut, so that past spikes do not hide the next one. Overlapping windows are no independent ones.
    """
    sums = [
        *_residuals(window.negatives, window.negatives_mean, window.alpha, made.bad),
        *_residuals(window.others, window.others_mean, window.others_alpha, made.good),
        *_residuals(window.negatives, made.expected, window.alpha, made.given),
        *_together(window, made),
        *_likeness(window, made),
    ]
    return np.stack([np.where(used, values, 0.0).sum(axis=1) for values in sums], axis=1) / window.length


def cut(residual: Array, variance: Array) -> Array:
    """Residuals, none further out than 3.5 standard deviations and 3 counts."""
    most = 3.5 * np.sqrt(variance) + 3.0
    return np.clip(residual, -most, most)


def _regressors(mean: Array, alpha: Array) -> tuple[Array, Array, Array]:
    """Weight, and phi's and alpha's part in the variance as parts of it."""
    weight = np.maximum(PHI * mean + alpha * mean**2, 1e-9)
    by_mean = mean / weight
    return weight, by_mean, by_mean * mean


def _fitted(mean: Array, alpha: Array, learnt: Array) -> Dispersion:
    """Weighted least squares of the squared residuals, from priors (PHI and `alpha`)."""
    _, by_mean, _ = _regressors(mean, alpha)
    one, both, two, left, right = (learnt[:, index : index + 1] for index in range(FIT))
    prior = WINDOWS * by_mean**2 + 1e-12
    one = one + prior
    two = two + SURE_OF_ALPHA
    left = left + prior * PHI
    right = right + SURE_OF_ALPHA * alpha
    phi = np.clip((left * two - right * both) / np.maximum(one * two - both**2, 1e-24), 1.0, 6.0)
    return Dispersion(phi, np.clip((right - phi * both) / two, 0.005, 2.0))


def _residuals(observed: Array, mean: Array, alpha: Array, fit: Dispersion) -> tuple[Array, ...]:
    weight, by_mean, by_square = _regressors(mean, alpha)
    square = cut(observed - mean, fit.variance(mean)) ** 2 / weight
    return by_mean**2, by_mean * by_square, by_square**2, square * by_mean, square * by_square


def _shared_level(window: Window, bad: Dispersion, good: Dispersion, learnt: Array) -> Array:
    """How far the others say that all talk is up or down, as a factor.

    It is trusted as far as negatives and others did rise and fall together: 1/k is the covariance of their relative
    residuals, and a brand whose negatives do not follow its volume is hardly corrected.
    """
    product = window.negatives_mean * window.others_mean
    weight = bad.variance(window.negatives_mean) * good.variance(window.others_mean)
    prior = WINDOWS * product**2 / np.maximum(weight, 1e-18) + 1e-12
    k = 1.0 / np.clip((learnt[:, 1:] + prior * 0.05) / (learnt[:, :1] + prior), 0.02, 1.0)
    level: Array = (k + window.others / good.phi) / (k + window.others_mean / good.phi)
    return level


def _together(window: Window, made: Spread) -> tuple[Array, Array]:
    bad, good = made.bad.variance(window.negatives_mean), made.good.variance(window.others_mean)
    residuals = cut(window.negatives - window.negatives_mean, bad) * cut(window.others - window.others_mean, good)
    product = window.negatives_mean * window.others_mean
    weight = np.maximum(bad * good, 1e-18)
    return product**2 / weight, residuals * product / weight


def _likeness(window: Window, made: Spread) -> tuple[Array, Array]:
    mentions = window.negatives + window.others
    share = window.negatives_mean / np.maximum(window.negatives_mean + window.others_mean, 1e-12)
    binomial = share * (1.0 - share) * mentions * made.given.phi
    extra = binomial * np.maximum(mentions / made.given.phi - 1.0, 0.0)
    weight = 1.0 / np.maximum(binomial + ALIKE * extra, 0.1) ** 2
    square = cut(window.negatives - share * mentions, binomial + made.alike * extra) ** 2
    return weight * extra**2, weight * extra * (square - binomial)
