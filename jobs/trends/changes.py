"""What changed since the period before, and why: which parts moved net sentiment and volume, and which words are new.

The change of net sentiment is taken apart without a rest (Kitagawa, "Components of a difference between two rates",
1955). A part's rate effect is what it would have done had only its own feeling changed, its mix effect what it did by
growing or shrinking while feeling better or worse than the whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from db.desk import Labels
from db.filters import Filter
from db.store import Store
from jobs.trends.asked import Question
from jobs.trends.figures import Estimate, change_of, net_of
from jobs.trends.parts import Counted, add, count_kinds, narrowed
from jobs.trends.terms import NewTerms, new_terms

TOP = 6  # of all kinds of parts together


@dataclass(frozen=True, slots=True)
class Move:
    """What one part did to the whole. `mix` and `rate` add up to `total`, over all parts of a kind to the change."""

    kind: str
    name: str
    counts: Labels
    before: Labels
    net: Estimate | None
    net_before: Estimate | None
    change: Estimate | None  # of its own net sentiment
    mix: float
    rate: float
    total: float  # its part in the change of net sentiment of all
    volume: int  # mentions more than before
    link: Filter
    link_before: Filter

    @property
    def certain(self) -> bool:
        """Whether its own net sentiment changed more than by chance."""
        return self.change is not None and self.change.certain


@dataclass(frozen=True, slots=True)
class Changes:
    """The change of net sentiment and of mentions, and what made it."""

    change: Estimate | None
    volume: int
    parts: Mapping[str, tuple[Move, ...]]  # by kind, those first that moved net sentiment most
    top: tuple[Move, ...]  # of all kinds; parts of different kinds overlap and do not add up
    grown: tuple[Move, ...]  # of all kinds: those whose mentions changed most
    terms: NewTerms | None  # None where nothing is compared, or they were not asked for


def changes(store: Store, question: Question, words: bool = True) -> Changes | None:
    """Compare the span with the one before, None where there is none; with `words` new terms too."""
    if question.before is None:
        return None
    now, before = (count_kinds(store, question, span) for span in (question.span, question.before))
    return changes_of(question, now, before, new_terms(store, question) if words else None)


def changes_of(
    question: Question, now: Mapping[str, Counted], before: Mapping[str, Counted], terms: NewTerms | None = None
) -> Changes:
    """Compare counts by kind and name of two spans."""
    parts = {kind: moves(question, kind, now[kind], before[kind]) for kind in now}
    whole, past = add(now["source"].values()), add(before["source"].values())
    every = [move for found in parts.values() for move in found]
    felt = [move for move in every if move.counts.rated or move.before.rated]
    return Changes(
        change_of(whole, past),
        whole.mentions - past.mentions,
        parts,
        tuple(sorted((m for m in felt if m.total), key=lambda m: (-abs(m.total), m.kind, m.name))[:TOP]),
        tuple(sorted((m for m in every if m.volume), key=lambda m: (-abs(m.volume), m.kind, m.name))[:TOP]),
        terms,
    )


def moves(question: Question, kind: str, now: Counted, before: Counted) -> tuple[Move, ...]:
    """Take the change of net sentiment apart by the parts of one kind."""
    whole, past = add(now.values()), add(before.values())
    found = []
    for name in sorted({*now, *before}):
        mine, old = now.get(name, Labels()), before.get(name, Labels())
        mix, rate = effects(mine, old, whole, past)
        found.append(
            Move(
                kind,
                name,
                mine,
                old,
                net_of(mine),
                net_of(old),
                change_of(mine, old),
                mix,
                rate,
                mix + rate,
                mine.mentions - old.mentions,
                narrowed(question.posts(), kind, name),
                narrowed(question.posts(question.before), kind, name),
            )
        )
    return tuple(sorted(found, key=lambda move: (-abs(move.total), -abs(move.volume), move.name)))


def effects(now: Labels, before: Labels, whole: Labels, past: Labels) -> tuple[float, float]:
    """Return what one part did to the net sentiment of the whole by its size and by its own feeling.

    Where one of the spans has nothing that was rated, both are 0. A part that is new, or has gone, did it by its size.
    """
    if whole.net is None or past.net is None:
        return 0.0, 0.0
    share, share_before = now.rated / whole.rated, before.rated / past.rated
    feeling, feeling_before = now.net, before.net
    if feeling is None or feeling_before is None:
        feeling = feeling_before = next((net for net in (feeling, feeling_before) if net is not None), 0.0)
    usual = (whole.net + past.net) / 2
    mix = (share - share_before) * ((feeling + feeling_before) / 2 - usual)
    rate = (share + share_before) / 2 * (feeling - feeling_before)
    return mix, rate
