"""The journey: how people feel at each stage, and where it breaks."""

from dataclasses import dataclass

from db.desk import Labels
from db.store import Store
from jobs.trends.asked import Question
from jobs.trends.figures import Compared, Estimate, Row, change_of, compared, net_of
from jobs.trends.parts import add, table
from models.intervals import apart

WAY = ("awareness", "discovery", "attraction", "interaction", "purchase", "use", "cultivation", "advocacy")
ENOUGH = 30  # rated posts of a stage, in each of the spans that are compared
# Eight stages are looked at: each must stand out so far that one of them does by chance in 5 of 100 times.
Z_OF_EIGHT = 2.734


@dataclass(frozen=True, slots=True)
class Break:
    """Where the journey breaks, if the posts show it.

    `how` is "dropped" (the stage fell more than any other, and more than chance explains), "lowest" (it feels worse
    than all other posts), "nowhere" (no stage stands out) or "not enough" (no stage has enough posts to say).
    """

    how: str
    row: Row | None = None
    difference: Estimate | None = None  # from before, or from all other posts


@dataclass(frozen=True, slots=True)
class Journey:
    """The nine stages and unsure, in order; `shares` of all rated posts are in the rows."""

    question: Question
    totals: Compared
    rows: tuple[Row, ...]
    breaks: Break
    enough: int = ENOUGH


def journey(store: Store, question: Question) -> Journey:
    """Count each stage, and look where feeling breaks; the question names its brands."""
    rows = table(store, question, "stage")
    before = add(row.compared.before or Labels() for row in rows) if question.before else None
    return Journey(question, compared(add(row.compared.counts for row in rows), before), rows, where_it_breaks(rows))


def where_it_breaks(rows: tuple[Row, ...]) -> Break:
    """Find the stage of the way that fell most, else the one that feels worse than all others."""
    every = add(row.compared.counts for row in rows)
    way = [row for row in rows if row.name in WAY and row.compared.counts.rated >= ENOUGH]
    if not way:
        return Break("not enough")
    drops = []
    for row in way:
        past = row.compared.before
        change = change_of(row.compared.counts, past, Z_OF_EIGHT) if past and past.rated >= ENOUGH else None
        if change and change.high < 0:
            drops.append((change.value, row, change))
    if drops:
        _, row, change = min(drops, key=lambda drop: drop[0])
        return Break("dropped", row, row.compared.change or change)
    row = min(way, key=lambda row: row.compared.counts.net or 0.0)
    difference = _from_others(row.compared.counts, every)
    return Break("lowest", row, difference) if difference and difference.high < 0 else Break("nowhere")


def _from_others(mine: Labels, every: Labels) -> Estimate | None:
    rest = Labels(every.negative - mine.negative, every.neutral - mine.neutral, every.positive - mine.positive, 0)
    one, other = net_of(mine, Z_OF_EIGHT), net_of(rest, Z_OF_EIGHT)
    if one is None or other is None or rest.rated < ENOUGH:
        return None
    return Estimate(*apart((one.value, one.low, one.high), (other.value, other.low, other.high)), min(one.n, other.n))
