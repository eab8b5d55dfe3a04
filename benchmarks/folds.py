"""Folds of cross-validation: a source held out, a model trained without it, and what that says of its posts."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from db.errors import InputError
from db.labels import GUIDE, LABELS
from models.examples import Example, read_examples
from models.recipe import Recipe, gather, letters

POSTS, DEV = "journey/train.jsonl", "journey/dev.jsonl"
AUTHORED = "authored"  # the source of posts that were written for training: none is tested on
ORIGINS = {"entity": "target/entity.jsonl", "semeval": "target/train.jsonl"}  # files from which a source was drawn

log = logging.getLogger(__name__)

Posts = Sequence[tuple[str, Example]]  # with their ids


@dataclass(frozen=True, slots=True)
class Predicted:
    """A post: by question its true label, and how likely each label was held."""

    id: str
    source: str
    labels: Mapping[str, str]
    probabilities: Mapping[str, Mapping[str, float]]

    def likeliest(self, question: str) -> str:
        """Return the label that was held likeliest."""
        return max(self.probabilities[question], key=self.probabilities[question].__getitem__)


def sources(data: Path) -> dict[str, Posts]:
    """Return the posts that are tested on, by source."""
    found: dict[str, list[tuple[str, Example]]] = {}
    for name, post in with_ids(data / POSTS):
        if post.source != AUTHORED:
            found.setdefault(post.source, []).append((name, post))
    return dict(sorted(found.items()))


def with_ids(path: Path) -> Iterator[tuple[str, Example]]:
    """Read labelled posts of JSON lines, each with its id."""
    posts = read_examples(path)  # which says what is wrong with the file, if anything
    for row, post in zip(_rows(path), posts, strict=True):
        yield str(row.get("id", "")), post


def training_posts(recipe: Recipe, data: Path, source: str, posts: Posts) -> list[Example]:
    """Return the last phase's posts without a source: nor copies of its posts, nor others from where it was drawn.

    Posts that have no label of the journey are left out, which halves the time: the phase shows them so that nothing
    else is forgotten, and nothing else is asked here.
    """
    left_out = {letters(post.text) for _, post in posts}
    origin, phase = ORIGINS.get(source), recipe.phases[-1]
    if origin and (data / origin).is_file():
        left_out |= {letters(str(row["text"])) for row in _rows(data / origin)}
        # Its posts may be joined to others, in which they would not be found.
        phase = phase.model_copy(update={"sets": [one for one in phase.sets if one.file != origin]})
    found = gather(recipe, phase, data, source)
    return [post for post in found if _labelled(post) and letters(post.text) not in left_out]


def _labelled(post: Example) -> bool:
    return not post.labels.keys().isdisjoint(GUIDE[1:])


def predict_fold(recipe: Recipe, data: Path, source: str, posts: Posts, start: Path | None, output: Path) -> None:
    """Train without a source and write down what the model says of its posts, unless that is done."""
    from models.train import train

    path, model = output / f"{source}.jsonl", output / source
    if path.exists():
        return
    if not (model / "model.safetensors").exists():
        if start is None or not (start / "config.json").is_file():
            raise InputError(f"{start or '--start'}: no model to train from without {source}; name one with --start")
        training = training_posts(recipe, data, source, posts)
        log.info("without %s: %d posts to train on, then %d to predict", source, len(training), len(posts))
        seed = recipe.seed + len(recipe.phases) - 1
        train(start, training, model, recipe.phases[-1], seed, recipe.marks, recipe.attends)
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(asdict(one)) + "\n" for one in predict(model, posts)), encoding="utf-8")
    partial.replace(path)


def read_fold(source: str, posts: Posts, output: Path) -> list[Predicted] | None:
    """Return what was predicted of a source's posts, in their order; None where nothing was yet."""
    path = output / f"{source}.jsonl"
    if not path.exists():
        return None
    predicted = [Predicted(**row) for row in _rows(path)]
    if [one.id for one in predicted] != [name for name, _ in posts]:
        raise InputError(f"{path}: predicted for other posts than there are now; remove it and its model to start anew")
    return predicted


def predict(model: Path, posts: Posts) -> list[Predicted]:
    """Let a model read posts, also those that sentimon would not rate."""
    from transformers import AutoTokenizer

    from models.batches import read_in_batches
    from models.network import MentionModel, encode
    from models.precision import TOKENS_CPU
    from models.text import normalise

    network, tokenizer = MentionModel.load(model), AutoTokenizer.from_pretrained(model, local_files_only=True)

    def read(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        logits = network(**inputs)
        return torch.cat([logits[question].softmax(-1) for question in GUIDE], -1)

    brands = [post.brand for _, post in posts]
    encodings = encode(tokenizer, [normalise(post.text, post.brand) for _, post in posts], brands, network.marks)
    rows = read_in_batches(encodings, read, TOKENS_CPU, tokenizer.pad_token_id).tolist()
    return [
        Predicted(name, post.source, {one: post.labels[one] for one in GUIDE if one in post.labels}, _by_question(row))
        for (name, post), row in zip(posts, rows, strict=True)
    ]


def _by_question(row: Sequence[float]) -> dict[str, dict[str, float]]:
    values = iter(row)
    return {question: {label: round(next(values), 6) for label in LABELS[question]} for question in GUIDE}


def _rows(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8-sig") as lines:
        yield from (json.loads(line) for line in lines if line.strip())
