"""The pages /account and /users, and the link to a first password. A real server on a free port."""

import re
from html import unescape
from urllib.parse import urlsplit

import pytest

from db.store import Store
from tests.support import DAY
from tests.test_login import Place, place, serve
from tests.test_web import Page
from tests.web_visitor import PASSWORD, Visitor, quick, user

__all__ = ["place", "quick", "serve"]
pytestmark = pytest.mark.usefixtures("quick")

OTHER = "quite another sentence"


def invited(place: Place, admin: Visitor, name: str, do: str = "add", **more: str) -> str:
    """Make a link to a first password; return its path."""
    page = admin.press("/users", do=do, name=name, **more).text
    found = re.search(r'<code class="key">([^<]+)</code>', page)
    assert found, Page(page).words
    link = urlsplit(unescape(found[1]))
    return f"{link.path}?{link.query}"


# --- users ------------------------------------------------------------------------------------------------------------


def test_an_admin_adds_somebody_who_chooses_a_password_by_a_link_that_is_good_once(place: Place) -> None:
    link = invited(place, place.inside(), "bob", role="responder", some="yes", brand="Acme")
    bob = place.visitor()
    assert "Welcome, bob" in Page(bob.get(link).text).words
    token = link.partition("token=")[2]
    for password, again, why in (("short", "short", "12 to 1000 characters"), (OTHER, PASSWORD, "differ")):
        answer = bob.press("/invite", token=token, password=password, again=again)
        assert (answer.status, why in answer.text) == (400, True)
    assert bob.press("/invite", token=token, password=OTHER, again=OTHER).status == 303
    assert "Role: responder. Brands: Acme" in Page(bob.get("/account").text).words
    assert place.visitor().get(link).status == 403
    assert place.visitor().press("/invite", token=token, password=PASSWORD, again=PASSWORD).status == 403
    assert place.visitor().login("bob", OTHER).status == 303


def test_a_link_ends_after_three_days_with_the_next_password_and_with_its_user(place: Place) -> None:
    ann = place.inside()
    link = invited(place, ann, "bob", role="viewer")
    for bad in (link[:-2], link + "x", "/invite?token=", "/invite", "/invite?token=" + "a" * 5000):
        assert place.visitor().get(bad).status == 403
    ann.press("/users", do="disable", name="bob")
    assert place.visitor().get(link).status == 403
    ann.press("/users", do="enable", name="bob")
    assert place.visitor().get(link).status == 200
    place.now += 3 * DAY
    assert place.visitor().get(link).status == 403


def test_an_admin_changes_and_disables_and_the_last_one_stays(place: Place) -> None:
    ann = place.inside()
    ann.press("/users", do="add", name="bob", role="viewer", password=OTHER)
    bob = place.visitor()
    assert bob.login("bob", OTHER).status == 303
    ann.press("/users", do="change", name="bob", role="approver", some="yes", brand=["Acme"])
    assert "Role: approver. Brands: Acme" in Page(bob.get("/account").text).words
    ann.press("/users", do="end", name="bob")
    assert bob.get("/account").status == 303
    assert bob.login("bob", OTHER).status == 303
    ann.press("/users", do="disable", name="bob")
    assert bob.get("/account").status == 303
    assert bob.login("bob", OTHER).status == 403
    for fields in ({"do": "disable"}, {"do": "change", "role": "viewer"}):
        answer = ann.press("/users", name="ann", **fields)
        assert (answer.status, "Ann is the last admin" in answer.text) == (400, True)


def test_forms_that_make_no_sense_are_told(place: Place) -> None:
    ann = place.inside()
    for fields, why in (
        ({"do": "add", "name": "ANN", "role": "viewer"}, "already"),
        ({"do": "add", "name": "x", "role": "boss"}, "There is no role"),
        ({"do": "add", "name": "", "role": "viewer"}, "A name has 1 to 60"),
        ({"do": "add", "name": "x", "role": "viewer", "some": "yes"}, "at least one brand"),
        ({"do": "change", "name": "eve", "role": "viewer"}, "No user"),
        ({"do": "", "name": "ann"}, "Nothing was chosen"),
        ({"do": "drop"}, "No user"),
    ):
        answer = ann.press("/users", **fields)
        assert (answer.status, why in unescape(answer.text)) == (400, True), (fields, Page(answer.text).words)
    ann.press("/users", do="add", name="<script>alert(1)</script>", role="viewer", password=OTHER)
    page = Page(ann.get("/users").text)
    assert "<script>alert(1)</script>" in page.words
    assert "script" not in page.tags


# --- one's own account ------------------------------------------------------------------------------------------------


def test_devices_are_listed_and_ended(place: Place) -> None:
    here, there, third = place.inside(), place.inside(), place.inside()
    page = here.get("/account", User_Agent="x").text
    keys = re.findall(r'name="which" value="([0-9a-f]{64})"', page)
    assert len(keys) == 2
    assert Page(page).words.count("this device") == 1
    assert here.press("/account", do="end", which=keys[0]).leads == "/account"
    assert [each.get("/account").status for each in (there, third)].count(303) == 1
    assert here.press("/account", do="end", which=keys[0]).status == 400
    place.inside()
    assert here.press("/account", do="end others").status == 303
    assert here.get("/account").status == 200
    assert "Log out everywhere else" not in here.get("/account").text


def test_nobody_ends_the_sessions_and_tokens_of_others(place: Place) -> None:
    user(place.folder, "bob", "viewer")
    ann, bob = place.inside(), place.inside("bob")
    ann.press("/account", do="token", name="sheet", scope="read", life="30 days")
    with Store(place.folder / "posts.db") as store:
        (session,) = store.sessions.of_user(1)
    assert bob.press("/account", do="end", which=session.key).status == 400
    assert bob.press("/account", do="revoke", which="1").status == 400
    assert ann.get("/account").status == 200
    assert "sheet" in Page(ann.get("/account").text).words


def test_a_password_is_changed_with_the_old_one_and_ends_the_other_sessions(place: Place) -> None:
    here, there = place.inside(), place.inside()
    for old, new, again, why in (
        ("wrong", OTHER, OTHER, "old password is wrong"),
        (PASSWORD, OTHER, "x", "differ"),
        (PASSWORD, "short", "short", "12 to 1000"),
    ):
        answer = here.press("/account", do="password", old=old, password=new, again=again)
        assert (answer.status, why in answer.text) == (400, True)
    done = here.press("/account", do="password", old=PASSWORD, password=OTHER, again=OTHER)
    assert done.leads == "/account?done=password"
    assert "Your password is changed" in here.get("/account?done=password").text
    assert there.get("/account").status == 303
    assert (place.visitor().login("ann").status, place.visitor().login("ann", OTHER).status) == (403, 303)


def test_an_unlocked_device_does_not_find_out_the_password(place: Place) -> None:
    here = place.inside()
    statuses = [
        here.press("/account", do="password", old=f"guess {n}", password=OTHER, again=OTHER).status for n in range(6)
    ]
    assert statuses == [400] * 5 + [429]


def test_a_token_is_made_with_no_more_than_its_owner_may_and_shown_once(place: Place) -> None:
    user(place.folder, "bob", "viewer")
    bob = place.inside("bob")
    page = bob.press("/account", do="token", name="sheet", scope="read", life="90 days").text
    (key,) = re.findall(r'<code class="key">(sm_[^<]+)</code>', page)
    assert key not in bob.get("/account").text
    assert "good until 2026-06-02, never used" in Page(bob.get("/account").text).words
    for fields in ({"scope": "admin"}, {"scope": "desk"}, {}, {"scope": "read", "life": "for ever"}):
        assert bob.press("/account", **{"do": "token", "name": "x", "life": "30 days"} | fields).status == 400
    assert bob.press("/account", do="revoke", which="1").status == 303
    assert "None yet." in Page(bob.get("/account").text).words
