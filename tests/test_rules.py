"""The desk's rules: which posts they are for, which of them counts, what cannot be one, what one would have caught."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db.cases import Asked
from db.desk import Conditions, Rule, User
from db.errors import InputError
from db.records import Match, Reach
from db.store import Store
from jobs.desk import rules
from jobs.desk.triage import Triaging, triage
from jobs.group import group
from tests.desk_rig import users
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention

POST = Match(
    1,
    "Acme",
    mention(1, "acme lost my refund", reach=Reach(12_000)),
    sentiment="negative",
    stage="use",
    reply="yes",
    pillar="process",
    touchpoint="email",
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened:
        yield opened


def save(store: Store, name: str, when: Conditions, **more: Any) -> Rule:
    with store.transaction():
        return rules.save(store, Rule(0, name, when, **more))


@pytest.mark.parametrize(
    ("fits", "fails"),
    [
        ({"brands": ("Bolt", "Acme")}, {"brands": ("Bolt",)}),
        ({"sources": ("x",)}, {"sources": ("reddit",)}),
        ({"sentiments": ("negative",)}, {"sentiments": ("positive", "neutral")}),
        ({"stages": ("use",)}, {"stages": ("none",)}),
        ({"pillars": ("process",)}, {"pillars": ("people",)}),
        ({"touchpoints": ("email",)}, {"touchpoints": ("store",)}),
        ({"replies": ("yes",)}, {"replies": ("no",)}),
        ({"followers": 12_000}, {"followers": 12_001}),
        ({"query": "refund NOT parcel"}, {"query": '"my parcel"'}),
    ],
)
def test_a_rule_is_for_posts_of_which_all_holds_that_it_says(fits: Mapping[str, Any], fails: Mapping[str, Any]) -> None:
    assert rules.agrees(Conditions(**fits), POST)
    assert not rules.agrees(Conditions(**fails), POST)
    other: dict[str, Any] = {"followers": 1} if "brands" in fits else {"brands": ("Acme",)}
    assert rules.agrees(Conditions(**fits, **other), POST)
    assert not rules.agrees(Conditions(**fails, **other), POST)


def test_a_post_without_labels_or_followers_agrees_with_no_rule_about_these() -> None:
    bare = Match(1, "Acme", mention(1))
    assert not rules.agrees(Conditions(sentiments=("negative",)), bare)
    assert not rules.agrees(Conditions(followers=1), bare)
    assert rules.agrees(Conditions(query="fine"), bare)


def test_of_the_enabled_rules_the_first_counts_in_the_order_that_they_are_given(store: Store) -> None:
    one, two, three = (save(store, name, Conditions(sources=("x",)), level="high") for name in ("one", "two", "three"))
    assert [rule.position for rule in store.rules.all()] == [1, 2, 3]
    assert rules.first(store.rules.all(), POST) == one
    with store.transaction():
        store.rules.order([three.id, two.id])
    assert [rule.name for rule in store.rules.all()] == ["three", "two", "one"]
    with store.transaction():
        store.rules.save(replace(three, enabled=False))
    assert [rule.name for rule in store.rules.all(enabled_only=True)] == ["two", "one"]
    first = rules.first(store.rules.all(), POST)
    assert first is not None
    assert first.name == "two"
    with store.transaction():
        assert store.rules.delete(two.id)
        assert not store.rules.delete(two.id)
    assert rules.first(store.rules.all(), POST) == store.rules.get(one.id)
    assert rules.first([], POST) is None


def test_the_number_of_a_rule_that_was_removed_is_no_other_rules(store: Store) -> None:
    first = save(store, "complaints", Conditions(sentiments=("negative",)), level="high")
    keep(store, mention(1, "acme is awful"))
    judge(store)
    group(store)
    triage(store, Triaging(["Acme"]), NOW)
    (case,) = store.cases.queue(Asked(), NOW, 9)
    assert case.rule_id == first.id
    with store.transaction():
        assert store.rules.delete(first.id)
    assert save(store, "contests", Conditions(query="prize")).id == first.id + 1
    assert store.rules.get(first.id) is None
    assert save(store, "more", Conditions(query="win")).id == first.id + 2


def test_a_rule_is_read_back_as_it_was_kept(store: Store) -> None:
    users(store)
    when = Conditions(("Acme",), ("x",), ("negative",), ("use",), ("people",), ("store",), ("yes",), 10, "a OR b")
    kept = save(store, "  all   of it ", when, level="urgent", assignee="ANN", tag="#VIP")
    assert kept == replace(kept, name="all of it", assignee="ann", tag="vip")
    assert store.rules.get(kept.id) == kept
    with store.transaction():
        changed = rules.save(store, replace(kept, when=Conditions(followers=1), level=None, assignee=None, tag=None))
    assert store.rules.get(kept.id) == changed


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (Rule(0, " ", Conditions(followers=1)), "a rule has a name of 1 to 60 characters"),
        (Rule(0, "x" * 61, Conditions(followers=1)), "a rule has a name"),
        (Rule(0, "a\nb\0", Conditions(followers=1)), "a rule has a name"),
        (Rule(0, "r", Conditions()), "rule r: say at least one thing of the posts that it is for"),
        (Rule(0, "r", Conditions(sentiments=("bad",))), "rule r: 'bad' is no sentiment; choose from negative"),
        (Rule(0, "r", Conditions(stages=("buy",))), "'buy' is no stage"),
        (Rule(0, "r", Conditions(pillars=("price",))), "'price' is no pillar"),
        (Rule(0, "r", Conditions(touchpoints=("phone",))), "'phone' is no touchpoint"),
        (Rule(0, "r", Conditions(replies=("maybe",))), "'maybe' is no reply"),
        (Rule(0, "r", Conditions(followers=0)), "followers is a number above 0"),
        (Rule(0, "r", Conditions(query="(acme")), "rule r: query: unbalanced parenthesis"),
        (Rule(0, "r", Conditions(query="acme AND")), "rule r: query: AND needs a word after it"),
        (Rule(0, "r", Conditions(query="")), "rule r: query: it is empty"),
        (Rule(0, "r", Conditions(followers=1), level="huge"), "a level is one of low, normal, high, urgent"),
        (Rule(0, "r", Conditions(followers=1), tag="#"), "a tag has 1 to 40 characters"),
        (Rule(0, "r", Conditions(followers=1), assignee="zoe"), "rule r: zoe is no user who answers posts"),
        (Rule(0, "r", Conditions(followers=1), assignee="eve"), "rule r: eve is no user who answers posts"),
        (Rule(0, "r", Conditions(("Acme",)), assignee="ned"), "rule r: ned does not see Acme"),
        (Rule(0, "r", Conditions(followers=1), level="low", ignore=True), "a rule that opens no case gives no level"),
    ],
)
def test_what_cannot_be_a_rule_is_told_in_one_line(store: Store, rule: Rule, complaint: str) -> None:
    users(store)
    users(store, User(0, "ned", "responder", brands=("Bolt",)))
    with pytest.raises(InputError) as told, store.transaction():
        rules.save(store, rule)
    assert complaint in str(told.value)
    assert "\n" not in str(told.value)
    assert store.rules.all() == []


def test_no_two_rules_have_one_name(store: Store) -> None:
    save(store, "Loud", Conditions(followers=1))
    other = save(store, "other", Conditions(followers=1))
    with pytest.raises(InputError, match="there is a rule loud already"):
        save(store, "loud", Conditions(followers=2))
    with pytest.raises(InputError, match="there is a rule Loud already"), store.transaction():
        rules.save(store, replace(other, name="Loud"))
    assert [rule.name for rule in store.rules.all()] == ["Loud", "other"]


def test_a_preview_tells_what_a_rule_would_have_caught_and_what_another_has_first(store: Store) -> None:
    far = Reach(20_000)
    keep(store, *(mention(n, f"acme is awful {n}", NOW - n * MINUTE, reach=far) for n in range(25)))
    keep(store, mention("old", "acme is awful", NOW - 31 * DAY, reach=far))
    keep(store, mention("few", "acme is awful", reach=Reach(5)))
    keep(store, mention("gone", "acme is awful", reach=far))
    keep(store, mention("bolt", "bolt is awful", reach=far), brands=["Bolt"])
    keep(store, mention("press", "press: acme is awful", reach=far))
    judge(store)
    with store.transaction():
        store.forgotten.erase_named("x", ["gone"], NOW, "deleted")
    save(store, "press", Conditions(query="press"))
    loud = Rule(0, "loud", Conditions(sentiments=("negative",), followers=10_000))
    shown = rules.preview(store, loud, NOW)
    assert (shown.since, shown.looked_at, shown.caught) == (NOW - 30 * DAY, 28, 26)
    assert shown.by_brand == {"Acme": 25, "Bolt": 1}
    assert shown.taken == {"press": 1}
    assert [match.mention.created_at for match in shown.newest] == sorted(
        (match.mention.created_at for match in shown.newest), reverse=True
    )
    assert {match.mention.source_id for match in shown.newest} == {"bolt", *map(str, range(19))}
    assert rules.preview(store, loud, NOW, ["Bolt"]).by_brand == {"Bolt": 1}
    only_acme = replace(loud, when=replace(loud.when, brands=("Acme",)))
    assert rules.preview(store, only_acme, NOW, ["Bolt"]).caught == 0
    assert rules.preview(store, only_acme, NOW).caught == 25


def test_a_preview_catches_what_triage_then_does(store: Store) -> None:
    text = "acme took my money twice and nobody answers my letters, what am i to do about it now?"
    keep(store, mention(1, text), mention(2, text, NOW + MINUTE), mention(3, "rt acme is odd", repost_of="9"))
    keep(store, mention(4, "acme is quite another thing"), mention(5, "bolt is not ours", source="reddit"))
    keep(store, mention(6, "bolt is odd"), brands=["Bolt"])
    judge(store)
    group(store)
    rule = Rule(0, "all", Conditions(sources=("x",)))
    shown = rules.preview(store, rule, NOW + HOUR, ["Acme"])
    with store.transaction():
        rules.save(store, rule)
    triage(store, Triaging(["Acme"]), NOW + HOUR)
    caught = [case.match.mention.source_id for case in store.cases.queue(Asked(), NOW + HOUR, 9)]
    assert sorted(caught) == sorted(match.mention.source_id for match in shown.newest) == ["1", "4"]


def test_a_rule_that_is_kept_is_tried_in_its_place(store: Store) -> None:
    keep(store, mention(1, "acme is awful"))
    judge(store)
    first = save(store, "first", Conditions(sources=("x",)))
    second = save(store, "second", Conditions(sources=("x",)))
    assert rules.preview(store, first, NOW).caught == 1
    shown = rules.preview(store, second, NOW)
    assert (shown.caught, shown.taken) == (0, {"first": 1})
