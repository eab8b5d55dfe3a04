"""Counts step by step, and how far each step was read."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from db.coverage import HOUR, MISSING, PARTIAL, Extent
from db.desk import Labels
from db.records import Hour
from db.store import Store
from db.times import from_text
from jobs.trends.asked import Question, Span
from jobs.trends.figures import Gap, Read, Step, net_of

_DAY = timedelta(days=1)


def name_of(start: datetime, step: str) -> str:
    """Name a step as the counts do: the hour, the day, the Monday of the week."""
    if step == "hour":
        return start.strftime("%Y-%m-%dT%H:00:00Z")
    if step == "week":
        start -= start.weekday() * _DAY
    return start.strftime("%Y-%m-%d")


def timeline(question: Question, counts: Mapping[str, Labels], extents: Sequence[Extent] = ()) -> tuple[Step, ...]:
    """Make the steps of a span of counts by `name_of`; steps without a post are there too.

    `extents` say how far each source was read, by the hour where the steps are hours, else by the day.
    """
    spans = question.steps()
    whole: dict[str, int] = {}
    short: dict[str, int] = {}
    for one in extents:
        for start, hours in one.complete.items():
            name = name_of(_at(start), question.step)
            whole[name] = whole.get(name, 0) + hours
        for hour in one.short:
            name = name_of(hour.start, question.step)
            short[name] = short.get(name, 0) + 1
    found = []
    for part in spans:
        name = name_of(part.since, question.step)
        mine, read = counts.get(name, Labels()), whole.get(name, 0)
        every = read + short.get(name, 0)
        share = read / every if every else None
        found.append(Step(part.since, part.until, mine, net_of(mine), share, question.posts(part)))
    return tuple(found)


def extents_of(store: Store, question: Question, span: Span, now: datetime) -> list[Extent]:
    """Return how far each source of the platforms that the question is about was read."""
    return [
        store.sources.extent(state.name, span.since, span.until, now, question.step == "hour")
        for state in store.sources.states()
        if not question.sources or state.kind in question.sources
    ]


def read_of(extents: Sequence[Extent]) -> Read:
    """Sum up how far a span was read. A gap is `missing` where nothing was read of it on any source that has gaps."""
    complete = sum(hours for one in extents for hours in one.complete.values())
    every = [hour for one in extents for hour in one.short]
    short: dict[datetime, list[Hour]] = {}
    for hour in every:
        short.setdefault(hour.start, []).append(hour)
    gaps: list[Gap] = []
    for start in sorted(short):
        sources = tuple(sorted({hour.source for hour in short[start]}))
        missing = all(hour.state == MISSING for hour in short[start])
        if gaps and gaps[-1].end == start and (gaps[-1].sources, gaps[-1].missing) == (sources, missing):
            gaps[-1] = Gap(gaps[-1].start, start + HOUR, sources, missing)
        else:
            gaps.append(Gap(start, start + HOUR, sources, missing))
    states = {state: sum(hour.state == state for hour in every) for state in (PARTIAL, MISSING)}
    hours = complete + len(every)
    return Read(hours, complete, states[PARTIAL], states[MISSING], complete / hours if hours else None, tuple(gaps))


def _at(start: str) -> datetime:
    """Read the beginning of a day or an hour."""
    return from_text(start) if "T" in start else from_text(f"{start}T00:00:00Z")
