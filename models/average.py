"""Average the weights of models that began as the same encoder.

Fine-tuning on one thing makes a model forget another; between such models often lies one that knows both
(Wortsman et al. 2022).
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from models.network import MentionModel


def average(shares: Mapping[Path, float], folder: Path) -> None:
    """Write the mean of models, each with its share of it, to `folder`; it reads posts as the last of them does."""
    *others, last = shares
    mixed = MentionModel.load(last)
    total = {name: shares[last] * tensor for name, tensor in mixed.state_dict().items()}
    for other in others:
        model = MentionModel.load(other)
        if mixed.pooling is not None:
            model.attend()
        for name, tensor in model.state_dict().items():
            total[name] += shares[other] * tensor
    mixed.load_state_dict(total)
    shutil.copytree(last, folder, ignore=shutil.ignore_patterns("*.safetensors"), dirs_exist_ok=True)
    mixed.save(folder)
