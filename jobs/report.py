"""What a weekly report tells beyond a digest: the journey, what changed and why, and how people were cared for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from db.store import Store
from db.times import floor
from jobs.desk.care import Care, Felt, Share, Spread, care
from jobs.letter import Block
from jobs.period import About
from jobs.trends.asked import HOUR, Question, Span
from jobs.trends.changes import Changes, Move, changes
from jobs.trends.figures import Estimate, Row
from jobs.trends.parts import table
from jobs.wording import NAME_SHOWN, harmless, length, percent

DrawJourney = Callable[[Sequence[Row]], bytes | None]  # a PNG

JOURNEY = "journey.png"  # as the document for e-mail calls it
MOVES_SHOWN = 5
LEAST_MOVE = 0.005  # of net sentiment: less is not told
UNNAMED = ("none", "unsure")  # parts that say nothing
NAMES = {"contact_centre": "contact centre", "none": "none named", "unsure": "unsure"}


@dataclass(frozen=True, slots=True)
class Report:
    """Of all own brands together. `care` is None where nobody works at the desk."""

    journey: Sequence[Row]
    changes: Changes | None
    care: Care | None


def gather(store: Store, about: About, since: datetime, until: datetime, now: datetime) -> Report:
    """Read what a report of a span tells."""
    first, last = floor(since, HOUR), floor(until, HOUR)
    before = Span(first - (last - first), first)
    question = Question(Span(first, last), "day", tuple(about.own), before=before)
    cared = care(store, about.own, (), since, until, now, about.hours) if about.own else None
    if cared is not None and not (cared.every.first.n or cared.every.outcomes.all):
        cared = None
    return Report(table(store, question, "stage"), changes(store, question, words=False), cared)


def blocks(report: Report, drawn: bool) -> list[Block]:
    """Write it; `drawn` says that there is a picture of the journey."""
    found = [
        Block(_changed(report.changes), "What changed, and why", listed=True, spare=2) if report.changes else None,
        Block(
            [],
            "The journey",
            figures=[(_named(row.name).capitalize(), _stage(row)) for row in report.journey if row.compared.net],
            picture=JOURNEY if drawn else "",
            alt="Net sentiment by stage of the journey, this week and the one before",
        ),
        Block([], "Customer care", figures=_cared(report.care)) if report.care else None,
    ]
    return [block for block in found if block is not None]


def facts(report: Report) -> dict[str, Any]:
    """Write it for programs: shares and net sentiment as numbers, lengths in seconds."""
    every = report.care.every if report.care else None
    return {
        "journey": [
            {
                "stage": row.name,
                "rated": row.compared.counts.rated,
                "net_sentiment": _value(row.compared.net),
                "before": _value(row.compared.net_before),
            }
            for row in report.journey
        ],
        "moves": [
            {"kind": move.kind, "name": harmless(move.name, NAME_SHOWN), "net_sentiment": round(move.total, 4)}
            for move in (report.changes.top if report.changes else ())
        ],
        "care": every
        and {
            "replies": every.first.n,
            "first_reply_median": _seconds(every.first.median),
            "first_reply_p90": _seconds(every.first.high),
            "within_target": every.within.value,
            "answered": every.outcomes.answered,
            "dismissed": every.outcomes.dismissed,
            "open": every.outcomes.open,
            "overdue": every.outcomes.overdue,
        },
    }


def _changed(found: Changes) -> list[str]:
    """Say how net sentiment moved, and which parts moved it most; parts of different kinds overlap."""
    if found.change is None:
        return []
    change = found.change
    sure = "more than chance" if change.certain else "which may be chance"
    lines = [f"Net sentiment of all brands together {_moved(change.value)}, {sure}"]
    told = [move for move in found.top if abs(move.total) >= LEAST_MOVE and move.name not in UNNAMED][:MOVES_SHOWN]
    return lines + [_move(move) for move in told]


def _move(move: Move) -> str:
    name = f"{move.kind.capitalize()} {harmless(_named(move.name), NAME_SHOWN)}: {move.total:+.2f}"
    if move.net is None or move.net_before is None:
        return f"{name}, {move.counts.mentions:,} posts, {move.before.mentions:,} before"
    why = "because its own feeling changed" if abs(move.rate) >= abs(move.mix) else "because its part of the posts did"
    felt = f"{move.net_before.value:+.2f} to {move.net.value:+.2f}"
    return f"{name}, {why} ({felt}; {move.net_before.n:,} and {move.net.n:,} rated posts)"


def _stage(row: Row) -> str:
    net, before = row.compared.net, row.compared.net_before
    if net is None:
        return "nothing rated"
    text = f"{net.value:+.2f} on {net.n:,} rated"
    if before is None:
        return text
    change = row.compared.change
    return f"{text}, {before.value:+.2f} before" + (" (more than chance)" if change and change.certain else "")


def _cared(found: Care | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    every = found.every
    outcomes = every.outcomes
    lines = [("First response time", _spread(every.first)), ("In business hours", _spread(every.business))]
    if every.within.of:
        lines.append(("Within target", _share(every.within)))
    lines.append(
        (
            "Of all that needed one",
            f"{outcomes.answered:,} answered, {outcomes.dismissed:,} dismissed, {outcomes.open:,} still open"
            + (f", {outcomes.overdue:,} of them overdue" if outcomes.overdue else ""),
        )
    )
    return lines + [(_felt_name(one), _share(one.good)) for one in found.felt if one.tally.answered]


def _spread(found: Spread) -> str:
    if found.median is None or found.high is None:
        return "none was given"
    return f"half within {length(found.median)}, 90 % within {length(found.high)} (n = {found.n:,})"


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{percent(share.value or 0)} of {share.of:,} ({percent(low)} to {percent(high)})"


def _felt_name(one: Felt) -> str:
    what = "Satisfied" if one.tally.kind == "csat" else "Found it easy"
    return f"{what}, {harmless(one.tally.source, NAME_SHOWN)}"


def _moved(value: float) -> str:
    if abs(value) < LEAST_MOVE:
        return "stayed as it was"
    return f"{'rose' if value > 0 else 'fell'} by {abs(value):.2f}"


def _named(name: str) -> str:
    return NAMES.get(name, name)


def _value(found: Estimate | None) -> float | None:
    return None if found is None else round(found.value, 4)


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else round(span.total_seconds())
