"""The first page: how brands fare, beside the period before and beside their competitors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from db.desk import Labels
from db.filters import Filter
from db.records import Alert
from db.store import Store
from jobs.hold import stories
from jobs.trends.asked import Question, Span
from jobs.trends.changes import Changes, changes_of
from jobs.trends.figures import Compared, Estimate, Read, Row, Step, compared, share_change, share_of
from jobs.trends.parts import ByBrand, add, count_by_brand, count_kinds, rows
from jobs.trends.terms import new_terms
from jobs.trends.timeline import extents_of, read_of, timeline

ALERTS = 50  # marks on the timeline, the newest


@dataclass(frozen=True, slots=True)
class Voice:
    """One brand's share of all mentions of the brands that are compared; `link` opens its posts."""

    brand: str
    own: bool
    compared: Compared
    share: Estimate | None
    change: Estimate | None  # of the share
    link: Filter


@dataclass(frozen=True, slots=True)
class Overview:
    """`question` names the brands that all of it is about, but `voices`, which has competitors too."""

    question: Question
    totals: Compared
    timeline: tuple[Step, ...]
    journey: tuple[Row, ...]  # the nine stages and unsure
    voices: tuple[Voice, ...]  # empty where there is one brand only
    read: Read
    read_before: Read | None
    alerts: tuple[Alert, ...]
    changes: Changes | None
    link: Filter


def overview(
    store: Store,
    question: Question,
    own: Sequence[str],
    competitors: Sequence[str],
    now: datetime,
) -> Overview:
    """Answer a question; `own` and `competitors` are those brands of each kind that may be seen.

    It is about the brands that the question names, else the own ones, else (where there are none) all.
    """
    asked = question.of(question.brands or tuple(own))
    extents = extents_of(store, asked, asked.span, now)
    steps = {name: counts for (name,), counts in store.trends.counts(asked.posts(), (), asked.step).items()}
    # Read once, for the parts of the brands asked for and for what each brand's share is of.
    every = question.of(tuple(dict.fromkeys((*asked.brands, *own, *competitors))) if asked.brands else ())
    by_brand = count_by_brand(store, every, asked.span)
    by_brand_before = count_by_brand(store, every, asked.before) if asked.before else None
    parts = count_kinds(store, asked, asked.span, by_brand)
    before = count_kinds(store, asked, asked.before, by_brand_before) if asked.before else None
    return Overview(
        asked,
        compared(add(steps.values()), add(before["source"].values()) if before else None),
        timeline(asked, steps, extents),
        rows(asked, "stage", parts["stage"], before["stage"] if before else None),
        voices(question, own, competitors, by_brand, by_brand_before),
        read_of(extents),
        read_of(extents_of(store, asked, asked.before, now)) if asked.before else None,
        alerts(store, asked),
        changes_of(asked, parts, before, new_terms(store, asked)) if before else None,
        asked.posts(),
    )


def alerts(store: Store, question: Question, span: Span | None = None) -> tuple[Alert, ...]:
    """Return the alerts that were going on in the span, the newest first; those of a source are about no brand.

    What another alert explains is left out.
    """
    span = span or question.span
    return tuple(stories(store.alerts.find(Filter(span.since, span.until, question.brands), ALERTS)))


def voices(
    question: Question, own: Sequence[str], competitors: Sequence[str], now_by: ByBrand, before_by: ByBrand | None
) -> tuple[Voice, ...]:
    """Compare how often brands are mentioned, from counts of all of them; empty where there is but one.

    Sources and stages of the question narrow it. A post that names two brands counts for each of them.
    """
    brands = tuple(dict.fromkeys((*own, *competitors)))
    if len(brands) < 2:
        return ()
    now = {brand: add(now_by.get(brand, {}).values()) for brand in brands}
    past = {brand: add(before_by.get(brand, {}).values()) for brand in brands} if before_by is not None else None
    every, every_before = add(now.values()).mentions, add((past or {}).values()).mentions
    found = []
    for brand in brands:
        mine, old = now[brand], past[brand] if past else Labels()
        found.append(
            Voice(
                brand,
                brand in own,
                compared(mine, None if past is None else old),
                share_of(mine.mentions, every),
                share_change(mine.mentions, every, old.mentions, every_before),
                question.of((brand,)).posts(),
            )
        )
    return tuple(sorted(found, key=lambda voice: (-voice.compared.counts.mentions, voice.brand)))
