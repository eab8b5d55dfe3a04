"""Judging posts: what a classifier is, how one is loaded by name, and what every one of them does alike."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from db.errors import InputError
from db.labels import LABELS, UNSURE
from db.records import Answer, Score
from models.language import ENGLISH, is_rated, known
from models.text import normalise

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from models.precision import Precision

BUNDLED = Path(__file__).parent / "bundled"


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


class Embedder(Protocol):
    """Says what posts mean: like posts lie near each other, in a space that only the same `name` shares."""

    name: str

    def embed(self, posts: Sequence[Post]) -> "NDArray[np.float32]":
        """One row a post, in order, of shape (posts, size), each of length 1: their product is the cosine."""


class Model(Classifier, Embedder, Protocol):
    """What `load` gives: one network that scores posts and says what they mean."""


# What a network says of one post: by question, the probabilities in the order of its labels.
Reading = Mapping[str, Sequence[float]]
# Reads normalised texts, each with its brand, and answers in order.
Reader = Callable[[list[str], list[str | None]], list[Reading]]


def load(
    name: str,
    labels: Mapping[str, str] | None = None,
    languages: Sequence[str] | None = None,
    precision: "Precision | None" = None,
) -> Model:
    """Load "bundled", the folder of a model, or a sequence-classification model of the Hugging Face hub.

    `languages` None means English for the bundled kind of model and any language for another. `precision` None means
    what is fastest here, which only the bundled kind of model can choose.
    """
    rated = known(frozenset(languages)) if languages is not None else None
    if name == "bundled" or is_mention_model(Path(name)):
        return BundledClassifier(BUNDLED if name == "bundled" else Path(name), rated or ENGLISH, precision)

    from models.huggingface import HuggingFaceClassifier

    others = BundledClassifier(BUNDLED, ENGLISH) if is_mention_model(BUNDLED) else None
    return HuggingFaceClassifier(name, labels or {}, rated, others)


class BundledClassifier:
    """A MentionModel: every question in one reading."""

    def __init__(self, folder: Path, languages: Set[str] | None, precision: "Precision | None" = None) -> None:
        config = configuration(folder)
        if config is None or not (folder / "model.safetensors").is_file():
            raise InputError(f"{folder}: no model here; train one with `sentimon train` or reinstall sentimon")
        self._floor = float(config.get("sentimon_stage_floor", 0))
        self._languages = languages

        from safetensors import SafetensorError
        from transformers import AutoTokenizer

        from models.network import MentionModel
        from models.precision import choose

        try:
            with quiet():
                self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
                model = MentionModel.load(folder)
            self.name = _name(folder, config.get("sentimon_version"))
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(f"{folder}: the model cannot be loaded ({one_line(error)})") from error
        self._precision = precision or choose()
        self._model = model.to(self._precision.device, self._precision.dtype)

    def score(self, posts: Sequence[Post]) -> list[Score]:
        """Score posts in order."""
        return judge(posts, self.name, self._languages, self._read, self._floor)

    def embed(self, posts: Sequence[Post]) -> "NDArray[np.float32]":
        """Return what the encoder makes of each post halfway, the mean over its tokens, whatever the language."""
        from models.batches import unit

        texts, brands = prepared(posts)
        return unit(self._rows(texts, brands, lambda inputs: self._model.meaning(**inputs).float().cpu()))

    def _read(self, texts: list[str], brands: list[str | None]) -> list[Reading]:
        import torch

        def read(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            logits = self._model(**inputs)
            return torch.cat([logits[question].float().softmax(-1) for question in LABELS], -1)

        rows = self._rows(texts, brands, read)
        ends = list(accumulate(len(labels) for labels in LABELS.values()))
        spans = [(question, slice(start, end)) for question, start, end in zip(LABELS, [0, *ends], ends, strict=False)]
        return [{question: row[span] for question, span in spans} for row in rows.tolist()]

    def _rows(
        self,
        texts: list[str],
        brands: list[str | None],
        read: "Callable[[dict[str, torch.Tensor]], torch.Tensor]",
    ) -> "torch.Tensor":
        from models.batches import read_in_batches
        from models.network import encode

        device = self._precision.device

        def moved(inputs: "dict[str, torch.Tensor]") -> "torch.Tensor":
            return read({key: value.to(device) for key, value in inputs.items()})

        encodings = encode(self._tokenizer, texts, brands, self._model.marks)
        precision, padding = self._precision, self._tokenizer.pad_token_id
        return read_in_batches(encodings, moved, precision.tokens, padding, precision.workers)


def judge(
    posts: Sequence[Post], model: str, languages: Set[str] | None, read: Reader, stage_floor: float = 0
) -> list[Score]:
    """Leave out what cannot be rated and let `read` see every different post once."""
    ratings = [is_rated(post.text, languages, post.language) for post in posts]
    prepared = [_prepare(post) if rated else None for post, (rated, _) in zip(posts, ratings, strict=True)]
    different = list(dict.fromkeys(pair for pair in prepared if pair is not None))
    answers = read([text for text, _ in different], [brand for _, brand in different])
    readings = dict(zip(different, answers, strict=True))
    return [
        _score(model, language, None if pair is None else readings[pair], stage_floor)
        for pair, (_, language) in zip(prepared, ratings, strict=True)
    ]


def prepared(posts: Sequence[Post]) -> tuple[list[str], list[str | None]]:
    """Return texts as a network reads them, and their brands."""
    pairs = [_prepare(post) for post in posts]
    return [text for text, _ in pairs], [brand for _, brand in pairs]


def is_mention_model(folder: Path) -> bool:
    """Say whether a folder holds a model of the bundled architecture."""
    config = configuration(folder)
    return config is not None and "MentionModel" in (config.get("architectures") or [])


def configuration(folder: Path) -> dict[str, Any] | None:
    """Return what the config.json of a model's folder says; None where there is none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / 'config.json'}: cannot be read ({error})") from error
    return config if isinstance(config, dict) else None


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 of a model's weights; of several files, that of theirs."""
    found = []
    for path in sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin")):
        with path.open("rb") as weights:
            found.append(hashlib.file_digest(weights, "sha256").hexdigest())
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()


def named_after(folder: Path) -> str:
    """Name a model after its folder and its weights: folders are called alike, and the scores of two models never."""
    return f"{folder.resolve().name}-{fingerprint(folder)[:8]}"


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


def _name(folder: Path, version: object) -> str:
    """Only the bundled weights are told by a version: it is raised with them."""
    if folder.resolve() != BUNDLED.resolve():
        return named_after(folder)
    return f"{folder.name}-{version}" if version else folder.name


def _prepare(post: Post) -> tuple[str, str | None]:
    # A lone surrogate, half an emoji, cannot be tokenised.
    text, brand = ((one or "").encode("utf-8", "ignore").decode() for one in (post.text, post.brand))
    return normalise(text, brand), brand or None


def _score(model: str, language: str | None, reading: Reading | None, stage_floor: float) -> Score:
    if reading is None:
        return Score(model, rated=False, language=language)
    answers = {}
    for question, found in reading.items():
        likeliest = max(range(len(found)), key=found.__getitem__)
        sure = question != "stage" or found[likeliest] >= stage_floor
        answers[question] = Answer(
            LABELS[question][likeliest] if sure else UNSURE,
            {label: round(one, 4) for label, one in zip(LABELS[question], found, strict=True)},
        )
    return Score(model, True, language, answers)
