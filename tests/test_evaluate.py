"""Measuring what a model says against labels."""

import json
from pathlib import Path

import pytest

from db.errors import InputError
from db.labels import SENTIMENTS, STAGES, UNSURE
from db.records import Answer, Score
from models.evaluate import calibration_error, evaluate, vader
from models.examples import Example, read_examples
from models.measure import measure

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
    assert report.calibration_error is None


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


def test_the_calibration_error_agrees_with_one_worked_out_by_hand() -> None:
    # Bins of a fifteenth: 0.90 and 0.92 share one, 0.5 has another, and 1 belongs to the last.
    said = [(0.90, True), (0.92, False), (0.5, True), (1.0, True)]
    assert calibration_error(said).value == pytest.approx((abs(1.82 - 1) + abs(0.5 - 1) + 0) / 4, abs=1e-4)


def test_probabilities_that_come_true_have_no_calibration_error_and_boasts_have() -> None:
    modest = calibration_error([(0.7, number % 10 < 7) for number in range(1_000)])
    boast = calibration_error([(0.95, number % 10 < 7) for number in range(1_000)])
    assert modest.value == 0
    assert modest.low == 0 < modest.high < 0.05
    assert boast.value == pytest.approx(0.25)
    # The normal approximation of a share: 1.96 * sqrt(0.7 * 0.3 / 1000).
    assert (boast.low, boast.high) == (pytest.approx(0.25 - 0.0284, abs=0.005), pytest.approx(0.2784, abs=0.005))


def test_only_rated_posts_are_weighed_for_calibration() -> None:
    sure = Answer("neutral", {"negative": 0.1, "neutral": 0.8, "positive": 0.1})
    report = evaluate(["neutral", "neutral"], [sure, None], SENTIMENTS)
    assert report.calibration_error is not None
    assert report.calibration_error.value == pytest.approx(0.2)


def stage(label: str, probability: float) -> Answer:
    return Answer(label if probability > 0.4 else UNSURE, {label: probability, "none": 0.01})


def test_where_a_model_is_unsure_its_likeliest_label_counts_and_how_often_is_told() -> None:
    labels = ["use", "use", "purchase", "purchase", "none"]
    answers = [stage("use", 0.9), stage("use", 0.3), stage("purchase", 0.2), stage("use", 0.8), None]

    report = evaluate(labels, answers, STAGES)

    assert report.accuracy.value == pytest.approx(0.6)
    assert report.macro_recall.value == pytest.approx((1 + 0.5 + 0) / 3, abs=1e-4)
    assert report.coverage == pytest.approx(0.8)
    assert report.unsure == pytest.approx(0.5)
    assert report.sure_accuracy is not None
    assert report.sure_accuracy.value == 0.5
    assert evaluate(["use"], [stage("use", 0.1)], STAGES).sure_accuracy is None
    assert evaluate(["use"], [None], STAGES).unsure == 0


def score(**answers: Answer) -> Score:
    return Score("mine", True, "en", answers)


def test_every_question_is_measured_on_the_posts_that_are_labelled_for_it() -> None:
    yes, good = Answer("yes", {"no": 0.4, "yes": 0.6}), Answer("positive", {"positive": 1.0})
    examples = [
        Example("love it", None, {"sentiment": "positive", "reply": "no"}),
        Example("hate it", None, {"reply": "no"}),
        Example("well", None, {"reply": "yes"}),
        Example("half", None, {}, {"stage": [0.5, 0.5, 0, 0, 0, 0, 0, 0, 0]}),
    ]

    found = measure(examples, [score(sentiment=good, reply=yes)] * 4)

    assert [(one.question, one.model, one.report.posts) for one in found] == [
        ("sentiment", "mine", 1),
        ("sentiment", "VADER", 1),
        ("reply", "mine", 3),
        ("reply", 'always "no"', 3),
    ]
    assert [one.report.accuracy.value for one in found] == [1, 1, pytest.approx(1 / 3, abs=1e-4), pytest.approx(0.6667)]
    assert all(not one.sources for one in found)


def test_a_question_that_a_model_does_not_answer_is_missed() -> None:
    (ours, _) = measure([Example("x", None, {"pillar": "people"})], [score()])
    assert (ours.report.coverage, ours.report.accuracy.value) == (0, 0)


def test_each_source_is_measured_by_itself() -> None:
    good = Answer("positive", {"positive": 1.0})
    examples = [Example("love it", None, {"sentiment": "positive"}, source="x")] * 3
    examples += [Example("hate it", None, {"sentiment": "negative"}, source="reddit"), Example("no label", source="y")]

    ours, vader = measure(examples, [score(sentiment=good)] * 5, by_source=True)

    assert {name: (r.posts, r.accuracy.value) for name, r in ours.sources.items()} == {"reddit": (1, 0), "x": (3, 1)}
    assert {name: (r.posts, r.accuracy.value) for name, r in vader.sources.items()} == {"reddit": (1, 1), "x": (3, 1)}
    assert ours.report.accuracy.value == 0.75


def test_vader_judges_by_its_lexicon() -> None:
    texts = ["I love this, it is great!", "I hate this, it is awful", "The store opens at nine", ""]
    assert vader(texts) == ["positive", "negative", "neutral", "neutral"]


def test_labelled_posts_are_read_from_json_lines_and_csv_alike(tmp_path: Path) -> None:
    lines, table = tmp_path / "posts.jsonl", tmp_path / "posts.csv"
    rows = [
        {"text": 'Love it, "really"', "label": "positive", "brand": "Acme", "stage": "use", "source": "x"},
        {"text": "two\nlines", "label": "negative", "reply": "yes"},
    ]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table.write_text(
        '\ufefftext,label,brand,stage,source,reply\n"Love it, ""really""",positive,Acme,use,x,\n'
        '"two\nlines",negative,,,,yes\n'
    )
    examples = read_examples(lines)
    assert read_examples(table) == examples
    assert examples == [
        Example('Love it, "really"', "Acme", {"sentiment": "positive", "stage": "use"}, source="x"),
        Example("two\nlines", None, {"sentiment": "negative", "reply": "yes"}),
    ]


def test_a_table_without_a_header_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    table = tmp_path / "posts.tsv"
    table.write_text('so "angry\t0\ta1\nhalf and half\t0,1\ta2\nnobody knows\t9\ta3\n')
    found = read_examples(table, "emotion", {"0": "anger", "1": "joy", "9": ""}, ["text", "label", "id"])
    assert found == [
        Example('so "angry', None, {"emotion": "anger"}),
        Example("half and half", None, {}, {"emotion": [0.5, 0, 0, 0.5, 0, 0, 0]}),
    ]


def test_a_column_called_label_answers_the_question_that_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_text('{"text": "grr", "label": "anger", "target": "Acme"}\n')
    assert read_examples(file, "emotion") == [Example("grr", "Acme", {"emotion": "anger"})]


def test_a_label_can_be_the_number_nought(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_text('{"text": "bad", "label": 0}\n{"text": "good", "label": 2}\n{"text": "who knows", "label": null}\n')
    found = read_examples(file, rename={"0": "negative", "1": "neutral", "2": "positive"})
    assert [dict(one.labels) for one in found] == [{"sentiment": "negative"}, {"sentiment": "positive"}, {}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label\nfine,positive\nbad,meh\n", "a.csv:3"),
        ("b.csv", "body,label\nfine,positive\n", "b.csv:2"),
        ("c.jsonl", '{"text": "fine", "label": "meh"}\n', "c.jsonl:1"),
        ("d.jsonl", '{"text": "fine", "label": "neutral"}\nnot json\n', r"d\.jsonl:2: not a labelled post"),
        ("e.jsonl", '{"label": "negative"}\n', r"e\.jsonl:1: not a labelled post: text is missing"),
        ("f.jsonl", "[1]\n", r"f\.jsonl:1: not a labelled post"),
        ("g.jsonl", '{"text": "fine", "stage": "meh"}\n', r"g\.jsonl:1: .*stage 'meh' is unknown; expected awareness"),
        ("h.jsonl", '{"text": "fine", "reply": false}\n', r"h\.jsonl:1: .*reply 'False' is unknown; expected "),
        ("i.jsonl", '{"text": "fine", "label": 0}\n', r"i\.jsonl:1: .*label '0' is unknown; expected negative"),
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
