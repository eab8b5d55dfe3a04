"""The mean of two models."""

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from models.average import average
from models.network import MentionModel
from tests.tiny_model import tiny_mention_model


def test_the_mean_of_two_models_lies_between_them(tmp_path: Path) -> None:
    first, second = (tiny_mention_model(tmp_path / name) for name in ("first", "second"))
    weights = load_file(second / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in weights.items()}, second / "model.safetensors")

    average(first, second, tmp_path / "mean", share=0.25)

    mixed, ours = load_file(tmp_path / "mean" / "model.safetensors"), load_file(first / "model.safetensors")
    for name, tensor in mixed.items():
        assert torch.allclose(tensor.float() - ours[name].float(), torch.tensor(0.75), atol=0.02), name


def test_of_two_models_that_read_otherwise_the_mean_reads_as_the_second(tmp_path: Path) -> None:
    first = tiny_mention_model(tmp_path / "first")
    second = MentionModel.load(first)
    second.attend()
    shutil.copytree(first, tmp_path / "second")
    second.save(tmp_path / "second")

    average(first, tmp_path / "second", tmp_path / "mean")

    mixed = MentionModel.load(tmp_path / "mean")
    assert mixed.pooling is not None
    for name, tensor in mixed.state_dict().items():
        assert torch.allclose(tensor, second.state_dict()[name], atol=1e-3), name
