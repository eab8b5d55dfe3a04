"""What the answers are made of: counts, shares and net sentiment, each with its n and how far it may be off."""

from dataclasses import dataclass
from datetime import datetime

from db.desk import Labels
from db.filters import Filter
from models.intervals import CLUSTERS, Z95, apart, difference, net, wilson


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number from `n` posts, and between what it lies in 95 of 100 cases (docs/trends.md says how)."""

    value: float
    low: float
    high: float
    n: int

    @property
    def certain(self) -> bool:
        """Whether 0 lies outside: of a difference, that it is more than chance."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Compared:
    """Counts of a span, of the one it is compared with (None: with none), and how net sentiment changed."""

    counts: Labels
    net: Estimate | None  # None where nothing was rated
    before: Labels | None = None
    net_before: Estimate | None = None
    change: Estimate | None = None  # of net sentiment; its n is the smaller one of the two

    @property
    def growth(self) -> float | None:
        """Mentions more than before, as a part of those before; None where there were none."""
        return self.counts.mentions / self.before.mentions - 1 if self.before and self.before.mentions else None


@dataclass(frozen=True, slots=True)
class Row:
    """One part of the whole: a stage, pillar, touchpoint, source or brand.

    `share` is its part of all rated posts, `link` opens its posts.
    """

    kind: str  # "stage", "pillar", "touchpoint", "source", "brand", "reply"
    name: str
    compared: Compared
    share: Estimate | None
    link: Filter


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a timeline; `read` is the part of its hours that was read wholly, None where that is not known."""

    start: datetime
    end: datetime
    counts: Labels
    net: Estimate | None
    read: float | None
    link: Filter


@dataclass(frozen=True, slots=True)
class Gap:
    """Hours in a row that were not read wholly, and on which sources."""

    start: datetime
    end: datetime
    sources: tuple[str, ...]
    missing: bool  # nothing at all was read of them on these sources


@dataclass(frozen=True, slots=True)
class Read:
    """How far a span was read: hours of each source, added up; `share` is None where no source was ever read."""

    hours: int
    complete: int
    partial: int
    missing: int
    share: float | None
    gaps: tuple[Gap, ...] = ()


def net_of(counts: Labels, z: float = Z95) -> Estimate | None:
    """Return net sentiment, (positive - negative) / (positive + negative + neutral)."""
    if not counts.rated:
        return None
    value, low, high = net(counts.negative / CLUSTERS, counts.neutral / CLUSTERS, counts.positive / CLUSTERS, z)
    return Estimate(value, low, high, counts.rated)


def share_of(count: int, of: int) -> Estimate | None:
    """Return a share of `of` posts."""
    if not of:
        return None
    return Estimate(count / of, *wilson(count / CLUSTERS, of / CLUSTERS), of)


def share_change(count: int, of: int, before: int, of_before: int) -> Estimate | None:
    """Return how much a share has changed."""
    if not of or not of_before:
        return None
    found = difference(count / CLUSTERS, of / CLUSTERS, before / CLUSTERS, of_before / CLUSTERS)
    return Estimate(*found, min(of, of_before))


def change_of(now: Labels, before: Labels, z: float = Z95) -> Estimate | None:
    """Return how much net sentiment has changed."""
    one, other = net_of(now, z), net_of(before, z)
    if one is None or other is None:
        return None
    found = apart((one.value, one.low, one.high), (other.value, other.low, other.high))
    return Estimate(*found, min(one.n, other.n))


def compared(now: Labels, before: Labels | None) -> Compared:
    """Put a span beside the one before."""
    if before is None:
        return Compared(now, net_of(now))
    return Compared(now, net_of(now), before, net_of(before), change_of(now, before))
