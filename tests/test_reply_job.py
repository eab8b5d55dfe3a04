"""The job that sends replies: what each outcome leaves behind, and that nothing is sent twice."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from db.desk import Reply
from db.errors import NotAuthorised, RateLimited, ReplyRefused, SourceUnavailable
from db.store import Store
from jobs.desk.acts import dismiss
from jobs.desk.answer import draft, say_not_sent, say_sent, submit, withdraw
from jobs.outcome import Outcome
from jobs.replier import Outbox, Replied, Route, key_of
from jobs.reply import CUT_OFF, look, reply
from tests.reply_rig import ANN, PLATFORMS, Scripted, case_of, outbox
from tests.support import MINUTE, NOW


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened:
        yield opened


def queued(store: Store, box: Outbox, number: int = 1, text: str = "We are sorry.") -> Reply:
    case = case_of(store, number)
    with store.transaction():
        draft(store, case.id, ANN, NOW, text=text)
        submit(store, case.id, ANN, NOW, outbox=box)
    return last(store, case.id)


def last(store: Store, case_id: int) -> Reply:
    found = store.replies.last(case_id)
    assert found is not None
    return found


def what_happened(store: Store, case_id: int) -> list[str]:
    return [event.what for event in store.cases.events(case_id)]


def test_what_is_queued_is_sent_and_its_case_answered(store: Store) -> None:
    replier = Scripted()
    waiting = queued(store, outbox(replier))
    assert reply(store, outbox(replier), NOW + MINUTE) == Outcome({"sent": 1, "failed": 0, "unknown": 0})
    sent = last(store, waiting.case_id)
    assert (sent.state, sent.remote_id, sent.url) == ("sent", "r1", "https://x.example/r1")
    assert sent.sent_at == NOW + MINUTE
    case = store.cases.get(waiting.case_id)
    assert case is not None
    assert (case.state, case.replied_at, case.closed_at) == ("replied", NOW + MINUTE, NOW + MINUTE)
    assert what_happened(store, case.id) == ["opened", "drafted", "queued", "replied"]
    assert replier.sent == [("We are sorry.", key_of(sent))]
    assert reply(store, outbox(replier), NOW + 2 * MINUTE).counts == {"sent": 0, "failed": 0, "unknown": 0}
    assert len(replier.sent) == 1


def test_the_row_says_sending_on_the_disk_before_anything_is_sent(store: Store) -> None:
    seen = []

    def look_from_outside() -> None:
        with Store(store.path) as other:
            seen.append(last(other, waiting.case_id))

    replier = Scripted(during=look_from_outside)
    waiting = queued(store, outbox(replier))
    reply(store, outbox(replier), NOW)
    assert [(each.state, each.sending_at) for each in seen] == [("sending", NOW)]


def test_of_many_processes_that_send_at_once_one_sends_it(store: Store) -> None:
    replier = Scripted(platform="x")
    queued(store, outbox(replier))
    begun = threading.Barrier(6)

    def run() -> None:
        with Store(store.path) as own:
            begun.wait()
            reply(own, outbox(replier), NOW)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replier.sent) == 1


def test_what_is_to_be_durable_is_written_through_and_nothing_else_is(store: Store) -> None:
    def level() -> int:
        return int(store._db.execute("PRAGMA synchronous").fetchone()[0])

    with store.transaction(durable=True):
        assert level() == 2  # FULL
    assert level() == 1  # NORMAL
    with pytest.raises(ValueError, match="bug"), store.transaction(durable=True):
        raise ValueError("a bug")
    assert level() == 1


def test_a_refused_reply_has_failed_with_the_reason_and_can_be_edited_and_sent(store: Store) -> None:
    replier = Scripted([ReplyRefused("X refuses the reply (403): duplicate")])
    waiting = queued(store, outbox(replier))
    outcome = reply(store, outbox(replier), NOW)
    assert outcome.error == f"reply {waiting.id} was not sent: X refuses the reply (403): duplicate"
    failed = last(store, waiting.case_id)
    assert (failed.state, failed.error) == ("failed", "X refuses the reply (403): duplicate")
    case = store.cases.get(waiting.case_id)
    assert case is not None
    assert (case.state, case.assignee, case.closed_at) == ("new", "ann", None)
    with store.transaction():
        draft(store, case.id, ANN, NOW, text="We are very sorry.")
        submit(store, case.id, ANN, NOW, outbox=outbox(replier))
    reply(store, outbox(replier), NOW)
    assert [text for text, _ in replier.sent] == ["We are very sorry."]


def test_a_limit_lets_it_and_all_others_on_that_platform_wait(store: Store) -> None:
    again = NOW + 10 * MINUTE
    replier = Scripted([RateLimited("X asks to wait", again)])
    first, second = queued(store, outbox(replier), 1), queued(store, outbox(replier), 2)
    assert reply(store, outbox(replier), NOW).error is None
    for each in (first, second):
        assert (last(store, each.case_id).state, last(store, each.case_id).not_before) == ("queued", again)
    reply(store, outbox(replier), again - MINUTE)
    assert not replier.sent
    reply(store, outbox(replier), again)
    assert len(replier.sent) == 2


@pytest.mark.parametrize("error", [SourceUnavailable("X did not answer"), NotAuthorised("odd"), ValueError("a bug")])
def test_any_other_error_means_that_nobody_knows_and_it_is_never_sent_again(store: Store, error: Exception) -> None:
    replier = Scripted([error])
    waiting = queued(store, outbox(replier))
    outcome = reply(store, outbox(replier), NOW)
    assert outcome.counts == {"sent": 0, "failed": 0, "unknown": 1}
    assert "look on the platform" in str(outcome.error)
    assert "a bug" not in str(outcome.error)  # its text may hold anything
    for days in (1, 30):
        reply(store, outbox(replier), NOW + timedelta(days=days))
    assert last(store, waiting.case_id).state == "unknown"
    assert not replier.sent


def cut_off(store: Store, replier: Scripted) -> Reply:
    """A reply whose process was ended while it was sent."""
    replier.script = [KeyboardInterrupt()]  # type: ignore[list-item]
    waiting = queued(store, outbox(replier))
    with pytest.raises(KeyboardInterrupt):
        reply(store, outbox(replier), NOW)
    assert last(store, waiting.case_id).state == "sending"
    return waiting


def test_after_a_crash_it_is_unknown_and_shown(store: Store) -> None:
    replier = Scripted()
    waiting = cut_off(store, replier)
    assert reply(store, outbox(replier), NOW + CUT_OFF - MINUTE).counts["unknown"] == 0
    outcome = reply(store, outbox(replier), NOW + CUT_OFF)
    assert outcome.counts["unknown"] == 1
    assert f"reply {waiting.id}: nobody knows whether it was sent" in str(outcome.error)
    assert last(store, waiting.case_id).state == "unknown"
    assert what_happened(store, waiting.case_id)[-1] == "perhaps sent"
    assert not replier.sent


def test_after_a_crash_what_the_platform_shows_is_sent_with_that_as_proof(store: Store) -> None:
    replier = Scripted(shown=Replied("r9", "https://x.example/r9"))
    waiting = cut_off(store, replier)
    assert reply(store, outbox(replier), NOW + CUT_OFF).counts["sent"] == 1
    found = last(store, waiting.case_id)
    assert (found.state, found.remote_id, found.sent_at) == ("sent", "r9", NOW)
    assert what_happened(store, waiting.case_id)[-2:] == ["perhaps sent", "found sent"]


def test_a_person_looks_and_finds_it_or_is_told_nothing(store: Store) -> None:
    replier = Scripted()
    waiting = cut_off(store, replier)
    reply(store, outbox(replier), NOW + CUT_OFF)
    assert look(store, outbox(replier), waiting.id, NOW + CUT_OFF) is None
    replier.shown = Replied("r9", None)
    found = look(store, outbox(replier), waiting.id, NOW + CUT_OFF)
    assert found is not None
    assert found.state == "sent"
    assert look(store, outbox(replier), waiting.id, NOW + CUT_OFF) is None  # it is known by now


def test_a_person_says_that_it_was_sent(store: Store) -> None:
    replier = Scripted()
    waiting = cut_off(store, replier)
    reply(store, outbox(replier), NOW + CUT_OFF)
    with store.transaction():
        case = say_sent(store, waiting.case_id, ANN, NOW + CUT_OFF, url="https://x.example/1")
    assert case.state == "replied"
    assert (last(store, case.id).state, last(store, case.id).url) == ("sent", "https://x.example/1")
    reply(store, outbox(replier), NOW + 2 * CUT_OFF)
    assert not replier.sent


@pytest.mark.parametrize(("again", "sent"), [(False, 0), (True, 1)])
def test_a_person_says_that_it_was_not_sent(store: Store, again: bool, sent: int) -> None:
    replier = Scripted()
    waiting = cut_off(store, replier)
    reply(store, outbox(replier), NOW + CUT_OFF)
    with store.transaction():
        say_not_sent(store, waiting.case_id, ANN, NOW + CUT_OFF, again=again)
    assert last(store, waiting.case_id).state == ("queued" if again else "draft")
    reply(store, outbox(replier), NOW + 2 * CUT_OFF)
    assert len(replier.sent) == sent


def test_what_another_process_took_for_cut_off_ends_as_it_went(store: Store) -> None:
    def grow_old() -> None:
        with Store(store.path) as other:
            reply(other, outbox(Scripted()), NOW + CUT_OFF)

    replier = Scripted(during=grow_old)
    waiting = queued(store, outbox(replier))
    reply(store, outbox(replier), NOW)
    assert last(store, waiting.case_id).state == "sent"
    assert len(replier.sent) == 1


def test_what_a_person_has_made_a_draft_again_meanwhile_is_not_queued_by_a_limit(store: Store) -> None:
    def take_back() -> None:
        with Store(store.path) as other:
            reply(other, outbox(Scripted()), NOW + CUT_OFF)
            with other.transaction():
                say_not_sent(other, 1, ANN, NOW + CUT_OFF)

    replier = Scripted([RateLimited("X asks to wait", NOW + 60 * MINUTE)], during=take_back)
    waiting = queued(store, outbox(replier))
    reply(store, outbox(replier), NOW)
    assert last(store, waiting.case_id).state == "draft"


def test_what_was_withdrawn_or_cannot_be_sent_any_more_is_not_sent(store: Store) -> None:
    replier = Scripted()
    box = outbox(replier)
    one, two = queued(store, box, 1), queued(store, box, 2)
    with store.transaction():
        withdraw(store, one.case_id, ANN, NOW)
        dismiss(store, one.case_id, ANN, NOW, reason="spam")
    replier.refusal = "the post does not mention @acme"
    reply(store, box, NOW)
    assert not replier.sent
    assert last(store, one.case_id).state == "draft"
    assert (last(store, two.case_id).state, last(store, two.case_id).error) == (
        "failed",
        "the post does not mention @acme",
    )


def test_a_post_that_was_deleted_meanwhile_is_not_answered(store: Store) -> None:
    replier = Scripted()
    waiting = queued(store, outbox(replier))
    with store.transaction():
        store.forgotten.erase_named("x", ["1"], NOW, "deleted")
    reply(store, outbox(replier), NOW)
    assert last(store, waiting.case_id).state == "failed"
    assert not replier.sent


def test_a_survey_is_offered_with_its_link_the_same_at_every_attempt(store: Store) -> None:
    replier = Scripted([RateLimited("wait", NOW + MINUTE)])
    box = outbox(replier, url="https://desk.example")
    case = case_of(store)
    with store.transaction():
        draft(store, case.id, ANN, NOW, text="We are sorry.", survey="csat")
        submit(store, case.id, ANN, NOW, outbox=box)
    reply(store, box, NOW)
    reply(store, box, NOW + MINUTE)
    (text, _) = replier.sent[0]
    assert text.startswith("We are sorry.\n\n")
    assert "https://desk.example/s/" in text
    assert last(store, case.id).text == "We are sorry."


def test_the_month_s_budget_holds_for_replies(store: Store) -> None:
    with PLATFORMS["x"]() as platform:
        box = Outbox([Route("x", platform.replier(), monthly_budget=Decimal("0.02"))])
        case = case_of(store, post=platform.post)
        with store.transaction():
            draft(store, case.id, ANN, NOW, text="See https://acme.example/help")
            submit(store, case.id, ANN, NOW, outbox=box)
        reply(store, box, NOW)
        put_off = last(store, case.id)
        assert (put_off.state, str(put_off.not_before)[:10]) == ("queued", "2026-04-01")
        assert not platform.sent()
        with store.transaction():
            withdraw(store, case.id, ANN, NOW)
            draft(store, case.id, ANN, NOW, text="Please write to us.")
            submit(store, case.id, ANN, NOW, outbox=box)
        reply(store, box, NOW)
        assert list(platform.sent()) == ["Please write to us."]
    assert store.sources.spent("x", "2026-03") == Decimal("0.015")
