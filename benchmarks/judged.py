"""How alerts are counted against what was put into a brand's counts.

A burst is found by an alert inside it or in the half hour after. An alert is false outside every burst and the three
hours after, unless it lies in or within three hours after an event that only brought more talk: those are counted
apart. The first weeks are not scored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from benchmarks.brands import DAY, HOUR, LEARNING, WEEK, Burst, Counts, Event, Stream

STEP_MINUTES = 5
FOUND_UNTIL = HOUR // 2  # after a burst
CAUSED_UNTIL = 3 * HOUR  # after a burst or an event


@dataclass(frozen=True, slots=True)
class Outcome:
    """One burst, and how long after its start it was told: None where it was not found."""

    rate: float
    burst: Burst
    minutes: int | None
    crowded: bool  # another burst began less than a day before


@dataclass(frozen=True, slots=True)
class Judged:
    """What one detector made of one series."""

    rate: float  # mentions an hour
    weeks: float  # scored
    false: int
    events: int
    events_alarmed: int
    outcomes: tuple[Outcome, ...]


def judge(alerts: Counts, stream: Stream) -> Judged:
    """Hold the steps after which alerts went out against what was put into a series."""
    first, bursts, events = LEARNING * WEEK, stream.bursts, stream.events
    told = [int(step) for step in alerts if step >= first]
    late_events = [event for event in events if event.start >= first]
    outcomes = []
    for burst in bursts:
        if burst.start < first:
            continue
        hits = [step for step in told if burst.start <= step < burst.end + FOUND_UNTIL]
        minutes = (hits[0] - burst.start + 1) * STEP_MINUTES if hits else None
        crowded = any(burst.start - DAY < other.start < burst.start for other in bursts)
        outcomes.append(Outcome(stream.rate, burst, minutes, crowded))
    false = [step for step in told if not _caused(step, bursts) and not _caused(step, events)]
    alarmed = [event for event in late_events if any(_caused(step, [event]) for step in told)]
    weeks = (len(stream.negatives) - first) / WEEK
    return Judged(stream.rate, weeks, len(false), len(late_events), len(alarmed), tuple(outcomes))


def _caused(step: int, causes: Iterable[Burst | Event]) -> bool:
    return any(cause.start <= step < cause.end + CAUSED_UNTIL for cause in causes)


@dataclass(frozen=True, slots=True)
class Part:
    """A share of a number, with its standard error: that of one more and one fewer, so that 0 of 9 is not certain."""

    of: int
    number: int

    @property
    def value(self) -> float:
        """The share, NaN of nothing."""
        return self.of / self.number if self.number else float("nan")

    def __str__(self) -> str:
        """Write it as a percentage, its standard error and what it is of."""
        if not self.number:
            return "none"
        likely = (self.of + 1) / (self.number + 2)
        error = sqrt(likely * (1.0 - likely) / (self.number + 2))
        return f"{self.value:.1%} ± {error:.1%} of {self.number}"


@dataclass(frozen=True, slots=True)
class Total:
    """What one detector made of many series."""

    judged: tuple[Judged, ...]

    @property
    def weeks(self) -> float:
        """Brand-weeks that were scored."""
        return sum(one.weeks for one in self.judged)

    @property
    def false(self) -> int:
        """How many alerts were false."""
        return sum(one.false for one in self.judged)

    @property
    def false_a_week(self) -> float:
        """False alarms a brand-week."""
        return self.false / self.weeks

    @property
    def false_error(self) -> float:
        """Its standard error, as if alarms came one by one."""
        return sqrt(max(self.false, 1)) / self.weeks

    @property
    def outcomes(self) -> list[Outcome]:
        """All bursts."""
        return [outcome for one in self.judged for outcome in one.outcomes]

    @property
    def found(self) -> Part:
        """How many of all bursts were found."""
        return found(self.outcomes)

    @property
    def events(self) -> Part:
        """How many of the events that only brought more talk raised an alert."""
        return Part(sum(one.events_alarmed for one in self.judged), sum(one.events for one in self.judged))

    @property
    def delay(self) -> float:
        """The median minutes from the start of a burst to its alert, NaN where none was found."""
        minutes = [outcome.minutes for outcome in self.outcomes if outcome.minutes is not None]
        return float(np.median(minutes)) if minutes else float("nan")

    @property
    def rates(self) -> list[float]:
        """The rates of the series, each once."""
        return sorted({one.rate for one in self.judged})

    def at(self, rate: float) -> "Total":
        """Return what it made of the series of one rate."""
        return Total(tuple(one for one in self.judged if one.rate == rate))


def found(outcomes: Sequence[Outcome]) -> Part:
    """Return how many of these bursts were found."""
    return Part(sum(outcome.minutes is not None for outcome in outcomes), len(outcomes))
