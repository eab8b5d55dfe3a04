"""How often spike detection is wrong, and what it finds: `python -m benchmarks.spikes [CSV …]`, or `make bench-spikes`.

First simulated brands (`benchmarks.brands`), then, with files (columns timestamp and value, every five minutes), real
volumes (`benchmarks.volumes`). Beside the product an oracle that knows the truth behind each brand, and the simple
rules of `models.rivals`: at their own thresholds, and at those at which they had, on brands of another seed, as many
false alarms as the product has here. `benchmarks.judged` says how alerts are counted. Every notification of the
product counts, also the second one of an episode; for all detectors what comes within three hours is one alert.

Develop on seeds below 100. What is published is made with seeds from 100 on, which nothing is ever tuned on.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from benchmarks.brands import RATES, Array, Brand, Counts, Stream, brands, classified
from benchmarks.judged import Total, judge
from benchmarks.oracle import oracle_scores
from benchmarks.spikes_report import Row, print_bursts, print_factors, print_rates, print_rows, print_targets
from benchmarks.volumes import read_volume, thinned
from db.errors import SentimonError
from models.episodes import Episode, episodes
from models.rivals import RIVALS, Rival, crossings
from models.spikes import SAME_STORY, STEP, Series, find_spikes, findings, fresh, replay

START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
OTHERS = 1_000_000  # added to the seed for the brands that thresholds are fitted on
ORACLE = 4.0  # its threshold, as the product's
THRESHOLDS = (3.0, 3.5, 4.0, 4.5, 5.0, 6.0)
FINER = 0.97  # the ratio of one threshold that is tried to the one before


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print tables that end with what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spikes", description="Measure spike detection.")
    parser.add_argument("files", nargs="*", metavar="CSV", help="real volumes: timestamp, value, every five minutes")
    parser.add_argument("--brands", type=int, default=6, help="brands for each rate and share (%(default)s)")
    parser.add_argument("--rates", type=int, nargs="+", default=RATES, help="mentions an hour", choices=RATES)
    parser.add_argument("--thinnings", type=int, default=4, help="of each file at each share (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="from 100 on only to publish (%(default)s)")
    given = parser.parse_args(arguments)
    if min(given.brands, given.thinnings) < 1 or given.seed < 0:
        parser.error("--brands and --thinnings are 1 or more, --seed is 0 or more")
    start = time.perf_counter()
    volumes = [read_volume(path) for path in given.files]

    drawn = list(brands(given.seed, given.brands, given.rates))
    streams = [one.stream for one in drawn]
    ours = judged(product, streams)
    print_rates(f"simulated brands, seed {given.seed}: {len(drawn)} brands, {ours.weeks:,.0f} brand-weeks", ours)
    print_bursts(ours)
    heard = [classified(one, np.random.default_rng([given.seed, number])) for number, one in enumerate(streams)]
    noisy = judged(product, heard)
    fitting = list(brands(given.seed + OTHERS, given.brands, given.rates))
    levels = {name: fitted(name, fitting, ours.false_a_week) for name in _RULES}
    rows = [Row("sentimon", "default", ours), Row("sentimon, by a classifier", "default", noisy)]
    print_rows("side by side, on the same brands", [*rows, *_side_by_side(drawn, levels)])

    real = None
    if volumes:
        streams = []
        for number, volume in enumerate(volumes):
            streams += thinned(volume, (given.seed, number), given.thinnings)
        real = judged(product, streams)
        title = f"real volumes, thinned: {len(volumes)} files, {real.weeks:,.0f} brand-weeks, thresholds unchanged"
        print_rows(title, [Row("sentimon", "default", real), *_transferred(streams, levels)])
        print_factors("found on real volumes", real)
    print_rows("the product at other thresholds", _at_thresholds([one.stream for one in drawn], "simulated"))
    if volumes:
        print_rows("the same on real volumes", _at_thresholds(streams, "real"))
    print_targets(ours, noisy, real)
    print(f"{time.perf_counter() - start:.0f} s")


def product(stream: Stream) -> Counts:
    """Return the steps after which the product's alerts went out, at its default settings."""
    return _steps(find_spikes(Series(START, stream.negatives, stream.others), START), len(stream.negatives))


def _steps(told: Iterable[Episode], steps: int) -> Counts:
    """The steps after which notifications went out."""
    marked = np.zeros(steps)
    marked[[round((one.at - START) / STEP) - 1 for episode in told for one in episode.notify]] = 1.0
    return crossings(marked, 1.0)


def _at_thresholds(streams: Sequence[Stream], name: str) -> Iterator[Row]:
    """What the product makes of series at each threshold that people may choose; each series is replayed once."""
    found = []
    for one in streams:
        counts = Series(START, one.negatives, one.others).counts()
        found.append(list(findings(replay(fresh(1, counts.day), counts)[0], 0)))
    for threshold in THRESHOLDS:
        results = []
        for one, each in zip(streams, found, strict=True):
            told = episodes(each, START + STEP * len(one.negatives), threshold, same_story=SAME_STORY)
            results.append(judge(_steps(told, len(one.negatives)), one))
        yield Row(f"sentimon, {name}", f"{threshold:g}", Total(tuple(results)))


def judged(detector: Callable[[Stream], Counts], streams: Iterable[Stream]) -> Total:
    """Run a detector over series."""
    return Total(tuple(judge(detector(stream), stream) for stream in streams))


def at_threshold(scores: Iterable[Array], streams: Iterable[Stream], threshold: float) -> Total:
    """Return what scores make of their series at one threshold."""
    pairs = zip(scores, streams, strict=True)
    return Total(tuple(judge(crossings(score, threshold), stream) for score, stream in pairs))


def fitted(name: str, drawn: Sequence[Brand], asked: float) -> float:
    """Return the lowest threshold of a rule above which there are no more false alarms a brand-week than asked for."""
    scores = [_RULES[name][1](one) for one in drawn]
    streams = [one.stream for one in drawn]
    threshold = max(float(score.max(initial=1.0)) for score in scores) / FINER
    while threshold > 0.01 and at_threshold(scores, streams, threshold * FINER).false_a_week <= asked:
        threshold *= FINER
    return threshold


def _side_by_side(drawn: Sequence[Brand], levels: Mapping[str, float]) -> Iterator[Row]:
    streams = [one.stream for one in drawn]
    for name, (usual, score) in _RULES.items():
        yield from _rows(name, usual, levels[name], [score(one) for one in drawn], streams)


def _transferred(streams: Sequence[Stream], levels: Mapping[str, float]) -> Iterator[Row]:
    for rival in RIVALS:
        scores = [rival.scores(one.negatives, one.others) for one in streams]
        yield from _rows(rival.name, rival.threshold, levels[rival.name], scores, streams)


def _rows(name: str, usual: float, level: float, scores: list[Array], streams: Sequence[Stream]) -> Iterator[Row]:
    """A rule at its own threshold, and at the one that was fitted."""
    for threshold, why in ((usual, "own"), (level, "fitted")):
        yield Row(name, f"{threshold:.3g} {why}", at_threshold(scores, streams, threshold))


def _scoring(rival: Rival) -> Callable[[Brand], Array]:
    return lambda one: rival.scores(one.stream.negatives, one.stream.others)


# By name: the usual threshold, and the scores of a brand.
_RULES: dict[str, tuple[float, Callable[[Brand], Array]]] = {
    "oracle": (ORACLE, oracle_scores),
    **{rival.name: (rival.threshold, _scoring(rival)) for rival in RIVALS},
}


if __name__ == "__main__":
    try:
        main()
    except SentimonError as error:
        sys.exit(f"benchmarks: {error}")
