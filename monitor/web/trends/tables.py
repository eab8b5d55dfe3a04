"""The numbers of each chart as a table: what is shown beside it, and taken away as CSV and JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from db.desk import Labels
from db.times import to_text
from jobs.trends.changes import Move
from jobs.trends.compare import Column
from jobs.trends.experience import Cell, Load
from jobs.trends.figures import Estimate, Row, Step
from jobs.trends.overview import Voice

Value = str | int | float | None
NET = (
    "net sentiment = (positive - negative) / (positive + negative + neutral), of rated posts; "
    "low and high are the ends of its 95 % interval"
)
_COUNTS = ("mentions", "negative", "neutral", "positive", "not_rated", "net_sentiment", "low", "high")


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows; None where a number is not known. `formula` says how the numbers are made."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Value, ...]]
    formula: str = NET


def of_steps(name: str, title: str, steps: Iterable[Step]) -> Table:
    """Write a timeline; `read` is the part of the step's hours that was read wholly."""
    rows = [(to_text(s.start), to_text(s.end), *_counts(s.counts, s.net), _short(s.read)) for s in steps]
    return Table(name, title, ("start", "end", *_COUNTS, "read"), rows)


def of_rows(name: str, title: str, found: Iterable[Row]) -> Table:
    """Write parts of the whole; `share` is of all rated posts, `before` what they are compared with."""
    rows = [
        (
            row.name,
            *_counts(row.compared.counts, row.compared.net),
            *_estimate(row.share),
            row.compared.before.mentions if row.compared.before else None,
            *_estimate(row.compared.change),
        )
        for row in found
    ]
    change = ("change", "change_low", "change_high")
    return Table(name, title, ("name", *_COUNTS, "share", "share_low", "share_high", "mentions_before", *change), rows)


def of_voices(name: str, title: str, voices: Iterable[Voice]) -> Table:
    """Write brands beside each other."""
    rows = [
        (
            voice.brand,
            "own" if voice.own else "competitor",
            *_counts(voice.compared.counts, voice.compared.net),
            *_estimate(voice.share),
            *_estimate(voice.change),
        )
        for voice in voices
    ]
    more = ("share_of_voice", "share_low", "share_high", "change_of_share", "change_low", "change_high")
    formula = f"{NET}; share of voice = mentions of the brand / mentions of all these brands"
    return Table(name, title, ("brand", "role", *_COUNTS, *more), rows, formula)


def of_cells(name: str, title: str, cells: Iterable[Cell]) -> Table:
    """Write touchpoints by source; where too few posts were rated to say, `enough` is "no"."""
    rows = [
        (cell.touchpoint, cell.source, *_counts(cell.counts, cell.net), "yes" if cell.enough else "no")
        for cell in cells
    ]
    return Table(name, title, ("touchpoint", "source", *_COUNTS, "enough"), rows)


def of_load(name: str, title: str, load: Load) -> Table:
    """Write posts that need an answer beside all the others, step by step."""
    rows = [
        (to_text(service.start), *_counts(service.counts, service.net), *_counts(other.counts, other.net))
        for service, other in zip(load.service_steps, load.experience_steps, strict=True)
    ]
    columns = (*(f"service_{name}" for name in _COUNTS), *(f"experience_{name}" for name in _COUNTS))
    return Table(name, title, ("start", *columns), rows)


def of_moves(name: str, title: str, moves: Iterable[Move]) -> Table:
    """Write what parts did to the change of net sentiment; `mix` and `rate` add up to `effect`."""
    rows = [
        (
            move.kind,
            move.name,
            _short(move.total),
            _short(move.mix),
            _short(move.rate),
            *_counts(move.counts, move.net),
            move.before.mentions,
            *_estimate(move.net_before),
        )
        for move in moves
    ]
    before = ("mentions_before", "net_before", "low_before", "high_before")
    formula = f"{NET}; effect = mix + rate (Kitagawa 1955), of one kind they add up to the change"
    return Table(name, title, ("kind", "name", "effect", "mix", "rate", *_COUNTS, *before), rows, formula)


def of_columns(name: str, title: str, columns: Iterable[Column]) -> Table:
    """Write what is compared; `difference` is how far net sentiment lies above that of the first."""
    rows = [
        (
            column.name,
            to_text(column.span.since),
            to_text(column.span.until),
            *_counts(column.totals.counts, column.totals.net),
            *_estimate(column.share),
            *_estimate(column.difference),
        )
        for column in columns
    ]
    more = ("share", "share_low", "share_high", "difference", "difference_low", "difference_high")
    return Table(name, title, ("name", "since", "until", *_COUNTS, *more), rows)


def _counts(counts: Labels, net: Estimate | None) -> tuple[Value, ...]:
    return (
        counts.mentions,
        counts.negative,
        counts.neutral,
        counts.positive,
        counts.not_rated,
        *_estimate(net),
    )


def _estimate(found: Estimate | None) -> tuple[Value, Value, Value]:
    return (_short(found.value), _short(found.low), _short(found.high)) if found else (None, None, None)


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
