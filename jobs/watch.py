"""Watch: hold each brand's negatives against its own past; a spike becomes an alert, its posts wait for an answer."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from db.filters import Filter
from db.records import NO_BRAND, Alert, Match
from db.store import Store
from db.times import FIVE_MINUTES, floor
from jobs.outcome import Outcome
from models.spikes import Episode, Series, find_spikes
from models.terms import in_common

RULE = "negative spike"
HISTORY = timedelta(days=35)  # what detection learns a brand's habits from, and some
LONGEST_REPLAY = timedelta(days=400)  # how far back an import is searched for spikes
QUIET = timedelta(days=2)  # after the last post nothing can change any more
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # a time before this is a mistake, and no date to count back from
BACKGROUND = timedelta(days=14)  # what the posts of a spike are compared with
BACKGROUND_POSTS = 5_000  # the newest of them
SEVERITIES = ((8.0, "critical"), (6.0, "high"), (0.0, "warning"))  # by the score, -log10 of the chance


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """At which score (-log10 of the chance) and from how many negatives on a spike is told."""

    threshold: float = 4.0
    minimum: int = 5


def watch(store: Store, competitors: Sequence[str], sensitivity: Sensitivity, now: datetime) -> Outcome:
    """Look at every brand whose counts have changed or whose alert is open. Competitors' posts are not answered."""
    until = floor(now, FIVE_MINUTES) + FIVE_MINUTES
    changed = store.buckets.unwatched(until).keys() - {NO_BRAND}
    going_on = {alert.brand for alert in _open_alerts(store)}
    done = Counter[str](brands=len(changed), opened=0, updated=0, queued=0)
    for brand in sorted(changed | going_on):
        done.update(_watch(store, brand, brand not in competitors, sensitivity, now, until))
    return Outcome(dict(done))


def _watch(
    store: Store, brand: str, answered: bool, sensitivity: Sensitivity, now: datetime, until: datetime
) -> dict[str, int]:
    """Look without holding up other writers; what is counted meanwhile leaves its mark for the next run."""
    change = store.buckets.unwatched(until).get(brand)
    going_on = {alert.id: alert for alert in _open_alerts(store, brand)}
    since = min([alert.starts for alert in going_on.values()] + ([change.since] if change else []), default=None)
    found = [
        _described(store, brand, episode)
        for episode in (_episodes(store, brand, since, sensitivity, until) if since else ())
    ]
    done = Counter[str](opened=0, updated=0, queued=0)
    with store.transaction():
        for alert, posts in found:
            done["updated" if alert.id else "opened"] += 1
            saved = store.alerts.save(alert, posts)
            going_on.pop(saved.id, None)
            if answered:
                done["queued"] += _queue(store, saved, posts, now)
        for alert in going_on.values():  # counted anew, with what came in late, it is no spike any more
            done["updated"] += 1
            store.alerts.save(replace(alert, ends=alert.last_seen + FIVE_MINUTES), ())
        if change:
            store.buckets.watched(brand, change, until)
    return dict(done)


def _open_alerts(store: Store, *brands: str) -> list[Alert]:
    return [alert for alert in store.alerts.find(Filter(brands=brands)) if alert.rule == RULE and alert.ends is None]


def _episodes(store: Store, brand: str, since: datetime, sensitivity: Sensitivity, until: datetime) -> list[Episode]:
    newest = store.mentions.newest(brand) or since
    if newest < EARLIEST:
        return []
    end = min(until, floor(newest, FIVE_MINUTES) + QUIET)
    since = max(since, end - LONGEST_REPLAY)
    counts = store.buckets.counts(brand, since - HISTORY, end)
    if not counts:
        return []
    start = counts[0].start
    negatives = np.zeros(max((end - start) // FIVE_MINUTES, 1), dtype=np.int64)
    others = np.zeros_like(negatives)
    for count in counts:
        at = (count.start - start) // FIVE_MINUTES
        negatives[at], others[at] = count.negative, count.other
    series = Series(start, negatives, others)
    return find_spikes(series, since, threshold=sensitivity.threshold, minimum=sensitivity.minimum)


def _described(store: Store, brand: str, episode: Episode) -> tuple[Alert, list[Match]]:
    """Describe the episode, as the alert that told it already or as a new one (id 0).

    What belongs to one story is the model's to say: an alert tells an episode if the two overlap.
    """
    told = [alert for alert in store.alerts.find(Filter(episode.starts, brands=(brand,))) if alert.rule == RULE]
    told = [alert for alert in told if alert.starts <= episode.last_seen]
    told.sort(key=lambda alert: abs(alert.starts - episode.starts))
    known = told[0] if told else None
    until = episode.last_seen + FIVE_MINUTES
    posts = list(store.mentions.every(Filter(episode.starts, until, (brand,), sentiments=("negative",))))
    if known and (known.last_seen, known.observed) == (episode.last_seen, episode.peak.observed):
        common = known.in_common  # reading two weeks of posts again would find the same
    else:
        past = Filter(episode.starts - BACKGROUND, episode.starts, (brand,))
        others = store.mentions.find(None, past, BACKGROUND_POSTS)
        texts = [match.mention.text for match in posts]
        common = in_common(texts, (match.mention.text for match in others), leave_out=[brand])
    peak = episode.peak
    alert = Alert(
        id=known.id if known else 0,
        brand=brand,
        rule=RULE,
        starts=episode.starts,
        last_seen=episode.last_seen,
        ends=episode.ends,
        severity=next(name for least, name in SEVERITIES if peak.score >= least),
        observed=peak.observed,
        expected=round(peak.expected, 2),
        factor=round(peak.factor, 1),
        probability=peak.probability,
        window_minutes=int(peak.window.total_seconds() // 60),
        mentions=peak.mentions,
        share=round(peak.share, 4),
        usual_share=round(peak.usual_share, 4),
        summary="",
        in_common=tuple(common),
    )
    return _with_summary(alert), posts


def _with_summary(alert: Alert) -> Alert:
    hours, minutes = divmod(alert.window_minutes, 60)
    window = f"{hours} h" if hours and not minutes else f"{alert.window_minutes} min"
    text = (
        f"{alert.brand}: {alert.observed} negative posts in {window}, {_number(alert.expected)} expected "
        f"(x{alert.factor:.0f}); {alert.share:.0%} of its mentions negative, usually {alert.usual_share:.0%}"
    )
    return replace(alert, summary=text)


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _queue(store: Store, alert: Alert, posts: Sequence[Match], now: datetime) -> int:
    reason = f"negative spike of {alert.starts:%Y-%m-%d %H:%M} UTC"
    return sum(store.cases.open(match, alert.id, reason, _priority(match), now) for match in posts)


def _priority(match: Match) -> float:
    """How bad it is to leave a post alone: how surely it is negative, times how far it carries."""
    reach = match.mention.reach
    carried = (reach.followers or 0) + 100 * (reach.reposts or 0) + 10 * (reach.likes or 0)
    return round((match.negative or 0.0) * (1 + math.log10(1 + max(carried, 0))), 4)
