"""How far platforms were read, hour by hour, as far as detection must know: what was not read was not silent."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from db.coverage import COMPLETE, HOUR, MISSING
from db.store import Store
from db.times import floor


@dataclass(frozen=True, slots=True)
class Reading:
    """Hours (their starts) of each platform of which nothing, not all, or all was read.

    What no run has told of is in none of them: platforms that bring posts by themselves, and what was before the first
    reading.
    """

    missing: Mapping[str, Collection[datetime]] = field(default_factory=dict)
    partial: Mapping[str, Collection[datetime]] = field(default_factory=dict)
    complete: Mapping[str, Collection[datetime]] = field(default_factory=dict)

    def remark(self, since: datetime, until: datetime) -> str | None:
        """Say what was not read of a span, or None."""
        told = []
        for platform in sorted(self.missing.keys() | self.partial.keys()):
            for hours, what in ((self.missing, "not read"), (self.partial, "not wholly read")):
                touched = [hour for hour in hours.get(platform, ()) if hour < until and hour + HOUR > since]
                if touched:
                    told.append(f"{platform} {what} for {len(touched)} h")
        return "; ".join(told) or None


def reading(store: Store, platforms: Mapping[str, str], since: datetime, now: datetime) -> Reading:
    """Look up the hours from `since` to now. `platforms` names the platform of each source.

    Where several sources read one platform, an hour is missing only where it is missing on all of them, and complete
    only where it is complete on all of them.
    """
    states: dict[str, dict[datetime, set[str]]] = defaultdict(lambda: defaultdict(set))
    for source, platform in platforms.items():
        for hour in store.sources.hours(source, floor(since, HOUR), now, now):
            states[platform][hour.start].add(hour.state)

    def where(state: Callable[[set[str]], bool]) -> Mapping[str, Collection[datetime]]:
        return {platform: {hour for hour, found in hours.items() if state(found)} for platform, hours in states.items()}

    return Reading(
        missing=where(lambda found: found == {MISSING}),
        partial=where(lambda found: found not in ({MISSING}, {COMPLETE})),
        complete=where(lambda found: found == {COMPLETE}),
    )
