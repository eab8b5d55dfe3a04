"""What people do to cases: from which state to which, who may, what is written down, and two at the same one."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db.cases import Asked
from db.desk import DISMISSALS, STATES, Case, Reply, User
from db.errors import InputError, NotAllowed, Stale
from db.store import Store
from jobs.desk import acts, moves
from tests.desk_rig import ANN, BOB, EVE, LEA, cases, happened, users
from tests.support import DAY, HOUR, MINUTE, NOW

Act = Callable[..., Case]
NOBODY = User(9, "nobody", "admin", brands=())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened:
        users(opened)
        yield opened


@pytest.fixture
def case(store: Store) -> Case:
    (opened,) = cases(store)
    return opened


def do(store: Store, act: Act, who: User, *, at: Any = NOW, case: int = 1, **more: Any) -> Case:
    with store.transaction():
        return act(store, case, who, at, **more)


def test_who_claims_a_case_has_it_for_ten_minutes(store: Store, case: Case) -> None:
    claimed = do(store, acts.claim, ANN)
    assert (claimed.state, claimed.assignee, claimed.lease_until) == ("claimed", "ann", NOW + 10 * MINUTE)
    assert claimed.version == case.version + 1
    assert claimed.triaged_at == NOW
    assert claimed == store.cases.get(1)
    with pytest.raises(Stale, match="ann has case 1, until 2026-03-04 12:10") as told:
        do(store, acts.claim, BOB, at=NOW + 9 * MINUTE)
    assert told.value.current == claimed


def test_of_a_hundred_who_claim_ten_cases_ten_have_one_and_ninety_are_told_who(tmp_path: Path) -> None:
    path = tmp_path / "many.db"
    with Store(path) as store:
        ids = [case.id for case in cases(store, 10)]
    start = threading.Barrier(100)
    told: list[tuple[int, str, str | None]] = []

    def claim(number: int) -> None:
        who = User(number + 1, f"user {number}", "responder")
        case_id = ids[number % 10]
        with Store(path) as own:
            start.wait(60)
            try:
                with own.transaction():
                    acts.claim(own, case_id, who, NOW)
                told.append((case_id, who.name, who.name))
            except Stale as stale:
                told.append((case_id, who.name, stale.current.assignee if stale.current else None))

    people = [threading.Thread(target=claim, args=(number,)) for number in range(100)]
    for person in people:
        person.start()
    for person in people:
        person.join(120)
    won = {case_id: who for case_id, who, owner in told if who == owner}
    assert len(told) == 100
    assert sorted(won) == sorted(ids)
    assert Counter(who == owner for _, who, owner in told) == {True: 10, False: 90}
    assert all(owner == won[case_id] for case_id, _, owner in told)
    with Store(path) as store:
        assert {case.id: case.assignee for case in store.cases.queue(Asked(), NOW, 20)} == won
        assert [happened(store, case_id) for case_id in ids] == [["opened", "claimed"]] * 10


def test_whoever_is_heard_of_keeps_the_claim_without_a_new_version(store: Store, case: Case) -> None:
    claimed = do(store, acts.claim, ANN)
    beaten = do(store, acts.beat, ANN, at=NOW + 8 * MINUTE, version=claimed.version - 1)
    assert beaten == replace(claimed, lease_until=NOW + 18 * MINUTE)
    assert do(store, acts.claim, ANN, at=NOW + 17 * MINUTE).lease_until == NOW + 27 * MINUTE
    with pytest.raises(Stale, match="ann has case 1"):
        do(store, acts.claim, BOB, at=NOW + 26 * MINUTE)
    assert happened(store, 1) == ["opened", "claimed"]


def test_to_claim_again_what_one_holds_makes_it_no_shorter(store: Store, case: Case) -> None:
    do(store, acts.claim, ANN, lease=HOUR)
    for act in (acts.claim, acts.take_over, acts.beat):
        assert do(store, act, ANN, at=NOW + MINUTE).lease_until == NOW + HOUR
    assert do(store, acts.claim, ANN, at=NOW + HOUR - MINUTE).lease_until == NOW + HOUR + 9 * MINUTE


def test_a_claim_that_nobody_hears_of_ends(store: Store, case: Case) -> None:
    do(store, acts.claim, ANN)
    taken = do(store, acts.claim, BOB, at=NOW + 10 * MINUTE)
    assert taken.assignee == "bob"
    with pytest.raises(Stale, match="claimed by bob now"):
        do(store, acts.beat, ANN, at=NOW + 11 * MINUTE)
    assert store.cases.events(1)[-1].detail == {"from": "ann"}


def test_to_take_a_case_from_somebody_takes_an_approver(store: Store, case: Case) -> None:
    do(store, acts.claim, ANN)
    with pytest.raises(NotAllowed, match="take over needs the role approver; bob is responder"):
        do(store, acts.take_over, BOB)
    taken = do(store, acts.take_over, LEA, at=NOW + MINUTE)
    assert (taken.assignee, taken.lease_until) == ("lea", NOW + 11 * MINUTE)
    with pytest.raises(Stale):
        do(store, acts.dismiss, ANN, at=NOW + MINUTE, reason="spam")
    assert happened(store, 1) == ["opened", "claimed", "taken over"]
    assert do(store, acts.take_over, ANN, at=NOW + HOUR).assignee == "ann"  # nobody holds it any more


def test_what_somebody_holds_only_an_approver_gives_back(store: Store, case: Case) -> None:
    do(store, acts.claim, ANN)
    with pytest.raises(NotAllowed, match="release needs the role approver"):
        do(store, acts.release, BOB)
    free = do(store, acts.release, LEA)
    assert (free.state, free.assignee, free.lease_until) == ("new", None, None)
    do(store, acts.claim, ANN)
    assert do(store, acts.release, ANN).state == "new"


def test_a_case_that_is_assigned_is_not_claimed_yet(store: Store, case: Case) -> None:
    given = do(store, acts.assign, ANN, to="BOB")
    assert (given.state, given.assignee, given.lease_until) == ("new", "bob", None)
    assert do(store, acts.claim, ANN).assignee == "ann"
    with pytest.raises(Stale):
        do(store, acts.assign, BOB, to="bob")
    assert do(store, acts.assign, LEA, to=None).assignee is None
    whom = [(event.what, dict(event.detail)) for event in store.cases.events(1)[1:]]
    assert whom == [("assigned", {"to": "bob"}), ("claimed", {"from": "bob"}), ("assigned", {"from": "ann"})]


@pytest.mark.parametrize("name", ["zoe", "eve", "ned", "dan"])
def test_a_case_is_given_to_those_alone_who_can_do_something(store: Store, case: Case, name: str) -> None:
    users(store, User(0, "ned", "responder", brands=("Bolt",)), User(0, "dan", "admin"))
    dan = store.users.named("dan")
    assert dan is not None
    with store.transaction():
        store.users.save(replace(dan, disabled_at=NOW))
    with pytest.raises(InputError, match=f"{name} cannot be given case 1"):
        do(store, acts.assign, ANN, to=name)
    assert happened(store, 1) == ["opened"]


@pytest.mark.parametrize("reason", DISMISSALS)
def test_a_case_is_dismissed_for_a_reason_and_can_be_reopened(store: Store, case: Case, reason: str) -> None:
    gone = do(store, acts.dismiss, ANN, reason=reason)
    assert (gone.state, gone.dismissed_for, gone.closed_at) == ("dismissed", reason, NOW)
    back = do(store, acts.reopen, BOB, at=NOW + HOUR, why="they called")
    assert [note.text for note in store.cases.notes(1)] == ["they called"]
    assert "called" not in str(store.cases.events(1))
    assert (back.state, back.dismissed_for, back.closed_at, back.due) == ("reopened", None, None, None)
    assert happened(store, 1) == ["opened", "dismissed", "reopened", "noted"]


def test_a_case_is_not_dismissed_for_nothing_or_twice(store: Store, case: Case) -> None:
    for reason in ("", "because"):
        with pytest.raises(InputError, match="dismissed for one of: no answer needed"):
            do(store, acts.dismiss, ANN, reason=reason)
    do(store, acts.dismiss, ANN, reason="spam")
    with pytest.raises(Stale, match="case 1 is dismissed now"):
        do(store, acts.dismiss, BOB, reason="spam")


def test_a_snoozed_case_sleeps_until_its_time_and_is_then_in_the_queue_again(store: Store, case: Case) -> None:
    do(store, acts.set_level, ANN, level="high")
    away = do(store, acts.snooze, ANN, until=NOW + HOUR)
    assert (away.state, away.snoozed_until) == ("snoozed", NOW + HOUR)
    assert store.cases.queue(Asked(), NOW + 59 * MINUTE, 9) == []
    assert store.cases.queue(Asked(states=("snoozed",)), NOW + 59 * MINUTE, 9) == [away]
    for asked in (Asked(), Asked(states=("reopened",)), Asked(levels=("high",))):
        assert store.cases.queue(asked, NOW + HOUR, 9) == [away]
    assert store.cases.queue(Asked(states=("snoozed",)), NOW + HOUR, 9) == []
    assert do(store, acts.claim, BOB, at=NOW + HOUR).snoozed_until is None


@pytest.mark.parametrize("until", [NOW, NOW - DAY, NOW + 400 * DAY])
def test_a_case_is_snoozed_until_a_time_that_comes(store: Store, case: Case, until: Any) -> None:
    with pytest.raises(InputError):
        do(store, acts.snooze, ANN, until=until)


def test_escalating_marks_a_case_raises_it_and_frees_it(store: Store, case: Case) -> None:
    do(store, acts.claim, ANN)
    raised = do(store, acts.escalate, ANN)
    assert (raised.escalated, raised.level, raised.state, raised.assignee) == (True, "high", "new", None)
    assert do(store, acts.escalate, BOB, to="lea").assignee == "lea"
    do(store, acts.set_level, LEA, level="urgent")
    assert do(store, acts.escalate, LEA).level == "urgent"


def test_to_escalate_takes_a_case_from_nobody_but_for_an_approver(store: Store, case: Case) -> None:
    held = do(store, acts.claim, ANN)
    raised = do(store, acts.escalate, BOB)
    assert (raised.escalated, raised.level) == (True, "high")
    assert (raised.state, raised.assignee, raised.lease_until) == ("claimed", "ann", held.lease_until)
    with pytest.raises(Stale, match="ann has it"):
        do(store, acts.escalate, BOB, to="lea")
    assert do(store, acts.escalate, LEA, to="lea").assignee == "lea"


def test_not_about_us_is_a_verdict_whatever_way_it_is_said_and_so_is_reopening(store: Store, case: Case) -> None:
    assert not do(store, acts.dismiss, ANN, reason="not about us").match.about
    assert [(word.reviewer, word.about) for _, word in store.verdicts.all()] == [("ann", False)]
    assert do(store, acts.reopen, BOB).match.about
    assert [each.id for each in store.cases.queue(Asked(), NOW, 9)] == [1]
    assert happened(store, 1) == ["opened", "dismissed", "reopened"]


def test_a_case_whose_post_is_gone_stays_closed(store: Store, case: Case) -> None:
    with store.transaction():
        store.forgotten.erase_named("x", ["case-0"], NOW, "deleted")
    with pytest.raises(InputError, match="not there any more"):
        do(store, acts.reopen, ANN)


def test_a_level_is_one_of_four_and_said_once(store: Store, case: Case) -> None:
    with pytest.raises(InputError, match="a level is one of: low, normal, high, urgent"):
        do(store, acts.set_level, ANN, level="huge")
    assert do(store, acts.set_level, ANN, level="normal").version == case.version
    assert do(store, acts.set_level, ANN, level="low").level == "low"
    assert happened(store, 1) == ["opened", "level"]


def test_a_save_on_the_ground_of_an_old_version_shows_what_is_there_now(store: Store, case: Case) -> None:
    now = do(store, acts.set_level, ANN, level="urgent", version=0)
    for act, more in ((acts.claim, {}), (acts.dismiss, {"reason": "spam"}), (acts.snooze, {"until": NOW + DAY})):
        with pytest.raises(Stale, match="changed meanwhile") as told:
            do(store, act, BOB, version=0, **more)
        assert told.value.current == now
    with pytest.raises(Stale), store.transaction():
        store.cases.save(replace(case, level="low"))
    assert store.cases.get(1) == now


def test_tags_and_notes_disturb_nobody(store: Store, case: Case) -> None:
    do(store, acts.tag, ANN, tag="  #Refund   2026 ")
    tagged = do(store, acts.tag, BOB, tag="refund 2026")
    do(store, acts.note, BOB, text=" call them \0back ")
    assert tagged.tags == ("refund 2026",)
    assert store.cases.tags() == ["refund 2026"]
    assert [(note.who, note.text) for note in store.cases.notes(1)] == [("bob", "call them back")]
    assert do(store, acts.untag, ANN, tag="refund 2026", version=0).tags == ()
    assert happened(store, 1) == ["opened", "tagged", "noted", "untagged"]
    assert "call" not in str(store.cases.events(1))


@pytest.mark.parametrize("words", ["", "  ", "\0", "x" * 10_001])
def test_a_note_and_a_tag_say_something(store: Store, case: Case, words: str) -> None:
    with pytest.raises(InputError, match="a note has 1 to 10,000 characters"):
        do(store, acts.note, ANN, text=words)
    with pytest.raises(InputError, match="a tag has 1 to 40 characters"):
        do(store, acts.tag, ANN, tag=words)


def test_a_case_is_not_put_away_while_a_reply_is_on_its_way(store: Store, case: Case) -> None:
    with store.transaction():
        store.replies.save(Reply(0, 1, "ann", "sorry!", "queued", NOW, NOW))
    for act, more in ((acts.dismiss, {"reason": "spam"}), (acts.snooze, {"until": NOW + DAY})):
        with pytest.raises(InputError, match="about to be sent"):
            do(store, act, ANN, **more)


def test_answered_on_the_platform_a_case_is_closed(store: Store, case: Case) -> None:
    done = do(store, acts.replied_by_hand, ANN, at=NOW + HOUR)
    assert (done.state, done.replied_at, done.closed_at) == ("replied", NOW + HOUR, NOW + HOUR)
    back = do(store, acts.reopen, BOB, at=NOW + DAY)
    assert (back.state, back.replied_at) == ("reopened", NOW + HOUR)
    do(store, acts.claim, BOB, at=NOW + DAY)
    assert do(store, acts.release, BOB, at=NOW + DAY).state == "reopened"


EVERY: list[tuple[Act, dict[str, Any]]] = [
    (acts.claim, {}),
    (acts.beat, {}),
    (acts.release, {}),
    (acts.take_over, {}),
    (acts.assign, {"to": "bob"}),
    (acts.dismiss, {"reason": "spam"}),
    (acts.snooze, {"until": NOW + DAY}),
    (acts.reopen, {}),
    (acts.set_level, {"level": "low"}),
    (acts.escalate, {}),
    (acts.tag, {"tag": "refund"}),
    (acts.untag, {"tag": "refund"}),
    (acts.note, {"text": "hm"}),
    (acts.replied_by_hand, {}),
]


def test_who_may_only_look_changes_nothing(store: Store, case: Case) -> None:
    for act, more in EVERY:
        with pytest.raises(NotAllowed, match="eve"):
            do(store, act, EVE, **more)
        with pytest.raises(NotAllowed):
            do(store, act, replace(LEA, disabled_at=NOW), **more)
    assert store.cases.get(1) == case
    assert happened(store, 1) == ["opened"]


def test_a_case_of_another_brand_is_not_there(store: Store, case: Case) -> None:
    for act, more, who, number in ((*each, *asked) for each in EVERY for asked in ((NOBODY, 1), (LEA, 99))):
        with pytest.raises(InputError, match=f"there is no case {number}"):
            do(store, act, who, case=number, **more)
    assert happened(store, 1) == ["opened"]


def test_from_every_state_an_act_leads_where_the_table_says_or_nowhere(case: Case) -> None:
    given: dict[str, dict[str, Any]] = {
        "dismiss": {"reason": "spam"},
        "snooze": {"until": NOW + DAY},
        "level": {"level": "low"},
    }
    led: dict[str, dict[str, str]] = {}
    for act in moves.MOVES:
        for state in STATES:
            try:
                moved = moves.move(replace(case, state=state), act, LEA, NOW, **given.get(act, {}))
            except Stale:
                continue
            led.setdefault(act, {})[state] = moved.state
    awake = ("new", "claimed", "snoozed", "reopened")
    unmoved = {state: state for state in ("waiting", "snoozed")} | dict.fromkeys(("new", "reopened", "claimed"), "new")
    assert led == {
        "claim": dict.fromkeys(awake, "claimed"),
        "release": {"claimed": "new"},
        "take over": {"claimed": "claimed"},
        "assign": unmoved,
        "dismiss": dict.fromkeys(awake, "dismissed"),
        "snooze": dict.fromkeys(awake, "snoozed"),
        "reopen": dict.fromkeys(("replied", "snoozed", "dismissed"), "reopened"),
        "level": {state: state for state in (*awake, "waiting")},
        "escalate": {**dict.fromkeys(awake, "new"), "waiting": "waiting"},
    }


def test_what_happened_cannot_be_changed_or_removed(store: Store, case: Case) -> None:
    do(store, acts.claim, ANN)
    before = store.cases.events(1)
    with sqlite3.connect(store.path) as other:
        for statement in ("UPDATE events SET who = 'bob'", "DELETE FROM events", "DELETE FROM events WHERE id = 2"):
            with pytest.raises(sqlite3.IntegrityError, match="events are never"):
                other.execute(statement)
    assert store.cases.events(1) == before
    assert [(event.at, event.what, event.who) for event in before] == [(NOW, "opened", None), (NOW, "claimed", "ann")]


def test_a_change_and_what_is_written_of_it_are_stored_together_or_not_at_all(store: Store, case: Case) -> None:
    def break_off(*given: object, **more: object) -> Case:
        acts.claim(store, 1, ANN, NOW)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        do(store, break_off, ANN)
    assert store.cases.get(1) == case
    assert happened(store, 1) == ["opened"]
