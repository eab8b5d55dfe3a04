"""The benchmarks run, on a handful of posts and tiny models, and compare like with like."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import RobertaConfig

from benchmarks import journey, memory, model, target
from benchmarks.folds import sources, training_posts
from db.errors import InputError, SentimonError
from db.labels import GUIDE, LABELS, SENTIMENTS
from models.calibrate import read_folds
from models.classifier import BUNDLED
from models.evaluate import evaluate
from models.examples import Example
from models.network import MentionModel
from models.recipe import gather, read_recipe
from tests.tiny_model import tiny_mention_model

RECIPE = """
marks = true
[[phases]]
name = "general"
[[phases.sets]]
file = "target/train.jsonl"
[[phases]]
name = "journey"
[[phases.sets]]
file = "journey/train.jsonl"
brand_dropout = 0.5
[[phases.sets]]
file = "target/train.jsonl"
joined = 1.0
"""
WORDS = ("great", "awful", "phone", "love", "hate", "update", "buy", "where")


def write(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def labelled(source: str, text: str, number: int) -> dict[str, str]:
    """A post with every label of the guide, each label by turns."""
    labels = {question: LABELS[question][number % len(LABELS[question])] for question in GUIDE}
    return {"id": f"{source}-{number}", "source": source, "brand": "acme", "text": text, **labels}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three sources, of which semeval was drawn from target/train.jsonl, and authored posts."""
    folder = tmp_path / "data"
    posts = [
        labelled(source, f"{word} {source} is {'not ' * again}good", 4 * again + number)
        for source in ("apple", "semeval", "authored")
        for again in range(2)
        for number, word in enumerate(WORDS)
    ]
    # The last two are one text from two sources.
    copies = [labelled("sxsw", f"{word} sxsw", number) for number, word in enumerate(WORDS[:3])]
    copies += [labelled("sxsw", "sold out http://t.co/1", 3), labelled("apple", "Sold out!", 99)]
    write(folder / "journey" / "train.jsonl", posts + copies)
    write(folder / "journey" / "dev.jsonl", [labelled("desk", f"{word} desk", n) for n, word in enumerate(WORDS)])
    aimed = [post for post in posts if post["source"] == "semeval"]
    strangers = [{"text": f"{word} it", "target": word, "label": "neutral", "id": word} for word in WORDS]
    topics = [{"id": p["id"], "text": p["text"], "target": "acme", "label": p["sentiment"]} for p in aimed]
    write(folder / "target" / "train.jsonl", topics + strangers)
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    return folder


def test_a_fold_learns_from_no_post_of_its_source_nor_from_a_copy_wherever_it_lies(data: Path) -> None:
    recipe = read_recipe(data.parent / "recipe.toml")
    posts = sources(data)

    kept = {source: training_posts(recipe, data, source, posts[source]) for source in posts}

    assert list(posts) == ["apple", "semeval", "sxsw"]
    assert not [post.text for post in kept["semeval"] if "semeval" in post.text]
    assert any("semeval" in post.text for post in kept["apple"])
    assert "Sold out!" in {post.text for post in kept["semeval"]}
    assert "Sold out!" not in {post.text for post in kept["sxsw"]}
    assert all(any(post.source == "authored" for post in found) for found in kept.values())


def test_a_fold_learns_from_posts_with_labels_of_the_journey_alone(data: Path) -> None:
    recipe, posts = read_recipe(data.parent / "recipe.toml"), sources(data)
    without = gather(recipe, recipe.phases[-1], data, "apple")
    assert any(set(post.labels) == {"sentiment"} for post in without)
    assert all("stage" in post.labels for post in training_posts(recipe, data, "apple", posts["apple"]))


def test_folds_are_trained_one_by_one_and_never_again(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start, output = tiny_mention_model(data.parent / "start"), data.parent / "folds"
    given = ["--data", str(data), "--recipe", str(data.parent / "recipe.toml"), "--encoder", str(start)]
    given += ["--output", str(output)]

    journey.main([*given, "--start", str(start), "--fold", "sxsw", "--final", str(start)])

    one = capsys.readouterr().out
    assert sorted(path.name for path in output.iterdir()) == ["sxsw", "sxsw.jsonl"]
    assert [line.split()[:2] for line in one.splitlines() if line.startswith(" sxsw ")] == [
        ["sxsw", question] for question in ("stage", "reply", "pillar", "touchpoint", "sentiment")
    ]
    assert MentionModel.load(output / "sxsw").marks  # as the recipe says
    with pytest.raises(InputError, match="--start"):
        journey.main(given)  # the other folds have no model to begin from

    journey.main([*given, "--start", str(start)])
    predicted = {path.name: path.stat().st_mtime_ns for path in output.glob("*.jsonl")}
    journey.main(given)

    assert {path.name: path.stat().st_mtime_ns for path in output.glob("*.jsonl")} == predicted
    everything = "".join(path.read_text() for path in output.glob("*.jsonl"))
    assert "awful" not in everything
    assert all(len(read_folds(output)[question].truth) == 16 + 1 + 16 + 4 for question in GUIDE)
    assert "all together" in capsys.readouterr().out


def test_a_final_model_that_is_not_there_is_refused_before_anything_is_trained(data: Path) -> None:
    given = ["--data", str(data), "--recipe", str(data.parent / "recipe.toml"), "--output", str(data / "folds")]

    with pytest.raises(InputError, match="nowhere: no model here; --final"):
        journey.main([*given, "--start", str(tiny_mention_model(data / "start")), "--final", str(data / "nowhere")])

    assert not (data / "folds").exists()


def test_predictions_for_other_posts_are_refused(data: Path) -> None:
    start, output = tiny_mention_model(data.parent / "start"), data.parent / "folds"
    write(output / "sxsw.jsonl", [{"id": "another", "source": "sxsw", "labels": {}, "probabilities": {}}])  # type: ignore[dict-item]
    given = ["--data", str(data), "--recipe", str(data.parent / "recipe.toml"), "--encoder", str(start)]

    with pytest.raises(InputError, match=r"sxsw\.jsonl: predicted for other posts"):
        journey.main([*given, "--output", str(output), "--fold", "sxsw"])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("iphone beats PS4 any day", True),
        ("iphone 6 is out", False),  # one name is part of the other
        ("iphone, and other ps4s", False),  # no whole word
        ("just my iphone", False),
    ],
)
def test_another_target_is_named_in_whole_words(text: str, named: bool) -> None:
    assert target.names_another(Example(text, "iPhone"), ["iphone", "iphone 6", "ps4"]) is named


def test_texts_that_are_labelled_differently_for_two_targets_are_found_with_all_their_targets() -> None:
    split = [
        Example("a beats b", "a", {"sentiment": "positive"}),
        Example("A beats b!", "b", {"sentiment": "negative"}),
    ]
    alike = [Example("c and d", "c", {"sentiment": "neutral"}), Example("c and d", "d", {"sentiment": "neutral"})]

    assert target.differing(target.for_two([*alike, *split])) == split


def test_the_difference_is_that_of_the_macro_recalls_and_its_interval_is_paired() -> None:
    truth = ["negative", "negative", "neutral", "positive"] * 25
    right, wrong = list(truth), ["neutral", "negative", "neutral", None] * 25

    found = target.difference(truth, right, wrong)

    recalls = [evaluate(truth, said, SENTIMENTS).macro_recall.value for said in (right, wrong)]
    assert found.value == pytest.approx(recalls[0] - recalls[1], abs=1e-4)
    assert found.low < found.value < found.high
    same = target.difference(truth, wrong, wrong)
    assert (same.low, same.high) == (0, 0)


def test_the_target_is_measured_on_every_kind_of_post_and_skipped_without_posts(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"text": f"{word} apple beats sony", "target": name, "label": label}
        for word in WORDS
        for name, label in (("apple", "positive"), ("sony", "negative"))
    ]
    write(data / "target" / "train.jsonl", rows)
    weights = tiny_mention_model(data.parent / "model")

    target.main([str(weights), "--data", str(data)])

    told = capsys.readouterr().out
    assert all(line in told for line in ("name another target", "all posts", "labels that differ"))
    target.main([str(weights), "--data", str(data / "nowhere")])
    assert capsys.readouterr().out.startswith("skipped: ")


def test_posts_to_measure_on_are_all_different_and_need_no_data(tmp_path: Path) -> None:
    posts, origin = model.choose(800, tmp_path)

    assert len(set(posts)) == 800
    assert "authored" in origin


def test_operations_are_counted_as_torch_counts_them(tmp_path: Path) -> None:
    network = MentionModel.load(tiny_mention_model(tmp_path))
    network.encoder.set_attn_implementation("eager")  # torch does not count within the others on a CPU
    ids = torch.ones(3, 20, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(ids, ids)
    heads = 2 * 3 * sum(head.weight.numel() for head in network.heads.values())

    assert model.operations(network, 3, 20) == counter.get_total_flops() - heads


def test_a_stretch_of_lines_repeats_few_texts_and_the_next_has_others() -> None:
    texts = [f"post {number}" for number in range(1_000)]
    found = [json.loads(line)["text"] for line in memory.lines(texts, 3 * model.WINDOW, 200)]
    stretches = [set(found[start : start + model.WINDOW]) for start in range(0, len(found), model.WINDOW)]
    assert [len(stretch) for stretch in stretches] == [200, 200, 200]
    assert len(set.union(*stretches)) == 600


@pytest.mark.slow
@pytest.mark.skipif(not (BUNDLED / "model.safetensors").exists(), reason="there are no bundled weights")
def test_memory_is_that_of_a_scoring_which_answered_everything(capsys: pytest.CaptureFixture[str]) -> None:
    memory.main(["--posts", "30", "60", "--different", "5"])
    few, many = [line.split() for line in capsys.readouterr().out.splitlines() if " MB " in line]
    assert (few[0], many[0]) == ("30", "60")
    assert int(few[1]) > 100  # MB: torch and the weights


def test_a_scoring_that_fails_gives_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(SentimonError, match="exit status 1, 0 answers to 3 posts"):
        memory.resident(memory.lines(["good"], 3, 1), 3)


@pytest.mark.slow
@pytest.mark.skipif(not (BUNDLED / "model.safetensors").exists(), reason="there are no bundled weights")
def test_the_model_is_measured_in_every_way(tmp_path: Path) -> None:
    small = RobertaConfig(vocab_size=50_265, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    posts, _ = model.choose(8, tmp_path)

    lines, same = model.measure(posts, small)

    names = [line.what for line in lines]
    assert all(line.rate > 0 for line in lines)
    assert all(other in names for line in lines for other in line.beside)
    assert all(0 <= share <= 1 for shares in same.values() for share in shares.values())
    assert all(list(shares) == list(LABELS) for shares in same.values())
