"""Counts of a span and of the one before, part by part: what several answers are put together from."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from db.desk import Labels
from db.filters import Filter
from db.labels import COUNTED_STAGES, PILLARS, REPLIES, TOUCHPOINTS
from db.store import Store
from jobs.trends.asked import Question, Span
from jobs.trends.figures import Row, compared, share_of

KINDS = ("source", "stage", "pillar", "touchpoint")
NAMES: Mapping[str, tuple[str, ...]] = {
    "stage": COUNTED_STAGES,
    "pillar": PILLARS,
    "touchpoint": TOUCHPOINTS,
    "reply": REPLIES,
}
Counted = Mapping[str, Labels]  # by name
ByBrand = Mapping[str, Mapping[tuple[str, str], Labels]]  # then by source and stage


def known_kinds(question: Question) -> tuple[str, ...]:
    """Name the kinds of parts that can be told apart: counts by pillar and touchpoint do not know stages."""
    return ("source", "stage") if question.stages else KINDS


def count(store: Store, question: Question, kind: str, span: Span) -> Counted:
    """Count the posts of a span by the names of one kind."""
    chosen = question.posts(span)
    if kind in ("pillar", "touchpoint", "reply"):
        return {name: counts for (_, name), counts in store.facets.counts(chosen, (kind,)).items()}
    return {name: counts for (name,), counts in store.trends.counts(chosen, (kind,)).items()}


def count_by_brand(store: Store, question: Question, span: Span) -> ByBrand:
    """Count the posts of a span by brand, source and stage."""
    found: dict[str, dict[tuple[str, str], Labels]] = {}
    counts = store.trends.counts(question.posts(span), ("brand", "source", "stage"))
    for (brand, source, stage), labels in counts.items():
        found.setdefault(brand, {})[source, stage] = labels
    return found


def count_kinds(store: Store, question: Question, span: Span, by_brand: ByBrand | None = None) -> Mapping[str, Counted]:
    """Count the posts of a span by every kind of parts that can be told apart, with as few questions as can be.

    `by_brand` are the counts of at least the question's brands, where these were counted already.
    """
    found: dict[str, dict[str, Labels]] = {kind: {} for kind in known_kinds(question)}
    for brand, places in (count_by_brand(store, question, span) if by_brand is None else by_brand).items():
        if question.brands and brand not in question.brands:
            continue
        for (source, stage), counts in places.items():
            _put(found["source"], source, counts)
            _put(found["stage"], stage, counts)
    if not question.stages:
        for (kind, name), counts in store.facets.counts(question.posts(span), ("pillar", "touchpoint")).items():
            _put(found[kind], name, counts)
    return found


def _put(into: dict[str, Labels], name: str, counts: Labels) -> None:
    into[name] = into.get(name, Labels()) + counts


def narrowed(chosen: Filter, kind: str, name: str) -> Filter:
    """Narrow a filter of posts to one part: a brand, a label of any kind, or a "sentiment"."""
    narrow: Mapping[str, Callable[[], Filter]] = {
        "brand": lambda: replace(chosen, brands=(name,)),
        "source": lambda: replace(chosen, sources=(name,)),
        "stage": lambda: replace(chosen, stages=(name,)),
        "sentiment": lambda: replace(chosen, sentiments=(name,)),
        "pillar": lambda: replace(chosen, pillars=(name,)),
        "touchpoint": lambda: replace(chosen, touchpoints=(name,)),
        "reply": lambda: replace(chosen, replies=(name,)),
    }
    return narrow[kind]()


def rows(question: Question, kind: str, now: Counted, before: Counted | None) -> tuple[Row, ...]:
    """Put each part beside itself before, in the order of its labels, what else there is by size."""
    rated = sum(counts.rated for counts in now.values())
    found = _by_size(now, before or {})
    known = NAMES.get(kind, ())
    return tuple(
        Row(
            kind,
            name,
            compared(mine := now.get(name, Labels()), None if before is None else before.get(name, Labels())),
            share_of(mine.rated, rated),
            narrowed(question.posts(), kind, name),
        )
        for name in (*known, *(name for name in found if name not in known))
    )


def table(store: Store, question: Question, kind: str) -> tuple[Row, ...]:
    """Count one kind of parts in the span asked for, and in the one before."""
    before = count(store, question, kind, question.before) if question.before else None
    return rows(question, kind, count(store, question, kind, question.span), before)


def add(counts: Iterable[Labels]) -> Labels:
    """Add up."""
    return sum(counts, Labels())


def _by_size(now: Counted, before: Counted) -> Sequence[str]:
    return sorted({*now, *before}, key=lambda name: (-now.get(name, Labels()).mentions, name))
