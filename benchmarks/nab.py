"""NAB's score of volume spikes: `python -m benchmarks.nab [CSV …]`, or `make bench-nab`.

The files have the columns timestamp and value; beside them lies windows.json with the hand-labelled windows. Scored is
as in NAB's standard profile (nab/sweeper.py of numenta/NAB): a window pays once, the more the earlier its first
detection lies in it, and costs as much if it has none; every other detection costs 0.11, less shortly after a window;
the first 15 % of the rows, 750 at the most, do not count. Nothing detected is 0; the first row of every window, and
nothing else, is 100.

Detections are the rows at which a notification goes out: the first of an episode, and each time its count doubled.
Beside ours, under the same rule, a Gaussian over a moving window and votes as Etsy's Skyline takes them; and the
Gaussian as NAB runs it, every row a detection: it must give the scores that NAB published.
"""

import csv
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from db.errors import InputError, SentimonError
from db.times import FIVE_MINUTES, floor
from models.counts import STEP, Array, Series
from models.episodes import CALM_SCORE, Finding, episodes
from models.volume import find_volume_spikes

FOLDER = Path("../shared/data/volume")
FALSE = 0.11  # a false detection; one that is right, or missing, counts 1
UNSCORED, MOST_UNSCORED = 0.15, 750  # rows
GAUSSIAN_ROWS, GAUSSIAN_MOVES = 6400, 100  # as NAB runs it
GAUSSIAN = 7.13  # deviations: NAB's best threshold, a tail of 5e-13, which its files round away
VOTES = 4.0  # all of them
START = datetime(2015, 1, 1, tzinfo=UTC)
Rows = Sequence[int]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Five-minute counts and the windows (first and last row) in which something happened."""

    name: str
    start: datetime
    counts: NDArray[np.int64]
    windows: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Scored:
    """What detections are worth: `raw` lies between minus and plus the number of windows, and less with false ones."""

    raw: float
    windows: int
    found: int
    false: int

    @property
    def score(self) -> float:
        """100 for the first row of every window, 0 for no detection at all."""
        return 100.0 * (self.raw + self.windows) / (2.0 * self.windows)


def main(paths: Sequence[str]) -> None:
    """Print a line a file and one for all, for each detector."""
    files = [Path(path) for path in paths] or sorted(FOLDER.glob("*.csv"))
    if not files:
        print(f"nab: no counts in {FOLDER}; name CSV files (timestamp, value) that have a windows.json beside them")
        return
    series = [read(path) for path in files]
    for title, detector in DETECTORS.items():
        print(f"\n{title}\n{'':<24}{'score':>8}{'windows':>10}{'false':>8}")
        every = []
        for one in series:
            every.append(scored(len(one.counts), one.windows, detector(one)))
            print(_line(one.name, every[-1]))
        sums = (sum(getattr(each, name) for each in every) for name in ("raw", "windows", "found", "false"))
        print(_line("all", Scored(*sums)))


def read(path: Path) -> Labelled:
    """Read a file, and its windows from the windows.json beside it."""
    try:
        rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
        labels = json.loads((path.parent / "windows.json").read_text("utf-8"))
        at = {datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC): i for i, row in enumerate(rows)}
        ends = next(spans for name, spans in labels.items() if Path(name).name == path.name)
        windows = [tuple(at[datetime.fromisoformat(end).replace(tzinfo=UTC)] for end in span) for span in ends]
        counts = np.array([int(float(row["value"])) for row in rows])
        return Labelled(path.stem, next(iter(at)), counts, [(first, last) for first, last in windows])
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise InputError(
            f"{path}: expected are the columns timestamp and value, and the file's windows in windows.json ({error})"
        ) from error


def scored(rows: int, windows: Sequence[tuple[int, int]], told: Rows) -> Scored:
    """Score detections (rows) against windows (first and last row, in order) in a file of so many rows."""
    unscored = min(math.floor(UNSCORED * rows), MOST_UNSCORED)
    # A window that lies wholly in the rows that do not count is none.
    best = {window: -1.0 for window in windows if window[1] >= unscored}
    false, cost = 0, 0.0
    for row in told:
        if row < unscored:
            continue
        inside = next(((first, last) for first, last in windows if first <= row <= last), None)
        if inside:
            first, last = inside
            worth = _worth(-(last - row + 1) / (last - first + 1)) / _worth(-1.0)
            best[inside] = max(best[inside], worth)
        else:
            past = [(row - last) / (last - first) for first, last in windows if last < row]
            false, cost = false + 1, cost + FALSE * _worth(past[-1] if past else 3.0)
    return Scored(sum(best.values()) + cost, len(best), sum(worth > -1.0 for worth in best.values()), false)


def _worth(position: float) -> float:
    """From nearly 1 at the left edge of a window (-1) by 0 at its right edge to -1 far behind it."""
    return -1.0 if position >= 3.0 else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def ours(series: Labelled) -> Rows:
    """The rows at which the product would notify."""
    start = floor(series.start, FIVE_MINUTES)
    found = find_volume_spikes(Series(start, series.counts, np.zeros_like(series.counts)), start)
    return [round((finding.at - start) / STEP) - 1 for episode in found for finding in episode.notify]


def gaussian(series: Labelled) -> Array:
    """How many deviations each row lies off the mean of the rows before; after 6,400 rows these move by the hundred."""
    counts = series.counts.astype(np.float64)
    rows = np.arange(len(counts))
    end = np.where(rows <= GAUSSIAN_ROWS, rows, rows - (rows - GAUSSIAN_ROWS) % GAUSSIAN_MOVES)
    first = np.maximum(end - GAUSSIAN_ROWS, 0)
    ones, sums, squares = (np.concatenate(([0.0], np.cumsum(counts**power))) for power in (0, 1, 2))
    number = np.maximum(ones[end] - ones[first], 1.0)
    mean = (sums[end] - sums[first]) / number
    variance = (squares[end] - squares[first]) / number - mean**2
    deviation = np.where(end > 0, np.abs(counts - mean) / np.maximum(np.sqrt(np.maximum(variance, 0.0)), 1e-6), 0.0)
    return np.asarray(deviation)


def votes(series: Labelled) -> Array:
    """How many of four rules of Skyline find a row more than three deviations up.

    The last 15 minutes against the same hour a day ago and against everything so far, a row against everything so far
    and against a mean that forgets half of it every three hours.
    """
    counts = series.counts.astype(np.float64)
    recent = _mean(counts, 3, 0)
    hour = _off(recent, *_moments(counts, 300, 288))
    return np.asarray(
        (hour > 3.0).astype(np.float64)
        + (_off(recent, *_moments(counts, len(counts), 0)) > 3.0)
        + (_off(counts, *_moments(counts, len(counts), 1)) > 3.0)
        + (_off(counts, *_forgetful(counts, 50.0)) > 3.0)
    )


def _forgetful(counts: Array, memory: float) -> tuple[Array, Array]:
    from scipy.signal import lfilter

    keep = memory / (1.0 + memory)
    weight, mean, square = (lfilter([1.0 - keep], [1.0, -keep], counts**power) for power in (0, 1, 2))
    return mean / weight, np.sqrt(np.maximum(square / weight - (mean / weight) ** 2, 0.0))


def _moments(counts: Array, length: int, lag: int) -> tuple[Array, Array]:
    """Mean and deviation of the last `length` rows but the last `lag`."""
    mean = _mean(counts, length, lag)
    return mean, np.sqrt(np.maximum(_mean(counts**2, length, lag) - mean**2, 0.0))


def _mean(values: Array, length: int, lag: int) -> Array:
    total = np.concatenate(([0.0], np.cumsum(values)))
    rows = np.arange(len(values)) + 1
    first, end = np.maximum(rows - length, 0), np.maximum(rows - lag, 0)
    return np.asarray((total[end] - total[first]) / np.maximum(end - first, 1))


def _off(values: Array, mean: Array, deviation: Array) -> Array:
    return (values - mean) / np.maximum(deviation, 1e-6)


def told(series: Labelled, score: Array, threshold: float) -> Rows:
    """The rows at which a rule would notify under our own rule of episodes, the first two days left out."""
    observed = 3.0 * _mean(series.counts.astype(np.float64), 3, 0)
    over = [row for row in np.flatnonzero(score >= CALM_SCORE) if row >= 2 * 288]
    found = [
        Finding(START + STEP * int(row), 3 * STEP, round(observed[row]), 0.0, 0.0, 0, 0.0, 0.0, float(score[row]))
        for row in over
    ]
    stories = episodes(found, START + STEP * len(score), threshold)
    return [round((finding.at - START) / STEP) for story in stories for finding in story.notify]


def _line(name: str, result: Scored) -> str:
    return f"{name:<24}{result.score:>8.1f}{f'{result.found} of {result.windows}':>10}{result.false:>8}"


DETECTORS: dict[str, Callable[[Labelled], Rows]] = {
    "volume spikes": ours,
    "windowed Gaussian, one notification an episode": lambda one: told(one, gaussian(one), GAUSSIAN),
    "Etsy-like votes, one notification an episode": lambda one: told(one, votes(one), VOTES),
    "windowed Gaussian, every row a detection, as NAB publishes it": lambda one: [
        int(row) for row in np.flatnonzero(gaussian(one) >= GAUSSIAN)
    ],
}


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SentimonError as error:
        sys.exit(f"nab: {error}")
