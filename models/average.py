"""Average the weights of two models that began as the same encoder.

Fine-tuning on one thing makes a model forget another; between two such models often lies one that knows both
(Wortsman et al. 2022).
"""

import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file


def average(first: Path, second: Path, folder: Path, share: float = 0.5) -> None:
    """Write a model whose weights are `share` of the first's and the rest of the second's."""
    shutil.copytree(second, folder, dirs_exist_ok=True)
    ours, theirs = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    mixed = {name: (share * ours[name].float() + (1 - share) * tensor.float()) for name, tensor in theirs.items()}
    weights = {name: tensor.half().contiguous() for name, tensor in mixed.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
