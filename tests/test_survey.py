"""Surveys: links that only we can make, a page that shows and keeps as little as it can, answers told by channel."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from db.desk import Reply, Survey, User
from db.errors import InputError
from db.store import Store
from jobs.desk.care import felt
from jobs.desk.surveys import CHANGEABLE, COMMENT, GOOD_FOR, found, link, with_link
from tests.case_rig import SITE, answer, case_of, pages
from tests.hostile import HOSTILE
from tests.support import DAY, HOUR, MINUTE, NOW

URL = "https://desk.example"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store(folder / "posts.db") as store:
        yield store


def offered(store: Store, number: int = 1, kind: str = "csat", **more: object) -> tuple[str, Reply]:
    """The path of a survey's page, and the reply that it was offered with."""
    case = case_of(store, number, "a secret complaint about acme", NOW - 2 * HOUR, **more)
    reply = answer(store, case, "a secret answer", survey=kind)
    with store.transaction():
        return link(store, reply, URL, NOW).removeprefix(URL), reply


def kept(store: Store, reply: Reply) -> Survey:
    with store.transaction():
        return store.surveys.offer(reply.id, "", "", "csat", NOW)


def give(client: TestClient, path: str, **fields: str) -> int:
    return int(client.post(path, data=fields).status_code)


def test_a_reply_has_one_link_however_often_it_is_tried(store: Store) -> None:
    path, reply = offered(store)
    with store.transaction():
        assert link(store, reply, f"{URL}/", NOW + HOUR) == URL + path
    assert len(path) < 100


def test_a_survey_that_reached_nobody_was_not_offered_and_asks_what_the_reply_says_in_the_end(store: Store) -> None:
    path, reply = offered(store)
    with store.transaction():
        failed = store.replies.save(replace(reply, state="failed"))
    assert store.surveys.tallies((), (), NOW - DAY, NOW + DAY) == []
    with store.transaction():
        sent = store.replies.save(replace(failed, state="sent", survey="ces"))
        assert link(store, sent, URL, NOW + HOUR) == URL + path
    (tally,) = store.surveys.tallies((), (), NOW - DAY, NOW + DAY)
    assert (tally.kind, tally.offered, tally.answered) == ("ces", 1, 0)


def test_a_reply_without_a_survey_gets_no_link(store: Store) -> None:
    reply = answer(store, case_of(store, 1))
    with pytest.raises(InputError, match="offers no survey"), store.transaction():
        link(store, reply, URL, NOW)


def test_the_question_stands_behind_the_reply() -> None:
    text = with_link("We are sorry.\n", "csat", f"{URL}/s/x")
    assert text == f"We are sorry.\n\nHow satisfied are you with our answer? {URL}/s/x"


def test_a_link_is_good_for_thirty_days_and_for_nobody_who_guesses(store: Store) -> None:
    path, _ = offered(store)
    token = path.removeprefix("/s/")
    assert found(store, token, NOW + GOOD_FOR - MINUTE) is not None
    assert found(store, token, NOW + GOOD_FOR) is None
    for wrong in ("", token[:-1], token + "x", "x" * 10_000, "W1sxXV0.abc"):
        assert found(store, wrong, NOW) is None


def test_an_alerts_link_answers_no_survey(store: Store) -> None:
    from monitor.links import links

    offered(store)
    alert = links(URL, store, NOW).alert(1) or ""
    assert found(store, alert.partition("token=")[2], NOW) is None


@pytest.mark.parametrize(("kind", "highest"), [("csat", 5), ("ces", 7)])
def test_the_page_asks_with_words_and_thanks(store: Store, folder: Path, kind: str, highest: int) -> None:
    path, reply = offered(store, kind=kind)
    with pages(folder, SITE) as client:
        page = client.get(path)
        assert page.text.count('type="radio"') == highest
        assert "Acme" in page.text
        answered = client.post(path, data={"score": str(highest), "comment": "quick & kind"})
        assert answered.status_code == 303
        thanks = client.get(f"{path}?thanks=1").text
        assert "Thank you" in thanks
        assert "Very" in thanks
    survey = kept(store, reply)
    assert (survey.score, survey.comment, survey.answered_at, survey.kind) == (highest, "quick & kind", NOW, kind)


def test_the_page_tells_nothing_of_the_case_and_keeps_nothing_of_its_reader(store: Store, folder: Path) -> None:
    path, _ = offered(store, author="poor@example")
    with pages(folder, SITE, user=User(0, "ann", "admin")) as client:
        client.cookies.clear()
        for answered in (client.get(path), client.post(path, data={"score": "4"}), client.get(f"{path}?thanks=1")):
            assert "set-cookie" not in answered.headers
            for secret in ("secret", "poor@example", "case", "x.com", "script"):
                assert secret not in answered.text, secret
        assert re.findall(r'(?:href|src|action)="(?!\.\./(?:static|s)/|data:,)([^"]*)"', client.get(path).text) == []


def test_looking_answers_nothing_whoever_looks(store: Store, folder: Path) -> None:
    path, reply = offered(store)
    with pages(folder, SITE) as client:
        for method in ("GET", "HEAD"):
            for query in ("", "?score=5", "?thanks=1"):
                assert client.request(method, path + query).status_code == 200
    assert kept(store, reply).answered_at is None


def test_an_answer_can_be_changed_for_an_hour_and_stays_one(store: Store, folder: Path) -> None:
    path, reply = offered(store)
    with pages(folder, SITE) as client:
        assert give(client, path, score="1", comment="bad") == 303
    with pages(folder, SITE, now=NOW + CHANGEABLE) as client:
        assert give(client, path, score="4") == 303
    with pages(folder, SITE, now=NOW + CHANGEABLE + timedelta(seconds=1)) as client:
        assert give(client, path, score="5") == 409
        assert "You have answered already" in client.get(path).text
        assert "radio" not in client.get(path).text
    survey = kept(store, reply)
    assert (survey.score, survey.comment, survey.answered_at) == (4, "", NOW)
    (tally,) = store.surveys.tallies((), (), NOW - DAY, NOW + DAY)
    assert (tally.offered, tally.scores) == (1, ((4, 1),))


@pytest.mark.parametrize("score", ["", "0", "6", "99", "-1", "five", "٣", "5 "])
def test_a_score_that_is_none_is_asked_for_again_with_what_was_typed(store: Store, folder: Path, score: str) -> None:
    path, reply = offered(store)
    with pages(folder, SITE) as client:
        refused = client.post(path, data={"score": score, "comment": "typed <already>"})
    assert refused.status_code == 422
    assert "Choose one of the answers" in refused.text
    assert "typed &lt;already&gt;" in refused.text
    assert kept(store, reply).answered_at is None


def test_a_link_that_is_not_good_says_so(folder: Path) -> None:
    with pages(folder, SITE) as client:
        for path in ("/s/nonsense", "/s/" + "x" * 3000):
            assert client.get(path).status_code == 404
            assert "not good any more" in client.get(path).text
            assert give(client, path, score="5") == 404


def test_no_comment_acts_on_the_page_of_the_team(store: Store, folder: Path) -> None:
    texts = {name: text for name, text in HOSTILE.items() if len(text) < 3_000}
    with pages(folder, SITE, now=NOW + MINUTE, user=User(0, "ann", "admin")) as client:
        for number, (name, text) in enumerate(texts.items()):
            path, reply = offered(store, number)
            sent = client.post(path, data={"score": "2", "comment": text.encode("utf-8", "replace").decode()})
            assert sent.status_code == 303, name
            assert len(kept(store, reply).comment) <= COMMENT
            page = client.get("/care").text
            assert "<script>alert" not in page, name
            assert "<img src=x" not in page, name
            assert "\u202e" not in page, name


def test_channels_are_told_apart_with_n_and_interval(store: Store, folder: Path) -> None:
    for number in range(12):
        path, _ = offered(store, number, "csat" if number < 8 else "ces", source="x" if number < 8 else "reddit")
        with pages(folder, SITE) as client:
            give(client, path, score="5" if number < 6 else "2")
    told = {(t.source, t.kind): felt(t) for t in store.surveys.tallies((), (), NOW - DAY, NOW + DAY)}
    assert {key: (one.good.count, one.good.of) for key, one in told.items()} == {
        ("x", "csat"): (6, 8),
        ("reddit", "ces"): (0, 4),
    }
    assert told["x", "csat"].mean == pytest.approx(4.25)
    with pages(folder, SITE, now=NOW + MINUTE, user=User(0, "ann", "admin")) as client:
        page = client.get("/care").text
    assert "75%" in page
    assert "41% to 93%" in page
    assert "n = 8: few of 8 asked" in " ".join(page.split())


def test_a_forgotten_persons_words_go_and_their_score_stays(store: Store, folder: Path) -> None:
    path, reply = offered(store, author="ann")
    with pages(folder, SITE) as client:
        give(client, path, score="3", comment="my address is …")
        with store.transaction():
            store.forgotten.forget("x", "ann", NOW)
        assert (kept(store, reply).score, kept(store, reply).comment) == (3, "")
        give(client, path, score="4", comment="again")
    assert (kept(store, reply).score, kept(store, reply).comment) == (4, "")
