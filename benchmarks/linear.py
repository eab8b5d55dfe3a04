"""What a linear model makes of frozen embeddings: the least that a fine-tuned network has to beat."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.folds import AUTHORED
from db.labels import GUIDE
from models.batches import read_in_batches, tokenise
from models.classifier import quiet
from models.examples import Example
from models.network import LONGEST, MentionModel
from models.precision import TOKENS_CPU
from models.text import normalise


class Embedder:
    """A sentence encoder as it comes: the mean over a text's tokens, of length 1. Each text is read once."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        with quiet():
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._encoder = MentionModel.start(folder).encoder.eval()
        self._known: dict[str, NDArray[np.float32]] = {}

    def embed(self, posts: Sequence[Example]) -> NDArray[np.float32]:
        """Return rows of shape (posts, size)."""
        texts = [normalise(post.text, post.brand) for post in posts]
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        encodings = tokenise(self._tokenizer, new, truncation=True, max_length=LONGEST)
        rows = read_in_batches(encodings, self._read, TOKENS_CPU, self._tokenizer.pad_token_id)
        self._known.update(zip(new, rows.numpy(), strict=True))
        return np.stack([self._known[text] for text in texts])

    def _read(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        hidden = self._encoder(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1)
        return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)


def classify(embedder: Embedder, training: Sequence[Example], posts: Sequence[Example]) -> dict[str, list[str]]:
    """Fit one linear model a question on the real posts among the training's, and return what each says of `posts`.

    Real posts are those labelled for the journey that nobody wrote for it.
    """
    from sklearn.linear_model import LogisticRegression

    real = [post for post in training if "stage" in post.labels and post.source != AUTHORED]
    real = list({(post.text, *sorted(post.labels.items())): post for post in real}.values())  # repeats are shown once
    rows, asked = embedder.embed(real), embedder.embed(posts)
    told: dict[str, list[str]] = {}
    for question in GUIDE:
        chosen = [number for number, post in enumerate(real) if question in post.labels]
        model = LogisticRegression(class_weight="balanced", max_iter=2_000)
        model.fit(rows[chosen], [real[number].labels[question] for number in chosen])
        told[question] = [str(label) for label in model.predict(asked)]
    return told
