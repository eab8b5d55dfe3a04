"""Measuring predictions against labels."""

import json
from pathlib import Path

import pytest

from db.errors import InputError
from db.labels import SENTIMENTS, STAGES
from models.evaluate import evaluate, vader
from models.examples import UNLABELLED, read_examples

TRUE = ["negative"] * 4 + ["neutral"] * 2 + ["positive"] * 4
SAID = ["negative", "negative", "neutral", None, "neutral", "positive", "positive", "positive", "positive", "negative"]


def test_measures_agree_with_those_worked_out_by_hand() -> None:
    report = evaluate(TRUE, SAID, SENTIMENTS)
    assert report.posts == 10
    assert report.coverage == pytest.approx(0.9)
    assert report.confusion == ((2, 1, 0, 1), (0, 1, 1, 0), (1, 0, 3, 0))
    negative, neutral, positive = report.labels
    assert (negative.precision, negative.recall, negative.support) == (pytest.approx(2 / 3), 0.5, 4)
    assert (neutral.precision, neutral.recall, neutral.f1) == (0.5, 0.5, 0.5)
    assert (positive.precision, positive.recall, positive.f1) == (0.75, 0.75, 0.75)
    assert report.macro_recall.value == pytest.approx((0.5 + 0.5 + 0.75) / 3, abs=1e-4)
    assert report.macro_f1.value == pytest.approx((4 / 7 + 0.5 + 0.75) / 3, abs=1e-4)
    assert report.accuracy.value == pytest.approx(0.6)


def test_a_post_that_is_not_rated_counts_as_a_miss() -> None:
    rated = evaluate(TRUE, TRUE, SENTIMENTS)
    left_out = evaluate(TRUE, [None, *TRUE[1:]], SENTIMENTS)
    assert rated.accuracy.value == 1
    assert left_out.accuracy.value == 0.9
    assert left_out.macro_recall.value == pytest.approx((0.75 + 1 + 1) / 3, abs=1e-4)
    assert left_out.labels[0].precision == 1


def test_intervals_hold_the_value_narrow_with_more_posts_and_are_repeatable() -> None:
    few, many = evaluate(TRUE, SAID, SENTIMENTS), evaluate(TRUE * 100, SAID * 100, SENTIMENTS)
    for name in ("macro_recall", "macro_f1", "accuracy"):
        wide, narrow = getattr(few, name), getattr(many, name)
        assert wide.low <= wide.value <= wide.high
        assert narrow.low < narrow.value < narrow.high
        assert narrow.high - narrow.low < (wide.high - wide.low) / 3
    # The normal approximation of a share: 0.6 ± 1.96 * sqrt(0.6 * 0.4 / 1000).
    assert many.accuracy.low == pytest.approx(0.5696, abs=0.005)
    assert many.accuracy.high == pytest.approx(0.6304, abs=0.005)
    assert evaluate(TRUE, SAID, SENTIMENTS) == few


def test_a_label_that_no_post_carries_is_left_out_of_the_means() -> None:
    report = evaluate(["use", "use", "none"], ["use", "advocacy", "none"], STAGES)
    assert report.macro_recall.value == 0.75
    assert {label.label: label.support for label in report.labels}["advocacy"] == 0


def test_impossible_input_is_an_error() -> None:
    with pytest.raises(InputError, match="mixed"):
        evaluate(["mixed"], ["neutral"], SENTIMENTS)
    with pytest.raises(InputError, match="meh"):
        evaluate(["neutral"], ["meh"], SENTIMENTS)
    with pytest.raises(InputError, match="2 labels but 1"):
        evaluate(["neutral", "neutral"], ["neutral"], SENTIMENTS)
    with pytest.raises(InputError, match="no labelled posts"):
        evaluate([], [], SENTIMENTS)


def test_vader_judges_by_its_lexicon() -> None:
    texts = ["I love this, it is great!", "I hate this, it is awful", "The store opens at nine", ""]
    assert vader(texts) == ["positive", "negative", "neutral", "neutral"]


def test_labelled_posts_are_read_from_json_lines_and_csv_alike(tmp_path: Path) -> None:
    lines, table = tmp_path / "posts.jsonl", tmp_path / "posts.csv"
    rows = [
        {"text": 'Love it, "really"', "label": "positive", "brand": "Acme", "stage": "use"},
        {"text": "two\nlines", "label": "negative"},
    ]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table.write_text('\ufefftext,label,brand,stage\n"Love it, ""really""",positive,Acme,use\n"two\nlines",negative,,\n')
    examples = read_examples(lines)
    assert read_examples(table) == examples
    assert (examples[0].brand, SENTIMENTS[examples[0].sentiment], STAGES[examples[0].stage]) == (
        "Acme",
        "positive",
        "use",
    )
    assert (examples[1].brand, examples[1].stage) == (None, UNLABELLED)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label\nfine,positive\nbad,meh\n", "a.csv:3"),
        ("b.csv", "body,label\nfine,positive\n", "b.csv:2"),
        ("c.jsonl", '{"text": "fine", "label": "meh"}\n', "c.jsonl:1"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_examples(tmp_path / name)


def test_a_file_that_is_missing_or_not_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_examples(tmp_path / "none.jsonl")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x00")
    with pytest.raises(InputError, match="cannot be read"):
        read_examples(tmp_path / "binary.csv")
