"""Survey: look every hour at what builds up over days, a larger share of negatives, and at brands that fall silent."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from db.coverage import HOUR
from db.filters import Filter
from db.records import NO_BRAND, Alert
from db.store import Store
from db.times import floor
from jobs.outcome import Outcome
from jobs.raise_alert import severity_of
from jobs.reading import Reading, reading
from jobs.rules import Watching
from jobs.series import parts_of
from jobs.wording import summary
from models import shifts, silence

RECENT = timedelta(days=8)  # a story that was over before that is told; it is longer than a shift sleeps
SHIFT, SILENCE = RULES = "share shift", "silence"


def survey(store: Store, watching: Watching, now: datetime) -> Outcome:
    """Look at every brand. Safe to run again: what was told is brought up to date."""
    end = floor(now, HOUR)
    done = Counter[str](brands=0, opened=0, updated=0)
    brands = [brand for brand in store.voices.brands() if brand != NO_BRAND]
    if not brands:
        return Outcome(dict(done))
    read = reading(store, watching.platforms, end - shifts.LOOK_BACK, now)
    for brand in brands:
        found = []
        if SHIFT in watching.names:
            found += [_of_shift(brand, shift) for shift in _shifts(store, brand, read, end)]
        if SILENCE in watching.names:
            found += [_of_silence(brand, one, end) for one in _silences(store, brand, read, end)]
        done["brands"] += 1
        done.update(_save(store, brand, found, now))
    return Outcome(dict(done))


def _shifts(store: Store, brand: str, read: Reading, end: datetime) -> list[shifts.Shift]:
    start = end - shifts.LOOK_BACK
    hours = int(shifts.LOOK_BACK / HOUR)
    negatives, others = np.zeros(hours, dtype=np.int64), np.zeros(hours, dtype=np.int64)
    for hour, negative, other in store.voices.hourly(brand, start, end):
        at = int((hour - start) / HOUR)
        negatives[at], others[at] = negative, other
    parts = parts_of(store.voices.totals(brand, start, end))
    seen = np.ones(hours)
    for platform, unread in read.missing.items():
        for hour in unread:
            if start <= hour < end:
                seen[int((hour - start) / HOUR)] -= parts.get(platform, 0.0)
    return shifts.find_shifts(shifts.Talk(start, negatives, others, seen), end - RECENT)


def _silences(store: Store, brand: str, read: Reading, end: datetime) -> list[silence.Silence]:
    """Look at the platforms that bring the brand's posts, as far as coverage tells that all of them were read."""
    start = end - silence.LOOK_BACK
    hours = int(silence.LOOK_BACK / HOUR)
    mentions, complete = np.zeros(hours, dtype=np.int64), np.zeros(hours, dtype=np.bool_)
    posts = store.buckets.hourly(brand, start, end)
    wholly = [set(read.complete[platform]) for platform in {each for _, each, _ in posts} & read.complete.keys()]
    for hour in set.intersection(*wholly) if wholly else ():
        if start <= hour < end:
            complete[int((hour - start) / HOUR)] = True
    for hour, platform, count in posts:
        if platform in read.complete:
            mentions[int((hour - start) / HOUR)] += count
        else:  # it is talked about, where nobody knows how far was read
            complete[int((hour - start) / HOUR)] = False
    return silence.find_silences(silence.Posts(start, mentions, complete), end - RECENT)


def _of_shift(brand: str, shift: shifts.Shift) -> Alert:
    peak = shift.peak
    return _with_summary(
        Alert(
            id=0,
            brand=brand,
            rule=SHIFT,
            starts=shift.starts,
            last_seen=shift.last_seen,
            ends=shift.ends,
            severity=severity_of(SHIFT, peak.score),
            observed=peak.negatives,
            expected=round(peak.expected, 2),
            factor=round(peak.share / peak.usual_share, 1),
            probability=peak.probability,
            window_minutes=int(peak.window.total_seconds() // 60),
            mentions=peak.mentions,
            share=round(peak.share, 4),
            usual_share=round(peak.usual_share, 4),
            summary="",
            in_common=(),
            score=round(peak.score, 2),
        )
    )


def _of_silence(brand: str, found: silence.Silence, end: datetime) -> Alert:
    return _with_summary(
        Alert(
            id=0,
            brand=brand,
            rule=SILENCE,
            starts=found.starts,
            last_seen=found.ends or end,
            ends=found.ends,
            severity="warning",
            observed=0,
            expected=round(found.expected, 2),
            factor=0.0,
            probability=found.probability,
            window_minutes=found.hours * 60,
            mentions=0,
            share=0.0,
            usual_share=0.0,
            summary="",
            in_common=(),
            score=round(found.score, 2),
        )
    )


def _with_summary(alert: Alert) -> Alert:
    return replace(alert, summary=summary(alert))


def _save(store: Store, brand: str, found: Sequence[Alert], now: datetime) -> Counter[str]:
    """Store what was found, as the alerts that tell it already or as new ones; what is found no more is over."""
    done = Counter[str]()
    with store.transaction():
        going_on = [alert for alert in store.alerts.open() if alert.brand == brand and alert.rule in RULES]
        recent = store.alerts.find(Filter(now - RECENT, brands=(brand,)))
        # Of one cause one alert is open at a time: what goes on is told by that one.
        before = [*going_on, *(alert for alert in recent if alert.rule in RULES and alert.ends)]
        told = set()
        for alert in found:
            known = next((old for old in before if _same(old, alert)), None)
            done["updated" if known else "opened"] += 1
            kept = alert if known is None else _carried(alert, known)
            told.add(store.alerts.save(kept if known else replace(kept, found_at=now), ()).id)
        for alert in going_on:
            if alert.id not in told:
                done["updated"] += 1
                store.alerts.save(replace(alert, ends=alert.last_seen), ())
    return done


def _same(old: Alert, new: Alert) -> bool:
    """Whether two alerts tell one story: they overlap."""
    later = max(old.starts, new.starts)
    return old.rule == new.rule and all(one.ends is None or one.ends >= later for one in (old, new))


def _carried(alert: Alert, known: Alert) -> Alert:
    """What was found anew, with what became of the alert since."""
    return replace(
        alert,
        id=known.id,
        found_at=known.found_at,
        held=known.held,
        taken_by=known.taken_by,
        taken_at=known.taken_at,
    )
