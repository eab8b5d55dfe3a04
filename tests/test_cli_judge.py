"""The model by itself: score, evaluate and train, as a person or a script calls them."""

import contextlib
import gzip
import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from db.labels import COUNTED_STAGES, LABELS
from db.records import Score
from models.classifier import Post
from tests.cli_rig import (
    COMMAND,
    complaint,
    configure,
    environment,
    jsonl,
    said,
    sentimon,
    told,
    version_of_bundled,
)
from tests.support import Keywords
from tests.tiny_model import tiny_mention_model

needs_model = pytest.mark.skipif(version_of_bundled() is None, reason="models/bundled is not in the tree")


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


def test_a_line_tells_all_that_the_model_says(folder: Path) -> None:
    (row,) = scored(said(sentimon("score", stdin='{"id": 7, "text": "where to buy? awful"}\n')))
    assert row == {
        "id": 7,
        "sentiment": "negative",
        "probabilities": {"negative": 0.9, "neutral": 0.07, "positive": 0.03},
        "stage": "purchase",
        "stage_probabilities": {"purchase": 1.0},
        "reply": "yes",
        "reply_probability": 0.8,
        "pillar": "product",
        "touchpoint": "none",
        "emotion": "anger",
        "offensive": "no",
        "language": "en",
        "rated": True,
        "model": "keywords-1",
    }


def test_what_is_not_rated_is_null_and_a_stage_that_is_not_sure_is_unsure(folder: Path) -> None:
    silent, unsure = scored(said(sentimon("score", stdin="...\nperhaps\n")))
    assert {key for key, value in silent.items() if value is not None} == {"id", "rated", "model"}
    assert silent.keys() == unsure.keys()
    assert (unsure["stage"], unsure["stage_probabilities"]) == ("unsure", {"use": 1.0})


@dataclass(frozen=True)
class Echo(Keywords):
    """Says which brand each post is judged for, by its name."""

    def score(self, posts: Sequence[Post]) -> list[Score]:
        return [Score(str(post.brand), False, None) for post in posts]


def test_lines_that_name_no_brand_are_judged_for_the_one_that_is_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.classifier.load", lambda *_, **__: Echo())
    rows = {"text": "a", "brand": "Own"}, {"text": "b"}, {"text": "c", "brand": ""}, {"text": "d", "brand": None}
    lines = jsonl(*rows)
    for args, wanted in (((), ["Own", "None", "None", "None"]), (("--brand", "Acme"), ["Own", "Acme", "Acme", "Acme"])):
        found = scored(said(sentimon("score", *args, stdin=lines)))
        assert [row["model"] for row in found] == wanted
    assert [row["model"] for row in scored(said(sentimon("score", "--brand", "Acme", stdin="a\n\n")))] == ["Acme"] * 2


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


@pytest.mark.parametrize("brand", [["Acme", "Globex"], 7, {"name": "Acme"}])
def test_a_brand_that_is_no_string_is_told_and_the_rest_is_scored(folder: Path, brand: object) -> None:
    result = sentimon("score", stdin=jsonl({"id": "a", "text": "awful", "brand": brand}, {"text": "love it"}))
    assert result.stderr == "sentimon: standard input: line 1: brand is no string; for two brands write two lines\n"
    bad, good = scored(result.stdout)
    assert (result.exit_code, bad["id"], "error" in bad, good["sentiment"]) == (1, "a", True, "positive")


def test_a_post_is_judged_for_one_brand(folder: Path) -> None:
    line = complaint(sentimon("score", "--brand", "Acme", "--brand", "Globex", stdin="awful\n"), 2)
    assert "--brand is given more than once" in line


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("I hate Acme\n".encode("utf-16"), "is no UTF-8 text: unpack it, or save it as UTF-8"),
        ("I hate Acme\n".encode("utf-16-be"), "is no UTF-8 text, it holds NUL bytes"),
        (gzip.compress(b"awful", mtime=0), "is no UTF-8 text: unpack it"),
        (b"\x7fELF\x02\x01\x01\0", "is no UTF-8 text, it holds NUL bytes"),
        (b'[{"text": "awful"}, {"text": "love it"}]\n', "line 1: JSON goes one object a line; `jq -c '.[]' FILE`"),
        (b'["awful"]', "line 1: JSON goes one object a line"),
        (b'\xef\xbb\xbf[\n  {"text": "awful"}\n]\n', "line 1: JSON goes one object a line"),
        (b'[{"text": "awful"},\n', "line 1: JSON goes one object a line"),
        (b'\n{\n  "text": "awful"\n}\n', "line 2: JSON goes one object a line; `jq -c . FILE`"),
    ],
)
def test_what_is_neither_lines_of_text_nor_of_json_is_refused(folder: Path, content: bytes, says: str) -> None:
    (folder / "posts").write_bytes(content)
    assert says in complaint(sentimon("score", "posts"), 1)
    result = sentimon("score", stdin=content)
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)
    assert "sentimon: standard input: " in result.stderr


def test_a_line_of_no_text_among_others_is_told_and_the_rest_is_scored(folder: Path) -> None:
    result = sentimon("score", stdin=b"awful\nlo\0ve\nlove it\n")
    assert result.stderr == "sentimon: standard input: line 2: no UTF-8 text, it holds NUL bytes\n"
    assert [row.get("sentiment") for row in scored(result.stdout)] == ["negative", None, "positive"]
    assert result.exit_code == 1


@pytest.mark.parametrize("header", ["id,text", "Text;label", '"id"\t"text"', "\ufefftext"])
def test_what_looks_like_csv_is_told_and_rated_as_text(folder: Path, header: str) -> None:
    result = sentimon("score", stdin=f"{header}\n1,I hate Acme\n".encode())
    assert len(scored(result.stdout)) == 2
    note = "looks like CSV, and each line is rated as text; `sentimon import` reads CSV"
    assert (result.exit_code, result.stderr) == (0, f"sentimon: standard input: {note}\n")


@pytest.mark.parametrize("line", ["no text, no call", "yes,no", "a text", "[verse 1] text", "context,awful"])
def test_a_post_is_not_taken_for_csv(folder: Path, line: str) -> None:
    assert sentimon("score", stdin=f"{line}\n").stderr == ""


def test_no_posts_give_no_lines(folder: Path) -> None:
    assert said(sentimon("score", stdin="")) == ""


def test_standard_input_need_not_be_utf_8(folder: Path) -> None:
    found = scored(said(sentimon("score", "-", stdin=b"caf\xe9 awful\n\xff\xfe\n")))
    assert [row["sentiment"] for row in found] == ["negative", None]


@needs_model
def test_a_terminal_shows_how_far_it_is_and_the_answers_stay_clean(tmp_path: Path) -> None:
    (tmp_path / "posts.txt").write_text("the phone is awful\n" * 200)
    reader, terminal = pty.openpty()
    with (tmp_path / "posts.txt").open("rb") as posts, (tmp_path / "answers").open("wb") as answers:
        env = environment(TERM="xterm", COLUMNS="120")
        pipes = {"stdin": posts, "stdout": answers, "stderr": terminal, "env": env}
        with subprocess.Popen([*COMMAND, "score"], cwd=tmp_path, **pipes):
            os.close(terminal)
            shown = drained(reader)
    assert len(scored((tmp_path / "answers").read_text())) == 200
    assert "scoring" in shown
    assert "100%" in shown
    assert "200 posts" in shown


def drained(terminal: int) -> str:
    """All that is written to a terminal until nobody has it open any more."""
    with contextlib.closing(os.fdopen(terminal, "rb", buffering=0)) as reader:
        shown = b""
        with contextlib.suppress(OSError):  # so Linux says that the other end was closed
            while part := reader.read(4096):
                shown += part
    return shown.decode()


def test_without_a_terminal_nothing_but_the_answers_is_written(tmp_path: Path, folder: Path) -> None:
    result = sentimon("score", stdin="awful\n" * 200)
    assert (len(scored(result.stdout)), result.stderr) == (200, "")


@needs_model
def test_strange_posts_are_scored_by_the_bundled_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    strange = {
        "long": "The delivery was late again. " * 345,
        "longer": "The delivery was late again. " * 3_450,
        "one word": "a" * 10_000,
        "rtl": "\u202eevil text\u202c مرحبا",
        "zero width": "t\u200be\u200br\u200br\u200bi\u200bble \u200d\ufeff",
        "emoji": "🔥" * 300,
        "hashtags": "#fail #acme",
        "handles": "@acme @ann",
        "links": "https://example.com",
        "elongated": "soooooo gooooood",
        "empty": "",
        "half": "half an emoji \ud83d here",
        "nul": "zero\0byte",
    }
    result = sentimon(
        "score", stdin="".join(json.dumps({"id": key, "text": text}) + "\n" for key, text in strange.items())
    )
    found = {row["id"]: row for row in scored(said(result))}
    assert found.keys() == strange.keys()
    rated = {key for key, row in found.items() if row["rated"]}
    assert {"long", "longer", "emoji", "hashtags", "elongated", "half", "nul"} <= rated
    assert not {"handles", "links", "empty"} & rated
    for row in found.values():
        for question, labels in {**LABELS, "stage": COUNTED_STAGES}.items():
            assert row[question] in (labels if row["rated"] else [None])


@needs_model
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
    assert shown.count("\naccuracy  ") == 2
    assert shown.count("\nexpected calibration error  ") == 1
    ours, vader = told("evaluate", "labelled.jsonl")
    assert (ours["model"], vader["model"]) == ("keywords-1", "VADER")
    assert ours["accuracy"]["value"] == 0.75
    assert ours["labels"]["negative"] == {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "posts": 1}
    # Bins of 0.9 (three posts, two of them right) and of 0.8 (one, right).
    assert ours["expected_calibration_error"]["value"] == pytest.approx((abs(2.7 - 2) + abs(0.8 - 1)) / 4)
    assert vader["expected_calibration_error"] is None
    assert "by_source" not in ours
    assert told("evaluate", "labelled.jsonl", "--limit", "1")[0]["posts"] == 1


def test_evaluate_measures_every_question_that_is_labelled(folder: Path) -> None:
    (folder / "labelled.csv").write_text(
        "text,sentiment,stage,reply,pillar,touchpoint,emotion,offensive\n"
        "where to buy?,neutral,purchase,yes,product,none,neutral,no\n"
        "awful,negative,use,no,product,store,anger,no\n"
    )
    found = told("evaluate", "labelled.csv")
    ours, beside = found[::2], found[1::2]
    assert [report["task"] for report in ours] == [report["task"] for report in beside] == list(LABELS)
    assert {report["model"] for report in ours} == {"keywords-1"}
    assert beside[0]["model"] == "VADER"
    assert all(report["model"].startswith('always "') for report in beside[1:])
    assert {report["task"]: report["accuracy"]["value"] for report in ours} == {
        **dict.fromkeys(LABELS, 1.0),
        "touchpoint": 0.5,
    }


def test_evaluate_says_how_often_the_model_is_unsure_and_how_right_it_is_when_it_is_not(folder: Path) -> None:
    (folder / "staged.csv").write_text("text,stage\nperhaps,use\nto buy,purchase\nawful,none\n")
    (ours, constant) = told("evaluate", "staged.csv")
    assert ours["accuracy"]["value"] == pytest.approx(2 / 3, abs=1e-4)  # the likeliest label counts
    assert ours["unsure"] == pytest.approx(1 / 3)
    assert ours["accuracy_when_sure"]["value"] == 0.5
    assert constant["unsure"] == 0
    shown = said(sentimon("evaluate", "staged.csv"))
    assert "33.3% of those rated" in shown
    assert "accuracy when sure          0.500" in shown


def test_evaluate_takes_the_column_label_for_what_it_is_told(folder: Path) -> None:
    (folder / "felt.csv").write_text("text,label\nawful,anger\nlove,joy\n")
    assert "label 'anger' is unknown" in complaint(sentimon("evaluate", "felt.csv"), 1)
    assert [report["task"] for report in told("evaluate", "felt.csv", "--head", "emotion")] == ["emotion"] * 2


def test_evaluate_measures_one_question_where_it_is_told_which(folder: Path) -> None:
    (folder / "both.csv").write_text("text,sentiment,stage\nto buy,neutral,purchase\nawful,negative,\nuse it,,use\n")
    assert {(one["task"], one["posts"]) for one in told("evaluate", "both.csv", "--head", "stage")} == {("stage", 2)}
    assert told("evaluate", "both.csv", "--head", "stage", "--limit", "1")[0]["posts"] == 1
    line = complaint(sentimon("evaluate", "both.csv", "--head", "emotion"), 1)
    assert "both.csv: no label for emotion; choose with --head from what there is: sentiment, stage" in line


def test_evaluate_measures_each_source_by_itself(folder: Path) -> None:
    rows = [{"text": "awful", "sentiment": "negative", "source": "x"}] * 3 + [{"text": "pen", "sentiment": "negative"}]
    (folder / "rows.jsonl").write_text(jsonl(*rows))
    ours, _ = told("evaluate", "rows.jsonl", "--by", "source")
    assert {name: (one["posts"], one["accuracy"]["value"]) for name, one in ours["by_source"].items()} == {
        "": (1, 0.0),
        "x": (3, 1.0),
    }
    shown = said(sentimon("evaluate", "rows.jsonl", "--by", "source"))
    assert "sentiment, keywords-1, by source" in shown
    assert "(no source)" in shown


def test_evaluate_says_when_the_first_posts_have_no_label(folder: Path) -> None:
    rows = [{"text": "awful"}, {"text": "pen", "sentiment": "10 80 10"}, {"text": "love", "sentiment": "positive"}]
    (folder / "rows.jsonl").write_text(jsonl(*rows))
    line = complaint(sentimon("evaluate", "rows.jsonl", "--limit", "2"), 1)
    assert line.endswith("rows.jsonl: no label on the first 2 posts; raise --limit")
    assert told("evaluate", "rows.jsonl", "--limit", "3")[0]["posts"] == 1


def test_evaluate_judges_posts_for_their_brand_or_as_a_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.classifier.load", lambda *_, **__: Echo())
    (folder / "rows.jsonl").write_text('{"text": "awful", "label": "negative", "brand": "Acme"}\n')
    assert told("evaluate", "rows.jsonl")[0]["model"] == "Acme"
    assert told("evaluate", "rows.jsonl", "--no-brand")[0]["model"] == "None"


RECIPE = """
[[phases]]
name = "general"
sets = [{ file = "felt.jsonl" }]

[[phases]]
name = "journey"
sets = [{ file = "staged.jsonl" }, { file = "felt.jsonl", share = 0.5 }]
"""


@pytest.fixture
def lessons(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe, its posts and an encoder."""
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    tiny_mention_model(folder / "encoder")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "data").mkdir()
    felt = [("great update", "positive"), ("awful phone", "negative"), ("the phone", "neutral")] * 4
    (folder / "data" / "felt.jsonl").write_text(jsonl(*({"text": text, "label": label} for text, label in felt)))
    staged = {"text": "love acme", "brand": "acme", "sentiment": "positive", "stage": "use", "source": "forum"}
    (folder / "data" / "staged.jsonl").write_text(jsonl(*[staged] * 10))
    return folder


TRAIN = ("train", "--recipe", "recipe.toml", "--data", "data", "--output", "out", "--encoder", "encoder")


def test_a_model_is_trained_by_a_recipe_and_can_be_used(lessons: Path) -> None:
    assert said(sentimon(*TRAIN)) == f"{Path('out', 'journey')}\n"
    configure(lessons, '[model]\nname = "./out/journey"')
    (row,) = scored(said(sentimon("score", stdin="love acme\n")))
    assert str(row["model"]).startswith("journey")


def test_phases_that_are_done_are_skipped_and_said_so(lessons: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "models.train")
    first = said(sentimon(*TRAIN))
    assert caplog.messages == ["general: 12 posts", "journey: 16 posts"]
    caplog.clear()
    assert said(sentimon(*TRAIN)) == first
    assert caplog.messages == ["general: done before", "journey: done before"]


def test_what_is_calibrated_is_printed_and_phases_stay_as_they_were(lessons: Path) -> None:
    said(sentimon(*TRAIN))
    kept = [("good phone", "positive"), ("bad update", "negative"), ("where can i buy", "neutral")] * 4
    (lessons / "data" / "kept.jsonl").write_text(jsonl(*({"text": text, "label": label} for text, label in kept)))
    with (lessons / "recipe.toml").open("a") as recipe:
        recipe.write('[[calibration]]\nfile = "kept.jsonl"\n')
    weights = (lessons / "out" / "journey" / "model.safetensors").read_bytes()
    assert said(sentimon(*TRAIN)) == f"{Path('out', 'calibrated')}\n"
    calibrated = (lessons / "out" / "calibrated" / "model.safetensors").read_bytes()
    assert calibrated != weights
    assert (lessons / "out" / "journey" / "model.safetensors").read_bytes() == weights
    assert said(sentimon(*TRAIN)) == f"{Path('out', 'calibrated')}\n"
    assert (lessons / "out" / "calibrated" / "model.safetensors").read_bytes() == calibrated


def test_nothing_is_calibrated_on_what_was_trained_on(lessons: Path) -> None:
    with (lessons / "recipe.toml").open("a") as recipe:
        recipe.write('[[calibration]]\nfile = "felt.jsonl"\n')
    assert "no post of [[calibration]] is left, all are trained on or held out; name others" in complaint(
        sentimon(*TRAIN), 1
    )


@pytest.mark.parametrize(
    ("args", "exit_code", "says"),
    [
        (("--recipe", "none.toml"), 1, "none.toml: cannot be read: No such file or directory"),
        (("--recipe", "data/felt.jsonl"), 1, "data/felt.jsonl: not valid TOML"),
        (("--data", "nowhere"), 1, "nowhere: no such folder; name that of the recipe's files with --data"),
        (("--data", "encoder"), 1, "felt.jsonl: cannot be read: No such file or directory"),
        (("--encoder", "data"), 1, "data: no encoder here"),
        (("--output", "recipe.toml"), 1, "recipe.toml: cannot hold the model"),
        (("--folds", "data"), 1, "data/felt.jsonl:1: not a prediction"),
        (("--folds", "encoder"), 1, "encoder: holds no predictions; make them with `make bench-journey`"),
        (("--threads", "0"), 2, "'--threads': 0 is not in the range x>=1"),
    ],
)
def test_training_that_cannot_begin(lessons: Path, args: tuple[str, str], exit_code: int, says: str) -> None:
    assert says in complaint(sentimon(*TRAIN, *args), exit_code)


def test_no_more_threads_are_used_than_were_asked_for(tmp_path: Path) -> None:
    command = """
from monitor.cli import main
try:
    main(["train", "--threads", "1"], prog_name="sentimon")
except SystemExit:
    from models.precision import CORES
    print(CORES)
"""
    env = environment(OMP_NUM_THREADS="3")
    made = subprocess.run([sys.executable, "-c", command], cwd=tmp_path, env=env, capture_output=True, check=True)
    assert made.stdout.decode().split() == ["1"]


def test_a_recipe_that_says_too_little(lessons: Path) -> None:
    (lessons / "recipe.toml").write_text('[[phases]]\nname = "general"\n')
    assert "recipe.toml: phases.0.sets: Field required" in complaint(sentimon(*TRAIN), 1)
