"""What was worked out of the database is remembered until something is stored, and never a moment longer."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest

from db.desk import User
from db.errors import InputError
from db.records import Verdict
from db.store import Store
from monitor.web.answers import MOST, Answers
from monitor.web.pool import Pool
from tests.case_rig import SITE, log_in, pages
from tests.cli_rig import wait_until
from tests.support import NOW, judge, keep, mention

ANN, VERA = User(0, "ann", "approver"), User(0, "vera", "viewer", brands=("Acme",))
BOLT = '[[brands]]\nname = "Bolt"\nquery = "bolt"\n'
ASKED = (
    "/?days=7",
    "/compare?days=7",
    "/posts",
    "/charts/brands.csv?days=7",
    "/api/v1/overview?days=7",
    "/api/v1/journey",
)


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Store(tmp_path / "posts.db") as store:
        keep(store, mention(1))
    pool = Pool(tmp_path / "posts.db")
    yield pool
    pool.close()


def posts(store: Store) -> int:
    return store.mentions.counts()[0]


def test_a_question_is_asked_once_while_nothing_is_stored(pool: Pool) -> None:
    answers, asked = Answers(pool), []
    for _ in range(3):
        assert answers.of("posts", lambda store: asked.append(1) or posts(store)) == 1
    assert len(asked) == 1
    assert answers.of("others", lambda _: "something else") == "something else"


@pytest.mark.parametrize("turns", [True, False])
def test_whatever_anybody_stores_ends_every_answer(pool: Pool, tmp_path: Path, turns: bool) -> None:
    answers = Answers(pool, turns=turns)
    assert answers.of("posts", posts) == 1
    with Store(tmp_path / "posts.db") as store:  # another process, as far as SQLite knows
        keep(store, mention(2))
    assert answers.of("posts", posts) == 2
    with pool.lend() as store:  # a page
        keep(store, mention(3))
    assert answers.of("posts", posts) == 3


def test_what_is_stored_while_an_answer_is_found_ends_it(pool: Pool, tmp_path: Path) -> None:
    answers = Answers(pool)

    def find(store: Store) -> int:
        found = posts(store)
        with Store(tmp_path / "posts.db") as other:
            keep(other, mention(2))
        return found

    assert answers.of("posts", find) == 1
    assert answers.of("posts", posts) == 2


@pytest.mark.parametrize("turns", [True, False])
def test_who_comes_while_an_answer_is_found_waits_for_it(pool: Pool, turns: bool) -> None:
    answers, asked, together = Answers(pool, turns=turns), [], Barrier(8)

    def ask(_: int) -> int:
        together.wait()
        return answers.of("posts", lambda _: asked.append(1) or len(asked))

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(8))) == {1}
    assert len(asked) == 1


def test_an_answer_may_ask_for_another(pool: Pool) -> None:
    answers = Answers(pool)
    assert answers.of("twice", lambda _: 2 * answers.of("posts", posts)) == 2


def test_a_failure_is_not_remembered(pool: Pool) -> None:
    answers = Answers(pool)

    def fail(_: Store) -> int:
        raise ValueError

    with pytest.raises(ValueError):
        answers.of("posts", fail)
    assert answers.of("posts", posts) == 1


def test_only_the_answers_found_last_are_kept(pool: Pool) -> None:
    answers, asked = Answers(pool), list[int]()
    for number in (*range(MOST + 1), MOST, 0):
        answers.of(number, lambda _, number=number: asked.append(number))  # type: ignore[misc]
    assert asked == [*range(MOST + 1), 0]


@contextmanager
def kept_fresh(answers: Answers) -> Iterator[None]:
    over = Event()
    thread = Thread(target=answers.keep_fresh, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)
        assert not thread.is_alive()


def ask_twice(answers: Answers, question: str, find: Callable[[Store], object]) -> None:
    for _ in range(2):
        answers.of(question, find)


def test_what_is_asked_again_and_again_is_found_anew_before_anybody_asks(pool: Pool, tmp_path: Path) -> None:
    answers, found = Answers(pool), list[int]()

    def find(store: Store) -> int:
        found.append(posts(store))
        return found[-1]

    ask_twice(answers, "posts", find)
    with kept_fresh(answers), Store(tmp_path / "posts.db") as store:
        for number in (2, 3):
            keep(store, mention(number))
            assert wait_until(10, lambda number=number: found[-1] == number)  # type: ignore[misc]
        before = list(found)
        assert answers.of("posts", find) == 3
        assert found == before


def test_what_nobody_asked_for_lately_is_left_alone(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, found, once = Answers(pool), list[str](), list[str]()
    ask_twice(answers, "whole", lambda _: answers.of("part", lambda _: found.append("part")))
    answers.of("once", lambda _: once.append("once"))
    monkeypatch.setattr("monitor.web.answers.LATELY", 1.0)
    with kept_fresh(answers), Store(tmp_path / "posts.db") as store:
        keep(store, mention(2))
        assert wait_until(10, lambda: len(found) == 2)
        time.sleep(1.2)  # a part of what is found again is nobody's question
        keep(store, mention(3))
        time.sleep(0.5)
    assert len(found) == 2
    assert once == ["once"]


def test_what_cannot_be_found_again_keeps_nothing_else_from_it(pool: Pool, tmp_path: Path) -> None:
    answers, found = Answers(pool), list[int]()

    def fail(store: Store) -> int:
        if posts(store) > 1:
            raise InputError("no more")
        return 1

    ask_twice(answers, "fails", fail)
    ask_twice(answers, "posts", lambda store: found.append(posts(store)))
    with kept_fresh(answers), Store(tmp_path / "posts.db") as store:
        keep(store, mention(2))
        assert wait_until(10, lambda: found[-1] == 2)
    with pytest.raises(InputError):
        answers.of("fails", fail)


def test_a_correction_is_on_the_next_page_of_everybody(folder: Path) -> None:
    with Store(folder / "posts.db") as store:
        keep(store, *(mention(n, "acme is awful", NOW, author=f"a{n}") for n in range(3)))
        judge(store)
        with pages(folder, SITE, user=ANN) as client:
            for _ in range(2):
                page = client.get("/api/v1/overview?brand=Acme").json()
                assert page["totals"]["counts"]["negative"] == 3
            assert client.get("/posts?brand=Acme&sentiment=negative").text.count('class="post"') == 3
            with store.transaction():
                store.verdicts.give([Verdict(1, "eve", NOW, {"sentiment": "positive"})])
            page = client.get("/api/v1/overview?brand=Acme").json()
            assert (page["totals"]["counts"]["negative"], page["totals"]["counts"]["positive"]) == (2, 1)
            assert client.get("/posts?brand=Acme&sentiment=negative").text.count('class="post"') == 2


def test_what_one_may_see_is_never_shown_to_another(folder: Path) -> None:
    with Store(folder / "posts.db") as store:
        keep(store, *(mention(n, "acme is awful", author=f"a{n}") for n in range(3)))
        keep(store, mention(9, "bolt is awful", author="b"), brands=("Bolt",))
        judge(store)
    with pages(folder, SITE + BOLT) as client:
        seen = {}
        for user in (ANN, VERA, ANN, VERA):  # the last two find what was remembered of the first two
            log_in(folder, client, user)
            seen[user.name] = [client.get(path).text for path in ASKED]
        assert all("bolt" in page.lower() for page in seen["ann"])
        assert [path for path, page in zip(ASKED, seen["vera"], strict=True) if "bolt" in page.lower()] == []
