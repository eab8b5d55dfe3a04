"""Make probabilities mean what they say, and keep a model from guessing what was common in training.

Both are fitted on posts that the model has not learned from, and end up in the weights of its heads: using a model
knows nothing of it.
"""

import json
import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from db.errors import InputError
from db.labels import LABELS
from models.examples import Example
from models.recipe import Recipe, calibration_posts, letters, shown

log = logging.getLogger(__name__)

Rows = NDArray[np.float64]  # of shape (posts, labels)

TEMPERATURES = np.geomspace(0.4, 4, 61)
LEANS = np.linspace(0, 1, 11)
FLOORS = np.linspace(0.15, 0.5, 36)
# Share of the stages just above the floor that are right. Of 1,059 real posts kept for bundled-5's calibration, half
# would make 16 % `unsure`, the rare stages first, though two in five of these are right; a third under 4 %.
RIGHT_ENOUGH = 1 / 3
TELLING = 20  # posts just above a floor that it takes to tell


@dataclass(frozen=True, slots=True)
class Judged:
    """What a model said of posts that are labelled: log probabilities, and the true labels' places in LABELS."""

    said: Rows
    truth: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """`lean`: how far to take back the labels' frequencies in training (0 not at all, 1 wholly). Then divide by
    `temperature`: above 1, the model was too sure of itself."""

    lean: float
    temperature: float


def calibrate(trained: Path, folder: Path, recipe: Recipe, data: Path, folds: Path | None) -> Path:
    """Copy a model to `folder` and fit and apply a calibration there; return the folder.

    Fitted are the questions that the recipe's calibration posts are labelled for, on the folds where there are any.
    Sentiment is chosen by macro recall, by which it is compared in public, everything else by macro F1.
    """
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    examples = shown(recipe, data)
    frequencies = {question: frequencies_of(question, examples) for question in LABELS}
    seen = {letters(example.text) for example in examples}
    unseen = calibration_posts(recipe, data, seen)
    if recipe.calibration and not unseen:
        raise InputError("the recipe: no post of [[calibration]] is left, all are trained on or held out; name others")
    posts = _predict(folder, unseen) | (read_folds(folds) if folds else {})
    calibrations = {
        question: fit(found, frequencies[question], by_recall=question == "sentiment")
        for question, found in posts.items()
    }
    apply(folder, calibrations, frequencies)
    about: dict[str, object] = {
        "sentimon_calibration": {question: asdict(one) for question, one in calibrations.items()},
        "sentimon_calibrated_on": [one.file for one in recipe.calibration] + (["folds"] if folds else []),
    }
    if "stage" in posts:
        about["sentimon_stage_floor"] = floor(posts["stage"], calibrations["stage"], frequencies["stage"])
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | about
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return folder


def read_folds(folder: Path) -> dict[str, Judged]:
    """Read what cross-validation has predicted (`make bench-journey`), by question."""
    rows: dict[str, list[tuple[list[float], int]]] = {question: [] for question in LABELS}
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise InputError(f"{folder}: holds no predictions; make them with `make bench-journey`")
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                row = json.loads(line)
                for question, label in row["labels"].items():
                    found = [row["probabilities"][question][one] for one in LABELS[question]]
                    rows[question].append((found, LABELS[question].index(label)))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise InputError(f"{path}:{number}: not a prediction: {error}") from error
    return {question: judged(found) for question, found in rows.items() if found}


def judged(rows: Iterable[tuple[Sequence[float], int]]) -> Judged:
    """Make arrays of (probabilities, place of the true label)."""
    probabilities, truth = zip(*rows, strict=True)
    return Judged(np.log(np.maximum(np.asarray(probabilities, dtype=float), 1e-6)), np.asarray(truth))


def fit(posts: Judged, frequencies: Sequence[float], by_recall: bool) -> Calibration:
    """Choose the lean with the best macro F1 (or macro recall), then the temperature with the best log likelihood.

    Logit adjustment: Menon et al. 2021. Temperature scaling: Guo et al. 2017. `frequencies` are the labels' shares of
    the training posts.
    """
    skew = _skew(frequencies)
    lean = max(LEANS, key=lambda one: _macro(posts.said - one * skew, posts.truth, by_recall))
    leaned = posts.said - lean * skew
    temperature = min(TEMPERATURES, key=lambda one: _surprise(leaned / one, posts.truth))
    return Calibration(round(float(lean), 2), round(float(temperature), 3))


def calibrated(posts: Judged, calibration: Calibration, frequencies: Sequence[float]) -> Rows:
    """Return the probabilities that a model gives once it is calibrated."""
    return _softmax((posts.said - calibration.lean * _skew(frequencies)) / calibration.temperature)


def floor(posts: Judged, calibration: Calibration, frequencies: Sequence[float]) -> float:
    """Return the probability below which the likeliest stage is wrong more than twice as often as right.

    Where it is so above all that were tried, that is the highest that enough posts tell of; where none are enough, the
    lowest.
    """
    probabilities = calibrated(posts, calibration, frequencies)
    top, right = probabilities.max(1), probabilities.argmax(1) == posts.truth
    found = FLOORS[0]
    for one in FLOORS:
        just_above = (top >= one) & (top < one + 0.05)
        if just_above.sum() < TELLING:
            continue
        found = one
        if right[just_above].mean() >= RIGHT_ENOUGH:
            break
    return round(float(found), 2)


def apply(folder: Path, calibrations: Mapping[str, Calibration], frequencies: Mapping[str, Sequence[float]]) -> None:
    """Write the calibrations into the heads of the model in `folder`."""
    import torch
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    for question, calibration in calibrations.items():
        skew = torch.tensor(_skew(frequencies[question]))
        bias = weights[f"heads.{question}.bias"].double() - calibration.lean * (skew - skew.mean())
        weights[f"heads.{question}.bias"] = (bias / calibration.temperature).half()
        weights[f"heads.{question}.weight"] = (
            weights[f"heads.{question}.weight"].double() / calibration.temperature
        ).half()
        log.info("%s: lean %.1f, temperature %.2f", question, calibration.lean, calibration.temperature)
    save_file(weights, path, metadata={"format": "pt"})


def frequencies_of(question: str, shown: Sequence[Example]) -> list[float]:
    """Return the labels' shares of the posts that are labelled for a question."""
    labels = [example.labels[question] for example in shown if question in example.labels]
    return [labels.count(label) / max(len(labels), 1) for label in LABELS[question]]


def _predict(folder: Path, examples: Sequence[Example]) -> dict[str, Judged]:
    from models.classifier import BundledClassifier, Post
    from models.precision import exact

    # Whatever language a labelled post is in, it is labelled.
    scores = BundledClassifier(folder, None, exact()).score([Post(example.text, example.brand) for example in examples])
    rows: dict[str, list[tuple[Sequence[float], int]]] = {}
    for example, score in zip(examples, scores, strict=True):
        for question, label in example.labels.items():
            if score.rated:
                found = list(score.probabilities(question).values())
                rows.setdefault(question, []).append((found, LABELS[question].index(label)))
    return {question: judged(found) for question, found in rows.items()}


def _skew(frequencies: Sequence[float]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(np.asarray(frequencies, dtype=float), 1e-6)))


def _macro(logits: Rows, truth: NDArray[np.int64], by_recall: bool) -> float:
    said = logits.argmax(1)
    rates = []
    for label in np.unique(truth):
        hit = int(((said == label) & (truth == label)).sum())
        carried, named = int((truth == label).sum()), int((said == label).sum())
        rates.append(hit / carried if by_recall else 2 * hit / (carried + named))
    return float(np.mean(rates))


def _surprise(logits: Rows, truth: NDArray[np.int64]) -> float:
    return float(-np.log(_softmax(logits)[np.arange(len(truth)), truth]).mean())


def _softmax(logits: Rows) -> Rows:
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))
