"""Training, on a handful of posts and a tiny encoder: the same code that made the bundled weights."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from db.errors import InputError, SentimonError
from db.labels import SENTIMENTS
from models.classifier import Post, load
from models.examples import UNLABELLED, Example, read_examples
from models.network import MentionModel
from models.train import Plan, balance, save, split, train
from tests.tiny_model import tiny_mention_model


def examples() -> list[Example]:
    return [
        Example("good day", None, 2, UNLABELLED),
        Example("bad day", None, 0, UNLABELLED),
        Example("the day", "acme", 1, 8),
    ] * 8


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    tiny_mention_model(folder)
    return folder


def test_training_learns_and_writes_a_model_that_loads_without_pickle(encoder: Path, tmp_path: Path) -> None:
    train(encoder, examples(), tmp_path / "model", Plan(epochs=40, learning_rate=3e-4, batch_size=8))

    scores = load(str(tmp_path / "model")).score([Post("good day"), Post("bad day")])

    assert [score.sentiment for score in scores] == ["positive", "negative"]
    assert {path.suffix for path in (tmp_path / "model").iterdir()} <= {".json", ".safetensors", ".txt"}


def test_a_run_that_was_stopped_goes_on_from_its_checkpoint(
    encoder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    plan = Plan(epochs=4, batch_size=8, checkpoint_every=3)
    train(encoder, examples(), whole, plan)
    with pytest.MonkeyPatch.context() as patch:  # the machine goes down right after the second checkpoint
        from models import train as module

        saved = module._save_checkpoint
        taken: list[int] = []

        def dying(path: Path, step: int, *parts: object) -> None:
            saved(path, step, *parts)
            taken.append(step)
            if len(taken) == 2:
                raise KeyboardInterrupt

        patch.setattr(module, "_save_checkpoint", dying)
        with pytest.raises(KeyboardInterrupt):
            train(encoder, examples(), stopped, plan)
    caplog.set_level("INFO")

    train(encoder, examples(), stopped, plan)

    assert "going on from step 6" in caplog.text
    assert not (stopped / "checkpoint.pt").exists()
    assert (stopped / "model.safetensors").stat().st_size == (whole / "model.safetensors").stat().st_size


def test_balancing_takes_back_what_a_skewed_training_set_adds(encoder: Path, tmp_path: Path) -> None:
    posts = [Post(f"{a} {b}") for a in ("great", "awful", "phone", "love", "hate") for b in ("update", "acme", "buy")]
    truth = [str(score.sentiment) for score in load(str(encoder)).score(posts)]
    labelled = [
        Example(post.text, None, SENTIMENTS.index(label), UNLABELLED) for post, label in zip(posts, truth, strict=True)
    ]
    skewed = [Example("", None, 0, UNLABELLED)] * 1 + [Example("", None, 1, UNLABELLED)] * 998
    skewed += [Example("", None, 2, UNLABELLED)] * 1
    model = MentionModel.from_pretrained(encoder, dtype=torch.float32)
    with torch.no_grad():  # as if it had learnt that nearly every post is neutral
        model.sentiment.bias += torch.tensor([1 / 1000, 998 / 1000, 1 / 1000]).log()
    save(model, AutoTokenizer.from_pretrained(encoder), tmp_path)
    assert [score.sentiment for score in load(str(tmp_path)).score(posts)] != truth

    share = balance(tmp_path, skewed, labelled)

    assert share > 0.5
    assert [score.sentiment for score in load(str(tmp_path)).score(posts)] == truth


def test_training_that_goes_astray_ends_in_one_line(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(SentimonError, match="lower the learning rate"):
        train(encoder, examples(), tmp_path, Plan(epochs=40, learning_rate=10.0, batch_size=8))


def test_the_same_seed_holds_the_same_posts_back() -> None:
    posts = [Example(str(number), None, 0, 0) for number in range(100)]

    kept, held = split(posts, 0.1, seed=7)

    assert len(held) == 10
    assert not {post.text for post in kept} & {post.text for post in held}
    assert split(posts, 0.1, seed=7) == (kept, held)


@pytest.mark.parametrize(
    "line", ["not json", '{"text": "no label in the list", "label": "sad"}', '{"label": "negative"}', "[1]"]
)
def test_a_line_that_is_no_labelled_post_is_named_with_its_number(line: str, tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_text(json.dumps({"text": "fine", "label": "neutral"}) + "\n" + line + "\n")

    with pytest.raises(InputError, match=r"posts\.jsonl:2: not a labelled post"):
        read_examples(file)
