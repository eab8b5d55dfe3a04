"""Recipes: what a model is shown, and above all what it never is."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from db.errors import InputError
from models.examples import Example
from models.recipe import Recipe, calibration_posts, gather, is_held_out, letters, read_recipe


def write(path: Path, *rows: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def shown(data: Path, recipe: Mapping[str, Any], without: str | None = None) -> list[Example]:
    """What the first phase of a recipe shows."""
    made = Recipe.model_validate(recipe)
    return gather(made, made.phases[0], data, without)


def phase(*sets: Mapping[str, Any]) -> dict[str, Any]:
    return {"phases": [{"name": "one", "sets": list(sets)}]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(
        tmp_path / "train.jsonl",
        {"text": "Seen before: the new phone! https://example.com/a @ann", "label": "positive"},
        {"text": "nobody has this", "label": "negative", "source": "forum"},
    )
    write(
        tmp_path / "target.jsonl",
        {"text": "apple is fine", "target": "Apple", "label": "positive", "source": "x"},
        {"text": "pears are bad", "target": "pear", "label": "negative", "source": "x"},
        {"text": "apple and pear", "target": "pear", "label": "neutral", "source": "forum"},
        {"text": "apple and pear", "target": "apple", "label": "positive", "source": "forum"},
    )
    write(tmp_path / "test.jsonl", {"text": "seen before, the NEW phone http @user", "label": "neutral"})
    write(tmp_path / "copies.jsonl", {"text": "Apple is fine!!", "brand": "fruit", "label": "neutral"})
    return tmp_path


def test_a_text_that_is_held_out_is_shown_by_no_file_however_its_links_and_handles_are_written(data: Path) -> None:
    sets = phase({"file": "train.jsonl"})
    assert len(shown(data, sets)) == 2
    assert [e.text for e in shown(data, {**sets, "held_out": {"files": ["test.jsonl"]}})] == ["nobody has this"]


def test_posts_on_brands_that_are_held_out_are_shown_by_no_file_nor_for_another_brand(data: Path) -> None:
    sets = phase({"file": "target.jsonl"}, {"file": "copies.jsonl"})
    assert len(shown(data, sets)) == 5
    held_out = {"file": "target.jsonl", "brands": ["APPLE"]}
    assert [e.text for e in shown(data, {**sets, "held_out": held_out})] == ["pears are bad"]


def test_the_posts_of_a_source_can_be_left_out_of_every_set(data: Path) -> None:
    found = shown(data, phase({"file": "train.jsonl"}, {"file": "target.jsonl"}), without="forum")
    assert [e.text for e in found] == [
        "Seen before: the new phone! https://example.com/a @ann",
        "apple is fine",
        "pears are bad",
    ]


def test_every_phase_is_kept_from_what_is_held_out(data: Path) -> None:
    sets = [{"file": "train.jsonl"}]
    recipe = Recipe.model_validate(
        {
            "held_out": {"files": ["test.jsonl"]},
            "phases": [{"name": "one", "sets": sets}, {"name": "two", "sets": sets}],
        }
    )
    for one in recipe.phases:
        assert [e.text for e in gather(recipe, one, data)] == ["nobody has this"]


def test_joined_posts_are_judged_for_either_brand_and_by_what_was_said_of_it(data: Path) -> None:
    write(
        data / "two.jsonl",
        {"text": "apple is great", "target": "apple", "label": "positive"},
        {"text": "pear is awful", "target": "pear", "label": "negative"},
    )
    found = shown(data, phase({"file": "two.jsonl", "joined": 1.0}))
    alone, joined = found[:2], found[2:]
    assert [e.text for e in alone] == ["apple is great", "pear is awful"]
    assert {e.text for e in joined} <= {"apple is great pear is awful", "pear is awful apple is great"}
    assert {(e.brand, e.labels["sentiment"]) for e in joined} == {("apple", "positive"), ("pear", "negative")}


def test_what_one_set_keeps_for_calibration_is_not_kept_where_another_shows_it(data: Path) -> None:
    rows = [{"text": f"post {number} says so", "label": "neutral"} for number in range(40)]
    write(data / "kept.jsonl", *rows)
    kept = [row["text"] for row in rows if is_held_out(row["text"], 0.3)]
    write(data / "other.jsonl", {"text": f"{kept[0]} !", "label": "positive"})
    recipe = phase({"file": "kept.jsonl", "hold_out": 0.3}, {"file": "other.jsonl"})
    recipe["calibration"] = [{"file": "kept.jsonl", "hold_out": 0.3}]
    seen = {letters(post.text) for post in shown(data, recipe)}
    found = calibration_posts(Recipe.model_validate(recipe), data, seen, kept_alone=True)
    assert len(found) > 2
    assert [post.text for post in found] == kept[1:]


def test_of_a_file_whose_topics_are_held_out_only_these_are_calibrated_on(data: Path) -> None:
    write(
        data / "topics.jsonl",
        {"text": "apple is great", "target": "Apple", "label": "positive"},
        {"text": "pear is awful", "target": "pear", "label": "negative"},
    )
    recipe = phase({"file": "train.jsonl"}) | {
        "held_out": {"file": "topics.jsonl", "brands": ["apple"]},
        "calibration": [{"file": "topics.jsonl"}, {"file": "train.jsonl"}],
    }
    found = calibration_posts(Recipe.model_validate(recipe), data, {letters("nobody has this")})
    assert [letters(post.text) for post in found] == [letters("apple is great"), letters("Seen before: the new phone!")]


def test_a_file_beside_the_recipe_is_another_than_that_of_its_name_in_the_data(data: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in (data, home):
        write(folder / "topics.jsonl", {"text": f"apple in {folder.name}", "target": "apple", "label": "positive"})
    (home / "recipe.toml").write_text(
        '[held_out]\nfile = "topics.jsonl"\nbrands = ["apple"]\n[[phases]]\nname = "one"\n'
        'sets = [{ file = "topics.jsonl" }, { file = "topics.jsonl", folder = "recipe" }]\n'
    )
    recipe = read_recipe(home / "recipe.toml")
    assert [post.text for post in gather(recipe, recipe.phases[0], data)] == ["apple in home"]


def test_nothing_is_calibrated_on_a_copy_of_what_is_measured_on(data: Path) -> None:
    write(data / "test.jsonl", {"text": "the test says so", "label": "neutral"})
    write(
        data / "kept.jsonl",
        {"text": "The test says so!", "label": "neutral"},
        {"text": "nothing else does", "label": "neutral"},
    )
    recipe = phase({"file": "train.jsonl"}) | {
        "held_out": {"files": ["test.jsonl"]},
        "calibration": [{"file": "kept.jsonl"}],
    }
    found = calibration_posts(Recipe.model_validate(recipe), data, set())
    assert [post.text for post in found] == ["nothing else does"]


def test_held_out_posts_are_not_joined_either(data: Path) -> None:
    write(data / "bad.jsonl", {"text": "pear is awful", "brand": "pear", "label": "negative"})
    write(
        data / "three.jsonl",
        {"text": "apple is great", "target": "apple", "label": "positive"},
        {"text": "pear is awful", "target": "pear", "label": "negative"},
        {"text": "plum will do", "target": "plum", "label": "neutral"},
    )
    recipe = {**phase({"file": "three.jsonl", "joined": 1.0}), "held_out": {"files": ["bad.jsonl"]}}
    found = shown(data, recipe)
    assert len(found) == 4
    assert not [e for e in found if "awful" in e.text]


def test_sets_are_repeated_shared_and_lose_brands_as_the_recipe_says_and_the_same_each_time(data: Path) -> None:
    rows = [{"text": f"post {n}", "target": "pear", "label": "neutral"} for n in range(100)]
    write(data / "many.jsonl", *rows)
    sets = phase({"file": "many.jsonl", "share": 0.5, "repeat": 3, "brand_dropout": 0.4})
    found = shown(data, sets)
    assert set(Counter(e.text for e in found).values()) == {3}
    assert len(found) == 150
    assert 30 < sum(e.brand is None for e in found) < 90
    assert shown(data, sets) == found
    assert shown(data, {**sets, "seed": 8}) != found


@pytest.mark.parametrize("name", ["recipe.toml", "teacher.toml", "journey_teacher.toml"])
def test_the_recipes_of_the_bundled_model_hold_out_what_it_is_measured_on(name: str) -> None:
    recipe = read_recipe(Path(__file__).parent.parent / "models" / name)
    held_out = recipe.held_out
    assert {"sentiment/val.jsonl", "sentiment/test.jsonl", "journey/dev.jsonl"} <= set(held_out.files)
    files = {one.file for phase in recipe.phases for one in phase.sets}
    assert not files & set(held_out.files)
    if any(file.startswith("target/") for file in files):
        assert held_out.file == "target/train.jsonl"
        assert held_out.brands
    calibrated = {one.file for one in recipe.calibration}
    assert not calibrated & {"sentiment/test.jsonl", "journey/dev.jsonl"}
    assert not (files | calibrated) & {"authored/support.jsonl", "authored/challenge.jsonl"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Great @user http", "great @ann https://t.co/x"),
        ("It's HERE", "its here!"),
        ("a  b\nc", "ABC"),
    ],
)
def test_copies_of_a_text_are_the_same(one: str, other: str) -> None:
    assert letters(one) == letters(other)


def test_different_texts_are_not_the_same() -> None:
    assert letters("great phone") != letters("great phones")


GOOD = '[[phases]]\nname = "one"\nsets = [{ file = "a.jsonl" }]\n'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("phases = [", "not valid TOML"),
        ("", "phases: Field required"),
        ("phases = []", "phases: "),
        (GOOD + "epochs = 0", "phases.0.epochs: "),
        (GOOD + "learningrate = 1", "phases.0.learningrate: "),
        (GOOD.replace('{ file = "a.jsonl" }', "{ share = 0.5 }"), "phases.0.sets.0.file: Field required"),
        (GOOD.replace('"a.jsonl"', '"a.jsonl", share = 2'), "phases.0.sets.0.share: "),
        (GOOD.replace('"a.jsonl"', '"a.jsonl", first = 0'), "phases.0.sets.0.first: "),
        (GOOD.replace("one", "mean"), "phases: Value error, no phase can be called mean"),
        *((f"mean = {mean}\n" + GOOD, "Value error, mean has a part for the start") for mean in ("[1]", "[1, 0]")),
        ("mean = [1, -1]\n" + GOOD, "mean.1: Input should be greater than or equal to 0"),
        ("mean = 0.5\n" + GOOD, "mean: Input should be a valid list"),
        (GOOD + '[held_out]\nfiles = "a.jsonl"', "held_out.files: "),
        (GOOD + '[held_out]\nbrands = ["acme"]', "held_out: Value error, file and brands go together"),
    ],
)
def test_a_recipe_that_is_wrong_is_an_error_of_one_line_that_says_where(
    content: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"{path}: {says}")
    assert "\n" not in str(caught.value)


def test_a_recipe_that_cannot_be_read_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: cannot be read"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"binary\.toml: not valid TOML"):
        read_recipe(tmp_path / "binary.toml")


def test_a_brand_to_hold_out_that_no_post_is_on_is_named(data: Path) -> None:
    recipe = {**phase({"file": "target.jsonl"}), "held_out": {"file": "target.jsonl", "brands": ["apple", "plumm"]}}
    with pytest.raises(InputError, match=r"held_out: .*target\.jsonl has no post on plumm"):
        shown(data, recipe)


def test_labels_are_joined_with_the_texts_that_lie_elsewhere(data: Path) -> None:
    (data / "lines.txt").write_text("one\n two \n")
    write(data / "posts.jsonl", {"id": 7, "text": "seven"})
    table = data / "labels.csv"
    table.write_text("source,source_id,brand,stage,label\nlines,2,acme,use,\nposts,7,,none,positive\n")
    assert shown(data, phase({"file": "labels.csv", "without_text": True})) == [
        Example("two", "acme", {"stage": "use"}, source="read"),
        Example("seven", None, {"sentiment": "positive", "stage": "none"}, source="read"),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("source,stage\nposts,use\n", r"labels\.csv:2: source or source_id is missing"),
        ("source,source_id,stage\nposts,8,use\n", r"labels\.csv:2: .*posts holds no post 8"),
        ("source,source_id,stage\nposts,7,asleep\n", r"labels\.csv:2: not a labelled post: stage 'asleep' is unknown"),
        ("source,source_id,stage\nnowhere,7,use\n", "nowhere: no such posts"),
        ("source,source_id,stage\nbroken,7,use\n", "broken: not all of its lines are posts"),
        (None, r"labels\.csv: cannot be read"),
    ],
)
def test_labels_without_texts_that_cannot_be_used_are_named(content: str | None, says: str, data: Path) -> None:
    write(data / "posts.jsonl", {"id": 7, "text": "seven"})
    (data / "broken.jsonl").write_text("{\n")
    if content is not None:
        (data / "labels.csv").write_text(content)
    with pytest.raises(InputError, match=says):
        shown(data, phase({"file": "labels.csv", "without_text": True}))


def test_only_the_head_of_a_file_is_shown_where_the_recipe_says_so(data: Path) -> None:
    found = shown(data, phase({"file": "target.jsonl", "first": 2}))
    assert [post.text for post in found] == ["apple is fine", "pears are bad"]


def test_a_set_whose_file_is_missing_is_named(data: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl: cannot be read"):
        shown(data, phase({"file": "nowhere.jsonl"}))
