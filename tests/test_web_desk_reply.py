"""Replies on the page of a case: drafted, approved, sent back, marked as done by hand; and what nobody knows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from jobs.desk.answer import draft
from tests.support import NOW, let_go
from tests.web_desk_rig import Desk, soup, start, text

SOURCE = """[desk]
approval = true
survey = "csat"

[[sources]]
name = "fedi"
kind = "mastodon"
instance = "https://social.example"
access_token = "atokenofmany"
replies = true
"""


@pytest.fixture
def team(folder: Path) -> Iterator[Desk]:
    """A team where another person approves replies, which can be sent to Mastodon and nowhere else."""
    made = start(folder, SOURCE)
    yield made
    let_go(made.server)


def test_a_reply_waits_for_another_person_and_is_sent_when_they_approve(team: Desk) -> None:
    team.open("acme is awful", source="mastodon")
    assert team.press("ann", "submit", text="Sorry, dora!", survey="csat").leads == "/desk?did=submitted&of=1"
    assert (team.case().state, team.replies()[0].state, team.replies()[0].survey) == ("waiting", "waiting", "csat")
    own = soup(team.who("ann").get("/desk/cases/1"))
    assert not own.select('button[value="approve"]')
    assert own.select('button[value="withdraw"]')
    assert team.press("bob", "approve").status == 403
    assert "Sorry, dora!" in text(team.who("lea").get("/desk/cases/1"))
    assert team.press("lea", "approve").status == 303
    assert (team.replies()[0].state, team.replies()[0].decided_by) == ("queued", "lea")


def test_a_reply_that_is_sent_back_tells_its_author_why(team: Desk) -> None:
    team.open("acme is awful", source="mastodon")
    team.press("ann", "submit", text="Whatever.")
    assert team.press("lea", "send back").status == 400
    assert team.press("lea", "send back", remark="Be <i>kind</i>.").status == 303
    page = team.who("ann").get("/desk/cases/1")
    assert "Sent back by lea : Be <i>kind</i>." in text(page)
    area = soup(page).select_one("#text")
    assert area
    assert area.get_text() == "Whatever."
    assert team.press("ann", "submit", text="So sorry!").status == 303
    assert [reply.state for reply in team.replies()] == ["waiting"]


def test_a_reply_that_is_too_long_for_the_platform_is_not_taken(team: Desk) -> None:
    team.open("acme is awful", source="mastodon")
    area = soup(team.who("ann").get("/desk/cases/1")).select_one("#text")
    assert area
    assert int(str(area["data-longest"])) <= 500
    refused = team.press("ann", "submit", text="a" * 600)
    assert refused.status == 400
    assert "too long" in text(refused)
    assert "a" * 600 in refused.text
    assert team.replies() == []


def test_where_nothing_can_be_sent_the_page_says_why_and_leads_there(team: Desk) -> None:
    team.open("acme is awful", source="reddit")
    page = soup(team.who("ann").get("/desk/cases/1"))
    assert not page.select('button[value="submit"]')
    link = page.select_one('a.button.primary[target="_blank"]')
    assert link
    assert link["href"] == "https://x.example/post"
    assert "Replies on reddit are not set up here" in page.get_text()
    assert "Left empty, only the fact that it was answered is kept." in page.get_text()
    assert team.press("ann", "by hand", text="We called her.").status == 303
    assert team.case().state == "replied"
    assert "We called her." in text(team.who("bob").get("/desk/cases/1"))


def test_an_answer_on_the_platform_itself_keeps_the_text_above_and_says_so(team: Desk) -> None:
    team.open("acme is awful", "acme is worse", source="mastodon")
    page = soup(team.who("ann").get("/desk/cases/1"))
    fold = page.select_one('details:has(button[value="by hand"])')
    assert fold
    assert "Left empty, only the fact that it was answered is kept." in fold.get_text()
    for number, said in ((1, ""), (2, "We called her.")):
        team.press("ann", "draft", number, text="Sorry!")
        assert team.press("ann", "by hand", number, text=said).status == 303
        assert [(one.state, one.text) for one in team.replies(number)] == [("by hand", said)]


def test_an_answer_whose_text_is_not_kept_is_nobody_elses_draft_when_it_is_done_anyway(team: Desk) -> None:
    (case,) = team.open("acme is awful", source="mastodon")
    with team.store as store, store.transaction():  # a program's: nobody holds the case
        drafted = store.users.named("bob") or pytest.fail("nobody")
        draft(store, case.id, drafted, NOW, text="We pay you 500.")
    refused = team.press("ann", "by hand", text="", reply_version="0")
    assert refused.status == 409
    form = BeautifulSoup(refused.text, "html.parser").select_one("form:has(button.primary)")
    assert form
    fields = {str(field["name"]): str(field["value"]) for field in form.select("input") if field["name"] != "csrf"}
    assert team.who("ann").press("/desk/cases/1", **fields).status == 303
    assert [(one.state, one.author, one.text) for one in team.replies()] == [("by hand", "ann", "")]


def test_of_a_reply_that_nobody_knows_of_a_person_says_what_became(team: Desk) -> None:
    team.open("acme is awful", "acme is worse", source="mastodon")
    for number, do, state in ((1, "say sent", "sent"), (2, "say not sent", "draft")):
        team.press("ann", "draft", number, text="Sorry!")
        team.reply_is("unknown", number)
        page = team.who("bob").get(f"/desk/cases/{number}")
        assert "Nobody knows whether this was sent" in text(page)
        assert not soup(page).select("#text")
        assert team.press("ann", "dismiss", number, reason="spam").status == 400
        assert team.press("bob", do, number).status == 303
        assert team.replies(number)[0].state == state
    assert team.case(1).state == "replied"


def test_a_saved_reply_is_filled_in_without_scripts_too(team: Desk) -> None:
    team.open("acme is awful", source="mastodon", author="dora@social.example")
    team.open("zenith is awful", brand="Zenith")
    lea = team.who("lea")
    assert lea.press("/desk/snippets", name="Sorry", text="Hi {author}, sorry about {brand}! {me}").status == 303
    assert lea.press("/desk/snippets", name="Of Zenith", text="From Zenith", brand="Zenith").status == 303
    page = soup(team.who("ann").get("/desk/cases/1"))
    assert [str(button["data-insert"]) for button in page.select("[data-insert]")] == ["Hi dora, sorry about Acme! ann"]
    area = soup(team.who("ann").get("/desk/cases/1?use=1")).select_one("#text")
    assert area
    assert area.get_text() == "Hi dora, sorry about Acme! ann"
    foreign = soup(team.who("ann").get("/desk/cases/1?use=2")).select_one("#text")
    assert foreign
    assert foreign.get_text() == ""


def test_what_was_said_to_a_post_before_can_be_used_again(team: Desk) -> None:
    team.open("acme is awful", "acme is worse", source="mastodon")
    team.open("zenith is awful", brand="Zenith")
    team.press("ann", "by hand", 1, text="Sorry, we fixed it.")
    area = soup(team.who("ann").get("/desk/cases/2?like=1")).select_one("#text")
    assert area
    assert area.get_text() == "Sorry, we fixed it."
    assert team.who("zoe").get("/desk/cases/3?like=1").status == 404
