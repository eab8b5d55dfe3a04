"""What the watch job looks for, and how closely."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from db.records import RULES

if TYPE_CHECKING:
    from models.urgent import Urgent


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """At which score (-log10 of the chance) and from how many negatives on a spike is told."""

    threshold: float = 4.0
    minimum: int = 5


@dataclass(frozen=True, slots=True)
class Watching:
    """`names` are the rules that are looked for, of db.records.RULES; `competitors` the brands not answered for."""

    names: Sequence[str] = RULES
    competitors: Sequence[str] = ()
    sensitivity: Sensitivity = Sensitivity()
    of_brand: Mapping[str, Sensitivity] = field(default_factory=dict)  # where a brand has its own
    stale_after: timedelta = timedelta(hours=1)  # a source that was not read for so long, and three times its turn
    every: Mapping[str, timedelta] = field(default_factory=dict)  # source -> how often it is read
    platforms: Mapping[str, str] = field(default_factory=dict)  # source -> what its posts have as theirs
    urgent: "Urgent | None" = None  # what makes a single post matter; None is what sentimon comes with

    def sensitivity_to(self, brand: str) -> Sensitivity:
        """Return how closely a brand is watched."""
        return self.of_brand.get(brand, self.sensitivity)
