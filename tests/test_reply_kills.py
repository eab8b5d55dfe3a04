"""A process that is killed in the middle of sending a reply: it is sent at most once, and never hidden."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store
from jobs.desk.answer import draft, say_not_sent, submit
from jobs.reply import CUT_OFF, reply
from tests.fake_x import FakeX
from tests.reply_rig import ANN, case_of, outbox, replier_of
from tests.support import HOUR, MINUTE, NOW, mention

CHILD = """
import json, sys
from datetime import datetime
from pathlib import Path
from db.store import Store
from jobs.reply import reply
from tests.reply_rig import outbox, replier_of
path, options, now = sys.argv[1], json.loads(sys.argv[2]), datetime.fromisoformat(sys.argv[3])
made = outbox(replier_of("x", options))
with Store(Path(path)) as store:
    print("ready", flush=True)
    reply(store, made, now)
print("done", flush=True)
"""


class Deadly(FakeX):
    """A fake of X that kills whoever sends it a post: before it takes the post, or after, or lets it be."""

    when = ""
    victim = 0

    def answer(self, what: str, *given: object) -> dict[str, object]:
        if what == "create" and self.when == "before":
            os.kill(self.victim, signal.SIGKILL)
            raise KeyError("nobody is there any more")
        found: dict[str, object] = super().answer(what, *given)  # type: ignore[arg-type]
        if what == "create" and self.when == "after":
            os.kill(self.victim, signal.SIGKILL)
        return found


@pytest.fixture
def fake() -> Iterator[Deadly]:
    with Deadly(now=lambda: NOW, accounts={"acme": "77"}) as made:
        yield made


def options_of(fake: FakeX) -> dict[str, object]:
    return {
        "bearer_token": fake.token,
        "api_url": fake.url,
        "replies": True,
        "api_key": "api-key",
        "api_secret": "s",
        "access_token": "77-access-token",
        "access_token_secret": "s",
    }


def queue(path: Path, fake: FakeX) -> int:
    number = fake.add("@acme it is broken", NOW - HOUR)
    with Store(path) as store:
        case = case_of(store, post=mention(number, "@acme it is broken", NOW - HOUR))
        with store.transaction():
            draft(store, case.id, ANN, NOW, text="We are sorry.")
            submit(store, case.id, ANN, NOW, outbox=outbox(replier_of("x", options_of(fake))))
        last = store.replies.last(case.id)
    assert last is not None
    assert last.state == "queued"
    return last.id


def run(path: Path, fake: Deadly) -> "subprocess.Popen[str]":
    """Start a process that sends what is due, and wait until it begins to."""
    arguments = [sys.executable, "-c", CHILD, str(path), json.dumps(options_of(fake)), NOW.isoformat()]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    fake.victim = child.pid
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def state(path: Path, reply_id: int) -> str:
    with Store(path) as store:
        found = store.replies.get(reply_id)
    assert found is not None
    return found.state


def go_on(path: Path, fake: FakeX, minutes: int) -> None:
    """Run the job in a process that nobody kills."""
    with Store(path) as store:
        reply(store, outbox(replier_of("x", options_of(fake))), NOW + minutes * MINUTE)


@pytest.mark.parametrize(("when", "sent", "ends"), [("before", 0, "unknown"), ("after", 1, "sent")])
def test_killed_in_the_middle_of_the_send_it_is_shown_and_never_sent_again_by_itself(
    tmp_path: Path, fake: Deadly, when: str, sent: int, ends: str
) -> None:
    path = tmp_path / "sentimon.db"
    number = queue(path, fake)
    fake.when = when
    assert run(path, fake).wait() == -signal.SIGKILL
    fake.when = ""
    assert len(fake.sent) == sent
    assert state(path, number) == "sending"
    go_on(path, fake, 1)  # another process may still be at it
    assert state(path, number) == "sending"
    for minutes in (10, 20, 600):
        go_on(path, fake, minutes)
        assert state(path, number) == ends  # what arrived is proved by X's own list
        assert len(fake.sent) == sent


def test_only_a_person_who_says_that_it_was_not_sent_lets_it_be_sent_again(tmp_path: Path, fake: Deadly) -> None:
    path = tmp_path / "sentimon.db"
    number = queue(path, fake)
    fake.when = "before"
    run(path, fake).wait()
    fake.when = ""
    go_on(path, fake, 10)
    with Store(path) as store, store.transaction():
        found = store.replies.get(number)
        assert found is not None
        say_not_sent(store, found.case_id, ANN, NOW + 11 * MINUTE, again=True)
    go_on(path, fake, 12)
    assert state(path, number) == "sent"
    assert len(fake.sent) == 1


@pytest.mark.parametrize("milliseconds", [0, 40])
def test_killed_at_any_moment_it_is_sent_at_most_once(tmp_path: Path, fake: Deadly, milliseconds: int) -> None:
    path = tmp_path / "sentimon.db"
    number = queue(path, fake)
    child = run(path, fake)
    fake.closing.wait(milliseconds / 1000)
    child.kill()
    child.wait()
    cut_off = state(path, number)
    assert cut_off in ("queued", "sending", "sent")
    for minutes in (10, 20, 30):
        go_on(path, fake, minutes)
    assert len(fake.sent) <= 1
    if cut_off == "queued":
        assert len(fake.sent) == 1
    assert state(path, number) == ("sent" if fake.sent else "unknown")


def test_the_time_after_which_a_row_counts_as_cut_off_is_longer_than_a_request_may_take() -> None:
    assert CUT_OFF > 2 * MINUTE
