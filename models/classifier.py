"""Judging posts: what a classifier is, how one is loaded by name, and what every one of them does alike."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from db.errors import InputError
from db.labels import SENTIMENTS, STAGES
from db.records import Score
from models.language import ENGLISH, is_rated, known
from models.text import normalise

BUNDLED = Path(__file__).parent / "bundled"
BATCH = 32  # posts that the network reads at once


@dataclass(frozen=True, slots=True)
class Post:
    """What is judged: a text, the brand it is judged for, and the language that the platform names."""

    text: str
    brand: str | None = None
    language: str | None = None


class Classifier(Protocol):
    """Scores posts. `name` is stored with each score and changes whenever the weights do."""

    name: str

    def score(self, posts: Sequence[Post]) -> list[Score]:
        """One score a post, in order; a post scores the same whatever it is scored with."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a network says of one post: probabilities in the order of the labels; no stage if it knows none."""

    sentiment: Sequence[float]
    stage: Sequence[float] = ()


# Reads a batch of normalised texts, each with its brand.
Reader = Callable[[list[str], list[str | None]], list[Reading]]


def load(name: str, labels: Mapping[str, str] | None = None, languages: Sequence[str] | None = None) -> Classifier:
    """Load "bundled", the folder of a model, or a sequence-classification model of the Hugging Face hub.

    `languages` None means English for the bundled kind of model and any language for another.
    """
    rated = known(frozenset(languages)) if languages is not None else None
    if name == "bundled" or is_mention_model(Path(name)):
        return BundledClassifier(BUNDLED if name == "bundled" else Path(name), rated or ENGLISH)

    from models.huggingface import HuggingFaceClassifier

    stages = BundledClassifier(BUNDLED, ENGLISH) if is_mention_model(BUNDLED) else None
    return HuggingFaceClassifier(name, labels or {}, rated, stages)


class BundledClassifier:
    """A MentionModel: sentiment and stage in one reading."""

    def __init__(self, folder: Path, languages: Set[str]) -> None:
        config = _config(folder)
        if config is None or not (folder / "model.safetensors").is_file():
            raise InputError(f"{folder}: no model here; train one with `sentimon train` or reinstall sentimon")
        version = config.get("sentimon_version")
        self.name = f"{folder.name}-{version}" if version else folder.name
        self._languages = languages

        import torch
        from safetensors import SafetensorError
        from transformers import AutoTokenizer

        from models.network import MentionModel

        network: Any = MentionModel
        try:
            with quiet():
                self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
                # The weights lie in half precision, which a CPU computes slowly.
                self._model = network.from_pretrained(
                    folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
                )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(f"{folder}: the model cannot be loaded ({one_line(error)})") from error
        self._model.eval()

    def score(self, posts: Sequence[Post]) -> list[Score]:
        """Score posts in order."""
        return judge(posts, self.name, self._languages, self._read)

    def _read(self, texts: list[str], brands: list[str | None]) -> list[Reading]:
        import torch

        from models.network import encode

        with torch.inference_mode():
            logits = self._model(**encode(self._tokenizer, texts, brands))
            sentiments, stages = logits.sentiment.softmax(-1).tolist(), logits.stage.softmax(-1).tolist()
        return [Reading(*pair) for pair in zip(sentiments, stages, strict=True)]


def judge(posts: Sequence[Post], model: str, languages: Set[str] | None, read: Reader) -> list[Score]:
    """Leave out what cannot be rated, let `read` see every different post once, posts of like length together."""
    ratings = [is_rated(post.text, languages, post.language) for post in posts]
    prepared = [_prepare(post) if rated else None for post, (rated, _) in zip(posts, ratings, strict=True)]
    different = {pair for pair in prepared if pair is not None}
    ordered = sorted(different, key=lambda pair: (len(pair[0]), pair[0], pair[1] or ""))
    readings: dict[tuple[str, str | None], Reading] = {}
    for start in range(0, len(ordered), BATCH):
        chunk = ordered[start : start + BATCH]
        answers = read([text for text, _ in chunk], [brand for _, brand in chunk])
        readings |= zip(chunk, answers, strict=True)
    return [
        _score(model, language, None if pair is None else readings[pair])
        for pair, (_, language) in zip(prepared, ratings, strict=True)
    ]


def is_mention_model(folder: Path) -> bool:
    """Say whether a folder holds a model of the bundled architecture."""
    config = _config(folder)
    return config is not None and "MentionModel" in (config.get("architectures") or [])


def one_line(error: Exception) -> str:
    """Cut a library's message to what fits behind our own."""
    return " ".join(str(error).split())[:160]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from drawing progress bars and reporting on what it loads."""
    from transformers.utils import logging

    log: Any = logging
    bars, verbosity = log.is_progress_bar_enabled(), log.get_verbosity()
    log.disable_progress_bar()
    log.set_verbosity_error()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


def _config(folder: Path) -> dict[str, Any] | None:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / 'config.json'}: cannot be read ({error})") from error
    return config if isinstance(config, dict) else None


def _prepare(post: Post) -> tuple[str, str | None]:
    # A lone surrogate, half an emoji, cannot be tokenised.
    text, brand = ((one or "").encode("utf-8", "ignore").decode() for one in (post.text, post.brand))
    return normalise(text, brand), brand or None


def _score(model: str, language: str | None, reading: Reading | None) -> Score:
    if reading is None:
        return Score(model, rated=False, language=language)
    sentiments = dict(zip(SENTIMENTS, reading.sentiment, strict=True))
    stages = dict(zip(STAGES, reading.stage, strict=True)) if reading.stage else {}
    return Score(
        model,
        rated=True,
        language=language,
        sentiment=max(sentiments, key=sentiments.__getitem__),
        probabilities=_rounded(sentiments),
        stage=max(stages, key=stages.__getitem__) if stages else None,
        stage_probabilities=_rounded(stages),
    )


def _rounded(probabilities: Mapping[str, float]) -> dict[str, float]:
    return {label: round(probability, 4) for label, probability in probabilities.items()}
