"""A model sees whom a post is judged for: by a mark in the text, or by the name beside it."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from models.classifier import BUNDLED, Post, load
from models.examples import Example
from models.network import BRAND_TOKENS, LONGEST, MentionModel, encode
from models.recipe import Phase
from models.text import mark
from models.train import train
from tests.tiny_model import tiny_mention_model


@pytest.mark.parametrize(
    ("text", "brand", "marked"),
    [
        ("@NorvalairHelp my bag", "Norvalair", "« @NorvalairHelp » my bag"),
        ("my moto-g, not my MOTOG2", "moto g", "my « moto-g », not my MOTOG2"),
        ("apple's pineapple, Apple #applepay", "Apple", "« apple's » pineapple, « Apple » « #applepay »"),
        ("M&S or McDonald's", "McDonald's", "M&S or « McDonald's »"),
        ("nothing of it", "Acme", "nothing of it"),
        ("?!", "?!", "?!"),
    ],
)
def test_the_brand_is_marked_wherever_the_text_names_it_in_whole_words(text: str, brand: str, marked: str) -> None:
    assert mark(text, brand) == marked


@pytest.mark.parametrize("brand", ["_ " * 30, "moto_g", "_moto_ _g_"])
def test_underscores_are_no_words_of_a_name(brand: str) -> None:
    text = "_" * 1_500 + " my moto_g"
    assert mark(text, brand) == (text if "g" not in brand else "_" * 1_500 + " my « moto_g »")


def test_a_long_text_of_half_names_is_marked_quickly() -> None:
    text = "@" + "ac" * 1_000 + " acme"
    assert mark(text, "acme").endswith("« acme »")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_mention_model(tmp_path_factory.mktemp("model"))


def read(tokenizer: Any, text: str, brand: str | None, marks: bool) -> str:
    (encoding,) = encode(tokenizer, [text], [brand], marks)
    return str(tokenizer.decode(encoding["input_ids"]))


def test_a_name_stands_in_the_text_or_else_beside_it(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert read(tokenizer, "the phone is great", "phone", True).count("phone") == 1
    assert read(tokenizer, "the phone is great", "phone", False).count("phone") == 2
    assert read(tokenizer, "it is great", "phone", True) == read(tokenizer, "it is great", "phone", False)
    assert read(tokenizer, "it is great", None, True) == read(tokenizer, "it is great", None, False)


@pytest.mark.skipif(not (BUNDLED / "tokenizer.json").is_file(), reason="models/bundled holds no weights yet")
@pytest.mark.parametrize("marks", [True, False])
@pytest.mark.parametrize("brand", ["각" * 30 + " " + "각" * 29, "w" * 60, "뷁" * 500])
def test_a_long_name_in_any_script_leaves_room_for_the_post(brand: str, marks: bool) -> None:
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED)
    short, long = "it is awful", "it is awful and I hate the way it was sold to me " * 20
    first, second = encode(tokenizer, [short, long], [brand, brand], marks)
    assert short in tokenizer.decode(first["input_ids"])
    assert len(first["input_ids"]) <= 3 + 3 + BRAND_TOKENS
    assert len(second["input_ids"]) == LONGEST
    assert second["token_type_ids"].index(1) >= LONGEST - 3 - BRAND_TOKENS


@pytest.mark.skipif(not (BUNDLED / "tokenizer.json").is_file(), reason="models/bundled holds no weights yet")
@pytest.mark.parametrize("brand", ["Acme", "Norvane Air Lines", "w" * BRAND_TOKENS, "Überall", "각하"])
def test_a_name_that_is_not_long_stands_whole_beside_the_text(brand: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED)
    (encoding,) = encode(tokenizer, ["it is awful"], [brand], True)
    assert encoding == dict(tokenizer("it is awful", brand, return_attention_mask=False))


def test_a_model_that_has_learned_with_marks_is_used_and_trained_on_with_marks(folder: Path, tmp_path: Path) -> None:
    posts = [Example("the phone is great", "phone", {"sentiment": "positive"})] * 8
    phase = Phase.model_validate({"name": "one", "batch_size": 8, "sets": []})

    train(folder, posts, tmp_path / "marks", phase, marks=True)
    train(tmp_path / "marks", posts, tmp_path / "more", phase)
    train(folder, posts, tmp_path / "none", phase)

    assert [MentionModel.load(tmp_path / name).marks for name in ("marks", "more", "none")] == [True, True, False]
    told = load(str(tmp_path / "marks")).score([Post("the phone is great", "phone"), Post("the « phone » is great")])
    assert told[0].answers == told[1].answers
