"""What a digest tells of each brand, gathered from the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import sqrt

from db.filters import Filter
from db.records import NO_BRAND, Alert, Feedback, Hour, Part
from db.store import Store
from jobs.desk.hours import Hours
from jobs.moods import Mood, Moods, moods, together
from models.terms import telling

BACKGROUND = timedelta(days=14)  # whose words are compared with those of the period
POSTS = 5_000  # the newest of them
CHANCE = 1.96  # standard errors: a smaller change comes by chance in 1 of 20 periods or more often
CLUSTERS = 1.3  # posts come in clusters that feel alike: variance, in that of posts that do not (models/dispersion.py)


@dataclass(frozen=True, slots=True)
class About:
    """What a digest is about; `sources` are those that are read."""

    own: Sequence[str]
    competitors: Sequence[str] = ()
    sources: Sequence[str] = ()
    hours: Hours = field(default_factory=Hours)  # in which the team is there


@dataclass(frozen=True, slots=True)
class BrandPeriod:
    """How a brand fared in a period, and in the one before of the same length."""

    brand: str
    now: Mood
    before: Mood
    alerts: Sequence[Alert] = ()
    parts: Sequence[Part] = ()  # all slices: where its negatives were
    new_terms: Sequence[str] = ()
    waiting: int = 0  # posts that wait for an answer, whenever they were written

    @property
    def change(self) -> float | None:
        """Of net sentiment, None where one of the periods had nothing that was rated."""
        now, before = self.now.net, self.before.net
        return None if now is None or before is None else now - before

    @property
    def may_be_chance(self) -> bool:
        """Whether so many posts change so much without a cause in 1 of 20 periods, or more often."""
        spread = sqrt(CLUSTERS * (_variance(self.now) + _variance(self.before)))
        return self.change is None or abs(self.change) < CHANCE * spread


@dataclass(frozen=True, slots=True)
class Period:
    """Everything that a digest tells. `agreed` and `judged` are of posts drawn at random that people have judged."""

    since: datetime
    until: datetime
    now: datetime  # when it is told, up to which sources can have been read
    own: Sequence[BrandPeriod]
    competitors: Sequence[BrandPeriod]
    moods: Moods  # of the own brands, step by step
    hours: Mapping[str, Sequence[Hour]]  # of each source that was read before
    said: Mapping[int, Feedback]  # by alert
    agreed: int
    judged: int


def everything(store: Store) -> About:
    """Make a digest about every brand and source that was ever seen, where nobody says what it is to be about."""
    return About([b for b in store.mentions.brands() if b != NO_BRAND], (), [s.name for s in store.sources.states()])


def gather(store: Store, about: About, since: datetime, until: datetime, now: datetime) -> Period:
    """Read all that a digest of a span tells; `now` says up to when sources can have been read."""
    every = [*about.own, *about.competitors]
    steps = moods(store, every, since, until)
    past = moods(store, every, since - (until - since), since)
    model = store.models.in_force()
    agreed, judged = store.verdicts.agreement("sentiment", about.own, model.created_at if model else None)
    return Period(
        since,
        until,
        now,
        [_own(store, brand, steps, past, since, until) for brand in about.own],
        [BrandPeriod(brand, together(steps[brand]), together(past[brand])) for brand in about.competitors],
        {brand: steps[brand] for brand in about.own},
        {source: store.sources.hours(source, since, until, now) for source in about.sources},
        store.alerts.said(),
        agreed,
        judged,
    )


def _own(store: Store, brand: str, steps: Moods, past: Moods, since: datetime, until: datetime) -> BrandPeriod:
    totals = store.voices.totals(brand, since, until)
    negatives = [Part(kind, name, negative, 0.0, 0.0) for (kind, name), (negative, _) in totals.items()]
    posts = store.mentions.find(None, Filter(since, until, (brand,), sentiments=("negative",)), POSTS)
    background = store.mentions.find(None, Filter(since - BACKGROUND, since, (brand,)), POSTS)
    words = telling([match.mention.text for match in posts], (match.mention.text for match in background), [brand])
    return BrandPeriod(
        brand,
        together(steps[brand]),
        together(past[brand]),
        store.alerts.find(Filter(since, until, (brand,))),
        negatives,
        [term.text for term in words if term.new],
        store.cases.count((brand,)),
    )


def _variance(mood: Mood) -> float:
    """Of the net sentiment of so many posts."""
    if mood.net is None:
        return 0.0
    return ((mood.positive + mood.negative) / mood.rated - mood.net**2) / mood.rated
