"""People, process and product; touchpoints and channels; and posts that need an answer beside all the others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import sqrt

from db.desk import Labels
from db.filters import Filter
from db.labels import TOUCHPOINTS, UNSURE
from db.store import Store
from jobs.trends.asked import Question
from jobs.trends.figures import Compared, Estimate, Row, Step, compared, net_of, share_change, share_of
from jobs.trends.parts import Counted, add, narrowed, rows
from jobs.trends.timeline import timeline
from models.intervals import CLUSTERS

FEW = 10  # rated posts, below which a cell is not coloured and tells nothing of consistency


@dataclass(frozen=True, slots=True)
class Cell:
    """One touchpoint on one source; not `enough` where too few posts were rated to say."""

    touchpoint: str
    source: str
    counts: Labels
    net: Estimate | None
    enough: bool
    link: Filter


@dataclass(frozen=True, slots=True)
class Consistency:
    """How far the parts lie apart: the standard deviation of their net sentiment, weighted by rated posts.

    `beyond_chance` is what is left after what so few posts would stray by chance; None where fewer than two parts have
    enough posts. 0 is the same everywhere; 1 is half of the posts all positive and half of them all negative.
    """

    over: str  # "touchpoint" or "source"
    spread: float | None
    beyond_chance: float | None
    parts: int
    n: int


@dataclass(frozen=True, slots=True)
class Load:
    """Posts that need an answer (service), and those that need none (experience), over time.

    `unsaid` are those of which nobody has said whether they do, as all that are not rated.
    """

    service: Compared
    experience: Compared
    unsaid: Labels
    share: Estimate | None  # of the two, those that need an answer
    change: Estimate | None  # of that share
    service_steps: tuple[Step, ...]
    experience_steps: tuple[Step, ...]
    service_link: Filter
    experience_link: Filter


@dataclass(frozen=True, slots=True)
class Experience:
    """`stages_left_out` says that the question named stages, which these counts do not know: they are of all stages."""

    question: Question
    pillars: tuple[Row, ...]
    touchpoints: tuple[Row, ...]
    sources: tuple[str, ...]
    matrix: tuple[Cell, ...]  # touchpoint by touchpoint, then source by source
    consistency: tuple[Consistency, ...]
    load: Load
    stages_left_out: bool
    few: int = FEW


def experience(store: Store, question: Question) -> Experience:
    """Count pillars, touchpoints and service; the question names its brands."""
    asked = replace(question, stages=())
    # Every span is asked for once, whatever is told of it.
    counted = store.facets.counts(asked.posts(), ("pillar", "touchpoint"), ("source",))
    before = store.facets.counts(asked.posts(asked.before)) if asked.before else None
    sizes: dict[str, Labels] = {}
    for (kind, _, source), counts in counted.items():
        if kind == "touchpoint":
            sizes[source] = sizes.get(source, Labels()) + counts
    sources = tuple(sorted(sizes, key=lambda source: (-sizes[source].mentions, source)))
    known = {name for kind, name, _ in counted if kind == "touchpoint"}
    places = (*TOUCHPOINTS, *sorted(known - set(TOUCHPOINTS)))
    matrix = tuple(
        _cell(asked, touchpoint, source, counted.get(("touchpoint", touchpoint, source), Labels()))
        for touchpoint in places
        for source in sources
    )
    pillars, touchpoints = (
        rows(asked, kind, _named(counted, kind), None if before is None else _named(before, kind))
        for kind in ("pillar", "touchpoint")
    )
    said = (row.compared.counts for row in touchpoints if row.name not in ("none", UNSURE))
    return Experience(
        asked,
        pillars,
        touchpoints,
        sources,
        matrix,
        (consistency("touchpoint", said), consistency("source", sizes.values())),
        load(store, asked, None if before is None else _named(before, "reply")),
        bool(question.stages),
    )


def consistency(over: str, parts: Iterable[Labels]) -> Consistency:
    """Measure how far parts lie apart, of those with enough rated posts."""
    found = [(counts, net) for counts in parts if counts.rated >= FEW and (net := net_of(counts))]
    n = sum(counts.rated for counts, _ in found)
    if len(found) < 2:
        return Consistency(over, None, None, len(found), n)
    whole = add(counts for counts, _ in found).net or 0.0
    spread = chance = 0.0
    for counts, net in found:
        weight = counts.rated / n
        spread += weight * (net.value - whole) ** 2
        # The variance of a part's own net sentiment, less what it shares with the whole.
        variance = CLUSTERS * ((counts.positive + counts.negative) / counts.rated - net.value**2) / counts.rated
        chance += weight * (1 - weight) * variance
    return Consistency(over, sqrt(spread), sqrt(max(spread - chance, 0.0)), len(found), n)


def load(store: Store, question: Question, past: Counted | None) -> Load:
    """Put posts that need an answer beside those that need none; `past` counts the span before."""
    steps: dict[str, dict[str, Labels]] = {"yes": {}, "no": {}}
    unsaid = Labels()
    for (start, _, name), counts in store.facets.counts(question.posts(), ("reply",), (), question.step).items():
        if name in steps:
            steps[name][start] = counts
        else:
            unsaid += counts
    service, others = (add(steps[name].values()) for name in ("yes", "no"))
    old, old_others = ((past or {}).get(name, Labels()) for name in ("yes", "no"))
    return Load(
        compared(service, old if past is not None else None),
        compared(others, old_others if past is not None else None),
        unsaid,
        share_of(service.mentions, service.mentions + others.mentions),
        share_change(
            service.mentions, service.mentions + others.mentions, old.mentions, old.mentions + old_others.mentions
        ),
        _steps(question, steps["yes"], "yes"),
        _steps(question, steps["no"], "no"),
        narrowed(question.posts(), "reply", "yes"),
        narrowed(question.posts(), "reply", "no"),
    )


def _named(counted: Mapping[tuple[str, ...], Labels], kind: str) -> Counted:
    """Add up the counts of one kind by name."""
    found: dict[str, Labels] = {}
    for (of, name, *_), counts in counted.items():
        if of == kind:
            found[name] = found.get(name, Labels()) + counts
    return found


def _steps(question: Question, counts: dict[str, Labels], reply: str) -> tuple[Step, ...]:
    return tuple(replace(step, link=narrowed(step.link, "reply", reply)) for step in timeline(question, counts))


def _cell(question: Question, touchpoint: str, source: str, counts: Labels) -> Cell:
    link = narrowed(narrowed(question.posts(), "touchpoint", touchpoint), "source", source)
    return Cell(touchpoint, source, counts, net_of(counts), counts.rated >= FEW, link)
