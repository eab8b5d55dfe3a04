"""How well labels were predicted: macro recall, macro F1 and accuracy, each with a 95 % bootstrap interval.

A post that is not rated counts as a miss: leaving out the hard posts must not look like skill. `coverage` says how
many were rated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from db.errors import InputError

RESAMPLES = 1_000
SEED = 7


@dataclass(frozen=True, slots=True)
class Measure:
    """A value and the interval that holds it in 95 of 100 resamples."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ClassReport:
    """How one label was predicted; `support` posts carry it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Report:
    """All that was measured. Macro means leave out labels that no post carries.

    `confusion` has a row for each true label and a column for each predicted one, and a last column for not rated.
    """

    posts: int
    coverage: float
    macro_recall: Measure
    macro_f1: Measure
    accuracy: Measure
    labels: tuple[ClassReport, ...]
    confusion: tuple[tuple[int, ...], ...]


def evaluate(labels: Sequence[str], predictions: Sequence[str | None], classes: Sequence[str]) -> Report:
    """Compare predictions (None: not rated) with the true labels."""
    import numpy as np

    if len(labels) != len(predictions):
        raise InputError(f"{len(labels)} labels but {len(predictions)} predictions")
    if not labels:
        raise InputError("no labelled posts to measure on")
    unknown = sorted((set(labels) | set(predictions) - {None}) - set(classes), key=str)
    if unknown:
        raise InputError(f"unknown label {', '.join(map(str, unknown))}; expected {', '.join(classes)}")
    number = {label: index for index, label in enumerate(classes)}
    size = len(classes)
    pairs = zip(labels, predictions, strict=True)
    cells = [number[true] * (size + 1) + (size if said is None else number[said]) for true, said in pairs]
    confusion = np.bincount(cells, minlength=size * (size + 1)).reshape(size, size + 1)

    # Drawing posts with replacement is drawing cells of the confusion matrix.
    draws = np.random.default_rng(SEED).multinomial(len(labels), confusion.ravel() / len(labels), size=RESAMPLES)
    value, resampled = _rates(confusion[None]), _rates(draws.reshape(RESAMPLES, size, size + 1))
    precision, recall, f1 = (rates[0].tolist() for rates in value[:3])
    support = confusion.sum(axis=1).tolist()
    macro_recall, macro_f1, accuracy = (
        Measure(round(float(one[0]), 4), *(round(float(end), 4) for end in np.percentile(many, (2.5, 97.5))))
        for one, many in zip(value[3:], resampled[3:], strict=True)
    )
    return Report(
        posts=len(labels),
        coverage=1 - int(confusion[:, size].sum()) / len(labels),
        macro_recall=macro_recall,
        macro_f1=macro_f1,
        accuracy=accuracy,
        labels=tuple(map(ClassReport, classes, precision, recall, f1, support)),
        confusion=tuple(map(tuple, confusion.tolist())),
    )


def vader(texts: Sequence[str]) -> list[str]:
    """What VADER's lexicon says, at its usual thresholds: the baseline to beat."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyser = SentimentIntensityAnalyzer()
    compounds = (analyser.polarity_scores(text)["compound"] for text in texts)
    return ["positive" if c >= 0.05 else "negative" if c <= -0.05 else "neutral" for c in compounds]


def _rates(confusion: Any) -> tuple[Any, ...]:
    """Precision, recall and F1 by label, macro recall, macro F1 and accuracy, for a stack of confusion matrices."""
    import numpy as np

    size = confusion.shape[1]
    right = confusion[:, range(size), range(size)]
    support, said = confusion.sum(axis=2), confusion[:, :, :size].sum(axis=1)
    precision, recall = right / np.maximum(said, 1), right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(support + said, 1)
    carried = support > 0
    count = carried.sum(axis=1)
    macro_recall, macro_f1 = ((rates * carried).sum(axis=1) / count for rates in (recall, f1))
    return precision, recall, f1, macro_recall, macro_f1, right.sum(axis=1) / confusion.sum(axis=(1, 2))
