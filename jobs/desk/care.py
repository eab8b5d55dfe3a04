"""How well people are cared for: how long they wait, what becomes of their posts, and what they say of our answers."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, takewhile
from typing import NamedTuple, TypeVar

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

Case = TypeVar("Case")


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
class Waited:
    """Somebody who waited long for an answer."""

    case_id: int
    brand: str
    source: str
    posted: datetime
    replied: datetime


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
    slowest: Sequence[Waited]
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
    answered = _timed(store.care.answered(brands, sources, since, until), hours, until)
    outcomes = store.care.outcomes(brands, sources, since, until, now)
    waits = store.care.waits(brands, sources, since, until)

    def group(name: str, replies: Sequence[_Timed], became: Sequence[Outcome]) -> Group:
        timed = [reply.case.in_time for reply in replies if reply.case.in_time is not None]
        return Group(
            name,
            spread(reply.wait for reply in replies),
            spread(reply.business for reply in replies),
            Share(sum(timed), len(timed)),
            _outcomes(became),
        )

    def each(replies: Mapping[str, Sequence[_Timed]], became: Mapping[str, Sequence[Outcome]]) -> list[Group]:
        return [group(name, replies.get(name, ()), became.get(name, ())) for name in sorted({*replies, *became})]

    return Care(
        since,
        until,
        group("", answered, outcomes),
        spread(triage for _, triage in waits if triage is not None),
        sum(outcome.untouched for outcome in outcomes),
        spread(max(lag, 0.0) for lag, _ in waits),
        each(_by(answered, lambda reply: reply.case.source), _by(outcomes, lambda outcome: outcome.source)),
        each(_by(answered, lambda reply: reply.case.brand), _by(outcomes, lambda outcome: outcome.brand)),
        each(_by(answered, lambda reply: reply.case.by), {}),
        [
            Waited(case.case_id, case.brand, case.source, _at(case.posted), _at(case.replied))
            for case, *_ in sorted(answered, key=lambda reply: -reply.wait)[:SLOWEST]
        ],
        [felt(tally) for tally in store.surveys.tallies(brands, sources, since, until)],
        store.surveys.comments(brands, sources, since, until, COMMENTS),
    )


def _by(found: Iterable[Case], name: Callable[[Case], str | None]) -> dict[str, list[Case]]:
    """Put together what has one name; what has none is left out."""
    groups: dict[str, list[Case]] = {}
    for one in found:
        if named := name(one):
            groups.setdefault(named, []).append(one)
    return groups


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class _Timed(NamedTuple):
    """A case that was answered; seconds from the post to the reply, in all and of business time."""

    case: Answered
    wait: float
    business: float


def _timed(cases: Sequence[Answered], hours: Hours, until: datetime) -> list[_Timed]:
    """Time thousands of cases: as `jobs.desk.hours.working` does, with the spans of business time worked out once."""
    first = _at(min((case.posted for case in cases), default=until.timestamp()))
    spans = list(takewhile(lambda span: span[0] < until, hours.spans(first)))
    opens = [begins.timestamp() for begins, _ in spans]
    lengths = [(ends - begins).total_seconds() for begins, ends in spans]
    before = list(accumulate(lengths, initial=0.0))

    def up_to(time: float) -> float:
        place = bisect_right(opens, time) - 1
        return before[place] + min(time - opens[place], lengths[place]) if place >= 0 else 0.0

    return [
        _Timed(case, case.replied - case.posted, max(up_to(case.replied) - up_to(case.posted), 0.0)) for case in cases
    ]


def spread(seconds: Iterable[float]) -> Spread:
    """Return median and 90th percentile, between two values in proportion."""
    ordered = sorted(seconds)
    if not ordered:
        return Spread(0)
    return Spread(len(ordered), _quantile(ordered, 0.5), _quantile(ordered, 0.9))


def felt(tally: Tally) -> Felt:
    """Work out what answers to a survey come to."""
    n = tally.answered
    good = sum(count for score, count in tally.scores if score >= GOOD[tally.kind])
    mean = sum(score * count for score, count in tally.scores) / n if n else None
    return Felt(tally, mean, Share(good, n))


def _quantile(ordered: Sequence[float], share: float) -> timedelta:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return timedelta(seconds=ordered[below] + (ordered[above] - ordered[below]) * (place - below))


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
