"""The page /alerts: what goes on and what is over, filters, who sees what; and acting as somebody who is logged in."""

import re
from dataclasses import replace

import pytest

from db.desk import Session, User
from db.store import Store
from db.tokens import hashed
from tests.cli_rig import NOW
from tests.support import DAY, HOUR
from tests.test_web import Page
from tests.web_rig import SPIKE, Rig, rig
from tests.web_visitor import Answer, Visitor

__all__ = ["rig"]

OVER = replace(SPIKE, starts=NOW - 3 * DAY, last_seen=NOW - 3 * DAY, ends=NOW - 3 * DAY + HOUR)
KEYS = {"rob": "robs", "eve": "eves"}


@pytest.fixture
def team(rig: Rig) -> dict[str, Visitor]:
    """Rob responds to everything, Eve to Initech alone."""
    with Store(rig.folder / "posts.db") as store, store.transaction():
        for name, brands in (("rob", None), ("eve", ("Initech",))):
            made = store.users.add(User(0, name, "responder", brands), None, NOW)
            store.sessions.add(Session(hashed(KEYS[name]), made.id, NOW, NOW, NOW + DAY))
    return {name: Visitor(rig.url, cookies={"sentimon_session": key}) for name, key in KEYS.items()}


def shown(answer: Answer) -> list[int]:
    """The numbers of the alerts on a page, in its order."""
    assert answer.status == 200
    return [int(number) for number in re.findall(r'<a href="\./alerts/(\d+)"><bdi>', answer.text)]


def test_what_goes_on_comes_first_the_worst_before_the_rest(rig: Rig, team: dict[str, Visitor]) -> None:
    rig.raised(
        OVER,
        replace(SPIKE, rule="volume spike", severity="warning"),
        replace(SPIKE, rule="share shift", severity="critical", starts=NOW - DAY, taken_by="ann", scope="source x"),
        replace(OVER, scope="source x", held="inhibited: part of alert 1, negative spike"),
        replace(OVER, rule="single post", scope="x 0", held="silenced by ann", starts=NOW - 4 * DAY),
    )
    answer = team["rob"].get("/alerts")
    assert shown(answer) == [3, 2, 1, 5]
    words = Page(answer.text).words
    assert "taken by ann" in words
    assert "silenced" in words
    assert answer.text.count("Take it<") == 1
    assert shown(team["rob"].get("/alerts?parts=yes")) == [3, 2, 4, 1, 5]


def test_filters_are_in_the_address(rig: Rig, team: dict[str, Visitor]) -> None:
    rig.raised(SPIKE, replace(SPIKE, brand="Initech", severity="high"), replace(OVER, rule="volume spike"))
    rob = team["rob"]
    for query, numbers in (
        ("", [1, 2, 3]),
        ("brand=Initech", [2]),
        ("brand=Acme&brand=Initech", [1, 2, 3]),
        ("rule=volume+spike", [3]),
        ("severity=high", [2]),
        ("severity=critical&brand=Acme&rule=negative+spike", [1]),
        ("brand=&rule=&severity=", [1, 2, 3]),
        ("brand=%3Cscript%3E&rule='%3B--", []),
    ):
        assert shown(rob.get(f"/alerts?{query}")) == numbers, query
    page = Page(rob.get("/alerts?brand=%3Cscript%3E").text)
    assert "script" not in page.tags
    assert "Nothing is out of the ordinary among these." in page.words
    for query in ("page=0", "page=x", "page=99999999999999999999"):
        assert rob.get(f"/alerts?{query}").status == 400


def test_many_that_are_over_are_on_several_pages(rig: Rig, team: dict[str, Visitor]) -> None:
    rig.raised(SPIKE, *[replace(OVER, starts=OVER.starts - n * HOUR) for n in range(120)])
    rob, pages, path = team["rob"], [], "/alerts?brand=Acme"
    while path:
        answer = rob.get(path)
        pages.append(shown(answer))
        found = re.search(r'<a class="button" href="\.(/alerts[^"]+)">Older', answer.text)
        path = found[1].replace("&amp;", "&") if found else ""
    assert [len(page) for page in pages] == [51, 50, 20]
    assert [number for page in pages for number in page] == list(range(1, 122))


def test_a_brand_that_somebody_may_not_see_has_no_alerts_for_them(rig: Rig, team: dict[str, Visitor]) -> None:
    rig.raised(SPIKE, replace(SPIKE, brand="Initech"), replace(SPIKE, brand="", rule="stale source", scope="x-main"))
    eve = team["eve"]
    assert shown(team["rob"].get("/alerts")) == [3, 2, 1]
    for query in ("", "?brand=Acme&brand=Initech"):
        assert shown(eve.get(f"/alerts{query}")) == [2]
    assert shown(eve.get("/alerts?brand=Acme")) == []
    for path in ("/alerts/1", "/alerts/1/chart.svg", "/alerts/3", "/alerts/99"):
        assert (eve.get(path).status, eve.get(path).text) == (
            404,
            "There is no such alert, or nothing to draw of it.\n",
        )
    assert eve.press("/alerts/1", do="take").status == 404
    assert rig.alert().taken_by is None
    status = eve.get("/status.json").text
    assert "Acme" not in status.partition('"brands"')[2]
    assert "Acme" not in eve.get("/alerts/2").text
    linked = eve.get(f"/alerts/1?token={rig.token()}")  # whoever has the link may, logged in or not
    assert (linked.status, "Take it" in linked.text) == (200, True)


def test_whoever_is_logged_in_acts_in_their_own_name(rig: Rig, team: dict[str, Visitor]) -> None:
    rig.raised(SPIKE)
    rob = team["rob"]
    assert 'name="who"' not in rob.get("/alerts/1").text
    assert rob.press("/alerts/1", do="take", who="the pope").leads == "/alerts/1"
    assert rig.alert().taken_by == "rob"
    for do in ("noise", "1 hour"):
        assert rob.press("/alerts/1", do=do, note="the launch").status == 303
    with Store(rig.folder / "posts.db") as store:
        said = store.alerts.said()[1]
    assert (said.who, said.word, said.note) == ("rob", "noise", "the launch")
    assert [silence.author for silence in rig.silences()] == ["rob"]


def test_without_login_or_link_nobody_sees_or_acts(rig: Rig, team: dict[str, Visitor]) -> None:
    rig.raised(SPIKE)
    old, stranger, before = rig.token(age=15 * DAY), Visitor(rig.url), rig.stored()
    assert stranger.get("/alerts/1").leads == "/login?next=/alerts/1"
    assert stranger.get("/alerts/1/chart.svg").status == 303
    assert stranger.get("/alerts/99").leads == "/login?next=/alerts/99"  # nobody learns which there are
    for token in ("x", old):
        answer = stranger.get(f"/alerts/1?token={token}")
        assert (answer.status, "not good any more" in answer.text, "Acme" in answer.text) == (403, True, False)
        assert stranger.send("/alerts/1", {"do": "take", "token": token}).status == 403
    assert stranger.send("/alerts/1", {"do": "take"}).status == 403
    assert team["rob"].send("/alerts/1", {"do": "take"}).status == 403  # without the token of a form
    assert rig.ask("POST", "/alerts/1", b"do=take", {"Content-Type": "application/x-www-form-urlencoded"}).status == 403
    assert rig.stored() == before
    linked = stranger.get(f"/alerts/1?token={rig.token()}")
    assert (linked.status, "Log out" in linked.text) == (200, False)
    assert stranger.get(f"/alerts/1/chart.svg?token={rig.token()}").status == 200
    assert stranger.send("/alerts/1", {"do": "take", "token": rig.token(), "who": "Kim"}).status == 303
    assert rig.alert().taken_by == "Kim"
