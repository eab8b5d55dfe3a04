"""How well labels were predicted: macro recall, macro F1, accuracy and calibration, with 95 % bootstrap intervals.

A post that is not rated counts as a miss: leaving out the hard posts must not look like skill. `coverage` says how
many were rated. Where a model is unsure, the label that it holds likeliest counts, so that these figures tell what it
knows whatever its floor is; how often it is unsure, and how right it is when it is not, stands beside them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from db.errors import InputError
from db.labels import UNSURE
from db.records import Answer

RESAMPLES = 1_000
SEED = 7
BINS = 15  # of probability, equally wide


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
    `calibration_error` is None where no answer has probabilities, `sure_accuracy` where the model is never sure; both
    look at rated posts only, and so does `unsure`, the share of them that was given no label for certain.
    """

    posts: int
    coverage: float
    macro_recall: Measure
    macro_f1: Measure
    accuracy: Measure
    calibration_error: Measure | None
    unsure: float
    sure_accuracy: Measure | None
    labels: tuple[ClassReport, ...]
    confusion: tuple[tuple[int, ...], ...]


def evaluate(labels: Sequence[str], predictions: Sequence[Answer | str | None], classes: Sequence[str]) -> Report:
    """Compare what was said of posts (an answer, a label without probabilities, or None: not rated) with the truth."""
    import numpy as np

    if len(labels) != len(predictions):
        raise InputError(f"{len(labels)} labels but {len(predictions)} predictions")
    if not labels:
        raise InputError("no labelled posts to measure on")
    answers = [Answer(one, {}) if isinstance(one, str) else one for one in predictions]
    said = [None if answer is None else likeliest(answer) for answer in answers]
    unknown = sorted((set(labels) | set(said) - {None}) - set(classes), key=str)
    if unknown:
        raise InputError(f"unknown label {', '.join(map(str, unknown))}; expected {', '.join(classes)}")
    number = {label: index for index, label in enumerate(classes)}
    size = len(classes)
    pairs = zip(labels, said, strict=True)
    cells = [number[true] * (size + 1) + (size if one is None else number[one]) for true, one in pairs]
    confusion = np.bincount(cells, minlength=size * (size + 1)).reshape(size, size + 1)

    # Drawing posts with replacement is drawing cells of the confusion matrix.
    draws = np.random.default_rng(SEED).multinomial(len(labels), confusion.ravel() / len(labels), size=RESAMPLES)
    value, resampled = _rates(confusion[None]), _rates(draws.reshape(RESAMPLES, size, size + 1))
    precision, recall, f1 = (rates[0].tolist() for rates in value[:3])
    support = confusion.sum(axis=1).tolist()
    macro_recall, macro_f1, accuracy = (
        _measure(one[0], many) for one, many in zip(value[3:], resampled[3:], strict=True)
    )
    rated = [(answer, one == true) for answer, one, true in zip(answers, said, labels, strict=True) if answer]
    weighed = [(answer.probabilities[likeliest(answer)], right) for answer, right in rated if answer.probabilities]
    sure = [right for answer, right in rated if answer.label != UNSURE]
    return Report(
        posts=len(labels),
        coverage=len(rated) / len(labels),
        macro_recall=macro_recall,
        macro_f1=macro_f1,
        accuracy=accuracy,
        calibration_error=calibration_error(weighed) if weighed else None,
        unsure=1 - len(sure) / len(rated) if rated else 0.0,
        sure_accuracy=_share(sure) if sure else None,
        labels=tuple(map(ClassReport, classes, precision, recall, f1, support)),
        confusion=tuple(map(tuple, confusion.tolist())),
    )


def likeliest(answer: Answer) -> str:
    """Name the label that an answer holds likeliest, for a model that is unsure too."""
    return max(answer.probabilities, key=answer.probabilities.__getitem__) if answer.probabilities else answer.label


def calibration_error(said: Sequence[tuple[float, bool]]) -> Measure:
    """Measure how far probabilities are from how often they are right, on average (expected calibration error).

    `said` has for each post the probability of the label said, and whether it was right. Posts are put in bins of like
    probability. Few posts make the error look larger than it is, and resamples larger still, so that the interval may
    begin at the value.
    """
    import numpy as np

    probabilities, right = (np.array(one, dtype=float) for one in zip(*said, strict=True))
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = probabilities - right

    def error(chosen: Any) -> float:
        sums = np.bincount(bins[chosen], weights=gaps[chosen], minlength=BINS)
        return float(np.abs(sums).sum() / len(chosen))

    rng = np.random.default_rng(SEED)
    every = np.arange(len(said))
    return _measure(error(every), [error(rng.integers(len(said), size=len(said))) for _ in range(RESAMPLES)])


def vader(texts: Sequence[str]) -> list[str]:
    """What VADER's lexicon says, at its usual thresholds: the baseline to beat."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyser = SentimentIntensityAnalyzer()
    compounds = (analyser.polarity_scores(text)["compound"] for text in texts)
    return ["positive" if c >= 0.05 else "negative" if c <= -0.05 else "neutral" for c in compounds]


def _measure(value: float, resampled: Any) -> Measure:
    import numpy as np

    low, high = np.percentile(resampled, (2.5, 97.5))
    return Measure(round(float(value), 4), round(float(min(low, value)), 4), round(float(max(high, value)), 4))


def _share(right: Sequence[bool]) -> Measure:
    import numpy as np

    value = sum(right) / len(right)
    return _measure(value, np.random.default_rng(SEED).binomial(len(right), value, size=RESAMPLES) / len(right))


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
