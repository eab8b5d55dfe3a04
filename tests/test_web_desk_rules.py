"""The page of the desk's rules: tried before they are kept, ordered, switched off, and only by approvers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from db.desk import Conditions, Rule
from jobs.desk.rules import save
from tests.support import judge as judge_all
from tests.support import keep, let_go, mention
from tests.web_desk_rig import Desk, desk, soup, start, text
from tests.web_visitor import Answer

__all__ = ["desk"]


RIVAL = '[[brands]]\nname = "Rival"\nquery = "rival"\nrole = "competitor"'


@pytest.fixture
def rivals(folder: Path) -> Iterator[Desk]:
    made = start(folder, RIVAL)
    yield made
    let_go(made.server)


def rules(desk: Desk) -> list[Rule]:
    with desk.store as store:
        return store.rules.all()


def test_a_rule_is_tried_on_what_was_posted_before_it_is_kept(desk: Desk) -> None:
    with desk.store as store:
        keep(store, *(mention(n, f"acme is awful {n}") for n in range(23)), mention("fine", "love acme"))
        judge_all(store)
    lea = desk.who("lea")
    tried = lea.press("/desk/rules", do="try", name="Loud", sentiment="negative", level="high")
    assert tried.status == 200
    assert "It would have matched 23 posts in the last 30 days" in text(tried)
    assert "acme is awful" in text(tried)
    assert rules(desk) == []
    assert lea.press("/desk/rules", do="save", name="Loud", sentiment="negative", level="high").status == 303
    (kept,) = rules(desk)
    assert (kept.name, kept.when.sentiments, kept.level) == ("Loud", ("negative",), "high")
    assert "negative → then level high" in text(lea.get("/desk/rules"))


def test_rules_are_ordered_switched_off_changed_and_removed(desk: Desk) -> None:
    lea = desk.who("lea")
    for name in ("A", "B", "C"):
        lea.press("/desk/rules", do="save", name=name, followers="1,000", tag="Loud", assignee="ann")

    def move(do: str, number: int) -> None:
        assert lea.press("/desk/rules", do=do, id=str(number), seen=seen(desk, number)).status == 303

    move("up", 3)
    move("down", 1)
    assert [rule.name for rule in rules(desk)] == ["C", "A", "B"]
    move("disable", 1)
    assert [rule.enabled for rule in rules(desk)] == [True, False, True]
    assert "1000" in str(soup(lea.get("/desk/rules?edit=1")).select_one('input[name="followers"]'))
    lea.press("/desk/rules", do="save", id="1", seen=seen(desk), name="A2", query="refund OR money", ignore="1")
    changed = rules(desk)[1]
    assert (changed.name, changed.when.query, changed.ignore, changed.enabled) == ("A2", "refund OR money", True, False)
    move("enable", 1)
    move("remove", 2)
    assert [rule.name for rule in rules(desk)] == ["C", "A2"]


def seen(desk: Desk, number: int = 1, who: str = "lea") -> str:
    """Open the form of a rule, and return which version of the rule it shows."""
    page = soup(desk.who(who).get(f"/desk/rules?edit={number}"))
    field = page.select_one("form:has(input[name='name']) input[name='seen']")
    assert field
    return str(field["value"])


@pytest.fixture
def two(desk: Desk) -> Desk:
    """A rule, and a second approver."""
    with desk.store as store, store.transaction():
        save(store, Rule(0, "Loud", Conditions(sentiments=("negative",)), level="high"))
        bob = store.users.named("bob")
        assert bob is not None
        store.users.save(replace(bob, role="approver"))
    return desk


def test_of_two_who_change_a_rule_the_second_sees_both_and_overwrites_nothing_unseen(two: Desk) -> None:
    old = seen(two, who="bob")
    assert two.who("lea").press("/desk/rules", do="save", id="1", seen=old, name="Loud", followers="900").status == 303
    typed = {"id": "1", "name": "Quiet", "sentiment": "positive", "tag": "praise"}
    refused = two.who("bob").press("/desk/rules", do="save", seen=old, **typed)
    assert refused.status == 409
    assert "Somebody has changed this rule meanwhile" in text(refused)
    assert "at least 900 followers" in text(refused)
    form = BeautifulSoup(refused.text, "html.parser").select_one("form:has(input[name='name'])")
    assert form
    assert form.select_one('input[name="name"][value="Quiet"]')
    assert form.select_one('input[name="sentiment"][value="positive"][checked]')
    (kept,) = rules(two)
    assert (kept.name, kept.when.followers) == ("Loud", 900)
    now = str(form.select('input[name="seen"]')[0]["value"])
    assert two.who("bob").press("/desk/rules", do="save", seen=now, **typed).status == 303
    assert [(rule.name, rule.tag) for rule in rules(two)] == [("Quiet", "praise")]


def test_to_try_a_rule_or_be_refused_does_not_make_an_old_page_new(two: Desk) -> None:
    old, bob = seen(two, who="bob"), two.who("bob")
    two.who("lea").press("/desk/rules", do="save", id="1", seen=old, name="Loud", followers="900")
    for fields in ({"do": "try", "name": "Quiet"}, {"do": "try", "name": ""}):
        answer = bob.press("/desk/rules", id="1", seen=old, sentiment="positive", **fields)
        assert f'name="seen" value="{old}"' in answer.text, fields
    assert bob.press("/desk/rules", do="save", id="1", name="Quiet", sentiment="positive").status == 409
    assert [rule.name for rule in rules(two)] == ["Loud"]


def test_what_was_typed_on_a_rule_that_is_gone_is_kept_as_a_new_one(two: Desk) -> None:
    old = seen(two, who="bob")
    two.who("lea").press("/desk/rules", do="remove", id="1", seen=old)
    refused = two.who("bob").press("/desk/rules", do="save", id="1", seen=old, name="Mine", sentiment="positive")
    assert (refused.status, rules(two)) == (409, [])
    assert "This rule is not there any more" in text(refused)
    form = BeautifulSoup(refused.text, "html.parser")
    assert form.select_one('input[name="name"][value="Mine"]')
    assert not form.select('input[name="id"]')


def test_a_rule_that_was_switched_off_or_moved_meanwhile_stays_so(two: Desk) -> None:
    old = seen(two, who="bob")
    two.who("lea").press("/desk/rules", do="disable", id="1", seen=old)
    changed = two.who("bob").press("/desk/rules", do="save", id="1", seen=old, name="Quiet", sentiment="positive")
    assert changed.status == 303
    assert [(rule.name, rule.enabled) for rule in rules(two)] == [("Quiet", False)]


@pytest.mark.parametrize("do", ["up", "down", "disable", "enable", "remove"])
def test_a_button_of_an_old_page_does_nothing_to_a_rule_that_says_something_else_by_now(two: Desk, do: str) -> None:
    lea, bob = two.who("lea"), two.who("bob")
    lea.press("/desk/rules", do="save", name="Other", followers="5")
    buttons = soup(bob.get("/desk/rules")).select('.rule-list input[name="seen"]')
    assert [str(each["value"]) for each in buttons] == [seen(two, 1), seen(two, 2)]
    lea.press("/desk/rules", do="save", id="1", seen=seen(two), name="Prizes", query="prize")
    kept = rules(two)
    for stale in ({"seen": str(buttons[0]["value"])}, {}):
        refused = bob.press("/desk/rules", do=do, id="1", **stale)
        assert refused.status == 409
        assert "Somebody has changed this rule meanwhile" in text(refused)
        assert "Prizes" in text(refused)
        assert rules(two) == kept


def test_a_rule_that_cannot_be_used_is_refused_with_what_was_typed(desk: Desk) -> None:
    lea = desk.who("lea")
    lea.press("/desk/rules", do="save", name="Taken", sentiment="negative")
    for fields in (
        {"name": "", "sentiment": "negative"},
        {"name": "Nothing said"},
        {"name": "Taken", "sentiment": "positive"},
        {"name": "Bad query", "query": "refund AND ("},
        {"name": "Bad number", "followers": "many"},
        {"name": "Bad label", "stage": "nirvana"},
        {"name": "Nobody", "sentiment": "negative", "assignee": "vera"},
        {"name": "Both", "sentiment": "negative", "ignore": "1", "level": "high"},
    ):
        for do in ("save", "try") if fields["name"] != "Taken" else ("save",):
            refused = lea.press("/desk/rules", do=do, **fields)
            assert refused.status == 400, fields
            assert fields["name"] in refused.text
    assert [rule.name for rule in rules(desk)] == ["Taken"]


def test_a_rule_whose_user_has_gone_can_still_be_changed(desk: Desk) -> None:
    with desk.store as store, store.transaction():
        save(store, Rule(0, "all", Conditions(sources=("x",)), assignee="ann"))
        ann = store.users.named("ann")
        assert ann is not None
        store.users.save(replace(ann, role="viewer"))
    page = desk.who("lea").get("/desk/rules?edit=1")
    assert page.status == 200
    assert "ann is no user who answers posts" in text(page)
    assert 'value="all"' in page.text


def brands_offered(page: Answer) -> list[str]:
    return [str(box["value"]) for box in soup(page).select('input[name="brand"]')]


def test_a_rule_is_offered_no_competitor_but_one_that_it_names_already(rivals: Desk) -> None:
    """Nobody answers their posts: such a rule catches nothing, and its preview could not say why."""
    lea = rivals.who("lea")
    page = lea.get("/desk/rules")
    assert brands_offered(page) == ["Acme", "Zenith"]
    assert "Competitors' posts are not answered" in text(page)
    with rivals.store as store, store.transaction():
        save(store, Rule(0, "old", Conditions(brands=("Rival",))))
    assert brands_offered(lea.get("/desk/rules?edit=1")) == ["Acme", "Zenith", "Rival"]
    assert brands_offered(lea.get("/desk/rules")) == ["Acme", "Zenith"]


def test_rules_are_for_approvers(desk: Desk) -> None:
    for name in ("ann", "vera", "zoe"):
        assert desk.who(name).get("/desk/rules").status == 403
        assert desk.who(name).press("/desk/rules", do="save", name="x", sentiment="negative").status == 403
    assert rules(desk) == []
    assert desk.who("lea").get("/desk/rules?edit=7").status == 404


def test_hostile_names_of_rules_are_harmless(desk: Desk) -> None:
    lea = desk.who("lea")
    lea.press("/desk/rules", do="save", name="<script>alert(1)</script>", sentiment="negative", tag="<b>")
    page = lea.get("/desk/rules")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text
