"""Share shifts of one brand: its negatives are a larger part of the talk than before, for days rather than hours.

Every hour the share of negatives in the last day, three days and week is held against the four weeks before:

1. An hour is worth fifty posts at the most, however many came: posts of one hour resemble each other.
2. Each window is cut into eight parts, of which the two highest and the two lowest are pulled in to the next ones
   (a winsorised mean), so that a burst of hours, or one bad day of a week, is no shift.
3. How far a day's share strays from that of the weeks before, and for how many days it stays there, is measured on the
   brand itself and shrunk towards what is usual (method of moments). The chance is the upper tail of a binomial whose
   counts are cut to what they are worth under that.

The score is -log10 of that chance, the largest over the windows. A shift must also matter: the odds of a negative are
up by three tenths at least.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from models.tails import share_tail

Array = NDArray[np.float64]

HOUR = timedelta(hours=1)
DAY = 24  # hours
WINDOWS = (DAY, 3 * DAY, 7 * DAY)
HISTORY = 28 * DAY  # before each window
LEARNING = 14 * DAY  # hours that must have been read before the window
READ = 0.75  # an hour of which less could be read says nothing: what is missing may be what is different
TYPICAL_SHARE, TYPICAL_WEIGHT = 0.25, 8.0  # of negatives, until the brand has shown its own
PARTS, PULLED = 8, 2  # parts of a window, and how many of them are pulled in on either side
ALIKE = 0.02  # of the posts of one hour: it is worth 1 / ALIKE at the most
ODDS = 1.3  # times the usual odds of a negative
TYPICAL_STRAY, TYPICAL_KEEP = 0.2, 0.5  # of a day's share, in log-odds; and how much of it is left the day after
DAYS = 10.0  # that these two count for
CLUSTERS = 1.3  # variance of a part of a day, in binomial ones, before it was measured
SETTLED = timedelta(days=28)  # after its start a shift is the new normal
SAME_SHIFT = timedelta(days=7)  # after it was over, a new crossing belongs to it
LOOK_BACK = timedelta(days=98)  # what a shift that is open at a time rests on: it may be four weeks old


@dataclass(frozen=True, slots=True)
class Talk:
    """Hourly counts of one brand by time of posting, whole hours only."""

    start: datetime  # aware, a full hour
    negatives: Sequence[int] | NDArray[np.int64]
    others: Sequence[int] | NDArray[np.int64]  # all other rated mentions
    seen: Sequence[float] | Array  # 0 to 1: how much of the hour could be read


@dataclass(frozen=True, slots=True)
class ShiftFinding:
    """The state at the end of one hour, seen through the window that stands out most."""

    at: datetime  # end of the window
    window: timedelta
    negatives: int  # that were read in the window
    mentions: int
    share: float  # of negatives, single hours and parts of the window cut down to size
    usual_share: float  # in the four weeks before the window
    spread: float  # standard deviation of the share of such a window
    score: float

    @property
    def expected(self) -> float:
        """Negatives that as many mentions usually have."""
        return self.usual_share * self.mentions

    @property
    def interval(self) -> tuple[float, float]:
        """Between which shares 95 % of such windows lie."""
        return max(self.usual_share - 1.96 * self.spread, 0.0), min(self.usual_share + 1.96 * self.spread, 1.0)

    @property
    def probability(self) -> float:
        """How rarely a share strays so far without a cause: what the score was made from."""
        return float(10.0**-self.score)


@dataclass(frozen=True, slots=True)
class Shift:
    """One share shift from its first crossing until it went back or became the new normal."""

    starts: datetime  # start of the window of the first finding
    last_seen: datetime  # last hour over the threshold
    ends: datetime | None  # None while it goes on
    settled: bool  # it has ended because the share stayed for four weeks
    found: ShiftFinding  # the first
    peak: ShiftFinding  # the largest share


@dataclass(frozen=True, slots=True)
class _Window:
    """One window length at the end of every hour."""

    length: int
    negatives: Array
    mentions: Array
    share: Array  # NaN where too little was read
    usual: Array
    spread: Array  # standard deviation of the share
    score: Array

    def finding(self, hour: int, start: datetime) -> ShiftFinding:
        return ShiftFinding(
            at=start + HOUR * (hour + 1),
            window=HOUR * self.length,
            negatives=round(self.negatives[hour]),
            mentions=round(self.mentions[hour]),
            share=float(self.share[hour]),
            usual_share=float(self.usual[hour]),
            spread=float(self.spread[hour]),
            score=float(self.score[hour]),
        )


def find_shifts(talk: Talk, since: datetime, threshold: float = 4.0, minimum: int = 20) -> list[Shift]:
    """Return the shifts that are open at or after `since`. It never looks ahead: more hours have the same past.

    `threshold` is a score; a window with fewer than `minimum` effective negatives says nothing. Counts should begin
    `LOOK_BACK` before `since`. A brand's first two weeks are for learning.
    """
    read = np.asarray(talk.seen, dtype=np.float64) >= READ
    read &= np.cumsum(np.asarray(talk.negatives) + np.asarray(talk.others)) > 0  # before, it was not watched
    windows = _windows(talk, read, minimum)
    scores = np.stack([window.score for window in windows])
    best, highest = scores.argmax(axis=0), scores.max(axis=0)
    shifts: list[Shift] = []
    for hour in np.flatnonzero(read).tolist():
        at = talk.start + HOUR * (hour + 1)
        last = shifts[-1] if shifts else None
        if last is not None and last.ends is None:
            settled = at - last.starts >= SETTLED
            if settled or _gone_back(last, windows, hour):
                shifts[-1] = replace(last, ends=at, settled=settled)
                continue
        if highest[hour] < threshold:
            continue
        finding = windows[best[hour]].finding(hour, talk.start)
        if last is None or (last.ends is not None and (last.settled or at - last.ends > SAME_SHIFT)):
            shifts.append(Shift(at - finding.window, at, None, False, finding, finding))
        else:
            peak = finding if finding.share > last.peak.share else last.peak
            shifts[-1] = replace(last, last_seen=at, ends=None, peak=peak)
    return [shift for shift in shifts if shift.ends is None or shift.ends >= since]


def _gone_back(shift: Shift, windows: Sequence[_Window], hour: int) -> bool:
    """Whether the share is nearer to what was usual than to what was found: of a day, three days, and as long a window.

    A day alone goes up and down; three days remember a shift that was found in one for longer than it lasted.
    """
    half_way = (shift.found.share + shift.found.usual_share) / 2
    longest = max(shift.found.window // HOUR, 3 * DAY)
    shares = [window.share[hour] for window in windows if window.length <= longest]
    return not any(np.isnan(share) or share >= half_way for share in shares)


def _trailing(values: Array, length: int, lag: int = 0) -> Array:
    """The sum of the last `length` values up to each hour, leaving out the last `lag`."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    hour = np.arange(len(values)) + 1
    difference: Array = total[np.maximum(hour - lag, 0)] - total[np.maximum(hour - length, 0)]
    return difference


def _windows(talk: Talk, read: NDArray[np.bool_], minimum: int) -> list[_Window]:
    negatives = np.where(read, np.asarray(talk.negatives, dtype=np.float64), 0.0)
    mentions = negatives + np.where(read, np.asarray(talk.others, dtype=np.float64), 0.0)
    worth = mentions / (1.0 + ALIKE * mentions)
    bad = negatives * worth / np.maximum(mentions, 1.0)
    hours = read.astype(np.float64)
    day = _strayed(bad, worth, DAY)
    result = []
    for length in WINDOWS:
        usual, stray, weight, _ = day if length == DAY else _strayed(bad, worth, length)
        clusters = _clusters(day[3], length)
        chance = usual * (1.0 - usual)
        counted = 1.0 / np.maximum(weight, 1e-9) + 1.0 / (_trailing(worth, length + HISTORY, length) + TYPICAL_WEIGHT)
        variance = clusters * counted / chance + _wander(day, clusters, length)
        share = np.clip(usual + stray * chance, 0.0, 1.0)
        enough = _trailing(hours, length) >= length * READ
        learned = _trailing(hours, length + HISTORY, length) >= LEARNING
        odds = share * (1.0 - usual) >= ODDS * usual * (1.0 - share)
        ask = enough & learned & odds & (share * weight / clusters >= minimum)
        score = np.zeros_like(share)
        posts = 1.0 / (chance * variance)[ask]  # as many drawn at random would stray as far
        plain, none = np.ones_like(posts), np.zeros_like(posts)
        score[ask] = -np.log10(share_tail(share[ask] * posts, posts, usual[ask], plain, none))
        counts = _trailing(negatives, length), _trailing(mentions, length)
        spread = chance * np.sqrt(variance)
        result.append(_Window(length, *counts, np.where(enough, share, np.nan), usual, spread, score))
    return result


def _strayed(bad: Array, worth: Array, length: int) -> tuple[Array, Array, Array, Array]:
    """Return for windows that end with each hour: usual share, how far theirs strays, their worth, and the last part.

    Strays are in log-odds. The last part is its residual in standard deviations, NaN where nobody posted.
    """
    past_bad, past = (_trailing(values, length + HISTORY, length) for values in (bad, worth))
    usual = (past_bad + TYPICAL_SHARE * TYPICAL_WEIGHT) / (past + TYPICAL_WEIGHT)
    deviation = np.sqrt(usual * (1.0 - usual))
    part = length // PARTS
    weights = np.stack([_trailing(worth, (at + 1) * part, at * part) for at in range(PARTS)])
    counts = np.stack([_trailing(bad, (at + 1) * part, at * part) for at in range(PARTS)])
    residuals = (counts - usual * weights) / (np.sqrt(np.maximum(weights, 1e-9)) * deviation)
    residuals[weights <= 0] = 0.0
    ordered = np.sort(residuals, axis=0)
    pulled = np.clip(residuals, ordered[PULLED], ordered[-1 - PULLED])
    weight = weights.sum(axis=0)
    stray = (np.sqrt(weights) * pulled).sum(axis=0) / (np.maximum(weight, 1e-9) * deviation)
    return usual, stray, weight, np.where(weights[0] > 0, residuals[0], np.nan)


def _clusters(residual: Array, lag: int) -> Array:
    """The variance of parts of days in binomial ones: above 1 where posts come in clusters of like mind."""
    there = ~np.isnan(residual)
    square = np.where(there, np.minimum(residual**2, 12.0), 0.0)
    part = DAY // PARTS
    seen, parts = (_trailing(values, lag + HISTORY, lag) / part for values in (square, there.astype(np.float64)))
    prior = DAYS * PARTS
    result: Array = np.maximum((seen + CLUSTERS * prior) / (parts + prior), 1.0)
    return result


def _wander(day: tuple[Array, Array, Array, Array], clusters: Array, length: int) -> Array:
    """The variance of the share of `length` hours beyond that of its counts, from how the shares of days wandered."""
    usual, stray, weight, _ = day
    counted = clusters / np.maximum(weight * usual * (1.0 - usual), 1e-9)
    prior = TYPICAL_STRAY**2
    told = np.where(weight > 0, (prior / (counted + prior)) ** 2, 0.0)  # how much a day tells

    def history(values: Array) -> Array:
        return _trailing(values, length + HISTORY, length) / DAY  # days overlap

    square = np.full_like(stray, prior)
    for _ in range(2):
        most = 3.0 * np.sqrt(counted + square)
        cut = np.clip(stray, -most, most)
        square = (history(told * (cut**2 - counted)) + DAYS * prior) / (history(told) + DAYS)
        square = np.maximum(square, prior / 16.0)
    before = np.concatenate((np.zeros(min(DAY, len(cut))), cut[:-DAY]))
    together = history(told * cut * before) + DAYS * TYPICAL_KEEP * square
    keep = np.clip(together / ((history(told) + DAYS) * square), 0.0, 0.95)
    days = length // DAY
    left = 1.0 + 2.0 * sum((1.0 - lag / days) * keep**lag for lag in range(1, days))
    result: Array = square * left / days
    return result
