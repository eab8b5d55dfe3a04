"""The mean of models."""

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

    average({first: 0.25, second: 0.75}, tmp_path / "mean")

    mixed, ours = load_file(tmp_path / "mean" / "model.safetensors"), load_file(first / "model.safetensors")
    for name, tensor in mixed.items():
        assert torch.allclose(tensor.float() - ours[name].float(), torch.tensor(0.75), atol=0.02), name


def test_the_mean_can_be_of_three_and_lie_where_one_of_them_lay(tmp_path: Path) -> None:
    first = tiny_mention_model(tmp_path / "0")
    start = load_file(first / "model.safetensors")
    for number in (1, 2):
        shutil.copytree(first, tmp_path / str(number))
        more = {name: (tensor.float() + number).half() for name, tensor in start.items()}
        save_file(more, tmp_path / str(number) / "model.safetensors")

    average({first: 0.5, tmp_path / "1": 0.3, tmp_path / "2": 0.2}, first)

    for name, tensor in load_file(first / "model.safetensors").items():
        assert torch.allclose(tensor.float() - start[name].float(), torch.tensor(0.7), atol=0.02), name


def test_of_models_that_read_otherwise_the_mean_reads_as_the_last(tmp_path: Path) -> None:
    first = tiny_mention_model(tmp_path / "first")
    second = MentionModel.load(first)
    second.attend()
    shutil.copytree(first, tmp_path / "second")
    second.save(tmp_path / "second")

    average({first: 0.5, tmp_path / "second": 0.5}, tmp_path / "mean")

    mixed = MentionModel.load(tmp_path / "mean")
    assert mixed.pooling is not None
    for name, tensor in mixed.state_dict().items():
        assert torch.allclose(tensor, second.state_dict()[name], atol=1e-3), name
