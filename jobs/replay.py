"""Replay: what the rules on counts would have told of a brand's past, at any threshold. Nothing is written.

Every day is looked at with what was known when it began, as the watch job does. What another alert explains is left
out, as nobody is told of it (jobs/hold.py).
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.records import Alert
from db.store import Store
from db.times import FIVE_MINUTES, floor
from db.voices import ALL
from jobs.past import LONGEST_REPLAY, Detector, Wanted, look
from jobs.raise_alert import NEGATIVE, VOLUME, severity_of
from jobs.reading import Reading
from jobs.series import WHOLE, Array, tally
from models import spikes, volume
from models.backtest import whole_of
from models.episodes import SAME_STORY, Episode, Finding, episodes

DAY = timedelta(days=1)
STORIES = 7 * DAY  # before the time that is asked about: what goes on then is seen from its beginning
RIVALS = 14 * DAY  # before it, for rules that look at the days before
SETTLING = timedelta(hours=48)  # of history, before anything is told
SAME_STORIES = {NEGATIVE: spikes.SAME_STORY, VOLUME: SAME_STORY}


@dataclass(frozen=True, slots=True)
class Told:
    """An alert that would have been raised and told."""

    rule: str
    scope: str  # the slice that it is about; "" is all of the brand
    story: Episode

    @property
    def at(self) -> datetime:
        """When it would have been told first."""
        return self.story.notify[0].at

    @property
    def severity(self) -> str:
        """How severe it was at its peak."""
        return severity_of(self.rule, self.story.peak.score)

    def is_told_by(self, alert: Alert) -> bool:
        """Whether an alert that was really raised tells the same."""
        return (
            (alert.rule, alert.scope) == (self.rule, self.scope)
            and alert.starts <= self.story.last_seen
            and (alert.ends is None or alert.ends >= self.story.starts)
        )


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was found of a brand up to a time, not held against a threshold yet."""

    since: datetime
    until: datetime
    first: datetime  # its first post, of the last 400 days
    findings: Mapping[str, Mapping[str, Sequence[Finding]]]  # by rule and series, in order of time
    start: datetime
    negatives: Array  # of all of the brand, by five minutes from `start` on
    others: Array

    def told(self, rule: str, thresholds: Mapping[str, float]) -> list[Told]:
        """What one rule would have told first in the span, at these thresholds (one for each rule)."""
        found = [
            Told(rule, series, story)
            for series in self.findings[rule]
            for story in self._stories(rule, series, self.until, thresholds)
            if story.notify[0].at > self.since
        ]
        kept = [one for one in found if not self._explained(one, thresholds)]
        return sorted(kept, key=lambda one: (one.at, one.scope))

    def _explained(self, told: Told, thresholds: Mapping[str, float]) -> bool:
        """Whether all of the brand had a negative spike at the same time, as far as was known then: it tells this."""
        if (told.rule, told.scope) == (NEGATIVE, WHOLE):
            return False
        return whole_of(told.story, self._stories(NEGATIVE, WHOLE, told.at, thresholds)) is not None

    def _stories(self, rule: str, series: str, until: datetime, thresholds: Mapping[str, float]) -> Sequence[Episode]:
        findings = self.findings[rule].get(series, ())
        known = findings[: bisect_right(findings, until, key=lambda finding: finding.at)]
        # Who asks of many slices whether one stands out asks as many times.
        asked = 1 if series == WHOLE else max(len(self.findings[rule]) - 1, 1)
        return episodes(known, until, thresholds[rule] + math.log10(asked), same_story=SAME_STORIES[rule])


def replay(
    store: Store, brand: str, since: datetime, until: datetime, read: Callable[[datetime], Reading], minimum: int
) -> Replayed | None:
    """Replay a brand's posts until a time; None where there are none. All before `since` is learnt from.

    `read` says how far was read from a time on; `minimum` is that of negative spikes.
    """
    first = store.voices.first(brand, since - LONGEST_REPLAY)
    if first is None or first >= until:
        return None
    change = store.buckets.unwatched(until).get(brand)
    begin = max(min(since - STORIES, change.since if change else since), since - LONGEST_REPLAY)
    detectors = (Detector(NEGATIVE, spikes, minimum), Detector(VOLUME, volume, volume.MINIMUM))
    findings = {}
    for each in detectors:
        wanted = Wanted(brand, begin, until, with_slices=each.name == NEGATIVE)
        findings[each.name] = look(store, each, [wanted], read)[brand].findings
    start = floor(max(first, since - RIVALS), DAY)
    steps = (until - start) // FIVE_MINUTES
    negatives, others = tally(store.voices.of(brand, start, until, (ALL,)), [WHOLE], start, steps)
    return Replayed(since, until, first, findings, start, negatives[0], others[0])
