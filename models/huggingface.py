"""Any Hugging Face sequence-classification model for sentiment; all else stays with the bundled model."""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.errors import InputError
from db.labels import SENTIMENTS
from db.records import Score
from models.classifier import Classifier, Post, Reading, judge, named_after, one_line, prepared, quiet

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

LONGEST = 128  # tokens, as for the bundled model
FILES = ("*.json", "*.txt", "*.model", "*.codes", "*.safetensors")  # configuration, vocabulary, weights
PICKLES = ("pytorch_model*.bin",)  # only where there are no safetensors; torch loads them without running code

_USUAL = {
    "negative": "negative",
    "very negative": "negative",
    "neg": "negative",
    "neutral": "neutral",
    "neu": "neutral",
    "positive": "positive",
    "very positive": "positive",
    "pos": "positive",
    "1 star": "negative",
    "2 stars": "negative",
    "3 stars": "neutral",
    "4 stars": "positive",
    "5 stars": "positive",
}
_NUMBERED = {f"label {index}": sentiment for index, sentiment in enumerate(SENTIMENTS)}


class HuggingFaceClassifier:
    """Sentiment by a model of one's own choice; its labels are mapped to negative, neutral and positive."""

    def __init__(
        self, name: str, labels: Mapping[str, str], languages: Set[str] | None, others: Classifier | None
    ) -> None:
        self._tokenizer, self._model, self._targets = _open(name, labels)
        own = named_after(Path(name)) if Path(name).is_dir() else name
        # The other answers come from other weights, and a score must tell all the weights that made it.
        self.name = f"{own}+{others.name}" if others else own
        self._languages = languages
        self._others = others

    def score(self, posts: Sequence[Post]) -> list[Score]:
        """Score posts in order."""
        scores = judge(posts, self.name, self._languages, self._read)
        if self._others is None:
            return scores
        # The bundled model may leave out a post that this one rates, for its language: that one gets no other answer.
        return [
            replace(score, answers={**other.answers, **score.answers}) if score.rated else score
            for score, other in zip(scores, self._others.score(posts), strict=True)
        ]

    def embed(self, posts: Sequence[Post]) -> "NDArray[np.float32]":
        """Return what the network makes of each post halfway, the mean over its tokens, whatever the language."""
        from models.batches import unit
        from models.network import middle

        def read(inputs: "dict[str, torch.Tensor]") -> "torch.Tensor":
            layers = self._model(**inputs, output_hidden_states=True).hidden_states
            return middle(layers, inputs["attention_mask"]).float()

        return unit(self._rows(prepared(posts)[0], read))

    def _read(self, texts: list[str], brands: list[str | None]) -> list[Reading]:
        rows = self._rows(texts, lambda inputs: self._model(**inputs).logits.softmax(-1))
        return [
            {"sentiment": [sum(p for p, to in zip(row, self._targets, strict=True) if to == s) for s in SENTIMENTS]}
            for row in rows.tolist()
        ]

    def _rows(self, texts: list[str], read: "Callable[[dict[str, torch.Tensor]], torch.Tensor]") -> "torch.Tensor":
        from models.batches import read_in_batches, tokenise
        from models.precision import CORES, TOKENS_CPU

        longest = min(self._tokenizer.model_max_length, LONGEST)
        encodings = tokenise(self._tokenizer, texts, truncation=True, max_length=longest)
        return read_in_batches(encodings, read, TOKENS_CPU, self._tokenizer.pad_token_id, CORES)


def map_labels(names: Sequence[str], labels: Mapping[str, str]) -> list[str]:
    """Say which sentiment each of a model's labels means: as configured, otherwise by the usual names."""
    configured = {_plain(label): sentiment for label, sentiment in labels.items()}
    usual = _USUAL | (_NUMBERED if len(names) == len(SENTIMENTS) else {})
    found = [configured.get(_plain(name), usual.get(_plain(name), "")) for name in names]
    unclear = [name for name, sentiment in zip(names, found, strict=True) if sentiment not in SENTIMENTS]
    strange = sorted(label for label in labels if _plain(label) not in {_plain(name) for name in names})
    if strange:
        raise InputError(f"[model] labels: the model has no label {', '.join(strange)}; it has {', '.join(names)}")
    if unclear:
        example = ", ".join(f'"{name}" = "…"' for name in unclear)
        raise InputError(
            f"the model's labels {', '.join(names)} do not say which is {', '.join(SENTIMENTS)}; "
            f"add [model] labels = {{ {example} }}"
        )
    if not {"negative", "positive"} <= set(found):
        raise InputError(f"[model] labels: none of {', '.join(names)} means negative or none means positive")
    return found


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]+", " ", label).strip().casefold()


def _open(name: str, labels: Mapping[str, str]) -> tuple[Any, Any, list[str]]:
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    folder = _folder(name)
    try:
        with quiet():
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            names = [str(config.id2label[index]) for index in range(config.num_labels)]
            if config.problem_type == "multi_label_classification" or len(names) < 2:
                raise InputError(f"{name}: gives no single label a post; choose a sentiment classifier")
            targets = map_labels(names, labels)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model, report = AutoModelForSequenceClassification.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=any(folder.glob("*.safetensors")),
                output_loading_info=True,
                dtype="float32",
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{name}: not a model that can be used ({one_line(error)})") from error
    if report["missing_keys"]:
        raise InputError(f"{name}: has no trained classifier ({min(report['missing_keys'])} is missing)")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
        model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer, model.eval(), targets


def _folder(name: str) -> Path:
    """Find the model: a folder, or else the local cache of the hub, or else the hub."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download

    # The hub is asked only for what the cache does not hold, so that a restart needs no network.
    for offline in (True, False):
        try:
            folder = Path(snapshot_download(name, local_files_only=offline, allow_patterns=[*FILES]))
            if not any(folder.glob("*.safetensors")):
                folder = Path(snapshot_download(name, local_files_only=offline, allow_patterns=[*FILES, *PICKLES]))
        except (OSError, ValueError) as error:
            if not offline or isinstance(error, ValueError):
                raise InputError(
                    f'[model] name: no model {name!r}: not "bundled", not a folder, not in the local cache, '
                    f"and not to be had from Hugging Face ({one_line(error)})"
                ) from error
        else:
            if any(folder.glob("*.safetensors")) or any(folder.glob("*.bin")):
                return folder
    raise InputError(f"[model] name: {name!r} holds no weights that transformers can load")
