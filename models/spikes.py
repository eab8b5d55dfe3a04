"""Negative spikes of one brand: more negatives than its own past and the volume of its other mentions explain.

Every five minutes, over the last 15 minutes, hour and three hours, two keys must turn:

1. so many negatives are unlikely, given what is usual at this time of day and how many other mentions came in the
   same window (upper tail of a negative binomial);
2. so large a share of negatives is unlikely (upper tail of a binomial, the counts cut to what they are worth when
   the posts of one window resemble each other).

The score is the largest over the windows of min(-log10 p1, 1.5 * -log10 p2). Where most mentions are negative anyway
the share cannot tell anything, and key 1 stands alone. At a score of 4, expect one false alarm in seven to
twenty weeks of a brand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from models.baseline import (
    DAY,
    HISTORY,
    RECENT,
    TYPICAL_WEIGHT,
    Array,
    baselines,
    dispersion,
    share_correlation,
    shared_level,
    trailing,
)
from models.episodes import CALM_SCORE, Episode, Finding, episodes

__all__ = ["STEP", "Episode", "Finding", "Series", "find_spikes"]

STEP = timedelta(minutes=5)
WINDOWS = (3, 12, 36)  # steps
SETTLING = 2 * DAY  # no alert while there is no past to compare with
COMPLAINTS = 0.6  # usual share of negatives above which it says nothing


@dataclass(frozen=True, slots=True)
class Series:
    """Five-minute counts of one brand by time of posting."""

    start: datetime  # aware, aligned to five minutes
    negatives: Sequence[int] | NDArray[np.int64]
    others: Sequence[int] | NDArray[np.int64]  # all other rated mentions


@dataclass(frozen=True, slots=True)
class _Window:
    """One window length at every step."""

    length: int
    observed: Array
    expected: Array
    mentions: Array
    usual_share: Array
    score: Array


def find_spikes(series: Series, since: datetime, threshold: float = 4.0, minimum: int = 5) -> list[Episode]:
    """The episodes that are open at or after `since`. It never looks ahead: a longer series has the same past."""
    until = series.start + STEP * len(series.negatives)
    found = episodes(_findings(series, minimum), until, threshold)
    return [episode for episode in found if episode.ends is None or episode.ends >= since]


def _findings(series: Series, minimum: int) -> Iterator[Finding]:
    """The steps that are not calm."""
    negatives = np.asarray(series.negatives, dtype=np.float64)
    others = np.asarray(series.others, dtype=np.float64)
    mentioned = np.flatnonzero(negatives + others)
    if not mentioned.size or len(negatives) - mentioned[0] <= SETTLING:
        return
    first = int(mentioned[0])  # before the first mention the brand was not watched: that is no history
    windows = _windows(negatives[first:], others[first:], minimum)
    scores = np.stack([window.score for window in windows])
    best = scores.argmax(axis=0)
    for step in np.flatnonzero(scores.max(axis=0) >= CALM_SCORE):
        window = windows[best[step]]
        observed, expected, mentions = window.observed[step], window.expected[step], window.mentions[step]
        yield Finding(
            at=series.start + STEP * (first + int(step) + 1),
            window=STEP * window.length,
            observed=round(observed),
            expected=float(expected),
            factor=float(observed / expected),
            mentions=round(mentions),
            share=float(observed / mentions),
            usual_share=float(window.usual_share[step]),
            score=float(window.score[step]),
        )


def _windows(negatives: Array, others: Array, minimum: int) -> list[_Window]:
    bad, good = baselines(negatives, others)
    # An expectation that rests on few posts is itself uncertain.
    alphas = tuple(0.06 + 1.0 / (10.0 + base.events) for base in (bad, good))
    doubt = 1.0 / (TYPICAL_WEIGHT + trailing(negatives + others, HISTORY, RECENT))  # the same for the usual share
    result = []
    for length in WINDOWS:
        observed = (trailing(negatives, length), trailing(others, length))
        means = (trailing(bad.mean, length), trailing(good.mean, length))
        fits = (
            dispersion(observed[0], means[0], length, alphas[0]),
            dispersion(observed[1], means[1], length, alphas[1]),
        )
        expected = means[0] * shared_level(observed, means, length, fits)
        spread = dispersion(observed[0], expected, length, alphas[0])
        mentions = observed[0] + observed[1]
        share = means[0] / (means[0] + means[1])
        alike = doubt + share_correlation(observed[0], share, mentions, spread.phi, length)
        ask = (observed[0] >= minimum) & (observed[0] > expected)
        ask[:SETTLING] = False
        count = _count_tail(observed[0][ask], expected[ask], spread.variance(expected)[ask])
        part = _share_tail(observed[0][ask], mentions[ask], share[ask], spread.phi[ask], alike[ask])
        both = share[ask] <= COMPLAINTS
        score = np.zeros_like(share)
        score[ask] = np.where(both, np.minimum(-np.log10(count), -1.5 * np.log10(part)), -np.log10(count))
        result.append(_Window(length, observed[0], expected, mentions, share, score))
    return result


def _count_tail(observed: Array, mean: Array, variance: Array) -> Array:
    """Mid-p upper tail of a negative binomial."""
    from scipy.special import betainc

    variance = np.maximum(variance, 1.02 * mean)
    size, chance = mean**2 / (variance - mean), 1.0 - mean / variance
    tail = (betainc(observed, size, chance) + betainc(observed + 1, size, chance)) / 2
    return np.maximum(np.asarray(tail, dtype=np.float64), 1e-300)


def _share_tail(observed: Array, mentions: Array, share: Array, phi: Array, alike: Array) -> Array:
    """Mid-p upper tail of a binomial with the effective counts of a beta-binomial with that correlation."""
    from scipy.special import betainc

    worth = 1.0 / (phi * (1.0 + np.maximum(mentions / phi - 1.0, 0.0) * alike))
    bad, rest = observed * worth, (mentions - observed) * worth
    tail = (betainc(bad, rest + 1.0, share) + betainc(bad + 1.0, np.maximum(rest, 1e-9), share)) / 2
    return np.maximum(np.asarray(tail, dtype=np.float64), 1e-300)
