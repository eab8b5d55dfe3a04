"""From the counts in the store to the findings of a detector, by way of the pasts that are kept there.

A brand is looked at from the midnight before its counts changed, or before the story that goes on began. What is known
at that midnight is kept in the store (`pasts`), or made again from all that was counted before.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import numpy as np

from db.store import Store
from db.times import FIVE_MINUTES
from db.voices import ALL
from jobs.reading import Reading
from jobs.series import SLICES, WHOLE, parts_of, seen, slices, tally
from models.counts import DAY, Counts
from models.episodes import Finding
from models.state import Layout, Past, joined, pack, unpack

A_DAY = timedelta(days=1)
LONGEST_REPLAY = timedelta(days=400)  # how far back a past is made from
BASELINE = timedelta(days=28)  # whose posts tell which part of them a platform brings
KEPT_DAYS, KEPT_WEEKS = 3, 5  # pasts that are kept: of the last midnights, and of Monday's


@dataclass(frozen=True, slots=True)
class Detector:
    """A rule's name, under which its pasts are kept, the module that finds (LAYOUT, fresh, replay, findings), and
    from how many posts on."""

    name: str
    module: Any
    minimum: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A brand that is to be looked at from the midnight before `since` until `until`, with its slices or without."""

    brand: str
    since: datetime
    until: datetime
    with_slices: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What was found of one brand: the findings of each series, and the past of each midnight on the way."""

    findings: Mapping[str, Sequence[Finding]]
    names: Sequence[str]  # of the series, in the order of the rows of the pasts
    pasts: Mapping[datetime, Past]
    anew: bool = False  # from the beginning, since nothing of use was kept


NOTHING = Look({}, (), {})


def look(
    store: Store, detector: Detector, wanted: Sequence[Wanted], read: Callable[[datetime], Reading]
) -> Mapping[str, Look]:
    """Look at brands. `read` says how far was read from a time on.

    What begins and ends at the same time is computed together: numpy takes nearly as long for one series as for fifty.
    """
    groups: dict[tuple[datetime, datetime], list[_Prepared]] = defaultdict(list)
    looks = {each.brand: NOTHING for each in wanted}
    for each in wanted:
        prepared = _prepare(store, detector, each, read)
        if prepared:
            groups[prepared.counts.start, each.until].append(prepared)
    for group in groups.values():
        looks.update(_look(detector, group))
    return looks


@dataclass(frozen=True, slots=True)
class _Prepared:
    """All that a brand is looked at with."""

    wanted: Wanted
    names: Sequence[str]
    past: Past
    counts: Counts
    anew: bool


def _prepare(store: Store, detector: Detector, wanted: Wanted, read: Callable[[datetime], Reading]) -> _Prepared | None:
    first = _midnight(wanted.since)
    kept = _usable(detector.module.LAYOUT, store.pasts.before(detector.name, wanted.brand, first))
    if kept and kept[0] < first - LONGEST_REPLAY:
        kept = None
    begin = store.voices.first(wanted.brand, first - LONGEST_REPLAY)
    if begin is None:
        return None
    start = kept[0] if kept else _midnight(begin)
    kinds = (ALL, *SLICES) if wanted.with_slices else (ALL,)
    voices = store.voices.of(wanted.brand, start, wanted.until, kinds)
    names = sorted({*slices(voices), *(kept[1] if kept else ())}) if wanted.with_slices else [WHOLE]
    steps = max((wanted.until - start) // FIVE_MINUTES, 1)
    unread = read(start)
    # Of today's posts the part of a platform that is not read is 0: what it usually brings is what is missing.
    usual = store.voices.totals(wanted.brand, start - BASELINE, wanted.until) if any(unread.missing.values()) else {}
    part_seen = seen(names, parts_of(usual), unread, start, steps)
    counts = Counts(start, *tally(voices, names, start, steps), part_seen)
    return _Prepared(wanted, names, _past(detector.module, names, kept, start), counts, kept is None)


def _look(detector: Detector, group: Sequence[_Prepared]) -> Mapping[str, Look]:
    """Look at brands whose counts begin and end at the same time."""
    module, start, steps = detector.module, group[0].counts.start, group[0].counts.steps
    past = joined([each.past for each in group])
    counts = Counts(
        start,
        np.concatenate([each.counts.negatives for each in group]),
        np.concatenate([each.counts.others for each in group]),
        np.concatenate([each.counts.seen for each in group]),
    )
    ends = np.cumsum([len(each.names) for each in group])
    rows = [slice(end - len(each.names), end) for each, end in zip(group, ends.tolist(), strict=True)]
    findings: list[dict[str, list[Finding]]] = [{name: [] for name in each.names} for each in group]
    pasts: list[dict[datetime, Past]] = [{} for _ in group]
    for step in range(0, steps, DAY):
        today = counts.part(step, min(step + DAY, steps))
        looked, past = module.replay(past, today, detector.minimum)
        for each, mine, found, kept in zip(group, rows, findings, pasts, strict=True):
            if today.start >= _midnight(each.wanted.since):
                for row in np.flatnonzero(looked.score[mine].any(axis=1)):
                    found[each.names[int(row)]] += module.findings(looked, mine.start + int(row))
            if today.steps == DAY:
                kept[today.start + A_DAY] = past.rows(mine)
    return {
        each.wanted.brand: Look(found, each.names, kept, each.anew)
        for each, found, kept in zip(group, findings, pasts, strict=True)
    }


def keep(store: Store, name: str, brand: str, looked: Look, now: datetime) -> None:
    """Keep the pasts that will be asked for, and drop those that no longer will; runs in the caller's transaction.

    What is kept already is right, or it would have been spoiled: it is not written again every minute.
    """
    known = () if looked.anew else store.pasts.days(name, brand)
    for day, past in looked.pasts.items():
        if _is_kept(day, now) and day not in known:
            states = {series: pack(past, row) for row, series in enumerate(looked.names)}
            store.pasts.save(name, brand, day, states)
    store.pasts.drop(name, brand, [day for day in store.pasts.days(name, brand) if not _is_kept(day, now)])


def _is_kept(day: datetime, now: datetime) -> bool:
    return day > now - KEPT_DAYS * A_DAY or (day.weekday() == 0 and day > now - KEPT_WEEKS * timedelta(weeks=1))


def _usable(
    layout: Layout, kept: tuple[datetime, Mapping[str, bytes]] | None
) -> tuple[datetime, Mapping[str, Past]] | None:
    """Unpack what is kept; None where another version of the detector kept it."""
    if kept is None:
        return None
    try:
        return kept[0], {series: unpack(layout, [state]) for series, state in kept[1].items()}
    except ValueError:
        return None


def _past(module: Any, names: Sequence[str], kept: tuple[datetime, Mapping[str, Past]] | None, start: datetime) -> Past:
    """The past of each series, that of nothing where none is known."""
    known = kept[1] if kept else {}
    return joined([known.get(name) or module.fresh(1, start.date()) for name in names])


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)
