"""What becomes a case, why, how urgent it is, when an answer is due, and what becomes of cases with time."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from db.cases import Asked
from db.desk import Case, Conditions, Reply, Rule
from db.migrations import migrations
from db.records import Reach, Verdict
from db.store import Store
from jobs import raise_alert
from jobs.desk import acts, answer, rules, urgency
from jobs.desk.hours import Hours, targets
from jobs.desk.triage import Triaging, triage
from jobs.schedule import run_job
from monitor import config, plugins
from monitor.app import App
from tests.cli_rig import configure
from tests.desk_rig import ANN, LEA, cases, happened, look, reasons, users
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention, rows
from tests.test_hold import SPIKE


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened:
        yield opened


def queue(store: Store, **asked: Any) -> list[Case]:
    return store.cases.queue(Asked(**asked), NOW, 99)


def test_what_asks_for_an_answer_becomes_a_case_that_says_how_sure_that_is(store: Store) -> None:
    keep(store, mention(1, "acme, how do i log in?"), mention(2, "acme is awful"), mention(3, "love acme"))
    assert look(store) == {"opened": 1}
    assert reasons(queue(store)) == {"1": "asks for an answer (80 % sure)"}
    assert look(store) == {}
    assert happened(store, 1) == ["opened"]


def test_what_is_not_ours_to_answer_becomes_none(store: Store) -> None:
    keep(store, mention(1, "where is my parcel, bolt?"), brands=["Bolt"])
    keep(store, mention(2, "acme old?", NOW - 7 * DAY - MINUTE), mention(3, "acme new?", NOW - 7 * DAY + MINUTE))
    keep(store, mention(4, "rt acme quite other?", repost_of="99"))
    keep(store, mention(5, "acme gone?"), mention(6, "acme hidden?"), mention(7, "123 456?"))
    with store.transaction():
        store.forgotten.erase_named("x", ["5"], NOW, "deleted")
    judge(store)
    with store.transaction():
        hidden = store.mentions.named("x", "6", "Acme")
        assert hidden is not None
        store.verdicts.give([Verdict(hidden.id, "ann", NOW, {}, about=False)])
    assert look(store) == {"opened": 1}
    assert list(reasons(queue(store))) == ["3"]


def test_of_posts_that_say_the_same_the_first_alone_becomes_a_case(store: Store) -> None:
    text = "acme took my money twice and nobody answers my letters, what am i to do about it now?"
    keep(store, *(mention(number, text, NOW + number * MINUTE) for number in range(3)))
    assert look(store) == {"opened": 1}
    assert list(reasons(queue(store))) == ["0"]


def test_a_post_waits_until_it_was_compared_with_others_but_not_for_long(store: Store) -> None:
    keep(store, mention(1, "acme, how?"))
    judge(store)
    triaging = Triaging(["Acme"])
    assert triage(store, triaging, NOW + 10 * MINUTE).counts["opened"] == 0
    assert triage(store, triaging, NOW + 11 * MINUTE).counts["opened"] == 1


def test_a_person_who_says_that_a_post_asks_for_an_answer_is_heard_later_too(store: Store) -> None:
    keep(store, mention(1, "acme hm"), mention(2, "acme and so on"))
    assert look(store) == {}
    with store.transaction():
        store.verdicts.give([Verdict(1, "ann", NOW, {"reply": "yes"}), Verdict(2, "ann", NOW, {"reply": "no"})])
    assert look(store, NOW + HOUR) == {"opened": 1}
    assert reasons(queue(store)) == {"1": "asks for an answer (a person said so)"}


def test_a_post_that_asks_only_after_it_was_edited_becomes_a_case(store: Store) -> None:
    keep(store, mention(1, "acme hm"))
    look(store)
    keep(store, mention(1, "acme hm, anybody?", collected_at=NOW + HOUR))
    assert look(store, NOW + HOUR) == {"opened": 1}


@pytest.mark.parametrize(
    ("text", "reach", "level"),
    [
        ("love acme, where can i get more?", Reach(500_000), "low"),
        ("acme, how?", Reach(500_000), "normal"),
        ("acme is awful, how?", Reach(), "normal"),
        ("acme is awful, how?", Reach(9_999), "normal"),
        ("acme is awful, how?", Reach(10_000), "high"),
        ("acme is awful, how?", Reach(2_000, likes=300, reposts=50), "high"),
        ("acme is awful, how?", Reach(99_999), "high"),
        ("acme is awful, how?", Reach(100_000), "urgent"),
    ],
)
def test_how_urgent_a_post_is_depends_on_its_mood_and_on_how_far_it_carries(
    store: Store, text: str, reach: Reach, level: str
) -> None:
    keep(store, mention(1, text, reach=reach))
    look(store)
    assert [case.level for case in queue(store)] == [level]


def test_a_case_is_at_least_as_urgent_as_its_alert(store: Store) -> None:
    levels = [urgency.of_alert(replace(SPIKE, severity=severity)) for severity in ("warning", "high", "critical")]
    assert levels == ["normal", "high", "urgent"]
    assert urgency.of_alert(replace(SPIKE, rule="single post", severity="warning")) == "high"


def test_when_an_answer_is_due_is_reckoned_in_business_hours_from_when_the_post_was_here(store: Store) -> None:
    friday = NOW + 2 * DAY + 4 * HOUR + 45 * MINUTE  # 16:45
    keep(store, mention(1, "acme is awful, how?", friday - 3 * HOUR, collected_at=friday, reach=Reach(200_000)))
    look(store, friday)
    assert [case.due for case in store.cases.queue(Asked(), friday, 9)] == [friday + 2 * DAY + 16 * HOUR + 30 * MINUTE]
    hours = Hours(days=frozenset(range(7)))
    keep(store, mention(2, "acme, how?", friday, collected_at=friday))
    look(store, friday, Triaging(["Acme"], hours, targets({"normal": "1h"}, hours)))
    assert [case.due for case in store.cases.queue(Asked(levels=("normal",)), friday, 9)] == [friday + 17 * HOUR]


def alert_takes(store: Store, severity: str, now: datetime = NOW, known: int = 0) -> None:
    """An alert finds all posts."""
    with store.transaction():
        found = store.mentions.of([1, 2, 3])
        saved = store.alerts.save(replace(SPIKE, id=known, severity=severity, found_at=now), found)
        raise_alert.queue(store, saved, found, now)


def test_an_alert_raises_an_open_case_and_gives_a_new_one_a_time(store: Store) -> None:
    keep(store, mention(1, "acme is awful, how?"), mention(2, "acme is awful"))
    look(store)
    (before,) = queue(store)
    alert_takes(store, "critical", NOW + HOUR)
    look(store, NOW + HOUR)
    opened, raised = queue(store)
    assert [(case.level, case.alert_id) for case in (opened, raised)] == [("urgent", 1), ("urgent", 1)]
    assert before.due == NOW + 24 * HOUR
    assert (opened.match.id, opened.due) == (2, NOW + 30 * MINUTE)  # from when its post came on
    assert (raised.match.id, raised.due) == (1, NOW + HOUR + 30 * MINUTE)  # from when it was raised on
    assert happened(store, before.id) == ["opened", "level"]
    alert_takes(store, "warning", NOW + 2 * HOUR, known=1)
    look(store, NOW + 2 * HOUR)
    assert queue(store) == [opened, raised]


def test_once_a_person_has_said_how_urgent_a_case_is_no_alert_raises_it(store: Store) -> None:
    keep(store, mention(1, "acme is awful, how?"))
    look(store)
    with store.transaction():
        acts.set_level(store, 1, ANN, NOW, level="low")
    alert_takes(store, "critical")
    look(store)
    assert [(case.level, case.alert_id) for case in queue(store)] == [("low", 1)]


def test_a_case_that_is_raised_is_never_due_later_and_a_lowered_one_as_if_it_had_been_so(store: Store) -> None:
    keep(store, mention(1, "love acme, how?"))
    look(store)
    (case,) = queue(store)
    assert (case.level, case.due) == ("low", NOW + 5 * DAY)
    for at, level, due in (
        (NOW + 4 * DAY + 23 * HOUR, "normal", NOW + 5 * DAY),  # a Monday: eight hours more would be later
        (NOW + 5 * DAY, "urgent", NOW + 5 * DAY),
        (NOW + 5 * DAY, "low", NOW + 5 * DAY),
        (NOW + 5 * DAY, "normal", NOW + 5 * DAY),
        (NOW + HOUR, "high", NOW + 3 * HOUR),
        (NOW + HOUR, "normal", NOW + DAY),
    ):
        with store.transaction():
            acts.set_level(store, 1, ANN, at, level=level)
        look(store, at)
        assert [(case.level, case.due) for case in queue(store)] == [(level, due)]


def test_a_reopened_case_has_its_whole_target_before_it(store: Store) -> None:
    keep(store, mention(1, "acme, how?"))
    look(store)
    for act in (acts.replied_by_hand, acts.reopen):
        with store.transaction():
            act(store, 1, ANN, NOW + 2 * DAY)
    look(store, NOW + 2 * DAY)
    assert [(case.state, case.due) for case in queue(store)] == [("reopened", NOW + 5 * DAY)]  # Friday noon, Monday


def test_what_was_snoozed_comes_back_with_its_level_for_whoever_had_it(store: Store) -> None:
    cases(store, level="high")
    with store.transaction():
        acts.claim(store, 1, ANN, NOW)
        acts.snooze(store, 1, ANN, NOW, until=NOW + HOUR)
    assert look(store, NOW + HOUR - MINUTE) == {}
    assert look(store, NOW + HOUR) == {"woken": 1}
    back = store.cases.get(1)
    assert back is not None
    assert (back.state, back.level, back.assignee, back.snoozed_until) == ("reopened", "high", "ann", None)
    assert happened(store, 1)[-2:] == ["snoozed", "woken"]


def test_the_claim_of_somebody_of_whom_nothing_is_heard_ends(store: Store) -> None:
    cases(store)
    with store.transaction():
        acts.claim(store, 1, ANN, NOW)
    assert look(store, NOW + 9 * MINUTE) == {}
    assert look(store, NOW + 10 * MINUTE) == {"leases_ended": 1}
    assert [(case.state, case.assignee) for case in queue(store)] == [("new", None)]
    assert store.cases.events(1)[-1].detail == {"from": "ann"}


def replied(store: Store) -> None:
    """The post 1 of somebody was answered through the platform, which calls our reply 77."""
    keep(store, mention(1, "acme, how?"))
    look(store)
    with store.transaction():
        case = store.cases.get(1)
        assert case is not None
        store.replies.save(Reply(0, 1, "ann", "so", "sent", NOW, NOW, sent_at=NOW, remote_id="77"))
        store.cases.save(answer.answered(case, NOW + HOUR))


@pytest.mark.parametrize(
    ("more", "reopened"),
    [
        ({"in_reply_to": "77"}, True),
        ({"in_reply_to": "77", "author": "a friend"}, True),
        ({"in_reply_to": "1"}, True),
        ({"in_reply_to": "1", "author": "a stranger"}, False),
        ({"in_reply_to": "78"}, False),
        ({"in_reply_to": "77", "source": "reddit"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_when_its_author_writes_back_an_answered_case_is_reopened(
    store: Store, more: dict[str, Any], reopened: bool
) -> None:
    replied(store)
    keep(store, mention(2, "acme, thanks but it still does not work", NOW + 2 * HOUR, **more))
    assert look(store, NOW + 2 * HOUR) == ({"reopened": 1} if reopened else {})
    assert [case.state for case in queue(store)] == (["reopened"] if reopened else [])
    if reopened:
        assert store.cases.events(1)[-1].detail["why"] == "the author wrote back"


def writes(store: Store, number: int, at: datetime, text: str = "acme, and now this broke too, why?") -> dict[str, int]:
    """The author of the post that was answered writes on below our answer."""
    keep(store, mention(number, f"{text} {number}", at, in_reply_to="77"))
    return look(store, at)


def test_a_second_message_of_a_customer_is_told_to_whoever_has_the_case_and_opens_none(store: Store) -> None:
    users(store)
    replied(store)
    first, second = (mention(n, f"acme, why {n}?", NOW + 2 * HOUR + n * MINUTE, in_reply_to="77") for n in (2, 3))
    keep(store, first, second)  # both before anybody looked
    assert look(store, NOW + 3 * HOUR) == {"reopened": 1}
    with store.transaction():
        case = acts.claim(store, 1, ANN, NOW + 3 * HOUR)
    assert writes(store, 4, NOW + 3 * HOUR + MINUTE) == {}
    (left,) = queue(store)
    assert (left.id, left.state, left.assignee) == (1, "claimed", "ann")
    assert left.version == case.version + 1  # so that an open page says that there is something new
    told = ["opened", "reopened", "author wrote back", "claimed", "author wrote back"]
    assert happened(store, 1) == told
    keep(store, mention(4, "acme, as i said, why?", left.created_at, in_reply_to="77", collected_at=NOW + 4 * HOUR))
    assert look(store, NOW + 4 * HOUR) == {"leases_ended": 1}
    assert happened(store, 1) == [*told, "lease ended"]  # what is edited is told once
    with store.transaction():
        store.cases.save(answer.answered(replace(left, version=left.version + 1), NOW + 5 * HOUR))
    assert writes(store, 5, NOW + 6 * HOUR) == {"reopened": 1}


def test_a_message_wakes_an_answered_case_that_was_put_away(store: Store) -> None:
    users(store)
    replied(store)
    assert writes(store, 2, NOW + 2 * HOUR) == {"reopened": 1}
    with store.transaction():
        acts.snooze(store, 1, ANN, NOW + 2 * HOUR, until=NOW + 3 * DAY)
    assert writes(store, 3, NOW + 3 * HOUR) == {"woken": 1}
    assert [(case.id, case.state) for case in queue(store)] == [(1, "reopened")]
    assert store.cases.events(1)[-1].detail["why"] == "the author wrote back"


def test_below_a_case_that_was_dismissed_since_a_message_stands_for_itself(store: Store) -> None:
    users(store)
    replied(store)
    assert writes(store, 2, NOW + 2 * HOUR) == {"reopened": 1}
    with store.transaction():
        acts.dismiss(store, 1, ANN, NOW + 2 * HOUR, reason="spam")
    assert writes(store, 3, NOW + 3 * HOUR, "acme, thanks") == {}
    assert writes(store, 4, NOW + 4 * HOUR, "acme, who pays me for this?") == {"opened": 1}


def test_what_its_author_wrote_before_the_answer_reopens_nothing(store: Store) -> None:
    replied(store)
    keep(store, mention(2, "acme, and another thing", NOW + 30 * MINUTE, in_reply_to="1"))
    assert look(store, NOW + 2 * HOUR) == {}


def test_a_rule_opens_cases_and_keeps_them_away(store: Store) -> None:
    users(store)
    with store.transaction():
        far = Conditions(sentiments=("negative",), followers=10_000)
        rules.save(store, Rule(0, "loud", far, level="urgent", assignee="lea", tag="Press"))
        rules.save(store, Rule(0, "contests", Conditions(query="win OR prize"), ignore=True))
    keep(store, mention(1, "acme is awful", reach=Reach(10_000)), mention(2, "acme is awful", source="reddit"))
    keep(store, mention(3, "win a prize with acme?"), mention(4, "acme, how?"))
    assert look(store) == {"opened": 2}
    loud, asks = queue(store)
    assert (loud.reason, loud.level, loud.assignee, loud.tags, loud.rule_id) == (
        "rule loud",
        "urgent",
        "lea",
        ("press",),
        1,
    )
    assert (asks.match.mention.source_id, asks.rule_id) == ("4", None)
    assert happened(store, loud.id) == ["opened", "assigned", "tagged"]


def test_a_rule_sees_to_a_case_that_an_alert_was_quicker_to_open(store: Store) -> None:
    users(store)
    with store.transaction():
        rules.save(store, Rule(0, "all", Conditions(sources=("x",)), level="urgent", assignee="lea", tag="all"))
    keep(store, mention(1, "acme is awful"))
    judge(store)
    alert_takes(store, "warning")
    assert look(store) == {}
    assert [(c.level, c.assignee, c.tags, c.alert_id) for c in queue(store)] == [("urgent", "lea", ("all",), 1)]


def test_the_job_writes_down_no_run_that_did_nothing(store: Store, tmp_path: Path) -> None:
    app = App(config.load(configure(tmp_path), plugins.load(), {}))
    (job,) = (each for each in app.jobs() if each.name == "triage")
    assert job.quiet
    run_job(job, store, lambda: NOW)
    assert rows(store.path, "SELECT count(*) FROM job_runs") == [(0,)]
    keep(store, mention(1, "acme, how?"))
    judge(store)
    run_job(job, store, lambda: NOW + HOUR)
    run_job(replace(job, name="loud", quiet=False), store, lambda: NOW + HOUR)
    assert rows(store.path, "SELECT job FROM job_runs ORDER BY id") == [("triage",), ("loud",)]


def test_cases_of_a_file_from_before_the_desk_go_on_in_it(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        migrations.apply(Database(connection), stop_before="m008_desk")
        connection.executescript(
            """INSERT INTO mentions (id, source, source_id, author, text, created_at, collected_at) VALUES
                (1, 'x', '1', 'ann', 'acme is awful', '2026-03-04T11:00:00Z', '2026-03-04T11:05:00Z'),
                (2, 'x', '2', 'bob', 'acme, how?', '2026-03-04T11:00:00Z', '2026-03-04T11:05:00Z');
            INSERT INTO matches (mention_id, brand, source, created_at, state, sentiment, reply, model) VALUES
                (1, 'Acme', 'x', '2026-03-04T11:00:00Z', 'rated', 'negative', 'no', 'old'),
                (2, 'Acme', 'x', '2026-03-04T11:00:00Z', 'rated', 'neutral', 'yes', 'old');
            INSERT INTO cases VALUES (7, 1, NULL, 'a spike', 'new', 0.9, '2026-03-04T11:06:00Z');
            INSERT INTO events VALUES (1, 7, '2026-03-04T11:06:00Z', 'opened: a spike', NULL);"""
        )
        connection.commit()
    with Store(path) as store:
        assert look(store) == {}  # what was rated before there was a desk is history
        (case,) = queue(store)
        assert (case.id, case.state, case.level, case.version) == (7, "new", "normal", 0)
        assert case.due == NOW - 55 * MINUTE + DAY
        assert happened(store, 7) == ["opened: a spike"]
        with store.transaction():
            assert acts.claim(store, 7, LEA, NOW).version == 1
