"""What the two keys could do if the truth behind a brand were known: a ceiling for detectors that are built on them.

The oracle knows what was expected without noise, events and bursts, how posts cluster, and how volume and share stray.
It does not know the noise itself, just as nobody could.
"""

import numpy as np

from benchmarks.brands import Array, Brand
from models.rivals import MINIMUM, trailing

WINDOWS = (3, 12, 36)  # steps, as in the product


def oracle_scores(brand: Brand) -> Array:
    """Return the largest over the windows of min(-log10 p1, 1.5 * -log10 p2) after each step."""
    return np.max([_scores(brand, length) for length in WINDOWS], axis=0)


def _scores(brand: Brand, length: int) -> Array:
    stream, truth = brand.stream, brand.truth
    phi = truth.cluster + (truth.cluster - 1.0) / truth.cluster  # one post's cluster, as posts have it on average
    bad, rest = trailing(stream.negatives.astype(float), length), trailing(stream.others.astype(float), length)
    usual_bad, usual_rest = trailing(truth.negatives, length), trailing(truth.others, length)
    share = usual_bad / (usual_bad + usual_rest)
    # How far all talk is up or down, as the others tell it, and how unsure that stays.
    sureness = 1.0 / np.expm1(truth.volume.variance_of_mean(length))
    level = (sureness + rest / phi) / (sureness + usual_rest / phi)
    unsure = 1.0 / (sureness + usual_rest / phi)
    mood = truth.mood.variance_of_mean(length)
    expected = usual_bad * level
    variance = phi * expected + (unsure + (1.0 - share) ** 2 * mood) * expected**2
    ask = (bad >= MINIMUM) & (bad > expected)
    count = _count_tail(bad[ask], expected[ask], variance[ask])
    part = _share_tail(bad[ask] / phi, (bad + rest)[ask] / phi, share[ask], (share * (1.0 - share) * mood)[ask])
    score = np.zeros_like(bad)
    score[ask] = np.minimum(-np.log10(count), -1.5 * np.log10(part))
    return score


def _count_tail(observed: Array, mean: Array, variance: Array) -> Array:
    """The mid-p upper tail of a negative binomial."""
    from scipy.special import betainc

    size, chance = mean**2 / np.maximum(variance - mean, 0.01 * mean), 1.0 - mean / np.maximum(variance, 1.01 * mean)
    tail = (betainc(observed, size, chance) + betainc(observed + 1.0, size, chance)) / 2.0
    return np.maximum(np.asarray(tail), 1e-300)


def _share_tail(observed: Array, mentions: Array, share: Array, alike: Array) -> Array:
    """The mid-p upper tail of a beta-binomial: a binomial of the counts that are worth as much."""
    from scipy.special import betainc

    worth = 1.0 / (1.0 + np.maximum(mentions - 1.0, 0.0) * alike)
    bad, rest = observed * worth, (mentions - observed) * worth
    tail = (betainc(bad, rest + 1.0, share) + betainc(bad + 1.0, np.maximum(rest, 1e-9), share)) / 2.0
    return np.maximum(np.asarray(tail), 1e-300)
