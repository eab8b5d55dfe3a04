"""Learning from verdicts, with a tiny model: what is held out, what is learned, and that it is the same every time."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

import pytest

from db.errors import InputError
from db.labels import LABELS
from db.records import NO_BRAND, Match, Verdict
from models import finetune
from models.classifier import Post, load
from models.finetune import FOLD, NOT_ABOUT, Judged, attempt, is_held_out, judged
from tests.support import mention
from tests.tiny_model import tiny_mention_model

AT = datetime(2026, 3, 4, tzinfo=UTC)
LABELS_OF = {
    "great": {"sentiment": "positive", "stage": "use", "reply": "no", "pillar": "product", "touchpoint": "product"},
    "awful": {"sentiment": "negative", "stage": "use", "reply": "yes", "pillar": "process", "touchpoint": "store"},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_mention_model(tmp_path_factory.mktemp("models") / "base", "9", sentimon_stage_floor=0.2)


@pytest.fixture
def thorough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model learns only when it is pushed."""
    monkeypatch.setattr(finetune, "LEARNING_RATE", 3e-3)
    monkeypatch.setattr(finetune, "EPOCHS", 25)


def verdicts(count: int, random: bool = True) -> list[Judged]:
    """As many posts, every other one great or awful, every fifth held out."""
    found = []
    for number in range(count):
        word = "great" if number % 2 else "awful"
        letters = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        post = Post(f"the phone is {word} {letters}", "acme")
        found.append(Judged(post, "x", LABELS_OF[word], random, held_out=number % FOLD == 0))
    return found


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.usefixtures("thorough")
def test_what_people_said_is_learned_and_measured_on_posts_that_were_held_out(base: Path, tmp_path: Path) -> None:
    trial = attempt(base, base, verdicts(60), tmp_path / "own-1")
    scores = load(str(tmp_path / "own-1")).score(
        [Post("the phone is great", "acme"), Post("the phone is awful", "acme")]
    )
    assert (trial.learned, trial.held_out, trial.base) == (48, 12, load(str(base)).name)
    assert trial.better
    assert trial.measures()["mean"] == trial.mean_after > trial.mean_before
    assert [score.label("sentiment") for score in scores] == ["positive", "negative"]
    assert [score.label("reply") for score in scores] == ["no", "yes"]


@pytest.mark.usefixtures("thorough")
def test_the_same_verdicts_in_any_order_give_the_same_weights(base: Path, tmp_path: Path) -> None:
    attempt(base, base, verdicts(60), tmp_path / "one")
    second = attempt(base, tmp_path / "one", reversed(verdicts(60)), tmp_path / "two")
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
    assert second.mean_after == second.mean_before
    assert not second.better  # a tie keeps the old one


def test_other_weights_have_another_name_but_keep_what_is_known_of_their_answers(base: Path, tmp_path: Path) -> None:
    attempt(base, base, verdicts(50), tmp_path / "own-7")
    config = json.loads((tmp_path / "own-7" / "config.json").read_text())
    digest = hashlib.sha256(weights(tmp_path / "own-7")).hexdigest()
    assert load(str(tmp_path / "own-7")).name == f"own-7-{digest[:8]}"
    assert "sentimon_version" not in config
    assert config["sentimon_stage_floor"] == 0.2
    assert not (tmp_path / "own-7" / "checkpoint.pt").exists()


def test_what_is_measured_was_drawn_at_random_where_that_is_enough(base: Path, tmp_path: Path) -> None:
    posts = [replace(one, random=number % 10 == 0) for number, one in enumerate(verdicts(300))]
    trial = attempt(base, base, posts, tmp_path / "many")
    few = attempt(base, base, [replace(one, random=False) for one in verdicts(60)], tmp_path / "few")
    assert (trial.random, trial.held_out) == (True, 30)
    assert trial.learned == 240  # those held out are not learned from, random or not
    assert (few.random, few.held_out) == (False, 12)


def test_what_was_said_elsewhere_of_a_post_that_was_drawn_is_learned_and_measures_nothing(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetune, "ENOUGH", 12)
    beside = frozenset({"stage", "reply", "pillar", "touchpoint"})
    drawn = [replace(one, beside=beside) for one in verdicts(60)]
    assert set(attempt(base, base, drawn, tmp_path / "own-1").after) == {"sentiment"}
    few = attempt(base, base, drawn[:55], tmp_path / "own-2")
    assert (few.random, set(few.after)) == (False, {"sentiment", *beside})
    attempt(base, base, verdicts(60), tmp_path / "own-3")
    assert weights(tmp_path / "own-1") == weights(tmp_path / "own-3")


def test_a_copy_of_a_post_that_is_held_out_is_not_learned_from(base: Path, tmp_path: Path) -> None:
    posts = verdicts(60)
    copies = [replace(one, post=replace(one.post, text=f"@ann {one.post.text}!"), held_out=False) for one in posts[::5]]
    assert attempt(base, base, [*posts, *copies], tmp_path / "own-1").learned == 48


@pytest.mark.parametrize(("count", "more"), [(0, 50), (49, 1)])
def test_too_few_verdicts_are_refused_with_how_many_more_are_needed(
    count: int, more: int, base: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=f"{count} verdicts are too few to learn from: {more} more"):
        attempt(base, base, verdicts(count), tmp_path / "own-1")
    assert not (tmp_path / "own-1").exists()


def test_one_post_in_five_is_held_out_and_always_the_same() -> None:
    held = [number for number in range(1_000) if is_held_out(mention(number))]
    assert 150 < len(held) < 250
    assert held == [number for number in range(1_000) if is_held_out(mention(number, text="edited meanwhile"))]
    assert held != [number for number in range(1_000) if is_held_out(mention(number, source="reddit"))]


def test_nothing_is_felt_towards_a_brand_that_the_post_is_not_about() -> None:
    match = Match(1, "Acme", mention(1, language="en"))
    found = judged(match, Verdict(1, "ann", AT, {"sentiment": "positive"}, about=False))
    assert found.labels == NOT_ABOUT
    assert all(label in LABELS[question] for question, label in NOT_ABOUT.items())
    assert found.post == Post("acme is fine", "Acme", "en")


def test_a_post_without_a_brand_is_judged_as_a_whole() -> None:
    found = judged(Match(1, NO_BRAND, mention(1)), Verdict(1, "ann", AT, {"sentiment": "positive"}, random=True))
    assert (found.post.brand, dict(found.labels), found.random) == (None, {"sentiment": "positive"}, True)


@pytest.mark.usefixtures("thorough")
def test_a_question_that_nobody_answered_is_answered_as_before(base: Path, tmp_path: Path) -> None:
    posts = [replace(one, labels={"sentiment": one.labels["sentiment"]}) for one in verdicts(60)]
    trial = attempt(base, base, posts, tmp_path / "own-1")
    asked = [one.post for one in posts]
    before, after = load(str(base)).score(asked), load(str(tmp_path / "own-1")).score(asked)
    assert list(trial.after) == ["sentiment"]

    def moved(question: str) -> float:
        """How far the probabilities of a question have moved, on average over posts and labels."""
        pairs = [
            (old.probabilities(question), new.probabilities(question)) for old, new in zip(before, after, strict=True)
        ]
        return mean(abs(old[label] - new[label]) for old, new in pairs for label in LABELS[question])

    assert moved("sentiment") > 0.2
    for question in ("stage", "pillar", "emotion", "offensive"):
        assert moved(question) < 0.08
