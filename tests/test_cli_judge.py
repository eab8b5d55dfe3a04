"""The model by itself: score and evaluate, as a person or a script calls them."""

import json
from pathlib import Path

import pytest

from db.labels import SENTIMENTS, STAGES
from tests.cli_rig import (
    jsonl,
    said,
    sentimon,
    told,
    version_of_bundled,
)
from tests.tiny_model import tiny_mention_model

needs_model = pytest.mark.skipif(version_of_bundled() is None, reason="models/bundled is not in the tree")
needs_version_1 = pytest.mark.skipif(version_of_bundled() != "1", reason="models/bundled holds interim weights")


def scored(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines_are_scored_in_order_with_their_ids(folder: Path) -> None:
    lines = [{"id": f"p{n}", "text": text} for n, text in enumerate(["awful", "love it", "a pen", "🔥"])]
    (folder / "posts.jsonl").write_text(jsonl(*lines))
    found = scored(said(sentimon("score", "posts.jsonl")))
    assert [(row["id"], row["sentiment"], row["rated"]) for row in found] == [
        ("p0", "negative", True),
        ("p1", "positive", True),
        ("p2", "neutral", True),
        ("p3", None, False),
    ]


def test_plain_lines_are_scored_and_numbered(folder: Path) -> None:
    found = scored(said(sentimon("score", stdin="awful\n\nlove it\n[1, 2]\n{smile} nice\n")))
    assert [(row["id"], row["sentiment"]) for row in found] == [
        (1, "negative"),
        (2, None),
        (3, "positive"),
        (4, None),
        (5, "neutral"),
    ]


@pytest.mark.parametrize("bad", ['{"id": "b", "text"', '{"id": "b"}', '{"id": "b", "text": NaN}', "[" * 100_000, "7"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_bad_line_among_good_ones_is_told_and_the_rest_is_scored(folder: Path, bad: str, place: int) -> None:
    if place == 0 and not bad.startswith("{"):
        pytest.skip("the first line tells JSON lines from plain text")
    lines = ['{"id": "a", "text": "awful"}', '{"id": "c", "text": "love"}']
    lines.insert(place, bad)
    result = sentimon("score", stdin="\n".join(lines))
    found = scored(result.stdout)
    assert result.exit_code == 1
    assert [row["sentiment"] for row in found if "sentiment" in row] == ["negative", "positive"]
    assert "error" in found[place]
    assert result.stderr.count("\n") == 1
    assert f"line {place + 1}" in result.stderr


def test_no_posts_give_no_lines(folder: Path) -> None:
    assert said(sentimon("score", stdin="")) == ""


def test_standard_input_need_not_be_utf_8(folder: Path) -> None:
    found = scored(said(sentimon("score", "-", stdin=b"caf\xe9 awful\n\xff\xfe\n")))
    assert [row["sentiment"] for row in found] == ["negative", None]


@needs_model
def test_strange_posts_are_scored_by_the_bundled_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    strange = {
        "long": "The delivery was late again. " * 345,
        "one word": "a" * 10_000,
        "rtl": "\u202eevil text\u202c مرحبا",
        "zero width": "t\u200be\u200br\u200br\u200bi\u200bble \u200d\ufeff",
        "emoji": "🔥" * 300,
        "empty": "",
        "half": "half an emoji \ud83d here",
        "nul": "zero\0byte",
    }
    result = sentimon(
        "score", stdin="".join(json.dumps({"id": key, "text": text}) + "\n" for key, text in strange.items())
    )
    found = {row["id"]: row for row in scored(said(result))}
    assert found.keys() == strange.keys()
    assert found["long"]["rated"] is True
    assert found["empty"]["rated"] is False
    for row in found.values():
        assert row["sentiment"] in (SENTIMENTS if row["rated"] else [None])
        assert row["stage"] in (STAGES if row["rated"] else [None])


@needs_version_1
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The store opens at 9.", {"neutral"}),
        ("Where can I buy this?", {"neutral"}),
        ("terrible", {"negative"}),
        ("not bad", {"neutral", "positive"}),
    ],
)
def test_plain_cases_are_judged_as_anybody_would(
    text: str, wanted: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (row,) = scored(said(sentimon("score", stdin=f"{text}\n")))
    assert row["sentiment"] in wanted


@pytest.fixture
def labelled(folder: Path) -> Path:
    texts = {"awful": "negative", "this is awful": "neutral", "love": "positive", "a pen to buy": "neutral"}
    path = folder / "labelled.jsonl"
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in texts.items()))
    return path


def test_evaluate_stands_beside_vader(labelled: Path) -> None:
    shown = said(sentimon("evaluate", "labelled.jsonl"))
    assert shown.index("sentiment, keywords-1: 4 posts") < shown.index("sentiment, VADER: 4 posts")
    assert shown.count("accuracy     ") == 2
    ours, vader = told("evaluate", "labelled.jsonl")
    assert (ours["model"], vader["model"]) == ("keywords-1", "VADER")
    assert ours["accuracy"]["value"] == 0.75
    assert ours["labels"]["negative"] == {"precision": 0.5, "recall": 1.0, "f1": 0.6667, "posts": 1} | {
        "f1": ours["labels"]["negative"]["f1"]
    }
    assert told("evaluate", "labelled.jsonl", "--limit", "1")[0]["posts"] == 1


def test_evaluate_measures_stages_where_they_are_labelled(folder: Path) -> None:
    (folder / "labelled.csv").write_text("text,stage\nwhere to buy,purchase\nawful,use\n")
    report, constant = told("evaluate", "labelled.csv")
    assert constant["model"].startswith("always ")
    assert (report["task"], report["accuracy"]["value"]) == ("stage", 1.0)


def test_a_model_is_trained_measured_and_can_be_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    tiny_mention_model(folder / "encoder")
    felt = [("great update", "positive"), ("awful phone", "negative"), ("the phone", "neutral")] * 4
    (folder / "felt.jsonl").write_text("".join(json.dumps({"text": t, "label": label}) + "\n" for t, label in felt))
    staged = [{"text": "love acme", "brand": "acme", "sentiment": "positive", "stage": "use"}] * 10
    (folder / "staged.jsonl").write_text("".join(json.dumps(row) + "\n" for row in staged))
    data = ("--sentiment", "felt.jsonl", "--journey", "staged.jsonl", "--val", "felt.jsonl")
    trained = said(sentimon("train", *data, "--encoder", "encoder", "--output", "model", "--epochs", "1"))
    assert "trained on 21 posts, 1 journey posts held out" in trained
    assert "On felt.jsonl" in trained
    assert "On held-out journey posts" in trained
    assert (folder / "model" / "model.safetensors").is_file()
