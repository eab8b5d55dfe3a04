"""The mean of two models, and heads fitted on frozen features."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from db.labels import LABELS
from models.average import average, fit_heads
from models.classifier import BundledClassifier, Post
from models.examples import Example
from tests.tiny_model import tiny_mention_model


def test_the_mean_of_two_models_lies_between_them(tmp_path: Path) -> None:
    first, second = (tiny_mention_model(tmp_path / name) for name in ("first", "second"))
    weights = load_file(second / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in weights.items()}, second / "model.safetensors")

    average(first, second, tmp_path / "mean", share=0.25)

    mixed, ours = load_file(tmp_path / "mean" / "model.safetensors"), load_file(first / "model.safetensors")
    for name, tensor in mixed.items():
        assert torch.allclose(tensor.float() - ours[name].float(), torch.tensor(0.75), atol=0.02), name


def test_heads_are_fitted_to_posts_and_the_others_stay(tmp_path: Path) -> None:
    folder = tiny_mention_model(tmp_path / "model")
    before = load_file(folder / "model.safetensors")
    posts = [
        Example("great love", None, {"reply": "no", "stage": "advocacy"}),
        Example("awful hate", None, {"reply": "yes", "stage": "use"}),
        Example("the phone", None, {"reply": "no"}),
    ] * 4

    fit_heads(folder, posts, ["reply", "stage"])

    after = load_file(folder / "model.safetensors")
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {f"heads.{question}.{part}" for question in ("reply", "stage") for part in ("weight", "bias")}
    scores = BundledClassifier(folder, None).score([Post("great love"), Post("awful hate"), Post("the phone")])
    assert [score.label("reply") for score in scores] == ["no", "yes", "no"]
    assert [score.label("stage") for score in scores[:2]] == ["advocacy", "use"]
    assert set(scores[0].answers) == set(LABELS)
