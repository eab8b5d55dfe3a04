"""Average the weights of two models that began as the same encoder.

Fine-tuning on one thing makes a model forget another; between two such models often lies one that knows both
(Wortsman et al. 2022).
"""

import shutil
from pathlib import Path

from models.network import MentionModel


def average(first: Path, second: Path, folder: Path, share: float = 0.5) -> None:
    """Write a model of `share` of the first's weights and the rest of the second's, which reads as the second does."""
    shutil.copytree(second, folder, dirs_exist_ok=True)
    ours, mixed = MentionModel.load(first), MentionModel.load(second)
    if mixed.pooling is not None:
        ours.attend()
    theirs = mixed.state_dict()
    mixed.load_state_dict({name: share * one + (1 - share) * theirs[name] for name, one in ours.state_dict().items()})
    mixed.save(folder)
