"""A larger model says what it thinks of posts, and a smaller one learns from it."""

from pathlib import Path

import pytest

from db.errors import InputError
from db.labels import GUIDE, LABELS
from models.classifier import Post, load
from models.examples import read_labels
from models.precision import exact
from models.teach import teach, teach_towards
from tests.tiny_model import tiny_mention_model

POSTS = ["the phone is great and the staff are friendly", "", "the train was late again and nobody said why", "a day"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_mention_model(tmp_path_factory.mktemp("teacher"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "posts.txt").write_text("\n".join(POSTS) + "\n", encoding="utf-8")
    return tmp_path


def test_what_a_teacher_says_is_read_as_probabilities_of_the_same_posts(teacher: Path, data: Path) -> None:
    teach([teacher], data, "posts", None, data / "taught.csv")

    found = {example.text: example.probabilities["sentiment"] for example in read_labels(data / "taught.csv", data)}

    assert set(found) == {POSTS[0], POSTS[2], POSTS[3]}  # nothing is said of nothing
    said = load(str(teacher)).score([Post(POSTS[2])])[0].probabilities("sentiment")
    assert list(found[POSTS[2]]) == pytest.approx([said[label] for label in LABELS["sentiment"]], abs=0.02)


def test_of_several_teachers_the_mean_counts(teacher: Path, data: Path) -> None:
    second = tiny_mention_model(data / "second", seed=5)
    for name, teachers in (("one", [teacher]), ("two", [second]), ("both", [teacher, second])):
        teach(teachers, data, "posts", None, data / f"{name}.csv")
    one, two, both = (
        [example.probabilities["sentiment"] for example in read_labels(data / f"{name}.csv", data)]
        for name in ("one", "two", "both")
    )
    assert one != two
    for first, other, mean in zip(one, two, both, strict=True):
        assert list(mean) == pytest.approx([(a + b) / 2 for a, b in zip(first, other, strict=True)], abs=0.02)


def test_teaching_goes_on_where_it_was_stopped(teacher: Path, data: Path) -> None:
    output = data / "taught.csv"
    teach([teacher], data, "posts", None, data / "whole.csv")
    teach([teacher], data, "posts", 2, output)
    begun = output.read_text(encoding="utf-8")

    teach([teacher], data, "posts", None, output)

    assert output.read_text(encoding="utf-8").startswith(begun)
    assert sorted(output.read_text().splitlines()) == sorted((data / "whole.csv").read_text().splitlines())
    assert begun.count("\n") < output.read_text(encoding="utf-8").count("\n")


def test_a_line_that_was_cut_off_is_written_anew(teacher: Path, data: Path) -> None:
    output = data / "taught.csv"
    teach([teacher], data, "posts", None, data / "whole.csv")
    whole = (data / "whole.csv").read_text(encoding="utf-8")
    for kept in (len(whole) - 4, whole.rindex("\n", 0, -1) + 3, len("source,sou"), len("source,source_id,sentiment")):
        output.write_text(whole[:kept], encoding="utf-8")
        teach([teacher], data, "posts", None, output)
        assert output.read_text(encoding="utf-8") == whole


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id,text\n1,x\n2,cut o", "its columns are not source, source_id, sentiment; name another file with --output"),
        ("a note without a line end", "its columns are not source"),
        ("source,source_id,sentiment,more\n", "its columns are not source"),
        ("source,source_id,sentiment\nposts,1,1 2 97\nposts,posts,3,1 2 97\n", "3: not a line of source, source_id"),
        ("source,source_id,sentiment\nposts,caf\xe9,1 2 97\n", "cannot be read"),
    ],
)
def test_a_file_of_something_else_is_refused_and_left_as_it_is(
    content: str, says: str, teacher: Path, data: Path
) -> None:
    output = data / "other.csv"
    output.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=rf"other\.csv:.*{says}"):
        teach([teacher], data, "posts", None, output)
    assert output.read_bytes() == content.encode("latin-1")


def test_a_file_without_posts_is_named(teacher: Path, data: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such posts"):
        teach([teacher], data, "nowhere", None, data / "taught.csv")


def test_percentages_that_are_not_one_for_each_label_are_named(data: Path) -> None:
    (data / "taught.csv").write_text("source,source_id,sentiment\nposts,1,50 50\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"taught\.csv:2: not a labelled post: '50 50' are not the percentages of neg"):
        read_labels(data / "taught.csv", data)


def test_posts_with_brands_are_asked_all_that_the_guide_asks_towards_each_brand(teacher: Path, data: Path) -> None:
    asked = data / "asked.csv"
    asked.write_text(
        "source,source_id,brand\nposts,1,staff\nposts,1,phone\nposts,2,phone\nposts,1,phone\n", encoding="utf-8"
    )
    teach_towards([teacher], data, asked, None, data / "taught.csv")
    teach_towards([teacher], data, asked, None, data / "taught.csv")  # what is written is not asked again

    found = {example.brand: example for example in read_labels(data / "taught.csv", data)}

    assert (data / "taught.csv").read_text(encoding="utf-8").count("\n") == 3  # nothing is said of nothing
    for brand, example in found.items():
        score = load(str(teacher), precision=exact()).score([Post(POSTS[0], brand)])[0]
        for question in GUIDE:
            assert list(example.probabilities[question]) == pytest.approx(
                list(score.probabilities(question).values()), abs=0.02
            )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("source,source_id\nposts,1\n", "not all of its lines have source, source_id and brand"),
        ("source,source_id,brand\nposts,99,phone\n", "posts holds no post 99"),
        ("source,source_id,brand\nposts,caf\xe9,x\n", "cannot be read"),
    ],
)
def test_a_list_of_posts_that_cannot_be_asked_says_why(content: str, says: str, teacher: Path, data: Path) -> None:
    asked = data / "asked.csv"
    asked.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=rf"asked\.csv: .*{says}"):
        teach_towards([teacher], data, asked, None, data / "taught.csv")
    assert not (data / "taught.csv").exists()
