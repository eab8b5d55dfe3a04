"""What a brand's own past leads to expect: how many posts in each five minutes, and how far counts stray from that.

Every value at step t rests on what was counted before t. Anything that is smoothed or repaired with later counts
is used only where those counts are past (three hours later at least).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DAY = 288  # steps of five minutes
HISTORY = 28 * DAY
RECENT = 36  # the last three hours say nothing about what is usual: they may be the spike
EVENTS = 10.0  # posts that the wider estimate counts for when a narrower one is made
WINDOWS = 20.0  # independent windows that a prior counts for
ALIKE = 0.02  # correlation of the posts of a window, before it was measured
SURE_OF_ALPHA, SURE_OF_ALIKE = 500.0, 2000.0  # as information: what is usual strays by about 0.06 and 0.03
TYPICAL_SHARE, TYPICAL_WEIGHT = 0.25, 8.0  # of negatives, until the brand has shown its own


@dataclass(frozen=True, slots=True)
class Baseline:
    """Expected counts for each step, and how many (weighted) posts each expectation rests on."""

    mean: Array
    events: Array


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Variance = phi * mean + alpha * mean²: phi is for posts that come in clusters, alpha for a level that wanders."""

    phi: Array
    alpha: Array

    def variance(self, mean: Array) -> Array:
        return self.phi * mean + self.alpha * mean**2


def trailing(values: Array, length: int, lag: int = 0) -> Array:
    """The sum of the last `length` values up to each step, leaving out the last `lag`."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    step = np.arange(len(values)) + 1
    difference: Array = total[np.maximum(step - lag, 0)] - total[np.maximum(step - length, 0)]
    return difference


def centred(values: Array, half: int) -> Array:
    """The sum of the values up to `half` steps before and after each step."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    step = np.arange(len(values))
    result: Array = total[np.minimum(step + half + 1, len(values))] - total[np.maximum(step - half, 0)]
    return result


def baselines(negatives: Array, others: Array) -> tuple[Baseline, Baseline]:
    """The baselines of the negatives and of the others, past bursts cut down to size."""
    first = _both(negatives, others)
    return _both(*_calmed(negatives, others, first[0].mean, first[1].mean))


def _both(negatives: Array, others: Array) -> tuple[Baseline, Baseline]:
    steps = np.maximum(trailing(np.ones_like(negatives), HISTORY, RECENT), 1.0)
    bad, good = trailing(negatives, HISTORY, RECENT), trailing(others, HISTORY, RECENT)
    share = (bad + TYPICAL_SHARE * TYPICAL_WEIGHT) / (bad + good + TYPICAL_WEIGHT)
    rate = (bad + good + 0.5) / steps
    usual = _seasonal(negatives, rate * share), _seasonal(others, rate * (1 - share))
    # All talk has a level, which few negatives may follow; only then have they one of their own.
    together = _level(negatives + others, usual[0].mean + usual[1].mean)
    return _at_level(negatives, usual[0], together), _at_level(others, usual[1], together)


def _seasonal(counts: Array, rate: Array) -> Baseline:
    """The same time of day on past days, shrunk to a wider span and then to the brand's mean."""
    ones = np.ones_like(counts)
    mean, support = rate, np.zeros_like(counts)
    for half in (18, 6):  # 90 and 30 minutes either side
        events, exposure = np.zeros_like(counts), np.zeros_like(counts)
        seen, steps = centred(counts, half), centred(ones, half)
        for day in range(1, min(28, (len(counts) - 1) // DAY) + 1):
            shift = day * DAY
            weight = 0.98**day * (3.0 if day % 7 == 0 else 1.0)
            events[shift:] += weight * seen[:-shift]
            exposure[shift:] += weight * steps[:-shift]
        mean = (events + EVENTS) / (exposure + EVENTS / mean)
        support = np.maximum(support, events)
    return Baseline(mean, support)


def _level(counts: Array, mean: Array) -> Array:
    """The last day against what was expected of it."""
    return np.clip((trailing(counts, DAY, RECENT) + EVENTS) / (trailing(mean, DAY, RECENT) + EVENTS), 0.4, 2.5)


def _at_level(counts: Array, usual: Baseline, together: Array) -> Baseline:
    mean = usual.mean * together
    return Baseline(mean * _level(counts, mean), usual.events)


def _calmed(negatives: Array, others: Array, bad: Array, good: Array) -> tuple[Array, Array]:
    """The counts, scaled down where the hour around them is far above what was expected.

    First both alike, so that busy days leave the share as it was; then the negatives that the others do not explain.
    """
    talk = _calming(centred(negatives + others, 6), centred(bad + good, 6))
    negatives, others = negatives * talk, others * talk
    follows = (centred(others, 6) + EVENTS) / (centred(good, 6) + EVENTS)
    return negatives * _calming(centred(negatives, 6), centred(bad, 6) * follows), others


def _calming(hour: Array, usual: Array) -> Array:
    limit = usual + 3.0 * np.sqrt(1.5 * usual + 0.1 * usual**2) + 3.0
    return np.minimum(1.0, limit / np.maximum(hour, 1.0))


def dispersion(observed: Array, mean: Array, length: int, alpha: Array) -> Dispersion:
    """Fitted to the last 28 days of windows of `length` steps by weighted least squares, from priors (1.3 and `alpha`).

    Residuals are cut, so that past spikes do not hide the next one.
    """
    fit = Dispersion(np.full_like(mean, 1.3), alpha)
    prior, weight = fit, np.maximum(fit.variance(mean), 1e-9)
    by_mean, by_square = mean / weight, mean**2 / weight

    def history(values: Array) -> Array:
        return trailing(values, HISTORY, RECENT) / length  # overlapping windows are no independent ones

    one = history(by_mean**2) + WINDOWS * by_mean**2 + 1e-12
    both = history(by_mean * by_square)
    two = history(by_square**2) + SURE_OF_ALPHA
    for _ in range(2):
        square = cut(observed - mean, fit.variance(mean)) ** 2 / weight
        left = history(square * by_mean) + (WINDOWS * by_mean**2 + 1e-12) * prior.phi
        right = history(square * by_square) + SURE_OF_ALPHA * prior.alpha
        phi = np.clip((left * two - right * both) / np.maximum(one * two - both**2, 1e-24), 1.0, 6.0)
        fit = Dispersion(phi, np.clip((right - phi * both) / two, 0.005, 2.0))
    return fit


def cut(residual: Array, variance: Array) -> Array:
    """Residuals, none further out than 3.5 standard deviations and 3 counts."""
    most = 3.5 * np.sqrt(variance) + 3.0
    return np.clip(residual, -most, most)


def shared_level(
    observed: tuple[Array, Array], means: tuple[Array, Array], length: int, fits: tuple[Dispersion, Dispersion]
) -> Array:
    """How far the others say that all talk is up or down, as a factor.

    It is trusted as far as negatives and others did rise and fall together: 1/k is the covariance of their relative
    residuals, and a brand whose negatives do not follow its volume is hardly corrected.
    """
    variances = [fit.variance(mean) for fit, mean in zip(fits, means, strict=True)]
    residuals = [cut(seen - mean, var) for seen, mean, var in zip(observed, means, variances, strict=True)]
    product = means[0] * means[1]
    weight = np.maximum(variances[0] * variances[1], 1e-18)
    information = trailing(product**2 / weight, HISTORY, RECENT) / length
    together = trailing(residuals[0] * residuals[1] * product / weight, HISTORY, RECENT) / length
    prior = WINDOWS * product**2 / weight + 1e-12
    covariance = np.clip((together + prior * 0.05) / (information + prior), 0.02, 1.0)
    k = 1.0 / covariance
    level: Array = (k + observed[1] / fits[1].phi) / (k + means[1] / fits[1].phi)
    return level


def share_correlation(observed: Array, share: Array, mentions: Array, phi: Array, length: int) -> Array:
    """How alike the posts of one window are (intra-class correlation of being negative), from the last 28 days."""
    binomial = share * (1 - share) * np.maximum(mentions, 0.0) * phi
    extra = binomial * np.maximum(mentions / phi - 1.0, 0.0)
    correlation = np.full_like(share, ALIKE)
    for _ in range(2):
        variance = binomial + correlation * extra
        weight = 1.0 / np.maximum(binomial + ALIKE * extra, 0.1) ** 2
        square = cut(observed - share * mentions, variance) ** 2
        information = trailing(weight * extra**2, HISTORY, RECENT) / length + SURE_OF_ALIKE
        excess = trailing(weight * extra * (square - binomial), HISTORY, RECENT) / length + SURE_OF_ALIKE * ALIKE
        correlation = np.clip(excess / information, 0.004, 0.3)
    return correlation
