"""Every change of a case is in its trail: acts and jobs at random, and the rows before and after compared."""

import random
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db.desk import DISMISSALS, LEVELS, Conditions, Rule, User
from db.errors import InputError, NotAllowed, ReplyRefused, SentimonError, Stale
from db.records import Mention, Verdict
from db.store import Store
from jobs import raise_alert
from jobs.desk import acts, answer, rules
from jobs.desk.triage import triage
from jobs.replier import Outbox, Replied, Route
from jobs.reply import reply as send
from tests.desk_rig import ANN, BOB, EVE, LEA, TRIAGING, cases, users
from tests.support import HOUR, MINUTE, NOW, rows
from tests.test_hold import SPIKE

PEOPLE = (ANN, BOB, LEA, EVE)
FOLLOWS = ("version", "due", "lease_until", "about")  # from other columns and from heartbeats: no change of its own


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened:
        yield opened


class Moody:
    """Takes a reply, refuses it, or breaks."""

    platform, longest = "x", 500

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def length(self, text: str, mention: Mention) -> int:
        return len(text)

    def why_not(self, mention: Mention) -> str | None:
        return None

    def reply(self, mention: Mention, text: str, key: str, meter: Any, now: datetime) -> Replied:
        mood = self._dice.randrange(3)
        if mood == 0:
            raise ReplyRefused("no")
        if mood == 1:
            raise SentimonError("half an answer")
        return Replied(f"r-{key}", None)


def snapshot(path: Path) -> tuple[dict[int, Mapping[str, Any]], dict[int, int]]:
    """The rows of all cases with their tags, less what follows from others; and how many events each has."""
    with sqlite3.connect(path) as connection:
        connection.row_factory = sqlite3.Row
        found: dict[int, Mapping[str, Any]] = {
            row["id"]: {name: row[name] for name in row.keys() if name not in FOLLOWS}  # noqa: SIM118
            for row in connection.execute("SELECT * FROM cases")
        }
        for case_id, tag in connection.execute("SELECT case_id, tag FROM tags ORDER BY case_id, tag"):
            found[case_id] = {**found[case_id], f"tag {tag}": True}
        for case_id, reply_id, state, author in connection.execute("SELECT case_id, id, state, author FROM replies"):
            found[case_id] = {**found[case_id], f"reply {reply_id}": (state, author)}
    return found, dict(rows(path, "SELECT case_id, count(*) FROM events GROUP BY case_id"))


def deeds(dice: random.Random) -> dict[str, Callable[[Store, int, User, datetime], object]]:
    """Everything that a person can do to a case."""
    box = Outbox([Route("x-main", Moody(dice))], approval=True)
    return {
        "claim": acts.claim,
        "release": acts.release,
        "take over": acts.take_over,
        "assign": lambda *who: acts.assign(*who, to=dice.choice(["ann", "lea", None])),
        "dismiss": lambda *who: acts.dismiss(*who, reason=dice.choice(DISMISSALS)),
        "snooze": lambda *who: acts.snooze(*who, until=who[3] + dice.choice([MINUTE, HOUR])),
        "reopen": acts.reopen,
        "level": lambda *who: acts.set_level(*who, level=dice.choice(LEVELS)),
        "escalate": lambda *who: acts.escalate(*who, to=dice.choice(["lea", None])),
        "tag": lambda *who: acts.tag(*who, tag=dice.choice(["one", "two"])),
        "untag": lambda *who: acts.untag(*who, tag=dice.choice(["one", "two"])),
        "note": lambda *who: acts.note(*who, text="words"),
        "by hand": acts.replied_by_hand,
        "draft": lambda *who: answer.draft(*who, text=dice.choice(["so", "thus"])),
        "submit": lambda *who: answer.submit(*who, outbox=box),
        "approve": lambda *who: answer.approve(*who, outbox=box),
        "send back": lambda *who: answer.send_back(*who, remark="no"),
        "withdraw": answer.withdraw,
        "say sent": answer.say_sent,
        "say not sent": lambda *who: answer.say_not_sent(*who, again=dice.random() < 0.5),
    }


@pytest.mark.parametrize("seed", range(4))
def test_every_change_of_a_case_has_an_event_and_every_act_has_one(store: Store, seed: int) -> None:
    dice = random.Random(seed)
    users(store)
    cases(store, 3)
    with store.transaction():
        rules.save(store, Rule(0, "all", Conditions(sources=("x",)), level="normal"))
    can, now, done = deeds(dice), NOW, set[str]()
    box = Outbox([Route("x-main", Moody(dice))], approval=True)
    for _ in range(150):
        now += timedelta(seconds=dice.choice([1, 30, 400]))
        before, events = snapshot(store.path)
        what, number, who = dice.choice(list(can)), dice.randint(1, 3), dice.choice(PEOPLE)
        case = store.cases.get(number)
        assert case is not None
        turn = dice.randrange(12)
        if turn == 0:
            triage(store, TRIAGING, now)
        elif turn == 1:
            send(store, box, now)
        elif turn == 2:
            with store.transaction():
                found = store.mentions.of([case.match.id])
                alert = replace(SPIKE, id=0, severity=dice.choice(["warning", "high"]), ends=SPIKE.last_seen)
                saved = store.alerts.save(alert, found)
                raise_alert.queue(store, saved, found, now)
        elif turn == 3:
            with store.transaction():
                said = {"reply": dice.choice(["yes", "no"])}
                store.verdicts.give([Verdict(case.match.id, "ann", now, said, about=dice.random() < 0.7)])
        else:
            try:
                with store.transaction():
                    can[what](store, number, who, now)
            except (Stale, NotAllowed, InputError):
                assert snapshot(store.path) == (before, events)
                continue
            done.add(what)
        after, told = snapshot(store.path)
        for case_id, row in after.items():
            new = told[case_id] - events[case_id]
            if row != before[case_id]:
                changed = {name for name in row if row[name] != before[case_id].get(name)}
                assert new, f"nothing is told of {what if turn > 3 else turn}: {changed}"
            assert turn <= 3 or new <= 1, f"{what} is told {new} times"
    assert len(done) > 7, done


def test_no_statement_puts_another_event_in_the_place_of_one(store: Store) -> None:
    cases(store)
    before = store.cases.events(1)
    with sqlite3.connect(store.path) as other, pytest.raises(sqlite3.IntegrityError, match="events are never"):
        other.execute("INSERT OR REPLACE INTO events (id, case_id, at, what) VALUES (1, 1, '2020-01-01', 'dreamt')")
    assert store.cases.events(1) == before
