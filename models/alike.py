"""Which posts say nearly the same: copy-paste campaigns, shared texts, the same post on two platforms.

MinHash over runs of three words (Broder 1997), in bands: posts that share a band are compared by the Jaccard index of
these runs.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from models.tokens import tokens

if TYPE_CHECKING:
    from datasketch import MinHash

RUN = 3  # words
FEWEST = 6  # words: "thank you so much" is said by many who never met
BANDS, ROWS = 16, 4  # two texts with a Jaccard index of 0.7 share a band with a chance of 99 %
ENOUGH = 0.7  # Jaccard index of a copy: one word in twenty may differ

_PASSING = re.compile(r"(?:https?://|www\.)\S+|(?<!\w)@[\w.-]+|^RT\s+@\w+:?", re.IGNORECASE)


def runs_of(text: str) -> frozenset[str]:
    """Return the runs of words of a text, less links and handles; nothing where it is too short to tell."""
    words = tokens(_PASSING.sub(" ", text))
    if len(words) < FEWEST:
        return frozenset()
    return frozenset(" ".join(words[at : at + RUN]) for at in range(len(words) - RUN + 1))


@lru_cache(maxsize=1)
def _blank() -> "MinHash":
    from datasketch import MinHash

    return MinHash(num_perm=BANDS * ROWS, seed=1)


def bands_of(runs: frozenset[str]) -> Sequence[int]:
    """Return a hash for each band: 64 bits, signed, as a database keeps them."""
    sketch = _blank().copy()  # making one anew takes longer than all else
    sketch.update_batch([run.encode() for run in runs])
    rows = sketch.hashvalues.reshape(BANDS, ROWS).astype(np.uint64)
    mixed = np.zeros(BANDS, dtype=np.uint64)
    for column in rows.T:
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + column
    return [int(value) for value in mixed.astype(np.int64)]


def are_alike(left: frozenset[str], right: frozenset[str]) -> bool:
    """Say whether two texts share enough of their runs."""
    return bool(left) and len(left & right) >= ENOUGH * len(left | right)
