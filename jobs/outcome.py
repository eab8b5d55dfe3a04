"""What every job gives back."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run did. `error` is one line for somebody to act on; a `note`, as of a rate limit, mends itself."""

    counts: Mapping[str, int]
    error: str | None = None
    note: str | None = None
