"""How well people are cared for: how long they wait, what becomes of their posts, and what they say of our answers."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, takewhile

from db.care import Answered, Outcome
from db.desk import Survey
from db.store import Store
from db.surveys import Tally
from jobs.desk.hours import Hours
from models.intervals import wilson

FEW = 20  # below it, a median says little
SLOWEST = 5
COMMENTS = 5
GOOD = {"csat": 4, "ces": 5}  # from which score on an answer counts as satisfied, or as easy


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took: the middle one of `n`, and the one that 90 of 100 stay below. None without any."""

    n: int
    median: timedelta | None = None
    high: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """The share, None of nothing."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Between what the share lies with 95 % confidence, by Wilson."""
        return wilson(self.count, self.of)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of the posts that needed an answer; they add up to `all`. `overdue` are among the open ones."""

    answered: int = 0
    dismissed: int = 0
    open: int = 0
    overdue: int = 0
    reasons: Mapping[str, int] | None = None  # of dismissals

    @property
    def all(self) -> int:
        """Every post that had a case."""
        return self.answered + self.dismissed + self.open


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of all posts, or of those of a source, a brand, or a person's answers."""

    name: str
    first: Spread  # from the post to our first reply
    business: Spread  # the same in business hours
    within: Share  # of the replies to posts with a target: in time
    outcomes: Outcomes


@dataclass(frozen=True, slots=True)
class Felt:
    """What people of one source said: `good` are those satisfied, or those who found it easy."""

    tally: Tally
    mean: float | None
    good: Share


@dataclass(frozen=True, slots=True)
class Care:
    """Everything that the page shows. Times of replies are by time of reply, outcomes by time of posting."""

    since: datetime
    until: datetime
    every: Group
    triage: Spread  # from the case to the first time that somebody did something about it
    untouched: int  # cases about which nobody has done anything yet
    lag: Spread  # from the post to its case
    by_source: Sequence[Group]
    by_brand: Sequence[Group]
    by_person: Sequence[Group]
    slowest: Sequence[Answered]
    felt: Sequence[Felt]
    comments: Sequence[tuple[Survey, int]]


def care(
    store: Store,
    brands: Sequence[str],
    sources: Sequence[str],
    since: datetime,
    until: datetime,
    now: datetime,
    hours: Hours,
) -> Care:
    """Work out the figures of a span. `brands` are those that may be seen, none for all; so with sources."""
    # In order of how long they waited: what is sorted already is sorted anew in no time, group by group.
    answered = sorted(store.care.answered(brands, sources, since, until), key=lambda case: case.replied - case.posted)
    outcomes = store.care.outcomes(brands, sources, since, until, now)
    waits = store.care.waits(brands, sources, since, until)
    clock = _Business(hours, min((case.posted for case in answered), default=until), until)
    business = {case.case_id: clock.between(case.posted, case.replied) for case in answered}

    def group(name: str, replies: Sequence[Answered], became: Sequence[Outcome]) -> Group:
        timed = [case.replied <= case.due for case in replies if case.due is not None]
        return Group(
            name,
            spread(case.replied - case.posted for case in replies),
            spread(business[case.case_id] for case in replies),
            Share(sum(timed), len(timed)),
            _outcomes(became),
        )

    both: list[Answered | Outcome] = [*answered, *outcomes]
    return Care(
        since,
        until,
        group("", answered, outcomes),
        spread(timedelta(seconds=triage) for _, triage in waits if triage is not None),
        sum(outcome.untouched for outcome in outcomes),
        spread(timedelta(seconds=max(lag, 0)) for lag, _ in waits),
        [
            group(name, [c for c in answered if c.source == name], [o for o in outcomes if o.source == name])
            for name in sorted({case.source for case in both})
        ],
        [
            group(name, [c for c in answered if c.brand == name], [o for o in outcomes if o.brand == name])
            for name in sorted({case.brand for case in both})
        ],
        [
            group(name, [case for case in answered if case.by == name], [])
            for name in sorted({case.by for case in answered if case.by})
        ],
        answered[: -SLOWEST - 1 : -1],
        [felt(tally) for tally in store.surveys.tallies(brands, sources, since, until)],
        store.surveys.comments(brands, sources, since, until, COMMENTS),
    )


class _Business:
    """Business time between moments, as `jobs.desk.hours.working` has it, for thousands of them."""

    def __init__(self, hours: Hours, since: datetime, until: datetime) -> None:
        self._spans = list(takewhile(lambda span: span[0] < until, hours.spans(since)))
        self._opens = [opens for opens, _ in self._spans]
        self._before = list(accumulate((closes - opens for opens, closes in self._spans), initial=timedelta(0)))

    def between(self, since: datetime, until: datetime) -> timedelta:
        """Return how much of it lies between two moments, none where the second is not later."""
        return max(self._until(until) - self._until(since), timedelta(0))

    def _until(self, time: datetime) -> timedelta:
        place = bisect_right(self._opens, time) - 1
        if place < 0:
            return timedelta(0)
        opens, closes = self._spans[place]
        return self._before[place] + min(time, closes) - opens


def spread(found: Iterable[timedelta]) -> Spread:
    """Return median and 90th percentile, between two values in proportion."""
    ordered = sorted(found)
    if not ordered:
        return Spread(0)
    return Spread(len(ordered), _quantile(ordered, 0.5), _quantile(ordered, 0.9))


def felt(tally: Tally) -> Felt:
    """Work out what answers to a survey come to."""
    n = tally.answered
    good = sum(count for score, count in tally.scores if score >= GOOD[tally.kind])
    mean = sum(score * count for score, count in tally.scores) / n if n else None
    return Felt(tally, mean, Share(good, n))


def _quantile(ordered: Sequence[timedelta], share: float) -> timedelta:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _outcomes(found: Sequence[Outcome]) -> Outcomes:
    counts, reasons, overdue = Counter[str](), Counter[str](), 0
    for outcome in found:
        counts[outcome.what] += outcome.cases
        if outcome.reason:
            reasons[outcome.reason] += outcome.cases
        elif outcome.what == "open":
            overdue += outcome.overdue
    dismissed = dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])))
    return Outcomes(counts["answered"], counts["dismissed"], counts["open"], overdue, dismissed)
