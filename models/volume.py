"""Volume spikes: far more mentions than a series' own past explains, whatever they say.

Every five minutes three keys must turn, each against what is usual at this time of day:

1. the last five minutes stand out, in standard deviations of the series' own past, its spikes left in: a brand that
   is talked about in bursts every day needs a larger one;
2. so do the last 15 minutes: what is over within one step must be twice as large;
3. so many mentions are unlikely (upper tail of a negative binomial as wide as the brand's usual days).

The score is the smallest of the two deviations and of -log10 of that chance, put on the same scale: at the threshold
of 5.5 the chance is one in 10,000.

What was learnt until a day begins is a `Past`; `look` scores the day with it, step by step, and `fold` makes the past
of the next day, as in `models.spikes`. Nothing looks ahead.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from models.counts import DAY, STEP, Array, Counts, Series, between, running
from models.episodes import CALM_SCORE, Episode, Finding, episodes
from models.state import Layout, Past, blank, remember
from models.tails import count_tail, interval

__all__ = [
    "LAYOUT",
    "SEVERITIES",
    "THRESHOLD",
    "VolumeFinding",
    "VolumeLooked",
    "find_volume_spikes",
    "findings",
    "fold",
    "fresh",
    "look",
    "replay",
]

THRESHOLD = 5.5
SEVERITIES = ((4 * THRESHOLD, "critical"), (2 * THRESHOLD, "high"), (0.0, "warning"))  # by the score
MINIMUM = 10  # mentions in 15 minutes, below which there is no spike to speak of
SETTLING = 2 * DAY  # steps seen; no alert while there is no past to compare with
WINDOWS = (1, 3)  # steps
LONGEST = max(WINDOWS)  # the window that is told, and by whose count a spike has doubled
HARDLY = 0.5  # a window of which less than this part was seen says nothing
KEEP = 0.93  # of what was known is left a day later: what is known is two weeks old on average
AROUND = (24, 6)  # steps before and after that tell what is usual at a time of day
POSTS = 10.0  # that a wider span counts for where a narrower one has few
LARGEST = 20.0  # deviations: what was further out widens what is usual no more than that
CUT, CUT_MORE = 3.5, 3.0  # the same for usual days, in their deviations and in posts
WIDEST = 50.0  # how many times Poisson's variance usual days can have
WIDE, WIDE_POSTS = 2.0, 300.0  # how many times they have, before it was measured; and the posts that this counts for
RARE = THRESHOLD / 4.0  # for each power of ten

LAYOUT = Layout(
    "volume 1",
    {
        # Sums over past days, forgotten by the day: mentions and steps seen, by time of day.
        "posts": (DAY,),
        "exposure": (DAY,),
        # What each window was off by, squared, over what was expected of it; and how many windows that are.
        "squares": (len(WINDOWS),),
        "windows": (1,),
        # Of the longest window: the same, spikes cut off, not over what was expected; and that.
        "usual_square": (1,),
        "usual_mean": (1,),
        # The last steps of the day: mentions, what was expected of them, and the part that was seen.
        "last": (3, LONGEST),
        "watched": (1,),  # steps seen since the first mention
    },
)


@dataclass(frozen=True, slots=True)
class VolumeFinding(Finding):
    """The state at one step. All mentions are counted: there is no share to tell (0)."""

    chance: float = 1.0

    @property
    def probability(self) -> float:
        """How rarely the brand's usual days have a window like this."""
        return self.chance


@dataclass(frozen=True)
class VolumeLooked:
    """Every step of a day (or several) from `start` on, [S, steps], through the last 15 minutes.

    `score` is 0 where nothing stands out.
    """

    start: datetime
    score: Array
    observed: Array  # mentions
    expected: Array
    variance: Array  # of the expected count on usual days
    chance: Array  # 1 where it was not asked for
    learning: NDArray[np.bool_]  # not 48 hours were seen yet: no score


@dataclass(frozen=True)
class _Day:
    """A day beside what was expected of it; windows reach back into the day before."""

    posts: Array
    seen: Array
    mean: Array  # mentions expected in each step, as far as it was seen
    tails: Array  # posts, mean and seen of the last steps before, [S, 3, LONGEST]

    def windows(self, length: int) -> tuple[Array, Array, Array]:
        """Mentions, expected mentions and steps seen of the windows that end in each step, [S, steps] each."""
        steps = self.posts.shape[1]
        rows = enumerate((self.posts, self.mean, self.seen))
        sums = [running(np.concatenate((self.tails[:, row], values), axis=1)) for row, values in rows]
        posts, mean, seen = (between(total, LONGEST, LONGEST + steps, length) for total in sums)
        return posts, mean, seen


def fresh(series: int, day: date) -> Past:
    """The past of series of which nothing is known."""
    return blank(LAYOUT, series, day)


def look(past: Past, today: Counts, minimum: int = MINIMUM, first: int = 0) -> VolumeLooked:
    """Score the steps from `first` on of a day of which `today` holds what there is so far: all mentions."""
    day = _day(past, today)
    learning = past["watched"] + np.cumsum(day.seen, axis=1) <= SETTLING
    least = np.full(day.posts.shape, np.inf)
    for index, length in enumerate(WINDOWS):  # the longest one last: it is the one that is told
        observed, expected, seen = day.windows(length)
        deviation = (observed - expected) / np.sqrt(_square(past, index) * (expected + 1.0) + 1.0)
        least = np.minimum(least, np.where(seen >= HARDLY * length, deviation, 0.0))
    ask = ~learning & (least >= CALM_SCORE) & (observed >= minimum)
    variance = np.maximum(expected, 1e-9) * _width(past)
    chance = np.ones_like(expected)
    chance[ask] = count_tail(observed[ask], np.maximum(expected, 1e-9)[ask], variance[ask])
    score = np.where(ask, np.minimum(least, -RARE * np.log10(chance)), 0.0)
    whole = VolumeLooked(today.start, score, observed, expected, variance, chance, learning)
    return _joined([whole], first)


def fold(past: Past, whole: Counts) -> Past:
    """The past of the next day, from this day's and its counts."""
    if whole.steps != DAY:
        raise ValueError(f"a day has {DAY} steps, not {whole.steps}")
    day = _day(past, whole)
    known = past["windows"] > 0
    judged = (day.seen > 0) & (past["exposure"].sum(axis=1, keepdims=True) > 0)  # nothing was expected of the first day
    count = np.maximum(judged.sum(axis=1, keepdims=True), 1)
    squares = np.zeros_like(past["squares"])
    for index, length in enumerate(WINDOWS):
        observed, expected, _ = day.windows(length)
        off = np.where(judged, (observed - expected) / np.sqrt(expected + 1.0), 0.0)
        own = (off**2).sum(axis=1, keepdims=True) / count
        most = LARGEST * np.sqrt(np.where(known, _square(past, index), own))
        squares[:, index] = (np.clip(off, -most, most) ** 2).sum(axis=1)
    most = CUT * np.sqrt(_width(past) * expected) + CUT_MORE
    usual = np.where(judged, np.clip(observed - expected, -most, most), 0.0)
    exposure = KEEP * past["exposure"] + day.seen
    learnt = {
        "posts": KEEP * past["posts"] + day.posts,
        "exposure": exposure,
        "squares": KEEP * past["squares"] + squares,
        "windows": KEEP * past["windows"] + judged.sum(axis=1, keepdims=True),
        "usual_square": KEEP * past["usual_square"] + (usual**2).sum(axis=1, keepdims=True),
        "usual_mean": KEEP * past["usual_mean"] + np.where(judged, expected, 0.0).sum(axis=1, keepdims=True),
        "last": np.stack([values[:, -LONGEST:] for values in (day.posts, day.mean, day.seen)], axis=1),
        "watched": past["watched"] + day.seen.sum(axis=1, keepdims=True),
    }
    return remember(LAYOUT, past.day + timedelta(days=1), learnt)


def replay(past: Past, counts: Counts, minimum: int = MINIMUM) -> tuple[VolumeLooked, Past]:
    """Look at many days one after the other; the past is that of the last day, which may be unfinished."""
    looked = []
    for first in range(0, max(counts.steps, 1), DAY):
        today = counts.part(first, min(first + DAY, counts.steps))
        looked.append(look(past, today, minimum))
        if first + DAY <= counts.steps:
            past = fold(past, today)
    return _joined(looked), past


def findings(looked: VolumeLooked, row: int) -> Iterator[VolumeFinding]:
    """The steps of one series that are not calm."""
    for step in np.flatnonzero(looked.score[row] >= CALM_SCORE):
        observed, mean = looked.observed[row, step], looked.expected[row, step]
        low, high = interval(mean, looked.variance[row, step])
        yield VolumeFinding(
            at=looked.start + STEP * (int(step) + 1),
            window=STEP * LONGEST,
            observed=round(observed),
            expected=float(mean),
            factor=float(observed / max(mean, 1e-9)),
            mentions=round(observed),
            share=0.0,
            usual_share=0.0,
            score=float(looked.score[row, step]),
            low=float(low),
            high=float(high),
            chance=float(looked.chance[row, step]),
        )


def find_volume_spikes(
    series: Series, since: datetime, threshold: float = THRESHOLD, minimum: int = MINIMUM
) -> list[Episode]:
    """The episodes that are open at or after `since`. It never looks ahead: a longer series has the same past."""
    counts = series.counts()
    looked, _ = replay(fresh(1, counts.day), counts, minimum)
    found = episodes(findings(looked, 0), counts.start + STEP * counts.steps, threshold)
    return [episode for episode in found if episode.ends is None or episode.ends >= since]


def _day(past: Past, today: Counts) -> _Day:
    """Before its first mention a series was not watched: that is no history. What was not seen holds no counts."""
    if past.day != today.day:
        raise ValueError(f"the past of {past.day} is no past of counts of {today.day}")
    mentions = today.negatives + today.others
    seen = np.where((past["watched"] > 0) | (np.cumsum(mentions, axis=1) > 0), today.seen, 0.0)
    return _Day(mentions * (seen > 0), seen, _usual(past)[:, : today.steps] * seen, past["last"])


def _joined(looked: Sequence[VolumeLooked], first: int = 0) -> VolumeLooked:
    """Days that follow each other, from a step of them on."""
    names = [name for name in VolumeLooked.__dataclass_fields__ if name != "start"]
    arrays = {name: np.concatenate([getattr(one, name) for one in looked], axis=1)[:, first:] for name in names}
    return VolumeLooked(looked[0].start + STEP * first, **arrays)


def _usual(past: Past) -> Array:
    """Mentions that each step of the day should have if everything is read, [S, 288]."""
    posts, exposure = past["posts"], past["exposure"]
    rate: Array = (posts.sum(axis=1, keepdims=True) + 0.5) / np.maximum(exposure.sum(axis=1, keepdims=True), 1.0)
    for half in AROUND:
        rate = (_around(posts, half) + POSTS) / (_around(exposure, half) + POSTS / rate)
    return rate


def _around(values: Array, half: int) -> Array:
    """Sums over the times of day around each, across midnight too."""
    wrapped = np.concatenate((values[:, -half:], values, values[:, :half]), axis=1)
    width = 2 * half + 1
    return between(running(wrapped), width - 1, DAY + width - 1, width)


def _square(past: Past, index: int) -> Array:
    """What windows of one length are off by on average, squared, over what is expected of them, [S, 1]."""
    return np.asarray(past["squares"][:, index : index + 1] / np.maximum(past["windows"], 1.0))


def _width(past: Past) -> Array:
    """How many times Poisson's the variance of usual days is, [S, 1]."""
    width = (past["usual_square"] + WIDE * WIDE_POSTS) / (past["usual_mean"] + WIDE_POSTS)
    return np.minimum(np.maximum(width, 1.05), WIDEST)
