"""Average the weights of two models that began as the same encoder, and fit the heads anew on what that gives.

Fine-tuning on one thing makes a model forget another; between two such models often lies one that knows both
(Wortsman et al. 2022). Its features are no longer those that the heads had learned from, so that these are fitted
again, as linear models on the features.
"""

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from db.labels import LABELS
from models.batches import read_in_batches
from models.examples import Example
from models.network import MentionModel, encode
from models.text import normalise

TOKENS = 1_024  # read at once
PENALTY = 1e-3  # on the squares of a head's weights


def average(first: Path, second: Path, folder: Path, share: float = 0.5) -> None:
    """Write a model whose weights are `share` of the first's and the rest of the second's."""
    shutil.copytree(second, folder, dirs_exist_ok=True)
    ours, theirs = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    mixed = {name: (share * ours[name].float() + (1 - share) * tensor.float()) for name, tensor in theirs.items()}
    weights = {name: tensor.half().contiguous() for name, tensor in mixed.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def fit_heads(folder: Path, examples: Sequence[Example], questions: Collection[str]) -> None:
    """Fit the heads of some questions on the features of the posts that are labelled for them."""
    from transformers import AutoTokenizer

    model, tokenizer = MentionModel.load(folder), AutoTokenizer.from_pretrained(folder, local_files_only=True)
    labelled = [post for post in examples if any(question in post.labels for question in questions)]
    texts = [normalise(post.text, post.brand) for post in labelled]
    with torch.inference_mode():
        encodings = encode(tokenizer, texts, [post.brand for post in labelled])
        features = read_in_batches(encodings, lambda inputs: model.pool(**inputs), TOKENS, tokenizer.pad_token_id)
    path = folder / "model.safetensors"
    weights = load_file(path)
    for question in questions:
        rows = [number for number, post in enumerate(labelled) if question in post.labels]
        truth = torch.tensor([LABELS[question].index(labelled[number].labels[question]) for number in rows])
        weight, bias = _fit(features[rows].clone(), truth, len(LABELS[question]))
        weights |= {f"heads.{question}.weight": weight.half(), f"heads.{question}.bias": bias.half()}
    save_file(weights, path, metadata={"format": "pt"})


def _fit(features: Tensor, truth: Tensor, labels: int) -> tuple[Tensor, Tensor]:
    """Logistic regression; returns weights of shape (labels, size) and biases of shape (labels,)."""
    head = torch.nn.Linear(features.shape[1], labels)
    torch.nn.init.zeros_(head.weight)
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        found = torch.nn.functional.cross_entropy(head(features), truth) + PENALTY * head.weight.square().sum()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return head.weight.detach(), head.bias.detach()
