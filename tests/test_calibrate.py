"""Calibration, on predictions whose faults are known."""

import json
from pathlib import Path

import numpy as np
import pytest

from db.errors import InputError
from db.labels import LABELS, SENTIMENTS, STAGES
from models.calibrate import FLOORS, Calibration, Judged, apply, fit, floor, read_folds
from models.classifier import BundledClassifier, Post
from models.evaluate import calibration_error
from tests.tiny_model import tiny_mention_model

EVEN = [1 / 3] * 3


def drawn(temperature: float, count: int = 4_000) -> Judged:
    """Posts whose labels are drawn from what a model holds likely, and a model that is surer than that."""
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 1.5, (count, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = np.array([rng.choice(3, p=row) for row in probabilities])
    return Judged(logits * temperature, truth)


def error_of(posts: Judged, calibration: Calibration, frequencies: list[float]) -> float:
    logits = (posts.said - calibration.lean * np.log(frequencies)) / calibration.temperature
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    said = [(float(p.max()), bool(p.argmax() == t)) for p, t in zip(probabilities, posts.truth, strict=True)]
    return calibration_error(said).value


def test_a_model_that_is_too_sure_is_cooled_to_what_it_knows() -> None:
    found = fit(drawn(2.0), EVEN, by_recall=False)

    assert found.temperature == pytest.approx(2.0, rel=0.1)
    assert error_of(drawn(2.0), found, EVEN) < 0.03 < error_of(drawn(2.0), Calibration(0, 1), EVEN)


def test_a_model_that_knows_how_sure_to_be_is_left_alone() -> None:
    assert fit(drawn(1.0), EVEN, by_recall=True).temperature == pytest.approx(1.0, rel=0.1)


def test_a_model_that_guesses_the_common_label_is_leant_against_it() -> None:
    posts, skew = drawn(1.0), [0.9, 0.05, 0.05]
    guessing = Judged(posts.said + np.log(skew), posts.truth)

    assert fit(guessing, skew, by_recall=True).lean >= 0.8
    assert fit(posts, skew, by_recall=True).lean <= 0.2


def test_the_floor_lies_where_stages_begin_to_be_right_often_enough() -> None:
    rng = np.random.default_rng(5)
    top = rng.uniform(0.16, 0.9, 3_000)
    right = top > 0.3  # below, the likeliest stage is always wrong
    rest = (1 - top) / (len(STAGES) - 1)
    said = np.repeat(rest[:, None], len(STAGES), axis=1)
    said[:, 0] = top
    posts = Judged(np.log(said), np.where(right, 0, 1))

    assert floor(posts, Calibration(0, 1), [1 / len(STAGES)] * len(STAGES)) == pytest.approx(0.28, abs=0.03)


@pytest.mark.parametrize(("right", "found"), [(0.42, FLOORS[0]), (0.25, FLOORS[-1])])
def test_a_stage_that_is_right_in_more_than_a_third_of_cases_is_said(right: float, found: float) -> None:
    top = np.linspace(0.16, 0.9, 20_000)
    said = np.repeat((1 - top)[:, None] / (len(STAGES) - 1), len(STAGES), axis=1)
    said[:, 0] = top
    truth = np.where(np.random.default_rng(5).random(len(top)) < right, 0, 1)

    assert floor(Judged(np.log(said), truth), Calibration(0, 1), [1 / len(STAGES)] * len(STAGES)) == found


def test_the_floor_is_high_where_stages_are_always_wrong_and_low_where_nothing_tells() -> None:
    top = np.linspace(0.16, 0.9, 3_000)
    said = np.repeat((1 - top)[:, None] / (len(STAGES) - 1), len(STAGES), axis=1)
    said[:, 0] = top
    wrong, even = np.ones(len(top), dtype=int), [1 / len(STAGES)] * len(STAGES)

    assert floor(Judged(np.log(said), wrong), Calibration(0, 1), even) == FLOORS[-1]
    assert floor(Judged(np.log(said[::300]), wrong[::300]), Calibration(0, 1), even) == FLOORS[0]


def test_what_is_fitted_ends_up_in_the_probabilities_of_that_question_alone(tmp_path: Path) -> None:
    posts = [Post("great phone"), Post("awful update")]
    before = BundledClassifier(tiny_mention_model(tmp_path / "model"), None).score(posts)

    apply(tmp_path / "model", {"sentiment": Calibration(1.0, 2.0)}, {"sentiment": [0.6, 0.3, 0.1]})

    for old, new in zip(before, BundledClassifier(tmp_path / "model", None).score(posts), strict=True):
        leaned = np.log([old.probabilities("sentiment")[label] for label in SENTIMENTS]) - np.log([0.6, 0.3, 0.1])
        wanted = np.exp(leaned / 2) / np.exp(leaned / 2).sum()
        assert list(new.probabilities("sentiment").values()) == pytest.approx(wanted, abs=0.01)
        assert new.probabilities("stage") == pytest.approx(old.probabilities("stage"), abs=1e-3)


def test_folds_are_read_by_question(tmp_path: Path) -> None:
    probabilities = {question: dict.fromkeys(labels, 1 / len(labels)) for question, labels in LABELS.items()}
    rows = [{"id": "1", "labels": {"stage": "use", "reply": "yes"}, "probabilities": probabilities}]
    (tmp_path / "forum.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    found = read_folds(tmp_path)

    assert set(found) == {"stage", "reply"}
    assert found["stage"].truth.tolist() == [STAGES.index("use")]
    assert found["stage"].said.shape == (1, len(STAGES))


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", '{"labels": [1]}', '{"labels": {"stage": "asleep"}, "probabilities": {"stage": {}}}']
)
def test_what_is_no_prediction_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "forum.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=r"forum\.jsonl:1: not a prediction"):
        read_folds(tmp_path)


def test_a_folder_without_predictions_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no predictions; make them with `make bench-journey`"):
        read_folds(tmp_path)
