"""What was worked out of the database is remembered until something is stored, and never a moment longer."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from db.desk import User
from db.records import Verdict
from db.store import Store
from monitor.web.answers import MOST, Answers
from monitor.web.pool import Pool
from tests.case_rig import SITE, log_in, pages
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


def posts(pool: Pool) -> int:
    with pool.lend() as store:
        return store.mentions.counts()[0]


def test_a_question_is_asked_once_while_nothing_is_stored(pool: Pool) -> None:
    answers, asked = Answers(pool.version), []
    for _ in range(3):
        assert answers.of("posts", lambda: asked.append(1) or posts(pool)) == 1
    assert len(asked) == 1
    assert answers.of("others", lambda: "something else") == "something else"


def test_whatever_anybody_stores_ends_every_answer(pool: Pool, tmp_path: Path) -> None:
    answers = Answers(pool.version)
    assert answers.of("posts", lambda: posts(pool)) == 1
    with Store(tmp_path / "posts.db") as store:  # another process, as far as SQLite knows
        keep(store, mention(2))
    assert answers.of("posts", lambda: posts(pool)) == 2
    with pool.lend() as store:  # a page
        keep(store, mention(3))
    assert answers.of("posts", lambda: posts(pool)) == 3


def test_what_is_stored_while_an_answer_is_found_ends_it(pool: Pool, tmp_path: Path) -> None:
    answers = Answers(pool.version)

    def find() -> int:
        found = posts(pool)
        with Store(tmp_path / "posts.db") as store:
            keep(store, mention(2))
        return found

    assert answers.of("posts", find) == 1
    assert answers.of("posts", lambda: posts(pool)) == 2


def test_who_comes_while_an_answer_is_found_waits_for_it() -> None:
    answers, asked, together = Answers(lambda: 1), [], Barrier(8)

    def ask(_: int) -> int:
        together.wait()
        return answers.of("posts", lambda: asked.append(1) or len(asked))

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(8))) == {1}
    assert len(asked) == 1


def test_a_failure_is_not_remembered() -> None:
    answers = Answers(lambda: 1)

    def fail() -> int:
        raise ValueError

    with pytest.raises(ValueError):
        answers.of("posts", fail)
    assert answers.of("posts", lambda: 1) == 1


def test_only_the_answers_found_last_are_kept() -> None:
    answers, asked = Answers(lambda: 1), list[int]()
    for number in (*range(MOST + 1), MOST, 0):
        answers.of(number, lambda number=number: asked.append(number))  # type: ignore[misc]
    assert asked == [*range(MOST + 1), 0]


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
