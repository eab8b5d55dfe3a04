"""What posts mean to a model: the vectors of the bundled kind and of others, and the job that keeps them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from db.store import Store
from jobs.embed import embed
from models.classifier import Model, Post, load
from models.precision import Precision
from monitor import config, plugins
from monitor.app import App
from tests.case_rig import Words, case_of
from tests.cli_rig import configure
from tests.support import NOW, keep, mention, rows
from tests.tiny_model import tiny_classifier, tiny_mention_model

POSTS = [Post("great phone", "Acme"), Post("awful update", "Acme"), Post("where can i buy this", "Acme")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_mention_model(folder / "own")
    tiny_classifier(folder / "hub", ["negative", "neutral", "positive"])
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "posts.db") as store:
        yield store


def model(folders: Path, name: str) -> Model:
    single = Precision(torch.device("cpu"), torch.float32, 1, tokens=256)
    return load(str(folders / name), precision=single if name == "own" else None)


@pytest.mark.parametrize("name", ["own", "hub"])
def test_a_vector_has_length_one_and_depends_on_its_post_alone(folders: Path, name: str) -> None:
    loaded = model(folders, name)
    together = loaded.embed([*POSTS, Post("love " * 200)])
    assert together.shape == (4, 32)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    alone = np.concatenate([loaded.embed([post]) for post in POSTS])
    assert np.allclose(together[:3], alone, atol=1e-5)
    assert not np.allclose(together[0], together[1], atol=1e-2)


@pytest.mark.parametrize("name", ["own", "hub"])
def test_nothing_gives_nothing_and_every_text_a_vector(folders: Path, name: str) -> None:
    loaded = model(folders, name)
    assert len(loaded.embed([])) == 0
    nasty = ["", "12345", "\x00", "\ud83d", "[SEP] [CLS]", "日本語だけ", "a" * 100_000]
    assert np.isfinite(loaded.embed([Post(text, "Acme") for text in nasty])).all()


def test_every_post_of_a_case_gets_one_the_newest_first_and_no_other(store: Store, tmp_path: Path) -> None:
    keep(store, mention("no case"))
    cases = [case_of(store, number, f"acme {number}") for number in range(5)]
    words = Words()
    assert embed(store, words, most=2).counts == {"embedded": 2}
    assert words.seen == ["acme 4", "acme 3"]
    assert embed(store, words).counts == {"embedded": 3}
    assert embed(store, words).counts == {"embedded": 0}
    found = rows(tmp_path / "posts.db", "SELECT match_id, model, length(vector) FROM embeddings ORDER BY match_id")
    assert found == [(case.match.id, "words-1", 2 * words.size) for case in cases]


def test_it_ends_when_it_is_told_to(store: Store) -> None:
    case_of(store, 1)
    assert embed(store, Words(), stopping=lambda: True).counts == {"embedded": 0}


def test_a_new_model_replaces_the_vectors_of_the_old_one(store: Store, tmp_path: Path) -> None:
    case_of(store, 1)
    embed(store, Words("old"))
    assert embed(store, Words("new")).counts == {"embedded": 1}
    assert rows(tmp_path / "posts.db", "SELECT model FROM embeddings") == [("new",)]


def test_an_edited_post_loses_its_vector_and_gets_another(store: Store) -> None:
    case = case_of(store, 1, "acme before")
    embed(store, Words())
    before = store.embeddings.of(case.match.id)
    keep(store, mention(1, "acme is so much worse now", collected_at=NOW))
    assert store.embeddings.of(case.match.id) is None
    embed(store, Words())
    assert store.embeddings.of(case.match.id) not in (None, before)


@pytest.mark.parametrize("reason", ["deleted", "forgotten", "aged"])
def test_a_post_that_is_gone_has_no_vector_and_never_gets_one(store: Store, reason: str) -> None:
    case = case_of(store, 1, author="ann")
    embed(store, Words())
    with store.transaction():
        if reason == "forgotten":
            store.forgotten.forget("x", "ann", NOW)
        else:
            store.forgotten.erase_named("x", ["1"], NOW, reason)
    assert store.embeddings.of(case.match.id) is None
    assert embed(store, Words()).counts == {"embedded": 0}


def test_a_post_that_was_erased_while_the_model_read_it_gets_none(store: Store) -> None:
    case = case_of(store, 1)
    with store.transaction():
        store.forgotten.erase_named("x", ["1"], NOW, "deleted")
        store.embeddings.save("m", [case.match], [b"1234"])
    assert store.embeddings.of(case.match.id) is None


def test_the_model_is_loaded_only_where_a_case_waits_for_it(folder: Path) -> None:
    configure(folder, '[model]\nname = "nowhere/to-be-found"')
    app = App(config.load(folder / "sentimon.toml", plugins.load(third_party=False)))
    with app.store() as store:
        keep(store, mention(1))
        assert app.embed(store).counts == {"embedded": 0}
    assert "embed" in [job.name for job in app.jobs()]
