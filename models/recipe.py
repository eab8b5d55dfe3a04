"""A recipe: which labelled posts a model learns from, in which order and how, as a TOML file."""

import html
import random
import re
import tomllib
import zlib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from db.errors import InputError
from db.labels import LABELS
from models.examples import Example, read_examples, read_labels


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Set(_Section):
    """One file of labelled posts in a phase.

    A file `without_text` is a CSV file of labels: the texts are looked up in the data by source and source_id.
    """

    file: str
    folder: Literal["data", "recipe"] = "data"  # where the file lies: under --data, or beside the recipe
    without_text: bool = False
    head: str = "sentiment"  # which question its column `label` answers
    rename: dict[str, str] = {}  # its labels to ours; "" leaves the post out
    columns: list[str] = []  # of a file without a header
    first: int | None = Field(None, ge=1)  # only so many of its posts, those at the head of the file
    share: float = Field(1.0, gt=0, le=1)  # of these, drawn once
    repeat: int = Field(1, ge=1)  # how often an epoch shows each
    brand_dropout: float = Field(0.0, ge=0, le=1)  # share that lose their brand, so that posts without one are judged
    hold_out: float = Field(0.0, ge=0, lt=1)  # share never shown, chosen by the words, so that copies go together
    joined: float = Field(0.0, ge=0)  # posts made by joining two on different brands, as a share of the set

    @field_validator("head")
    @classmethod
    def _known(cls, head: str) -> str:
        if head not in LABELS:
            raise ValueError(f"no such head: {head}")
        return head


class Phase(_Section):
    """One pass of training, with sets and a learning rate of its own."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")  # a folder's too
    epochs: int = Field(1, ge=1)
    learning_rate: float = Field(8e-5, gt=0)
    batch_size: int = Field(32, ge=1)
    warmup: float = Field(0.06, ge=0, lt=1)  # share of all steps
    weight_decay: float = Field(0.01, ge=0)
    frozen: int = Field(0, ge=0)  # lowest layers of the encoder that stay as they are, and the embeddings with them
    weights: dict[str, float] = {}  # of the heads' losses, 1 where not named
    sets: list[Set]

    @field_validator("weights")
    @classmethod
    def _of_heads(cls, weights: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(weights) - set(LABELS)):
            raise ValueError(f"no such head: {', '.join(unknown)}")
        return weights


class HeldOut(_Section):
    """What no phase may see, whichever file holds it: the texts of whole files, and a file's posts on some brands."""

    files: list[str] = []
    file: str | None = None
    brands: list[str] = []

    @model_validator(mode="after")
    def _together(self) -> "HeldOut":
        if bool(self.file) != bool(self.brands):  # one alone would hold out nothing, and nobody would see it
            raise ValueError("file and brands go together: the file whose posts on these brands are held out")
        return self

    def in_part(self, one: Set) -> bool:
        """Say whether a set is the file of which some brands are held out."""
        return one.folder == "data" and one.file == self.file

    def for_brand(self, post: Example) -> bool:
        """Say whether a post of that file is held out for the brand that it is on."""
        return (post.brand or "").casefold() in {brand.casefold() for brand in self.brands}


class About(_Section):
    """What the model card says of a file, and its licence as far as it is known."""

    name: str
    licence: str


class Recipe(_Section):
    """All that makes the weights, beside the encoder and the posts themselves."""

    seed: int = 7
    marks: bool = False  # mark the brand in the text, rather than to name it beside the text
    attends: bool = False  # let the last layer read a post once, not once a token (AttentionPooling)
    about: dict[str, About] = {}
    held_out: HeldOut = HeldOut()
    phases: list[Phase] = Field(min_length=1)
    # What is used is the mean of the start's weights and each phase's: how much of the start, then of each phase, as
    # parts of all of them together. Where it is empty, the last phase's alone.
    mean: list[Annotated[float, Field(ge=0, le=100)]] = []
    # What is calibrated on: where a set has a `hold_out`, that share; of the file held out by brands, these posts.
    calibration: list[Set] = []

    @field_validator("phases")
    @classmethod
    def _by_name(cls, phases: list[Phase]) -> list[Phase]:
        if len({phase.name for phase in phases}) < len(phases):
            raise ValueError("two phases have the same name")
        if any(phase.name == "mean" for phase in phases):
            raise ValueError("no phase can be called mean: the folder is taken")
        if bare := [phase.name for phase in phases if not phase.sets]:
            raise ValueError(f"phase {bare[0]} has no sets to learn from")
        return phases

    @model_validator(mode="after")
    def _as_many(self) -> "Recipe":
        if self.mean and (len(self.mean) != 1 + len(self.phases) or not any(self.mean[1:])):
            raise ValueError("mean has a part for the start and one for each phase, which are not all 0")
        return self

    _home: Path = PrivateAttr(default=Path())  # the folder of the recipe

    def examples(self, one: Set, data: Path) -> list[Example]:
        """Read a set's posts, as they lie there."""
        path = (self._home if one.folder == "recipe" else data) / one.file
        if one.without_text:
            return read_labels(path, data)[: one.first]
        return read_examples(path, one.head, one.rename, one.columns)[: one.first]


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; InputError says what is wrong with it."""
    try:
        recipe = Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(": ".join(filter(None, (str(path), where, first["msg"])))) from error
    recipe._home = path.parent
    return recipe


def gather(recipe: Recipe, phase: Phase, data: Path, without: str | None = None) -> list[Example]:
    """Read a phase's posts from under `data`, less what is held out and less the posts of the source `without`.

    Repeats are in the list as often as they are shown; brands are dropped and posts joined as the sets say.
    """
    barred = _barred(recipe.held_out, data)
    shown: list[Example] = []
    for number, one in enumerate(phase.sets):
        order = random.Random(f"{recipe.seed} {phase.name} {number}")
        kept = [
            example
            for example in recipe.examples(one, data)
            if letters(example.text) not in barred
            and (without is None or example.source != without)
            and not is_held_out(example.text, one.hold_out)
            and not (recipe.held_out.in_part(one) and recipe.held_out.for_brand(example))
        ]
        if one.share < 1:
            kept = order.sample(kept, int(len(kept) * one.share))
        joined = _joined(kept, int(len(kept) * one.joined), order)
        for example in (*kept, *joined):
            for _ in range(one.repeat):
                shown.append(replace(example, brand=None) if order.random() < one.brand_dropout else example)
    return shown


def shown(recipe: Recipe, data: Path) -> list[Example]:
    """Return what all phases show, an epoch of each."""
    return [post for phase in recipe.phases for post in gather(recipe, phase, data)]


def calibration_posts(recipe: Recipe, data: Path, seen: Collection[str], kept_alone: bool = False) -> list[Example]:
    """Return what a model is calibrated on: nothing that it is measured on, but for what the recipe names for this.

    `seen` are the `letters` of what is shown: a post that one set keeps back may lie in another, too. `kept_alone`
    leaves the posts of sets of which a share is never shown.
    """
    calibrated = {one.file for one in recipe.calibration}
    barred = _barred(HeldOut(files=[file for file in recipe.held_out.files if file not in calibrated]), data)
    return [
        post
        for one in recipe.calibration
        if one.hold_out or not kept_alone
        for post in recipe.examples(one, data)
        if letters(post.text) not in barred
        and letters(post.text) not in seen
        and (not one.hold_out or is_held_out(post.text, one.hold_out))
        and (not recipe.held_out.in_part(one) or recipe.held_out.for_brand(post))
    ]


def is_held_out(text: str, share: float) -> bool:
    """Say whether a post is among the share of a set that is never shown."""
    return zlib.crc32(letters(text).encode()) < share * 2**32


def letters(text: str) -> str:
    """Reduce a text to its words, so that copies with another link, handle or escape are the same."""
    text = html.unescape(html.unescape(text))  # some sets are escaped twice
    return re.sub(r"(?:@\w+|https?://\S+|\bhttp\b|\W)+", "", text.casefold())


def _barred(held_out: HeldOut, data: Path) -> set[str]:
    texts = [example.text for file in held_out.files for example in read_examples(data / file)]
    if held_out.file:
        posts = [post for post in read_examples(data / held_out.file) if held_out.for_brand(post)]
        found = {(post.brand or "").casefold() for post in posts}
        if strange := {brand.casefold() for brand in held_out.brands} - found:
            raise InputError(f"held_out: {data / held_out.file} has no post on {', '.join(sorted(strange))}")
        texts += [post.text for post in posts]
    return {words for text in texts if (words := letters(text))}


def _joined(examples: list[Example], count: int, order: random.Random) -> list[Example]:
    """Put two posts on different brands into one, to be judged for either: what one says is not said of the other."""
    short = [example for example in examples if example.brand and len(example.text) < 110]
    made: list[Example] = []
    for _ in range(10 * count if len(short) > 1 else 0):  # far more draws than it takes where the posts differ at all
        if len(made) >= count:
            break
        first, second = order.sample(short, 2)
        if first.brand == second.brand or first.labels.get("sentiment") == second.labels.get("sentiment"):
            continue
        text = f"{first.text} {second.text}"
        made += [replace(first, text=text), replace(second, text=text)]
    return made[:count]
