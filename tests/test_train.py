"""Training, on a handful of posts and a tiny encoder: the same code that made the bundled weights."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from db.errors import InputError, SentimonError
from models import classifier
from models import train as module
from models.classifier import Post, load
from models.examples import Example
from models.network import MentionModel
from models.recipe import Phase, Recipe
from models.train import Plan, follow, train
from tests.tiny_model import tiny_mention_model

POSTS = [
    Example("good day", None, {"sentiment": "positive"}),
    Example("bad day", None, {"sentiment": "negative"}),
    Example("the day", "acme", {"sentiment": "neutral", "stage": "none"}),
] * 8


def a_phase(**more: object) -> Phase:
    return Phase.model_validate({"name": "one", "batch_size": 8, "learning_rate": 3e-3, "sets": [], **more})


def labels(folder: Path, *texts: str, question: str = "sentiment") -> list[str | None]:
    return [score.label(question) for score in load(str(folder)).score([Post(text) for text in texts])]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_mention_model(tmp_path_factory.mktemp("encoder"))


def test_training_learns_and_writes_a_model_that_loads_without_pickle(encoder: Path, tmp_path: Path) -> None:
    train(encoder, POSTS, tmp_path / "model", a_phase(epochs=20))

    assert labels(tmp_path / "model", "good day", "bad day") == ["positive", "negative"]
    assert {path.suffix for path in (tmp_path / "model").iterdir()} <= {".json", ".safetensors", ".txt"}


def test_probabilities_of_a_teacher_are_learned_as_labels_are(encoder: Path, tmp_path: Path) -> None:
    taught = [
        Example("good day", probabilities={"sentiment": (0.7, 0.2, 0.1)}),
        Example("bad day", probabilities={"sentiment": (0.1, 0.2, 0.7)}),
    ] * 8

    train(encoder, taught, tmp_path, a_phase(epochs=60))

    good, bad = load(str(tmp_path)).score([Post("good day"), Post("bad day")])
    assert list(good.probabilities("sentiment").values()) == pytest.approx([0.7, 0.2, 0.1], abs=0.1)
    assert list(bad.probabilities("sentiment").values()) == pytest.approx([0.1, 0.2, 0.7], abs=0.1)


def test_a_head_learns_only_from_the_posts_that_are_labelled_for_it(encoder: Path, tmp_path: Path) -> None:
    train(encoder, POSTS, tmp_path, a_phase(epochs=1, weight_decay=0))

    before, after = (load_file(folder / "model.safetensors") for folder in (encoder, tmp_path))
    for head in ("reply", "pillar", "touchpoint", "emotion", "offensive"):
        assert torch.equal(before[f"heads.{head}.weight"], after[f"heads.{head}.weight"])
    for head in ("sentiment", "stage"):
        assert not torch.equal(before[f"heads.{head}.weight"], after[f"heads.{head}.weight"])


def test_layers_that_are_frozen_stay_as_they_are(encoder: Path, tmp_path: Path) -> None:
    train(encoder, POSTS, tmp_path, a_phase(epochs=1, frozen=1))

    before, after = (load_file(folder / "model.safetensors") for folder in (encoder, tmp_path))
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert "heads.sentiment.weight" in changed
    assert not {name for name in changed if name.startswith("encoder.")}


def stop_in_the_middle(encoder: Path, output: Path, phase: Phase) -> None:
    """Let the machine go down right after the second checkpoint."""
    saved = module._save_checkpoint
    taken: list[int] = []

    def dying(path: Path, plan: Plan, step: int, *parts: object) -> None:
        saved(path, plan, step, *parts)
        taken.append(step)
        if len(taken) == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHECKPOINT_EVERY", 3)
        patch.setattr(module, "_save_checkpoint", dying)
        with pytest.raises(KeyboardInterrupt):
            train(encoder, POSTS, output, phase)


def test_a_run_that_was_stopped_goes_on_from_its_checkpoint_to_the_same_weights(
    encoder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    phase = a_phase(epochs=4)
    train(encoder, POSTS, whole, phase)
    stop_in_the_middle(encoder, stopped, phase)
    caplog.set_level("INFO")

    train(encoder, POSTS, stopped, phase)

    assert "going on from step 6" in caplog.text
    assert not (stopped / "checkpoint.pt").exists()
    assert (stopped / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_checkpoint_of_another_run_is_refused_and_kept(encoder: Path, tmp_path: Path) -> None:
    output, phase = tmp_path / "stopped", a_phase(epochs=4)
    stop_in_the_middle(encoder, output, phase)
    kept = (output / "checkpoint.pt").read_bytes()
    turned = [replace(post, labels={"sentiment": "negative"}) for post in POSTS]
    another = tiny_mention_model(tmp_path / "another", seed=5)
    for start, posts, chosen, says in (
        (encoder, POSTS, a_phase(epochs=5), "trained with other settings; remove it, or name another folder"),
        (encoder, turned, phase, "trained on other posts; remove it"),
        (another, POSTS, phase, "trained from other weights; remove it"),
        (another, turned, phase, "trained on other posts, from other weights; remove it"),
    ):
        with pytest.raises(InputError, match=rf"checkpoint\.pt: {says}"):
            train(start, posts, output, chosen)
    assert (output / "checkpoint.pt").read_bytes() == kept
    torch.save({"plan": "as older versions wrote it", "step": 6, "parts": []}, output / "checkpoint.pt")
    with pytest.raises(InputError, match=r"checkpoint\.pt: does not say what it rests on; remove it"):
        train(encoder, POSTS, output, phase)
    assert not (output / "model.safetensors").exists()


def test_a_model_is_named_by_its_weights_and_never_by_the_version_of_the_one_it_began_as(tmp_path: Path) -> None:
    began = tiny_mention_model(tmp_path / "began", version="3")
    turned = [replace(post, labels={"sentiment": "negative"}) for post in POSTS]
    for month, posts in (("march", POSTS), ("june", turned)):
        train(began, posts, tmp_path / month / "calibrated", a_phase())

    names = [load(str(tmp_path / month / "calibrated")).name for month in ("march", "june")]

    digests = [
        hashlib.sha256((tmp_path / month / "calibrated" / "model.safetensors").read_bytes()).hexdigest()[:8]
        for month in ("march", "june")
    ]
    assert names == [f"calibrated-{digest}" for digest in digests]
    assert names[0] != names[1]
    config = json.loads((tmp_path / "june" / "calibrated" / "config.json").read_text())
    assert "sentimon_version" not in config


def test_weights_that_are_saved_as_the_bundled_ones_carry_their_version(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUNDLED", tmp_path / "bundled")
    monkeypatch.setattr(classifier, "BUNDLED", tmp_path / "bundled")
    for folder in ("bundled", "mine"):
        module.save(MentionModel.load(encoder), AutoTokenizer.from_pretrained(encoder), tmp_path / folder)
    assert load("bundled").name == load(str(tmp_path / "bundled")).name == f"bundled-{module.VERSION}"
    assert load(str(tmp_path / "mine")).name.startswith("mine-")
    assert not load(str(tmp_path / "mine")).name.startswith(f"mine-{module.VERSION}-")


def test_training_that_goes_astray_ends_in_one_line(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(SentimonError, match="lower the learning rate"):
        train(encoder, POSTS, tmp_path, a_phase(epochs=40, learning_rate=1e6))


@pytest.mark.parametrize("kind", ["distilbert", "no such kind"])
def test_what_cannot_be_trained_from_is_an_error_of_one_line(kind: str, encoder: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    shutil.copytree(encoder, start)
    (start / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(InputError, match="start: not a model to train from") as caught:
        train(start, POSTS, tmp_path / "model", a_phase())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()


def write_posts(data: Path) -> None:
    rows = [
        {"text": "good day", "label": "positive", "source": "x"},
        {"text": "bad day", "label": "negative", "source": "x"},
        {"text": "the day", "label": "neutral", "stage": "none", "source": "forum"},
    ]
    (data / "posts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * 8))


def two_phases() -> Recipe:
    sets = [{"file": "posts.jsonl"}]
    one = {"batch_size": 8, "learning_rate": 3e-3, "epochs": 20, "sets": sets}
    return Recipe.model_validate({"phases": [{"name": "general", **one}, {"name": "journey", **one}]})


def test_a_recipe_can_ask_for_the_mean_of_its_phases(encoder: Path, tmp_path: Path) -> None:
    write_posts(tmp_path)
    recipe = two_phases().model_copy(update={"mean": [0, 0.25, 0.75]})

    folder = follow(recipe, tmp_path, encoder, tmp_path / "out")

    assert folder == tmp_path / "out" / "mean"
    general, journey, mean = (
        load_file(tmp_path / "out" / name / "model.safetensors")["heads.sentiment.weight"].float()
        for name in ("general", "journey", "mean")
    )
    assert torch.allclose(mean, 0.25 * general + 0.75 * journey, atol=2e-3)
    assert not torch.allclose(general, journey, atol=2e-3)
    assert labels(folder, "good day", "bad day") == ["positive", "negative"]


@pytest.mark.parametrize("parts", [[5, 3, 2], [50, 50, 0], [0.5, 0, 0.5]])
def test_the_start_can_have_a_part_in_the_mean(encoder: Path, tmp_path: Path, parts: list[float]) -> None:
    write_posts(tmp_path)
    follow(two_phases().model_copy(update={"mean": parts}), tmp_path, encoder, tmp_path / "out")
    start, general, journey, mean = (
        load_file(folder / "model.safetensors")["heads.sentiment.weight"].float()
        for folder in (encoder, *(tmp_path / "out" / name for name in ("general", "journey", "mean")))
    )
    wanted = sum(part / sum(parts) * one for part, one in zip(parts, (start, general, journey), strict=True))
    assert torch.allclose(mean, torch.as_tensor(wanted), atol=2e-3)


def test_an_encoder_that_is_no_model_yet_has_no_part_in_the_mean(encoder: Path, tmp_path: Path) -> None:
    write_posts(tmp_path)
    raw = tmp_path / "raw"
    MentionModel.load(encoder).encoder.save_pretrained(raw)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(raw)
    both = two_phases()
    with pytest.raises(InputError, match="raw: the recipe's mean has a part for the start, and this is no trained"):
        follow(both.model_copy(update={"mean": [1, 1, 1]}), tmp_path, raw, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    follow(both.model_copy(update={"mean": [0, 1, 1]}), tmp_path, raw, tmp_path / "out")
    assert labels(tmp_path / "out" / "mean", "good day", "bad day") == ["positive", "negative"]


def test_a_start_that_the_model_would_be_written_over_is_refused(encoder: Path, tmp_path: Path) -> None:
    write_posts(tmp_path)
    one = shutil.copytree(encoder, tmp_path / "out" / "mean")
    before = (one / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="mean: lies where the model is written, which would replace it"):
        follow(two_phases(), tmp_path, one, tmp_path / "out")
    assert (one / "model.safetensors").read_bytes() == before


def test_each_phase_begins_where_the_last_one_ended_and_is_not_done_twice(
    encoder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_posts(tmp_path)
    caplog.set_level("INFO")

    last = follow(two_phases(), tmp_path, encoder, tmp_path / "out")

    assert last == tmp_path / "out" / "journey"
    assert labels(last, "good day", "bad day", "the day") == ["positive", "negative", "neutral"]
    assert "journey: 24 posts" in caplog.text
    general = (tmp_path / "out" / "general" / "model.safetensors").read_bytes()
    (last / "model.safetensors").unlink()
    caplog.clear()

    assert follow(two_phases(), tmp_path, encoder, tmp_path / "out") == last

    assert "general: done before" in caplog.text
    assert "journey: 24 posts" in caplog.text
    assert (tmp_path / "out" / "general" / "model.safetensors").read_bytes() == general
    assert (last / "model.safetensors").is_file()


def test_a_phase_that_was_done_with_other_posts_or_from_another_start_is_not_taken_for_done(
    encoder: Path, tmp_path: Path
) -> None:
    write_posts(tmp_path)
    follow(two_phases(), tmp_path, encoder, tmp_path / "out")
    another = tiny_mention_model(tmp_path / "another", seed=5)
    with pytest.raises(InputError, match="general: trained from other weights; remove it, or name another folder"):
        follow(two_phases(), tmp_path, another, tmp_path / "out")
    (tmp_path / "posts.jsonl").write_text(json.dumps({"text": "good day", "label": "neutral"}) + "\n")
    with pytest.raises(InputError, match="general: trained on other posts; remove it, or name another folder"):
        follow(two_phases(), tmp_path, encoder, tmp_path / "out")
    write_posts(tmp_path)
    path = tmp_path / "out" / "journey" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in config.items() if key != "sentimon_plan"}))
    with pytest.raises(InputError, match="journey: does not say what it rests on; remove it"):
        follow(two_phases(), tmp_path, encoder, tmp_path / "out")
