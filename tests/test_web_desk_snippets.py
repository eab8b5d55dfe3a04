"""The page of saved replies: who changes them, who sees which, and two people at one."""

from dataclasses import replace

import pytest
from bs4 import BeautifulSoup

from db.desk import Snippet
from tests.support import NOW
from tests.web_desk_rig import Desk, desk, soup, text

__all__ = ["desk"]


def seen(desk: Desk, who: str = "lea") -> str:
    """Open the form of the first saved reply, and return which version of it the form shows."""
    page = soup(desk.who(who).get("/desk/snippets?edit=1"))
    field = page.select_one("form:has(input[name='name']) input[name='seen']")
    assert field
    return str(field["value"])


def kept(desk: Desk) -> list[tuple[str, str, str | None]]:
    with desk.store as store:
        return [(one.name, one.text, one.brand) for one in store.snippets.all()]


@pytest.fixture
def two(desk: Desk) -> Desk:
    """A saved reply, and a second approver."""
    with desk.store as store, store.transaction():
        store.snippets.save(Snippet(0, "Sorry", "Sorry!", None, "lea", NOW))
        bob = store.users.named("bob")
        assert bob is not None
        store.users.save(replace(bob, role="approver"))
    return desk


def test_saved_replies_are_changed_by_approvers_and_read_by_all(desk: Desk) -> None:
    lea = desk.who("lea")
    lea.press("/desk/snippets", name="Sorry", text="Sorry!")
    for fields, why in (
        ({"name": "Sorry", "text": "again"}, "already"),
        ({"name": " ", "text": "x"}, "name"),
        ({"name": "x", "text": "Hi {surname}"}, "no variable"),
        ({"name": "x", "text": "long " * 2_000}, "at most"),
    ):
        refused = lea.press("/desk/snippets", **fields)
        assert refused.status == 400
        assert why in text(refused)
        assert fields["text"].strip()[:50] in refused.text
    assert lea.press("/desk/snippets", id="1", seen=seen(desk), name="Sorry", text="So sorry!").status == 303
    assert "So sorry!" in text(desk.who("vera").get("/desk/snippets"))
    assert not soup(desk.who("ann").get("/desk/snippets")).select('main form[method="post"]')
    assert desk.who("ann").press("/desk/snippets", id="1", do="remove").status == 403
    assert lea.press("/desk/snippets", id="1", seen=seen(desk), do="remove").status == 303
    with desk.store as store:
        assert store.snippets.all() == []


def test_snippets_of_brands_that_somebody_may_not_see_are_not_there(desk: Desk) -> None:
    with desk.store as store, store.transaction():
        store.snippets.save(Snippet(0, "Of Acme", "From Acme", "Acme", "lea", NOW))
    assert "From Acme" not in desk.who("zoe").get("/desk/snippets").text
    assert desk.who("zoe").get("/desk/snippets?edit=1").status == 404


def test_of_two_who_change_a_saved_reply_the_second_sees_both_and_overwrites_nothing_unseen(two: Desk) -> None:
    old, bob = seen(two, "bob"), two.who("bob")
    lea = two.who("lea").press("/desk/snippets", id="1", seen=old, name="Sorry", text="We are\nso sorry!", brand="Acme")
    assert lea.status == 303
    typed = {"id": "1", "name": "Pardon", "text": "Pardon us!"}
    refused = bob.press("/desk/snippets", seen=old, **typed)
    assert refused.status == 409
    assert "Somebody has changed this saved reply meanwhile" in text(refused)
    there = BeautifulSoup(refused.text, "html.parser").select_one(".notice.warning")
    assert there
    assert " ".join(there.get_text(" ").split()) == "Sorry Acme We are so sorry! by lea , 2026-03-04 12:00"
    form = BeautifulSoup(refused.text, "html.parser").select_one("form:has(input[name='name'])")
    assert form
    assert form.select_one('input[name="name"][value="Pardon"]')
    assert "Pardon us!" in form.get_text()
    assert kept(two) == [("Sorry", "We are\nso sorry!", "Acme")]
    now = str(form.select('input[name="seen"]')[0]["value"])
    assert bob.press("/desk/snippets", seen=now, **typed).status == 303
    assert kept(two) == [("Pardon", "Pardon us!", None)]


def test_a_saved_reply_without_the_version_that_was_seen_changes_none(two: Desk) -> None:
    assert two.who("bob").press("/desk/snippets", id="1", name="Sorry", text="No.").status == 409
    assert kept(two) == [("Sorry", "Sorry!", None)]


def test_to_be_refused_does_not_make_an_old_form_of_a_saved_reply_new(two: Desk) -> None:
    old = seen(two, "bob")
    two.who("lea").press("/desk/snippets", id="1", seen=old, name="Sorry", text="So sorry!")
    refused = two.who("bob").press("/desk/snippets", id="1", seen=old, name="Sorry", text="Hi {surname}")
    assert (refused.status, f'name="seen" value="{old}"' in refused.text) == (400, True)


def test_what_was_typed_on_a_saved_reply_that_is_gone_is_kept_as_a_new_one(two: Desk) -> None:
    old = seen(two, "bob")
    assert two.who("lea").press("/desk/snippets", do="remove", id="1", seen=old).status == 303
    refused = two.who("bob").press("/desk/snippets", id="1", seen=old, name="Mine", text="My words")
    assert (refused.status, kept(two)) == (409, [])
    assert "This saved reply is not there any more" in text(refused)
    form = BeautifulSoup(refused.text, "html.parser").select_one("form:has(input[name='name'])")
    assert form
    assert "My words" in form.get_text()
    assert not form.select('input[name="id"]')
    assert two.who("bob").press("/desk/snippets", name="Mine", text="My words").status == 303
    assert kept(two) == [("Mine", "My words", None)]


def test_the_button_of_an_old_page_removes_no_saved_reply_that_says_something_else_by_now(two: Desk) -> None:
    (button,) = soup(two.who("bob").get("/desk/snippets")).select('li form input[name="seen"]')
    old = seen(two)
    assert str(button["value"]) == old
    two.who("lea").press("/desk/snippets", id="1", seen=old, name="Sorry", text="So sorry!")
    for stale in ({"seen": old}, {}):
        refused = two.who("bob").press("/desk/snippets", do="remove", id="1", **stale)
        assert refused.status == 409
        assert "Somebody has changed this saved reply meanwhile, and nothing was done." in text(refused)
        assert "So sorry!" in text(refused)
        assert kept(two) == [("Sorry", "So sorry!", None)]
