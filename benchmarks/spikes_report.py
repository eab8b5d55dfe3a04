"""The tables of `benchmarks.spikes`: what was measured, and beside it what was asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan

from benchmarks.brands import FACTORS
from benchmarks.judged import Outcome, Part, Total, found
from monitor.cli.output import print_table

Cells = Sequence[object]
FIGURES = ("false alarms a brand-week", "brand-weeks", "bursts found", "delay", "volume-only events")
EXCESS = (0, 3, 10, 30, 100)  # negatives that a burst brought, from which on bursts are counted together


@dataclass(frozen=True, slots=True)
class Row:
    """What one detector made of all series, at one threshold."""

    name: str
    threshold: str
    total: Total


def print_rates(title: str, total: Total) -> None:
    """Print how well brands of each size are watched."""
    rows = [(f"{rate:,}", *_figures(total.at(rate))) for rate in total.rates]
    _print(title, ("mentions/h", *FIGURES), [*rows, ("all", *_figures(total))])


def print_bursts(total: Total) -> None:
    """Print what is found of bursts: by factor and rate, by the negatives that they brought, and soon after another."""
    rows: list[Cells] = []
    for factor in FACTORS:
        like = _times(total.outcomes, factor)
        parts = [found([one for one in like if one.rate == rate]) for rate in total.rates]
        rows.append((f"x{factor}", *(f"{part.of}/{part.number}" for part in parts), found(like)))
    _print("bursts found, by factor and mentions/h", ("", *(f"{rate:,}" for rate in total.rates), "all"), rows)
    rows = []
    for low, high in zip(EXCESS, (*EXCESS[1:], None), strict=True):
        like = [one for one in total.outcomes if low <= one.burst.excess and (high is None or one.burst.excess < high)]
        rows.append((f"{low} and more" if high is None else f"{low} to {high - 1}", found(like)))
    rows.append(("less than a day after another", found([one for one in total.outcomes if one.crowded])))
    _print("bursts found, by the negatives that they brought", ("", "bursts found"), rows)


def print_factors(title: str, total: Total) -> None:
    """Print what is found of bursts of each factor."""
    _print(title, ("", "bursts found"), [(f"x{factor}", found(_times(total.outcomes, factor))) for factor in FACTORS])


def print_rows(title: str, rows: Iterable[Row]) -> None:
    """Print detectors side by side."""
    cells = [(row.name, row.threshold, *_figures(row.total)) for row in rows]
    _print(title, ("detector", "threshold", *FIGURES), cells)


def print_targets(ours: Total, noisy: Total, real: Total | None) -> None:
    """Print what was asked for beside what was measured; `noisy` is what a classifier left of it."""
    bursts = ours.outcomes
    worst = max(ours.rates, key=lambda rate: ours.at(rate).false_a_week)
    busy = found([one for one in bursts if one.rate >= 100 and one.burst.factor >= 3])
    strong = found([one for one in bursts if one.rate >= 30 and one.burst.factor == 5])
    large = found([one for one in bursts if one.burst.excess >= EXCESS[-1]])
    rows = [
        _false("false alarms a brand-week", 0.10, ours),
        _false(f"the same at the worst rate, {worst:,} mentions/h", 0.25, ours.at(worst)),
        _found("bursts found", 0.38, ours.found),
        _found("bursts found, 100 mentions/h and more, x3 and more", 0.82, busy),
        _found("bursts found, 30 mentions/h and more, x5", 0.85, strong),
        _found("bursts found, 100 negatives more and more", 0.80, large),
        ("median delay", "at most 20 min", _minutes(ours.delay), _said(ours.delay, ours.delay <= 20)),
        ("volume-only events alarmed", "at most 5%", ours.events, _said(ours.events.value, ours.events.value <= 0.05)),
        _false("by a classifier: false alarms a brand-week", 0.20, noisy),
        _found("by a classifier: bursts found", 0.30, noisy.found),
    ]
    if real is not None:
        rows.append(_false("real volumes: false alarms a brand-week", 0.15, real))
        rows.append(_found("real volumes: bursts found", 0.50, real.found))
    _print("asked and measured", ("", "asked", "measured", "result"), rows)


def _figures(total: Total) -> Cells:
    return (_rate(total), f"{total.weeks:,.0f}", total.found, _minutes(total.delay), total.events)


def _rate(total: Total) -> str:
    return f"{total.false_a_week:.3f} ± {total.false_error:.3f}"


def _minutes(value: float) -> str:
    return "-" if isnan(value) else f"{value:.0f} min"


def _times(bursts: Iterable[Outcome], factor: int) -> list[Outcome]:
    return [one for one in bursts if one.burst.factor == factor]


def _false(what: str, most: float, total: Total) -> Cells:
    rate = total.false_a_week
    return (what, f"at most {most:.2f}", _rate(total), _said(rate, rate <= most))


def _found(what: str, least: float, measured: Part) -> Cells:
    return (what, f"at least {least:.0%}", measured, _said(measured.value, measured.value >= least))


def _said(value: float, reached: bool) -> str:
    return "-" if isnan(value) else "reached" if reached else "missed"


def _print(title: str, columns: Sequence[str], rows: Iterable[Cells]) -> None:
    print_table(title, columns, rows, right=columns[1:])
