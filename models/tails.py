"""How unlikely a count and a share are: exact tails, for small numbers too. scipy is imported when it is needed."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEAST = 1e-300


def count_tail(observed: Array, mean: Array, variance: Array) -> Array:
    """Mid-p upper tail of a negative binomial: P(more) + P(as many) / 2. `observed` is above 0."""
    from scipy.special import betainc, betaln, xlog1py

    size, chance = _negative_binomial(mean, variance)
    as_many = np.exp(observed * np.log(chance) + xlog1py(size, -chance) - betaln(observed, size)) / observed
    return _mid(betainc(observed, size, chance), as_many)


def share_tail(observed: Array, mentions: Array, share: Array, phi: Array, alike: Array) -> Array:
    """Mid-p upper tail of a binomial with the effective counts of a beta-binomial with that correlation.

    `share` is above 0 and below 1.
    """
    from scipy.special import betainc, betaln, xlog1py

    worth = 1.0 / (phi * (1.0 + np.maximum(mentions / phi - 1.0, 0.0) * alike))
    bad, rest = observed * worth, (mentions - observed) * worth
    as_many = np.exp(bad * np.log(share) + xlog1py(rest, -share) - betaln(bad, rest + 1.0)) / bad
    return _mid(betainc(bad, rest + 1.0, share), as_many)


def interval(mean: Array, variance: Array) -> tuple[Array, Array]:
    """Between which counts 95 % of such windows lie: the least counts that 2.5 % and 97.5 % do not exceed."""
    from scipy.special import nbdtrik

    size, chance = _negative_binomial(np.maximum(mean, 1e-9), variance)
    low, high = (np.ceil(np.nan_to_num(np.maximum(nbdtrik(p, size, 1.0 - chance), 0.0))) for p in (0.025, 0.975))
    return low, high


def _mid(tail: Array, as_many: Array) -> Array:
    """P(as many or more) less half of P(as many): one incomplete beta function instead of two."""
    return np.maximum(np.asarray(tail - as_many / 2.0, dtype=np.float64), LEAST)


def _negative_binomial(mean: Array, variance: Array) -> tuple[Array, Array]:
    """Size, and the chance of one more, of the negative binomial with these moments: at least a little over Poisson."""
    variance = np.maximum(variance, 1.02 * mean)
    return mean**2 / (variance - mean), 1.0 - mean / variance
