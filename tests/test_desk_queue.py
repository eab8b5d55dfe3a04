"""The queue: what comes first, what is asked for, how many there are, views; a page of it is read from an index."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from db.cases import Asked
from db.desk import STATES, View
from db.errors import InputError
from db.filters import Filter
from db.records import Verdict
from db.store import Store
from jobs.desk import acts
from tests.cli_rig import configure, said, sentimon, told
from tests.desk_rig import ANN, cases
from tests.support import HOUR, MINUTE, NOW, judge, keep, mention, rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "posts.db") as opened:
        yield opened


def post(store: Store, number: int, text: str = "acme is awful", brand: str = "Acme", source: str = "x") -> None:
    keep(store, mention(number, text, NOW + (number - 10) * MINUTE, source), brands=[brand])


def opened(store: Store) -> None:
    """Open a case for each post, all alike."""
    judge(store)
    with store.transaction():
        for match in store.mentions.every(Filter()):
            store.cases.open(match, None, "a test", 1.0, NOW, due=NOW + HOUR)


def asked(store: Store, now: Any = NOW, **more: Any) -> list[int]:
    question = Asked(**more)
    found = [case.id for case in store.cases.queue(question, now, 99)]
    assert store.cases.total(question, now) == len(found)
    return found


def test_what_is_most_urgent_comes_first_then_what_is_due_then_what_is_worst(store: Store) -> None:
    order = [
        ("urgent", 2, 1.0),
        ("urgent", 3, 1.0),
        ("high", 1, 1.0),
        ("normal", 1, 9.0),
        ("normal", 1, 2.0),
        ("low", 0, 9.0),
    ]
    for number in range(len(order)):
        post(store, number)
    judge(store)
    with store.transaction():
        for match, (level, due, priority) in zip(store.mentions.of(range(1, 7)), reversed(order), strict=True):
            store.cases.open(match, None, "a test", priority, NOW, level=level, due=NOW + due * HOUR)
    found = store.cases.queue(Asked(), NOW, 99)
    assert [(case.level, case.due, case.priority) for case in found] == [
        (level, NOW + due * HOUR, priority) for level, due, priority in order
    ]
    assert store.cases.queue(Asked(), NOW, 2, 3) == found[3:5]


def test_every_part_of_a_question_narrows_it(store: Store) -> None:
    post(store, 1, "acme charged twice")
    post(store, 2, 'love acme, buy "it now"', source="reddit")
    post(store, 3, "bolt is awful", brand="Bolt")
    opened(store)
    with store.transaction():
        acts.claim(store, 2, ANN, NOW)
        for tag in ("vip", "press"):
            acts.tag(store, 3, ANN, NOW, tag=tag)
        acts.escalate(store, 3, ANN, NOW)
        store.cases.set_due(3, NOW - MINUTE)
    assert asked(store) == [3, 1, 2]
    for more, expected in (
        ({"brands": ("Bolt",)}, [3]),
        ({"brands": ("\0",)}, []),
        ({"sources": ("reddit",)}, [2]),
        ({"states": ("claimed",)}, [2]),
        ({"states": ("new", "claimed")}, [3, 1, 2]),
        ({"levels": ("high", "urgent")}, [3]),
        ({"levels": ("huge",)}, []),
        ({"assignee": "ANN"}, [2]),
        ({"unassigned": True}, [3, 1]),
        ({"overdue": True}, [3]),
        ({"escalated": True}, [3]),
        ({"tags": ("vip",)}, [3]),
        ({"tags": ("vip", "none")}, []),
        ({"sentiments": ("positive",)}, [2]),
        ({"stages": ("purchase",)}, [2]),
        ({"pillars": ("process",)}, [1]),
        ({"touchpoints": ("store",)}, []),
        ({"text": "twice charged"}, [1]),
        ({"text": '"it now"'}, [2]),
        ({"text": "awful AND ( * \" \0 ' --"}, []),
        ({"since": NOW - 8 * MINUTE}, [3, 2]),
        ({"until": NOW - 8 * MINUTE}, [1]),
        ({"alert_id": 7}, []),
    ):
        assert asked(store, **more) == expected, more


def test_closed_cases_are_shown_where_they_are_asked_for_the_last_first(store: Store) -> None:
    cases(store, 3)
    with store.transaction():
        acts.dismiss(store, 1, ANN, NOW + HOUR, reason="not about us")
        acts.replied_by_hand(store, 2, ANN, NOW + 2 * HOUR)
        store.verdicts.give([Verdict(1, "ann", NOW, {}, about=False)])
    assert asked(store) == [3]
    assert asked(store, states=("replied", "dismissed")) == [2, 1]
    assert asked(store, states=("dismissed",)) == [1]
    assert sorted(asked(store, states=STATES)) == [1, 2, 3]


def test_a_post_that_is_not_about_the_brand_waits_for_no_answer(store: Store) -> None:
    cases(store, 2)
    for about, expected in ((False, [2]), (True, [1, 2])):
        with store.transaction():
            store.verdicts.give([Verdict(1, "ann", NOW + about * HOUR, {}, about=about)])
        assert asked(store) == expected
        assert store.cases.counts(Asked(), NOW)["open"] == len(expected) == store.cases.count()


def test_the_tabs_count_what_they_show(store: Store) -> None:
    found = cases(store, 6)
    with store.transaction():
        acts.claim(store, 1, ANN, NOW)
        acts.assign(store, 2, ANN, NOW, to=ANN.name)
        acts.snooze(store, 3, ANN, NOW, until=NOW + HOUR)
        acts.dismiss(store, 4, ANN, NOW, reason="spam")
        acts.escalate(store, 5, ANN, NOW)
        for case in found:
            store.cases.set_due(case.id, NOW + 30 * MINUTE)
    of_tab: dict[str, dict[str, Any]] = {
        "open": {},
        "mine": {"assignee": "ann"},
        "unassigned": {"unassigned": True},
        "overdue": {"overdue": True},
        "escalated": {"escalated": True},
        **{state: {"states": (state,)} for state in ("snoozed", "new", "claimed", "waiting", "reopened")},
    }
    for now in (NOW, NOW + 45 * MINUTE, NOW + HOUR):
        counts = store.cases.counts(Asked(brands=("Acme",), states=("replied",), overdue=True), now, "Ann")
        assert counts == {tab: len(asked(store, now, **more)) for tab, more in of_tab.items()}
    assert counts["open"] == 5
    assert store.cases.counts(Asked(brands=("Bolt",)), NOW, "ann") == dict.fromkeys(of_tab, 0)
    assert store.cases.counts(Asked(text="awful 1"), NOW)["open"] == 1


def plan_of(store: Store, ask: Callable[[], object]) -> list[str]:
    """How the question that is asked last is answered."""
    statements: list[str] = []
    store._db.conn.set_trace_callback(statements.append)
    ask()
    store._db.conn.set_trace_callback(None)
    asked = [statement for statement in statements if "FROM cases c" in statement or "FROM matches k" in statement]
    return [detail for *_, detail in rows(store.path, f"EXPLAIN QUERY PLAN {asked[-1]}")]


def test_a_page_of_the_queue_is_read_from_an_index_in_its_order(store: Store) -> None:
    cases(store, 3)
    for question, index in (
        (Asked(), "cases_open"),
        (Asked(brands=("Acme",)), "cases_open"),
        (Asked(states=("claimed",)), "cases_open"),
        (Asked(states=("replied",)), "cases_closed"),
    ):
        plan = plan_of(store, partial(store.cases.queue, question, NOW, 50))
        assert index in plan[0]
        assert [line for line in plan if "FOR ORDER BY" in line] == [], plan
    for ask, index in (
        (partial(store.cases.asleep, NOW, 1), "cases_asleep"),
        (partial(store.cases.unheard, NOW, 1), "cases_leased"),
        (partial(store.cases.without_due, 1), "cases_undue"),
        (partial(store.cases.untriaged, NOW, 1), "matches_untriaged"),
    ):
        assert index in plan_of(store, ask)[0]


def test_the_command_shows_level_time_and_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    configure(tmp_path)
    with Store(tmp_path / "posts.db") as store:
        cases(store, 3, level="high", due=NOW + HOUR)
        with store.transaction():
            acts.claim(store, 2, ANN, NOW)
            acts.tag(store, 2, ANN, NOW, tag="vip")
            acts.dismiss(store, 3, ANN, NOW, reason="spam")
    table = said(sentimon("queue"), "queue")
    assert "2 of 2 posts to answer, the most urgent first" in table
    assert "high" in table
    assert [case["case"] for case in told("queue")] == [1, 2]
    (mine,) = told("queue", "--mine", "ann", "--state", "claimed")
    assert json.dumps(mine)
    shown = {key: mine[key] for key in ("case", "state", "level", "due", "assignee", "tags", "reason", "version")}
    assert shown == {
        "case": 2,
        "state": "claimed",
        "level": "high",
        "due": "2026-03-04T13:00:00Z",
        "assignee": "ann",
        "tags": ["vip"],
        "reason": "a test",
        "version": 1,
    }
    assert [case["dismissed_for"] for case in told("queue", "--state", "dismissed")] == ["spam"]
    assert "No such posts." in said(sentimon("queue", "--mine", "bob"), "queue")


def test_views_are_kept_by_owner_and_name_and_shared(store: Store) -> None:
    with store.transaction():
        first = store.views.save("ann", " Loud   ones ", "?level=urgent")
        store.views.save("ann", "mine", "mine=1")
        shared = store.views.save("bob", "Press", "tag=press", shared=True)
        store.views.save("bob", "own", "")
        again = store.views.save("ann", "Loud ones", "level=high")
    assert again.id == first.id
    assert store.views.of("ann") == [again, View(2, "mine", "ann", "mine=1"), shared]
    assert store.views.of("eve") == [shared]
    with store.transaction():
        assert not store.views.delete(shared.id, "ann")
        assert store.views.delete(again.id, "ann")
    assert [view.name for view in store.views.of("ann")] == ["mine", "Press"]


@pytest.mark.parametrize(
    ("name", "query"), [("", "a=b"), ("x" * 61, ""), ("a\0b", ""), ("a", "b" * 2001), ("a", "b\r\nc")]
)
def test_a_view_that_cannot_be_shown_is_refused(store: Store, name: str, query: str) -> None:
    with pytest.raises(InputError, match="a view"), store.transaction():
        store.views.save("ann", name, query)
