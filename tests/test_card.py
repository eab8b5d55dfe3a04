"""The model card belongs to the weights beside it, and nobody has written it by hand."""

import hashlib
import json
import re
from pathlib import Path

from models import card
from models.classifier import BUNDLED

MEASURES = json.loads((BUNDLED / "measures.json").read_text(encoding="utf-8"))
README = Path(__file__).parent.parent / "README.md"


def test_the_card_is_what_the_measures_render_to() -> None:
    assert (BUNDLED / "README.md").read_text(encoding="utf-8") == card.render(MEASURES), "run `make card ARGS=…`"


def test_the_measures_were_taken_on_the_weights_beside_them() -> None:
    assert hashlib.sha256((BUNDLED / "model.safetensors").read_bytes()).hexdigest() == MEASURES["weights_sha256"]


def test_the_weights_are_small_enough_to_be_in_the_repository() -> None:
    assert (BUNDLED / "model.safetensors").stat().st_size <= 50_000_000


def test_the_readme_tells_the_figures_of_the_card() -> None:
    text = README.read_text(encoding="utf-8")
    (sentiment,) = (one for one in MEASURES["sets"] if one["title"] == "TweetEval sentiment, test")
    guided = [one for one in MEASURES["sets"] if one["title"].startswith("posts to one support account")]
    figures = [sentiment["macro_recall"]["value"], sentiment["beside_recall"]["value"]]
    figures += [sentiment["calibration"]["value"]]
    for one in guided[1:]:  # the first is sentiment's
        figures += [one["macro_f1"]["value"], one["beside_f1"]["value"]]

    assert len(figures) == 11
    for figure in figures:
        assert re.search(rf"\b{figure:.3f}\b", text), f"README.md does not tell {figure:.3f}"


def test_every_label_file_can_be_read_against_the_guide() -> None:
    from models.examples import read_examples

    for path in (BUNDLED.parent / "authored").glob("*.jsonl"):
        examples = read_examples(path)
        assert len(examples) >= 300
        assert all(len(example.labels) == 5 for example in examples)
        assert all(example.source == "authored" for example in examples)
