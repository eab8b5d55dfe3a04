"""What the desk looks at again: posts found to be about the brand or not, edited, written back to; rules that fail."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db.cases import Asked
from db.desk import Case, Conditions, Reply, Rule, User
from db.records import Reach, Verdict
from db.store import Store
from jobs.desk import acts, answer, rules
from tests.desk_rig import ANN, LEA, happened, look, users
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention
from tests.test_triage import alert_takes


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened:
        yield opened


def queue(store: Store, **asked: Any) -> list[Case]:
    return store.cases.queue(Asked(**asked), NOW, 99)


def say(store: Store, match_id: int, about: bool = True, **labels: str) -> None:
    with store.transaction():
        store.verdicts.give([Verdict(match_id, "ann", NOW, labels, about=about)])


def hide(store: Store, hidden: bool) -> None:
    with store.transaction():
        store.rematching.hide([1], hidden)


def one(store: Store, case_id: int = 1) -> Case:
    case = store.cases.get(case_id)
    assert case is not None
    return case


def test_a_post_that_is_about_us_after_all_is_looked_at_again(store: Store) -> None:
    keep(store, mention(1, "acme, how?"), mention(2, "acme, why?"))
    hide(store, True)
    judge(store)
    say(store, 2, about=False)
    assert look(store) == {}
    hide(store, False)
    say(store, 2)
    assert look(store) == {"opened": 2}


def test_what_is_not_about_us_waits_for_nobody_and_comes_back_if_that_was_wrong(store: Store) -> None:
    keep(store, mention(1, "acme, how?"))
    look(store)
    hide(store, True)
    assert look(store, NOW + HOUR) == {"dismissed": 1}
    assert (one(store).state, one(store).dismissed_for) == ("dismissed", "not about us")
    hide(store, False)
    assert look(store, NOW + 2 * HOUR) == {"reopened": 1}
    assert [case.state for case in queue(store)] == ["reopened"]
    assert happened(store, 1) == ["opened", "dismissed", "reopened"]


def test_what_a_person_dismissed_stays_so_whatever_is_found_of_it(store: Store) -> None:
    keep(store, mention(1, "acme, how?"))
    look(store)
    with store.transaction():
        acts.dismiss(store, 1, ANN, NOW, reason="not about us")
    hide(store, True)
    hide(store, False)
    assert look(store, NOW + HOUR) == {}
    assert one(store).state == "dismissed"


def test_a_reply_on_its_way_keeps_a_case_open_that_is_not_about_us(store: Store) -> None:
    keep(store, mention(1, "acme, how?"))
    look(store)
    with store.transaction():
        kept = store.replies.save(Reply(0, 1, "ann", "so", "unknown", NOW, NOW))
        store.cases.save(replace(one(store), state="waiting"))
    say(store, 1, about=False)
    assert look(store, NOW + HOUR) == {}
    with store.transaction():
        store.replies.save(replace(kept, state="failed"))
    assert look(store, NOW + HOUR) == {"dismissed": 1}


def test_a_post_that_only_a_rule_wants_after_its_edit_becomes_a_case(store: Store) -> None:
    with store.transaction():
        rules.save(store, Rule(0, "legal", Conditions(query="lawyer"), level="urgent"))
    keep(store, mention(1, "acme is fine"))
    assert look(store) == {}
    keep(store, mention(1, "acme will hear from my lawyer", collected_at=NOW + HOUR))
    assert look(store, NOW + HOUR) == {"opened": 1}
    keep(store, mention(1, "acme will hear from my lawyer soon", collected_at=NOW + 2 * HOUR))
    assert look(store, NOW + 2 * HOUR) == {}


def written_back(store: Store, text: str, at: Any, **more: Any) -> dict[str, int]:
    keep(store, mention("again", text, at, **({"in_reply_to": "77"} | more)))
    return look(store, at)


def test_who_writes_the_same_again_below_our_answer_is_heard(store: Store) -> None:
    text = "acme took my money twice and nobody answers my letters, what am i to do about it now?"
    keep(store, mention(1, text))
    look(store)
    with store.transaction():
        store.replies.save(Reply(0, 1, "ann", "so", "sent", NOW, NOW, sent_at=NOW, remote_id="77"))
        store.cases.save(answer.answered(one(store), NOW + HOUR))
    assert written_back(store, text, NOW + 2 * HOUR) == {"reopened": 1}


def test_who_writes_back_after_the_first_post_was_deleted_gets_a_case_that_can_be_answered(store: Store) -> None:
    keep(store, mention(1, "acme, how?"))
    look(store)
    with store.transaction():
        store.replies.save(Reply(0, 1, "ann", "so", "sent", NOW, NOW, sent_at=NOW, remote_id="77"))
        store.cases.save(answer.answered(one(store), NOW + HOUR))
        store.forgotten.erase_named("x", ["1"], NOW + HOUR, "deleted")
    assert written_back(store, "acme, and what now?", NOW + 2 * HOUR) == {"opened": 1}
    assert [case.match.mention.source_id for case in queue(store)] == ["again"]


def test_an_alert_opens_no_case_for_a_post_that_is_gone(store: Store) -> None:
    keep(store, mention(1, "acme is awful"), mention(2, "acme is awful too"))
    judge(store)
    with store.transaction():
        store.forgotten.erase_named("x", ["1"], NOW, "deleted")
    alert_takes(store, "high")
    assert [case.match.mention.source_id for case in queue(store)] == ["2"]


def test_a_rule_that_sees_to_a_case_says_so_even_if_nothing_else_changes(store: Store) -> None:
    with store.transaction():
        rules.save(store, Rule(0, "all", Conditions(sources=("x",))))
    keep(store, mention(1, "acme is awful"))
    judge(store)
    alert_takes(store, "high")
    look(store)
    assert one(store).rule_id == 1
    assert happened(store, 1) == ["opened", "by a rule"]


@pytest.mark.parametrize("gone", ["disabled", "other brand", "viewer"])
def test_a_rule_gives_nothing_to_somebody_who_cannot_work_on_it(store: Store, gone: str) -> None:
    users(store)
    with store.transaction():
        rules.save(store, Rule(0, "all", Conditions(sources=("x",)), assignee="lea"))
        lea = store.users.named("lea")
        assert lea is not None
        changed: dict[str, User] = {
            "disabled": replace(lea, disabled_at=NOW),
            "other brand": replace(lea, brands=("Bolt",)),
            "viewer": replace(lea, role="viewer"),
        }
        store.users.save(changed[gone])
    keep(store, mention(1, "acme is awful", reach=Reach(5)))
    assert look(store) == {"opened": 1}
    assert [case.assignee for case in queue(store, unassigned=True)] == [None]


def test_a_level_told_twice_before_the_job_came_by_is_due_no_later_than_it_was(store: Store) -> None:
    keep(store, mention(1, "love acme, how?"))
    look(store)
    assert one(store).due == NOW + 5 * DAY
    late = NOW + 5 * DAY - 10 * MINUTE
    with store.transaction():
        acts.set_level(store, 1, ANN, late, level="high")
        acts.set_level(store, 1, LEA, late, level="urgent")
    look(store, late)
    assert one(store).due == NOW + 5 * DAY


def test_a_reopened_case_that_is_lowered_is_due_as_if_it_had_been_so_when_it_was_reopened(store: Store) -> None:
    keep(store, mention(1, "acme, how?"))
    look(store)
    with store.transaction():
        acts.replied_by_hand(store, 1, ANN, NOW)
        acts.reopen(store, 1, ANN, NOW + 7 * DAY)
        acts.set_level(store, 1, ANN, NOW + 7 * DAY, level="low")
    look(store, NOW + 7 * DAY)
    assert one(store).due == NOW + 12 * DAY  # Wednesday noon; three days of work
