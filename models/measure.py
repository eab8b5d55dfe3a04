"""A model measured on labelled posts: every question that they are labelled for, beside something simple."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from db.labels import LABELS
from db.records import Answer, Score
from models.evaluate import Report, evaluate, vader
from models.examples import Example


@dataclass(frozen=True, slots=True)
class Measured:
    """How well a model answers one question, on all posts and on those of each source where that was asked."""

    question: str
    model: str
    report: Report
    sources: Mapping[str, Report]


def measure(examples: Sequence[Example], scores: Sequence[Score], by_source: bool = False) -> list[Measured]:
    """Measure the scores of examples, question by question; posts without a label for a question are left out.

    Beside sentiment stands VADER, beside the others the label that most of the posts have: what a model must beat that
    reads nothing.
    """
    found: list[Measured] = []
    for question, classes in LABELS.items():
        rows = [(e, s) for e, s in zip(examples, scores, strict=True) if question in e.labels]
        if not rows:
            continue
        labels = [example.labels[question] for example, _ in rows]
        sources = [example.source for example, _ in rows]
        if question == "sentiment":
            name, simple = "VADER", vader([example.text for example, _ in rows])
        else:
            usual = max(classes, key=labels.count)
            name, simple = f'always "{usual}"', [usual] * len(labels)
        ours = [score.answers.get(question) for _, score in rows]
        both: tuple[tuple[str, Sequence[Answer | str | None]], ...] = ((rows[0][1].model, ours), (name, simple))
        for model, said in both:
            reports = _by_source(sources, labels, said, classes) if by_source else {}
            found.append(Measured(question, model, evaluate(labels, said, classes), reports))
    return found


def _by_source(
    sources: Sequence[str], labels: Sequence[str], said: Sequence[Answer | str | None], classes: Sequence[str]
) -> dict[str, Report]:
    reports = {}
    for source in sorted(set(sources)):
        chosen = [number for number, one in enumerate(sources) if one == source]
        reports[source] = evaluate([labels[n] for n in chosen], [said[n] for n in chosen], classes)
    return reports
