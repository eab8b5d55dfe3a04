"""Watch: hold each brand's posts against its own past; what stands out becomes an alert.

Negative spikes are looked for in all of a brand and in its slices (sources, stages, pillars), volume spikes in all of
it. Single posts that matter alone are looked for among those that are new. Posts of alerts wait for an answer.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from types import ModuleType

from db.buckets import Change
from db.filters import Filter
from db.records import NO_BRAND, Alert
from db.store import Store
from db.times import FIVE_MINUTES, floor
from jobs import past, raise_alert
from jobs.outcome import Outcome
from jobs.reading import Reading, reading
from jobs.rules import Watching
from jobs.series import WHOLE
from jobs.single import single_posts
from models import spikes, volume
from models.episodes import CALM_FOR, SAME_STORY, Episode, episodes

LONGEST_REPLAY = timedelta(days=400)  # how far back an import is searched for spikes
QUIET = timedelta(days=2)  # after the last post nothing can change any more
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # a time before this is a mistake, and no date to count back from


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule that looks at counts: the detector, and whether it looks at slices too."""

    name: str
    detector: ModuleType
    slices: bool


ANSWERED = ("negative spike", "single post")  # rules whose posts wait for an answer
AT_ONCE = 50  # brands that are looked at together
RULES = (_Rule("negative spike", spikes, True), _Rule("volume spike", volume, False))
NAMES = tuple(rule.name for rule in RULES)
SAME_STORIES = {"negative spike": spikes.SAME_STORY, "volume spike": SAME_STORY}


@dataclass(frozen=True, slots=True)
class _Task:
    """A brand to look at: what has changed, which of its alerts go on, and from when to when each rule looks."""

    brand: str
    change: Change | None
    going_on: Mapping[int, Alert]
    spans: Mapping[str, tuple[datetime, datetime]]  # by rule


def watch(store: Store, watching: Watching, now: datetime) -> Outcome:
    """Look at every brand whose counts have changed or that has an alert which goes on."""
    until = floor(now, FIVE_MINUTES) + FIVE_MINUTES
    changed = {brand: change for brand, change in store.buckets.unwatched(until).items() if brand != NO_BRAND}
    going_on: dict[str, dict[int, Alert]] = {brand: {} for brand in changed}
    for alert in store.alerts.open():
        if alert.rule in NAMES:
            going_on.setdefault(alert.brand, {})[alert.id] = alert

    @cache
    def read(since: datetime) -> Reading:
        return reading(store, watching.platforms, since, now)

    done = Counter[str](brands=len(changed), opened=0, updated=0, queued=0)
    brands = sorted(going_on)
    for first in range(0, len(brands), AT_ONCE):
        tasks = [
            _task(store, brand, changed.get(brand), going_on[brand], watching, until)
            for brand in brands[first : first + AT_ONCE]
        ]
        looks = {rule.name: _look(store, rule, tasks, watching, read) for rule in RULES}
        for task in tasks:
            done.update(_tell(store, task, looks, watching, read, now, until))
    return Outcome(dict(done))


def _task(
    store: Store,
    brand: str,
    change: Change | None,
    going_on: Mapping[int, Alert],
    watching: Watching,
    until: datetime,
) -> _Task:
    if change and store.pasts.rest_on(brand, change.since):
        with store.transaction():  # what was learnt from counts that have changed since is forgotten
            store.pasts.spoil(brand, change.since)
    spans = {}
    for rule in RULES:
        starts = [alert.starts for alert in going_on.values() if alert.rule == rule.name]
        since = min([*starts, *([change.since] if change else [])], default=None)
        newest = store.mentions.newest(brand) or since
        if rule.name in watching.names and since and newest and newest >= EARLIEST:
            end = min(until, floor(newest, FIVE_MINUTES) + QUIET)
            spans[rule.name] = (max(since, end - LONGEST_REPLAY), end)
    return _Task(brand, change, going_on, spans)


def _look(
    store: Store, rule: _Rule, tasks: Sequence[_Task], watching: Watching, read: Callable[[datetime], Reading]
) -> Mapping[str, past.Look]:
    """Look at brands by one rule, those that are watched alike together."""
    alike: dict[int, list[past.Wanted]] = defaultdict(list)
    for task in tasks:
        if rule.name in task.spans:
            since, end = task.spans[rule.name]
            begin = _story_before(store, rule.name, task.brand, since)
            minimum = watching.sensitivity_to(task.brand).minimum if rule.detector is spikes else volume.MINIMUM
            alike[minimum].append(past.Wanted(task.brand, begin, end, rule.slices))
    looks: dict[str, past.Look] = {}
    for minimum, wanted in alike.items():
        looks.update(past.look(store, past.Detector(rule.name, rule.detector, minimum), wanted, read))
    return looks


def _tell(
    store: Store,
    task: _Task,
    looks: Mapping[str, Mapping[str, past.Look]],
    watching: Watching,
    read: Callable[[datetime], Reading],
    now: datetime,
    until: datetime,
) -> Mapping[str, int]:
    """Store what was found of a brand, in one transaction; what was counted meanwhile is for the next run."""
    brand, change = task.brand, task.change
    done = Counter[str](opened=0, updated=0, queued=0)
    told = [
        raise_alert.described(store, rule.name, brand, series, episode, read, changed=change is not None)
        for rule in RULES
        if rule.name in task.spans
        for series, episode in _found(rule, task, looks[rule.name][brand], watching)
    ]
    singles = single_posts(store, brand, change.since, watching, now) if change else []
    with store.transaction():
        for alert in task.going_on.values():  # counted anew, with what came in late, it may be no spike any more
            calm = until - alert.last_seen >= CALM_FOR  # as long as any other one: it may yet go on
            again = any((new.rule, new.scope, new.ends) == (alert.rule, alert.scope, None) for new, _ in told)
            if (calm or again) and alert.id not in {found.id for found, _ in told}:
                done["updated"] += 1
                store.alerts.save(replace(alert, ends=alert.last_seen + FIVE_MINUTES), ())
        for alert, posts in [*told, *singles]:
            done["updated" if alert.id else "opened"] += 1
            saved = store.alerts.save(alert if alert.id else replace(alert, found_at=now), posts)
            if brand not in watching.competitors and alert.rule in ANSWERED:
                done["queued"] += raise_alert.queue(store, saved, posts, now)
        for rule in RULES:
            if rule.name in task.spans:
                past.keep(store, rule.name, brand, looks[rule.name][brand], now)
        if change:
            store.buckets.watched(brand, change, until)
    return done


def _found(rule: _Rule, task: _Task, looked: past.Look, watching: Watching) -> Iterator[tuple[str, Episode]]:
    """The episodes that are open at or after the time from which a rule looks, each with the series that it is in."""
    since, end = task.spans[rule.name]
    for series, findings in looked.findings.items():
        threshold = _threshold(rule, task.brand, series, len(looked.findings), watching)
        for episode in episodes(findings, end, threshold, same_story=SAME_STORIES[rule.name]):
            if episode.ends is None or episode.ends >= since:
                yield series, episode


def _threshold(rule: _Rule, brand: str, series: str, count: int, watching: Watching) -> float:
    """At which score a series is told: who asks of many slices whether one stands out asks as many times."""
    if rule.detector is volume:
        return volume.THRESHOLD
    own = watching.sensitivity_to(brand).threshold
    return own if series == WHOLE else own + math.log10(max(count - 1, 1))


def _story_before(store: Store, rule: str, brand: str, since: datetime) -> datetime:
    """From when on to look, so that a story that the posts since then may belong to is seen from its beginning."""
    while True:
        alerts = store.alerts.find(Filter(since - SAME_STORIES[rule], since, (brand,)))
        earlier = min([alert.starts for alert in alerts if alert.rule == rule], default=since)
        if earlier >= since:
            return since
        since = earlier
