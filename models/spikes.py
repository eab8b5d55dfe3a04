"""Negative spikes: more negatives than a series' own past and the volume of its other mentions explain.

Every five minutes, over the last 15 minutes, hour and three hours, two keys must turn:

1. so many negatives are unlikely, given what is usual at this time of day and how many other mentions came in the
   same window (upper tail of a negative binomial);
2. so large a share of negatives is unlikely (upper tail of a binomial, the counts cut to what they are worth when
   the posts of one window resemble each other).

The score is the largest over the windows of min(-log10 p1, 1.5 * -log10 p2). Where most mentions are negative anyway
the share cannot tell anything, and key 1 stands alone. At a score of 4, expect one false alarm in eleven to
seventeen weeks of a brand.

A series is a brand, or a slice of it: a source, a stage, a pillar. Slices are further rows of the same arrays. Who
asks of n slices whether one of them stands out asks n times as often: add log10(n) to the threshold.

What was learnt until a day begins is a `Past`; `look` scores the day with it, step by step, and `fold` makes the past
of the next day. Nothing looks ahead: the score of a step needs the past and the counts up to that step.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from models import dispersion
from models.baseline import KEEP, QUARTER, QUARTERS, TYPICAL_WEIGHT, Expected, Usual, expected, usual
from models.counts import DAY, STEP, Array, Counts, Flags, Series, between, running
from models.dispersion import SUMS, Spread, Window, learn, spread
from models.episodes import CALM_SCORE, Episode, Finding, episodes
from models.state import Layout, Past, blank, remember
from models.tails import count_tail, interval, share_tail

__all__ = [
    "LAYOUT",
    "SAME_STORY",
    "STEP",
    "Counts",
    "Episode",
    "Finding",
    "Looked",
    "Series",
    "find_spikes",
    "findings",
    "fold",
    "fresh",
    "look",
    "replay",
]

WINDOWS = (3, 12, 36)  # steps
LONGEST = max(WINDOWS)
SETTLING = 2 * DAY  # steps seen; no alert while there is no past to compare with
SEVERITIES = ((8.0, "critical"), (6.0, "high"), (0.0, "warning"))  # by the score at the peak
COMPLAINTS = 0.6  # usual share of negatives above which it says nothing
STANDS_OUT = 1.0  # standard deviations; what is nearer to what was expected has no score worth computing
SAME_STORY = timedelta(hours=6)  # after it was last told; with a day, what is lost is every second burst of a day
HARDLY = 0.5  # a window of which less than this part was seen says nothing

LAYOUT = Layout(
    "negative 2",
    {
        # Sums over past days, forgotten by the day: counts and steps seen, by weekday and quarter of an hour.
        "negatives": (7, QUARTERS),
        "others": (7, QUARTERS),
        "exposure": (7, QUARTERS),
        # The last day: counts, the same with bursts cut to size, and what was usual, as far as it was seen.
        "day_negatives": (DAY,),
        "day_others": (DAY,),
        "calm_negatives": (DAY,),
        "calm_others": (DAY,),
        "usual_negatives": (DAY,),
        "usual_others": (DAY,),
        # Its last three hours: what was expected, and the part that was seen.
        "mean_negatives": (LONGEST,),
        "mean_others": (LONGEST,),
        "seen": (LONGEST,),
        "learnt": (len(WINDOWS), SUMS),
        "watched": (1,),  # steps seen since the first mention
    },
)


@dataclass(frozen=True)
class Looked:
    """Every step of a day (or several) from `start` on, [S, steps], through the window that stands out most.

    `score` is 0 where nothing stands out; `expected` are negatives, given the past and the volume of other mentions.
    """

    start: datetime
    score: Array
    window: NDArray[np.int64]  # steps
    observed: Array  # negatives
    expected: Array
    variance: Array  # of the expected count
    mentions: Array
    share: Array
    usual_share: Array
    learning: Flags  # not 48 hours were seen yet: no score

    @property
    def low(self) -> Array:
        """Lower end of the interval in which 95 % of such counts lie without a cause."""
        return interval(self.expected, self.variance)[0]

    @property
    def high(self) -> Array:
        """Upper end of that interval."""
        return interval(self.expected, self.variance)[1]


@dataclass(frozen=True)
class _Day:
    """What the windows of a day are made from: running sums of counts, means and coverage, [S, LONGEST + steps + 1]."""

    today: Counts
    usual: Usual
    expected: Expected
    sums: Mapping[str, Array]

    def window(self, length: int, first: int) -> tuple[Window, Array]:
        """The windows that end in steps from `first` on, and how many steps of each were seen."""
        sums = {
            name: between(total, LONGEST + first, LONGEST + self.today.steps, length)
            for name, total in self.sums.items()
        }
        here = slice(first, self.today.steps)
        # An expectation that rests on few posts is itself uncertain.
        alphas = (0.06 + 1.0 / (10.0 + support[:, here]) for support in (self.usual.support, self.usual.others_support))
        return Window(
            length, sums["negatives"], sums["others"], sums["mean_negatives"], sums["mean_others"], *alphas
        ), sums["seen"]


@dataclass(frozen=True)
class _Estimate:
    """Windows of one length, what is made of them, and which of them were seen well enough."""

    window: Window
    spread: Spread
    enough: Flags


def fresh(series: int, day: date) -> Past:
    """The past of series of which nothing is known."""
    return blank(LAYOUT, series, day)


def look(past: Past, today: Counts, minimum: int = 5, first: int = 0) -> Looked:
    """Score the steps from `first` on of a day of which `today` holds what there is so far, [S, up to 288 steps].

    ValueError where `past` is not that of the beginning of this day.
    """
    day = _day(past, today, usual(past))
    return _look(past, day, _estimates(past, day, first), minimum, first)


def fold(past: Past, whole: Counts) -> Past:
    """The past of the next day, from this day's and its counts."""
    day = _day(past, whole, _usual_of(past, whole))
    return _fold(past, day, _estimates(past, day))


def replay(past: Past, counts: Counts, minimum: int = 5) -> tuple[Looked, Past]:
    """Look at many days one after the other; the past is that of the last day, which may be unfinished."""
    looked = []
    for first in range(0, max(counts.steps, 1), DAY):
        today = counts.part(first, min(first + DAY, counts.steps))
        day = _day(past, today, usual(past))
        estimates = _estimates(past, day)
        looked.append(_look(past, day, estimates, minimum))
        if first + DAY <= counts.steps:
            young = (past["watched"] < DAY).any()
            past = fold(past, today) if young else _fold(past, day, estimates)
    return _end_to_end(looked), past


def _end_to_end(looked: list[Looked]) -> Looked:
    arrays = {
        name: np.concatenate([getattr(one, name) for one in looked], axis=1)
        for name in Looked.__dataclass_fields__
        if name != "start"
    }
    return Looked(looked[0].start, **arrays)


def _usual_of(past: Past, whole: Counts) -> Usual:
    """What a day should have had, in hindsight for series that are not known for a day: it is learnt, never scored."""
    heard = _heard(past, whole)
    had = np.stack([values.sum(axis=1) for values in (heard.negatives, heard.others, heard.seen)], axis=1)
    return usual(past, np.where(past["watched"] < DAY, had, 0.0))


def _heard(past: Past, today: Counts) -> Counts:
    """Before its first mention a series was not watched: that is no history. What was not seen holds no counts."""
    if past.day != today.day:
        raise ValueError(f"the past of {past.day} is no past of counts of {today.day}")
    begun = (past["watched"] > 0) | (np.cumsum(today.negatives + today.others, axis=1) > 0)
    seen = np.where(begun, today.seen, 0.0)
    return replace(today, negatives=today.negatives * (seen > 0), others=today.others * (seen > 0), seen=seen)


def _day(past: Past, today: Counts, day: Usual) -> _Day:
    heard = _heard(past, today)
    means = expected(past, heard, day)
    parts = {
        "negatives": (past["day_negatives"][:, -LONGEST:], heard.negatives),
        "others": (past["day_others"][:, -LONGEST:], heard.others),
        "mean_negatives": (past["mean_negatives"], means.negatives),
        "mean_others": (past["mean_others"], means.others),
        "seen": (past["seen"], heard.seen),
    }
    sums = {name: running(np.concatenate(pair, axis=1)) for name, pair in parts.items()}
    return _Day(heard, day, means, sums)


def _estimates(past: Past, day: _Day, first: int = 0) -> list[_Estimate]:
    made = []
    for index, length in enumerate(WINDOWS):
        window, seen = day.window(length, first)
        made.append(_Estimate(window, spread(window, past["learnt"][:, index]), seen >= HARDLY * length))
    return made


def _look(past: Past, day: _Day, estimates: Sequence[_Estimate], minimum: int, first: int = 0) -> Looked:
    learning = (past["watched"] + np.cumsum(day.today.seen, axis=1) <= SETTLING)[:, first:]
    doubt = 1.0 / (TYPICAL_WEIGHT + day.usual.mentions)  # of the usual share
    made = [_scored(one, doubt, ~learning & one.enough, minimum) for one in estimates]
    best = np.stack([scored["score"] for scored in made]).argmax(axis=0)
    chosen = {name: np.choose(best, [scored[name] for scored in made]) for name in made[0]}
    start = day.today.start + STEP * first
    return Looked(start, window=np.array(WINDOWS)[best], learning=learning, **chosen)


def _scored(one: _Estimate, doubt: Array, able: Flags, minimum: int) -> dict[str, Array]:
    window, made = one.window, one.spread
    observed, mentions = window.negatives, window.negatives + window.others
    due = window.negatives_mean + window.others_mean
    share = np.divide(window.negatives_mean, due, out=np.zeros_like(due), where=due > 0)
    variance = made.given.variance(made.expected)
    beyond = observed - made.expected > STANDS_OUT * np.sqrt(variance)
    ask = able & beyond & (observed >= minimum) & (made.expected > 0)
    count = -np.log10(count_tail(observed[ask], made.expected[ask], variance[ask]))
    alike = np.broadcast_to(doubt + made.alike, share.shape)
    part = -1.5 * np.log10(share_tail(observed[ask], mentions[ask], share[ask], made.given.phi[ask], alike[ask]))
    score = np.zeros_like(share)
    score[ask] = np.where(share[ask] <= COMPLAINTS, np.minimum(count, part), count)
    seen_share = np.divide(observed, mentions, out=np.zeros_like(share), where=mentions > 0)
    return {
        "score": score,
        "observed": observed,
        "expected": made.expected,
        "variance": variance,
        "mentions": mentions,
        "share": seen_share,
        "usual_share": share,
    }


def _fold(past: Past, day: _Day, estimates: Sequence[_Estimate]) -> Past:
    today, calmed = day.today, day.expected.calmed
    if today.steps != DAY:
        raise ValueError(f"a day has {DAY} steps, not {today.steps}")
    known = past["watched"] >= DAY
    learnt = dispersion.KEEP * past["learnt"]
    for index, one in enumerate(estimates):
        learnt[:, index] += learn(one.window, one.spread, known & one.enough)
    sums = {}
    for name, values in (("negatives", calmed[0]), ("others", calmed[1]), ("exposure", today.seen)):
        sums[name] = KEEP * past[name]
        sums[name][:, past.day.weekday()] += values.reshape(-1, QUARTERS, QUARTER).sum(axis=2)
    return remember(
        LAYOUT,
        past.day + timedelta(days=1),
        sums
        | {
            "day_negatives": today.negatives,
            "day_others": today.others,
            "calm_negatives": calmed[0],
            "calm_others": calmed[1],
            "usual_negatives": day.usual.negatives * today.seen,
            "usual_others": day.usual.others * today.seen,
            "mean_negatives": day.expected.negatives[:, -LONGEST:],
            "mean_others": day.expected.others[:, -LONGEST:],
            "seen": today.seen[:, -LONGEST:],
            "learnt": learnt,
            "watched": past["watched"] + today.seen.sum(axis=1, keepdims=True),
        },
    )


def findings(looked: Looked, row: int) -> Iterator[Finding]:
    """The steps of one series that are not calm."""
    steps = np.flatnonzero(looked.score[row] >= CALM_SCORE)
    ends = interval(looked.expected[row, steps], looked.variance[row, steps])
    for step, low, high in zip(steps, *ends, strict=True):
        observed, mean = looked.observed[row, step], looked.expected[row, step]
        yield Finding(
            at=looked.start + STEP * (int(step) + 1),
            window=STEP * int(looked.window[row, step]),
            observed=round(observed),
            expected=float(mean),
            factor=float(observed / mean),
            mentions=round(looked.mentions[row, step]),
            share=float(looked.share[row, step]),
            usual_share=float(looked.usual_share[row, step]),
            score=float(looked.score[row, step]),
            low=float(low),
            high=float(high),
        )


def find_spikes(series: Series, since: datetime, threshold: float = 4.0, minimum: int = 5) -> list[Episode]:
    """The episodes that are open at or after `since`. It never looks ahead: a longer series has the same past."""
    counts = series.counts()
    looked, _ = replay(fresh(1, counts.day), counts, minimum)
    found = episodes(findings(looked, 0), counts.start + STEP * counts.steps, threshold, same_story=SAME_STORY)
    return [episode for episode in found if episode.ends is None or episode.ends >= since]
