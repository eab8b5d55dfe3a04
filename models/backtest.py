"""Replay one series of counts, row by row: where a notification would have gone out, and why not elsewhere.

`backtest` says so for each row, `looked` lists what would have been told at any threshold, of one look at the series.

Detection works in steps of five minutes, over which rows of another length are laid (`models.regular`). A row's result
is that of the steps that end within it, and rests on nothing later. Rows longer than five minutes hide how their posts
came: a short spike needs to be larger to be found in them.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from db.errors import InputError
from models import spikes, volume
from models.counts import STEP, Array, Counts
from models.episodes import CALM_SCORE, SAME_STORY, Episode, Finding, episodes
from models.regular import Regular, Values, checked, regular

__all__ = ["NEGATIVE", "SEVERITIES", "THRESHOLDS", "VOLUME", "Row", "Series", "backtest", "looked", "whole_of"]

NEGATIVE, VOLUME = "negative", "volume"
SEVERITIES = {  # by the score
    NEGATIVE: spikes.SEVERITIES,
    VOLUME: volume.SEVERITIES,
}
THRESHOLDS = (3.0, 3.5, 4.0, 5.0, 6.0)  # of negative spikes, from many alerts to few
SAME_STORIES = {NEGATIVE: spikes.SAME_STORY, VOLUME: SAME_STORY}
LEARNING = "learning: 48 hours of history are needed"
Looker = Callable[[Counts], tuple[Array, NDArray[np.bool_], Iterable[Finding]]]


@dataclass(frozen=True, slots=True)
class Row:
    """What would have been known when the time of a row was over.

    `kind` and `severity` are those of the spike whose threshold the row is over. `score` is on the scale of that kind,
    or, where there is none, of the detector that is nearer to its threshold.
    """

    timestamp: datetime  # in UTC
    score: float
    severity: str | None
    alert: bool  # a notification would go out: the first one, or because the count has doubled
    kind: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Look:
    """One detector's view of every step, not held against a threshold yet."""

    kind: str
    score: Array
    learning: NDArray[np.bool_]
    findings: Sequence[Finding]

    def stories(self, until: datetime, threshold: float) -> list[Episode]:
        """What is known at a time."""
        known = self.findings[: bisect_right(self.findings, until, key=lambda finding: finding.at)]
        return episodes(known, until, threshold, same_story=SAME_STORIES[self.kind])


@dataclass(frozen=True, slots=True)
class Series:
    """A series that was looked at once. Times of what was found are those of steps, `offset` before those of rows."""

    rows: Regular
    counts: Counts
    values: Array  # mentions and negatives by row, added up: NaN where a row has none
    looks: Sequence[_Look]

    @property
    def offset(self) -> timedelta:
        """How long after a five-minute mark the rows begin."""
        return self.rows.times[0] - (self.counts.start + STEP * self.rows.before)

    @property
    def until(self) -> datetime:
        """The end of the last step."""
        return self.counts.start + STEP * self.counts.steps

    def told(self, kind: str, thresholds: Mapping[str, float]) -> list[Episode]:
        """The spikes of one kind that would have been told at these thresholds (one for each kind)."""
        return [
            story
            for look in self.looks
            if look.kind == kind
            for story in look.stories(self.until, thresholds[kind])
            if self.whole_of(kind, story, story.notify[0].at, thresholds) is None
        ]

    def whole_of(self, kind: str, story: Episode, told_at: datetime, thresholds: Mapping[str, float]) -> Episode | None:
        """Return the negative spike that a volume spike was part of, as far as was known when it was to be told."""
        if kind == NEGATIVE:
            return None
        negative = (look for look in self.looks if look.kind == NEGATIVE)
        return whole_of(story, [other for look in negative for other in look.stories(told_at, thresholds[NEGATIVE])])


@dataclass(frozen=True, slots=True)
class _Replay:
    """One detector's view of every step."""

    kind: str
    threshold: float
    score: Array
    learning: NDArray[np.bool_]
    told: dict[int, tuple[Finding, int | None]]  # by step: what is told, and the step at which it was told before
    since: dict[int, int]  # by step of a spike that is going on: the step at which it, or what it is part of, was told


def backtest(
    timestamps: Sequence[datetime],
    mentions: Values,
    negatives: Values | None = None,
    threshold: float = 4.0,
    minimum: int = 5,
    volume_threshold: float = volume.THRESHOLD,
) -> list[Row]:
    """Replay rows of one length, of one to sixty minutes; rows that are left out were not read.

    `timestamps` are the starts of the rows, in UTC unless they say otherwise. `mentions` are all posts of each row and
    `negatives` those of them that are negative, NaN where a row has no value. Without negatives only volume spikes are
    looked for. `threshold` and `minimum` are those of negative spikes. InputError names the first row that is wrong.
    """
    series = looked(timestamps, mentions, negatives, minimum)
    thresholds = {NEGATIVE: threshold, VOLUME: volume_threshold}
    replays = [_replay(look, thresholds, series) for look in series.looks]
    rows, spans = series.rows, series.rows.ended()
    when = {step: time for time, span in zip(rows.times, spans, strict=True) for step in span}
    return [
        Row(time, 0.0, None, False, None, "no value") if missing else _row(time, replays, span, when)
        for time, span, missing in zip(rows.times, spans, np.isnan(series.values), strict=True)
    ]


def looked(
    timestamps: Sequence[datetime], mentions: Values, negatives: Values | None = None, minimum: int = 5
) -> Series:
    """Look at rows as `backtest` does, but hold what is found against no threshold yet."""
    rows = regular(timestamps)
    every = checked(mentions, len(timestamps), "mentions")
    bad = np.zeros_like(every) if negatives is None else checked(negatives, len(timestamps), "negative")
    if (bad > every).any():
        row = int((bad > every).argmax())
        raise InputError(f"row {row + 1}: {bad[row]:g} negative of {every[row]:g} mentions")
    counts = rows.counts(bad, every - bad)
    looks = [_look(VOLUME, counts, rows.before, _volume)]
    if negatives is not None:  # first, as a volume spike can be part of a negative one
        looks.insert(0, _look(NEGATIVE, counts, rows.before, lambda all: _negative(all, minimum)))
    return Series(rows, counts, every + bad, looks)


def whole_of(story: Episode, others: Iterable[Episode]) -> Episode | None:
    """Return the first of others that goes on or ended after a spike began: the spike is part of it, told there."""
    return next((other for other in others if other.ends is None or other.ends >= story.starts), None)


def _negative(counts: Counts, minimum: int) -> tuple[Array, NDArray[np.bool_], Iterable[Finding]]:
    looked, _ = spikes.replay(spikes.fresh(1, counts.day), counts, minimum)
    return looked.score[0], looked.learning[0], spikes.findings(looked, 0)


def _volume(counts: Counts) -> tuple[Array, NDArray[np.bool_], Iterable[Finding]]:
    looked, _ = volume.replay(volume.fresh(1, counts.day), counts)
    return looked.score[0], looked.learning[0], volume.findings(looked, 0)


def _look(kind: str, counts: Counts, before: int, looker: Looker) -> _Look:
    """`before` are the steps of the counts that lie before the first row."""
    score, learning, findings = looker(counts)
    return _Look(kind, score[before:], learning[before:], list(findings))


def _replay(look: _Look, thresholds: Mapping[str, float], series: Series) -> _Replay:
    """Say at which step what is told."""
    threshold = thresholds[look.kind]
    told: dict[int, tuple[Finding, int | None]] = {}
    since: dict[int, int] = {}

    def step(time: datetime) -> int:
        return (time - series.counts.start) // STEP - series.rows.before

    for story in look.stories(series.until, threshold):
        before = None
        ends = [finding.at - STEP for finding in story.notify[1:]] + [story.ends or series.until]
        for finding, end in zip(story.notify, ends, strict=True):
            mark = last = step(finding.at) - 1
            whole = series.whole_of(look.kind, story, finding.at, thresholds)
            if whole is None:
                told[mark], before = (finding, before), mark
            else:
                last = step(whole.notify[0].at) - 1
            since |= dict.fromkeys(range(mark + (whole is None), step(end)), last)
    return _Replay(look.kind, threshold, look.score, look.learning, told, since)


def _row(time: datetime, replays: Sequence[_Replay], span: range, when: dict[int, datetime]) -> Row:
    """What the steps that end within a row say together."""
    for replay in replays:
        told = [step for step in span if step in replay.told]
        if told:
            finding, before = replay.told[told[0]]
            again = "" if before is None else f"; twice what was told at {_shown(when[before])}"
            what = f"{_observed(replay.kind, finding)}, {_number(finding.expected)} expected{again}"
            return Row(time, *_graded(replay, finding.score), True, replay.kind, what)
    if not span:  # a row that ends within a step knows what the row before knew
        span = range(max(span.start - 1, 0), span.start)
    if not span:
        return Row(time, 0.0, None, False, None, LEARNING)
    tops = [(replay, max(span, key=lambda step, score=replay.score: score[step])) for replay in replays]  # type: ignore[misc]
    over = [(replay, step) for replay, step in tops if replay.score[step] >= replay.threshold]
    replay, step = over[0] if over else max(tops, key=lambda top: top[0].score[top[1]] / top[0].threshold)
    score, last = float(replay.score[step]), replay.since.get(step, replay.told.get(step) and step)
    severity = _graded(replay, score)[1] if over else None
    reason = "calm"
    if all(replay.learning[span[-1]] for replay in replays):
        reason = LEARNING
    elif score >= CALM_SCORE:
        reason = (
            "unusual, but not enough to tell" if last is None else f"part of the spike told at {_shown(when[last])}"
        )
    return Row(time, round(score, 4), severity, False, replay.kind if over else None, reason)


def _graded(replay: _Replay, score: float) -> tuple[float, str]:
    return round(score, 4), next(name for least, name in SEVERITIES[replay.kind] if score >= least)


def _observed(kind: str, finding: Finding) -> str:
    minutes = finding.window // timedelta(minutes=1)
    window = f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
    return f"{finding.observed} {'negative' if kind == NEGATIVE else 'mentions'} in {window}"


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
