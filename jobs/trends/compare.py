"""Brands, sources or periods side by side, on the same measures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from db.desk import Labels
from db.errors import InputError
from db.filters import Filter
from db.store import Store
from jobs.trends.asked import Question, Span, check_steps
from jobs.trends.figures import Compared, Estimate, Row, Step, change_of, compared, share_of
from jobs.trends.parts import add, count, rows
from jobs.trends.timeline import timeline

BY = ("brand", "source", "period")
MOST = 12  # columns; more cannot be told apart


@dataclass(frozen=True, slots=True)
class Column:
    """One of those that are compared.

    `share` is its part of the mentions of all of them (of periods there is none), `difference` how far its net
    sentiment lies above that of the first.
    """

    name: str
    span: Span
    totals: Compared
    share: Estimate | None
    difference: Estimate | None
    steps: tuple[Step, ...]
    stages: tuple[Row, ...]
    pillars: tuple[Row, ...]  # empty where the question names stages
    link: Filter


@dataclass(frozen=True, slots=True)
class Comparison:
    """`by` is one of BY; `left_out` names those that did not fit."""

    question: Question
    by: str
    columns: tuple[Column, ...]
    left_out: tuple[str, ...] = ()


def compare(store: Store, question: Question, by: str, brands: Sequence[str] = ()) -> Comparison:
    """Put brands, sources or the two periods of a question side by side.

    `brands` are those to compare where the question names none; sources are those that have posts, the largest first.
    Raises InputError for anything else to compare by, and for periods where the question compares with nothing or with
    a span of too many steps.
    """
    if by not in BY:
        raise InputError(f"by: there is no {by[:30]!r}; choose one of {', '.join(BY)}")
    if by == "period":
        if question.before is None:
            raise InputError("against: choose what to compare the period with")
        check_steps(question.step, question.before, f"the {question.before.length.days} days before")
        named = [("this period", question), ("the one before", replace(question, span=question.before, before=None))]
        return Comparison(question, by, _columns(store, named, shares=False))
    if by == "brand":
        names = list(question.brands or brands)
        named = [(name, replace(question, brands=(name,))) for name in names[:MOST]]
    else:
        sizes = count(store, question, "source", question.span)
        names = sorted(sizes, key=lambda name: (-sizes[name].mentions, name))
        named = [(name, replace(question, sources=(name,))) for name in names[:MOST]]
    return Comparison(question, by, _columns(store, named, shares=True), tuple(names[MOST:]))


def _columns(store: Store, named: Sequence[tuple[str, Question]], shares: bool) -> tuple[Column, ...]:
    found: list[Column] = []
    for name, asked in named:
        counts = {start: labels for (start,), labels in store.trends.counts(asked.posts(), (), asked.step).items()}
        past = add(store.trends.counts(asked.posts(asked.before)).values()) if asked.before else None
        totals = compared(add(counts.values()), past)
        first = found[0].totals.counts if found else None
        found.append(
            Column(
                name,
                asked.span,
                totals,
                None,
                change_of(totals.counts, first) if first else None,
                timeline(asked, counts),
                rows(asked, "stage", count(store, asked, "stage", asked.span), None),
                () if asked.stages else rows(asked, "pillar", count(store, asked, "pillar", asked.span), None),
                asked.posts(),
            )
        )
    every = sum((column.totals.counts for column in found), Labels()).mentions
    if not shares:
        return tuple(found)
    return tuple(replace(one, share=share_of(one.totals.counts.mentions, every)) for one in found)
