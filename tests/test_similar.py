"""Posts like one that were answered, and what was said to them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from db.desk import Case, User
from db.store import Store
from jobs.desk.similar import LEAST, MOST, similar
from jobs.embed import embed
from tests.case_rig import ADMIN, Words, answer, case_of
from tests.support import DAY, HOUR, NOW

LATE = "my acme order is late by {} days and nobody answers me"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "posts.db") as store:
        yield store


def late(store: Store, number: int, **more: object) -> Case:
    return case_of(store, number, LATE.format(number), NOW - DAY - number * HOUR, **more)


def test_the_nearest_answered_posts_come_first_with_what_was_said(store: Store) -> None:
    answer(store, late(store, 2), "we look for it", who="ben")
    answer(store, case_of(store, 8, "an acme order is late by 2 days and nobody answers"), "so sorry")
    answer(store, case_of(store, 9, "where is the shop"), "in town")
    late(store, 3)  # nobody has answered it
    case = late(store, 1)
    embed(store, Words())
    found = similar(store, case, ADMIN, least=0.5)
    assert [one.match.mention.source_id for one in found] == ["2", "8"]
    assert [(said.text, said.author) for said in found[0].replies] == [("we look for it", "ben")]
    assert found[0].similarity > found[1].similarity > 0.5
    assert all(one.similarity <= 1 for one in found)


def test_what_is_too_far_is_not_shown(store: Store) -> None:
    answer(store, case_of(store, 9, "where is the acme shop"), "in town")
    case = late(store, 1)
    embed(store, Words())
    assert similar(store, case, ADMIN) == []
    assert [one.case_id for one in similar(store, case, ADMIN, least=0)] != []
    assert 0.5 < LEAST < 1


def test_a_few_are_shown_and_of_the_same_words_and_answer_one(store: Store) -> None:
    for number in range(MOST + 3):
        answer(store, late(store, number), f"reply {number}")
    for number in range(50, 60):
        answer(store, case_of(store, number, "my acme order is late"), "we look")
    case = late(store, 99)
    embed(store, Words())
    found = similar(store, case, ADMIN, least=0.1)
    assert len(found) == MOST
    same = similar(store, case_of(store, 100, "my acme order is late"), ADMIN, least=0.1)
    assert same == []  # not looked at yet
    embed(store, Words())
    same = similar(store, case_of(store, 100, "my acme order is late"), ADMIN, least=0.999)
    assert len(same) == 1


def test_brands_that_the_user_may_not_see_are_left_out(store: Store) -> None:
    answer(store, late(store, 2, brand="Bolt"), "bolt says")
    answer(store, late(store, 3), "acme says")
    case = late(store, 1)
    embed(store, Words())
    few = User(2, "few", "responder", brands=("Acme",))
    assert [one.replies[0].text for one in similar(store, case, few)] == ["acme says"]
    assert {one.replies[0].text for one in similar(store, case, ADMIN)} == {"acme says", "bolt says"}


def test_nothing_is_found_of_posts_that_are_gone(store: Store) -> None:
    answer(store, late(store, 2, author="ann"), "we look")
    case = late(store, 1)
    embed(store, Words())
    assert len(similar(store, case, ADMIN)) == 1
    with store.transaction():
        store.forgotten.forget("x", "ann", NOW)
    assert similar(store, case, ADMIN) == []
    assert store.embeddings.count("words-1") == 1


def test_vectors_of_different_models_are_never_compared(store: Store) -> None:
    answer(store, late(store, 2), "we look")
    embed(store, Words("old"))
    case = late(store, 1)
    embed(store, Words("new"), most=1)  # the newest case first
    assert similar(store, case, ADMIN, least=0) == []
    embed(store, Words("new"))
    assert len(similar(store, case, ADMIN, least=0)) == 1


def test_the_nearest_are_those_that_a_full_comparison_finds(store: Store) -> None:
    rng = np.random.default_rng(7)
    cases = [late(store, number) for number in range(40)]
    vectors = rng.normal(size=(40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for number, case in enumerate(cases[1:], 1):
        answer(store, case, f"reply {number}")
    with store.transaction():
        store.embeddings.save("m", [c.match for c in cases], [v.astype(np.float16).tobytes() for v in vectors])
    expected = sorted(range(1, 40), key=lambda n: -float(vectors[n] @ vectors[0]))[:MOST]
    assert [one.case_id for one in similar(store, cases[0], ADMIN, least=-1)] == [cases[n].id for n in expected]
