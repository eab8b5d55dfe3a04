"""Replies before they are sent: drafts, approval, conflicts, and saved replies."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from db.desk import Case, Reply, Snippet
from db.errors import InputError, NotAllowed, Stale
from db.store import Store
from jobs.desk.acts import claim, dismiss, reopen
from jobs.desk.answer import approve, by_hand, draft, say_not_sent, say_sent, send_back, submit, withdraw
from jobs.desk.snippet import checked, fill
from jobs.replier import Outbox
from tests.reply_rig import ANN, BEN, EVE, Scripted, case_of, outbox, renamed
from tests.support import MINUTE, NOW, mention

STRAIGHT = outbox(Scripted())
APPROVED = outbox(Scripted(), approval=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened, opened.transaction():
        yield opened


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with Store(tmp_path / "sentimon.db") as opened:
        yield case_of(opened)


# `case` opens its store in a transaction of its own, so it comes before `store` in every test below.


def last(store: Store, case: Case) -> Reply:
    found = store.replies.last(case.id)
    assert found is not None
    return found


def test_a_draft_is_kept_and_changed_without_a_second_one(case: Case, store: Store) -> None:
    draft(store, case.id, ANN, NOW, text=" We are\r\nsorry.\0\x1b ")
    assert last(store, case).text == "We are\nsorry."  # as it will be counted and sent
    draft(store, case.id, ANN, NOW + MINUTE, text="We are very sorry.", version=1)
    assert [(each.text, each.state, each.version) for each in store.replies.of_case(case.id)] == [
        ("We are very sorry.", "draft", 2)
    ]
    assert [event.what for event in store.cases.events(case.id)] == ["opened", "drafted"]


def test_a_draft_that_somebody_else_changed_is_not_written_over(case: Case, store: Store) -> None:
    draft(store, case.id, ANN, NOW, text="One.")
    draft(store, case.id, BEN, NOW, text="Two.", version=1)
    with pytest.raises(Stale) as stale:
        draft(store, case.id, ANN, NOW, text="Three.", version=1)
    assert stale.value.current is not None
    assert stale.value.current.id == case.id
    with pytest.raises(Stale):
        draft(store, case.id, ANN, NOW, text="Three.", version=0)  # the page showed none
    assert last(store, case).text == "Two."


def test_nobody_answers_a_post_that_somebody_else_holds(case: Case, store: Store) -> None:
    claim(store, case.id, ANN, NOW)
    with pytest.raises(Stale, match="ann is working on this post"):
        draft(store, case.id, BEN, NOW + MINUTE, text="Mine.")
    with pytest.raises(Stale):
        by_hand(store, case.id, BEN, NOW + MINUTE)
    draft(store, case.id, BEN, NOW + timedelta(hours=1), text="Mine.")  # the lease has ended


def test_without_approval_a_reply_is_queued_at_once_and_its_case_is_out_of_reach(case: Case, store: Store) -> None:
    draft(store, case.id, ANN, NOW, text="We are sorry.")
    submitted = submit(store, case.id, ANN, NOW, outbox=STRAIGHT)
    assert (last(store, case).state, submitted.state, submitted.assignee) == ("queued", "waiting", "ann")
    with pytest.raises(Stale):
        claim(store, case.id, BEN, NOW)
    with pytest.raises(InputError, match="about to be sent"):
        draft(store, case.id, ANN, NOW, text="Another.")
    with pytest.raises(InputError, match="about to be sent"):
        by_hand(store, case.id, ANN, NOW)
    with pytest.raises(InputError, match="about to be sent"):
        submit(store, case.id, ANN, NOW, outbox=STRAIGHT)


def test_with_approval_another_person_lets_it_go(case: Case, store: Store) -> None:
    draft(store, case.id, ANN, NOW, text="We are sorry.")
    submit(store, case.id, ANN, NOW, outbox=APPROVED)
    assert [each.id for each in store.replies.in_states(["waiting"])] == [last(store, case).id]
    approve(store, case.id, BEN, NOW + MINUTE, outbox=APPROVED, version=last(store, case).version)
    approved = last(store, case)
    assert (approved.state, approved.decided_by, approved.decided_at) == ("queued", "ben", NOW + MINUTE)


def test_nobody_approves_what_they_wrote_and_a_responder_approves_nothing(case: Case, store: Store) -> None:
    draft(store, case.id, BEN, NOW, text="We are sorry.")
    submit(store, case.id, BEN, NOW, outbox=APPROVED)
    with pytest.raises(NotAllowed, match="another person"):
        approve(store, case.id, BEN, NOW, outbox=APPROVED)
    with pytest.raises(NotAllowed, match="approver"):
        approve(store, case.id, ANN, NOW, outbox=APPROVED)
    with pytest.raises(NotAllowed, match="responder"):
        draft(store, case.id, EVE, NOW, text="I only look.")
    assert last(store, case).state == "waiting"


def test_who_changes_what_another_wrote_is_its_author_then(case: Case, store: Store) -> None:
    draft(store, case.id, ANN, NOW, text="We are sorry.")
    draft(store, case.id, BEN, NOW, text="We are very sorry.")
    submit(store, case.id, ANN, NOW, outbox=APPROVED)
    with pytest.raises(NotAllowed, match="another person"):
        approve(store, case.id, BEN, NOW, outbox=APPROVED)


def test_a_reply_goes_back_with_a_remark_is_edited_and_waits_again(case: Case, store: Store) -> None:
    draft(store, case.id, ANN, NOW, text="Not our fault.")
    submit(store, case.id, ANN, NOW, outbox=APPROVED)
    with pytest.raises(InputError, match="remark"):
        send_back(store, case.id, BEN, NOW, remark=" ")
    back = send_back(store, case.id, BEN, NOW, remark="Friendlier, please.")
    assert (last(store, case).state, last(store, case).remark) == ("returned", "Friendlier, please.")
    assert (back.state, back.assignee) == ("new", "ann")
    draft(store, case.id, ANN, NOW, text="We are sorry.")
    submit(store, case.id, ANN, NOW, outbox=APPROVED)
    assert (last(store, case).state, last(store, case).decided_by) == ("waiting", None)


def test_the_approval_of_a_text_that_was_changed_meanwhile_is_stale(case: Case, store: Store) -> None:
    draft(store, case.id, ANN, NOW, text="We are sorry.")
    submit(store, case.id, ANN, NOW, outbox=APPROVED)
    read = last(store, case).version
    draft(store, case.id, ANN, NOW, text="It is your own fault.")
    submit(store, case.id, ANN, NOW, outbox=APPROVED)
    with pytest.raises(Stale):
        approve(store, case.id, BEN, NOW, outbox=APPROVED, version=read)
    assert last(store, case).state == "waiting"


def test_what_waits_for_approval_is_changed_by_its_author_or_an_approver(case: Case, store: Store) -> None:
    draft(store, case.id, ANN, NOW, text="We are sorry.")
    submit(store, case.id, ANN, NOW, outbox=APPROVED)
    with pytest.raises(NotAllowed, match="only ann or an approver"):
        draft(store, case.id, renamed(ANN, "dora"), NOW, text="We are not.")
    draft(store, case.id, BEN, NOW, text="We are very sorry.")
    assert (last(store, case).state, last(store, case).author) == ("draft", "ben")


def test_a_reply_is_withdrawn_by_its_author_or_an_approver(case: Case, store: Store) -> None:
    draft(store, case.id, ANN, NOW, text="We are sorry.")
    submit(store, case.id, ANN, NOW, outbox=STRAIGHT)
    with pytest.raises(NotAllowed):
        withdraw(store, case.id, renamed(ANN, "dora"), NOW)
    withdraw(store, case.id, BEN, NOW)
    assert last(store, case).state == "draft"
    with pytest.raises(InputError, match="withdrawn"):
        withdraw(store, case.id, BEN, NOW)


@pytest.mark.parametrize(
    ("text", "box", "says"),
    [
        ("", STRAIGHT, "no text"),
        ("x" * 283, STRAIGHT, "3 characters too long: x takes 280"),
        ("x" * 281, STRAIGHT, "1 character too long"),
        ("Sorry.", outbox(Scripted(refusal="It does not mention @acme.")), "It does not mention @acme."),
        ("Sorry.", Outbox(), "Replies on x are not set up here"),
    ],
)
def test_what_cannot_be_sent_is_not_queued(case: Case, store: Store, text: str, box: Outbox, says: str) -> None:
    draft(store, case.id, ANN, NOW, text=text)
    with pytest.raises(InputError, match=says):
        submit(store, case.id, ANN, NOW, outbox=box)
    assert last(store, case).state == "draft"


def test_the_link_to_a_survey_counts(case: Case, store: Store) -> None:
    draft(store, case.id, ANN, NOW, text="x" * 250, survey="ces")
    with pytest.raises(InputError, match="too long"):
        submit(store, case.id, ANN, NOW, outbox=outbox(Scripted(), url="https://desk.example"))
    with pytest.raises(InputError, match="no such survey"):
        draft(store, case.id, ANN, NOW, text="x", survey="nps")


def test_an_answer_by_hand_is_kept_with_who_when_and_what(case: Case, store: Store) -> None:
    answered = by_hand(store, case.id, ANN, NOW, url="https://x.com/acme/status/1", text="Sorry, dear.")
    told = last(store, case)
    assert (told.state, told.author, told.sent_at, told.text) == ("by hand", "ann", NOW, "Sorry, dear.")
    assert told.url == "https://x.com/acme/status/1"
    assert (answered.state, answered.replied_at, answered.closed_at) == ("replied", NOW, NOW)


def test_a_draft_that_was_sent_by_hand_is_that_answer(case: Case, store: Store) -> None:
    draft(store, case.id, ANN, NOW, text="We are sorry.")
    by_hand(store, case.id, ANN, NOW)
    assert [(each.state, each.text) for each in store.replies.of_case(case.id)] == [("by hand", "We are sorry.")]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "x.com/acme", "https://x.com/a b", "https://" + "x" * 3_000])
def test_a_link_that_leads_nowhere_is_refused(case: Case, store: Store, url: str) -> None:
    with pytest.raises(InputError, match="address"):
        by_hand(store, case.id, ANN, NOW, url=url)


def test_a_closed_case_is_answered_after_it_is_reopened(case: Case, store: Store) -> None:
    dismiss(store, case.id, ANN, NOW, reason="spam")
    for act in (lambda: draft(store, case.id, ANN, NOW, text="x"), lambda: by_hand(store, case.id, ANN, NOW)):
        with pytest.raises(InputError, match="reopen"):
            act()
    reopen(store, case.id, ANN, NOW)
    by_hand(store, case.id, ANN, NOW)
    reopen(store, case.id, ANN, NOW)
    draft(store, case.id, ANN, NOW, text="One more thing.")
    assert [each.state for each in store.replies.of_case(case.id)] == ["by hand", "draft"]


def test_only_of_an_unknown_reply_does_a_person_say_what_became_of_it(case: Case, store: Store) -> None:
    draft(store, case.id, ANN, NOW, text="We are sorry.")
    for act in (say_sent, say_not_sent):
        with pytest.raises(InputError, match="unknown"):
            act(store, case.id, ANN, NOW)


def test_a_case_of_a_brand_that_is_not_ours_is_not_there(case: Case, store: Store) -> None:
    stranger = replace(ANN, brands=("Globex",))
    with pytest.raises(InputError, match=f"there is no case {case.id}"):
        draft(store, case.id, stranger, NOW, text="x")
    with pytest.raises(InputError, match="there is no case 99"):
        draft(store, 99, ANN, NOW, text="x")


# --- saved replies ----------------------------------------------------------------------------------------------------


def filled(case: Case, author: str | None, source: str = "mastodon") -> str:
    post = mention(1, source=source, author=author)
    return fill("Hi {author}!", replace(case, match=replace(case.match, mention=post)), ANN)


def test_variables_are_filled(case: Case) -> None:
    text = "Hi {author}, {me} of {brand} here on {source}. {Braces} and {} stay."
    assert fill(text, case, ANN) == "Hi zoe, ann of Acme here on X. {Braces} and {} stay."


@pytest.mark.parametrize(
    ("author", "shown"),
    [
        ("zoe@evil.example", "zoe"),
        ("@everyone", "everyone"),
        ("https://evil.example/x", "https evil example x"),
        ("evil.example", "evil example"),
        ("[x](javascript:alert(1))", "x javascript alert 1"),
        ("zo\u202ee\0\n@here", "zo e"),
        ("{brand}", "brand"),
        ("Zoë O'Neil-Ünal_7", "Zoë O'Neil-Ünal_7"),
        ("@", "there"),
        (None, "there"),
        ("n" * 500, "n" * 50),
    ],
)
def test_a_strangers_name_mentions_nobody_and_links_nowhere(case: Case, author: str | None, shown: str) -> None:
    assert filled(case, author) == f"Hi {shown}!"


def test_a_number_is_no_name(case: Case) -> None:
    assert filled(case, "1234567", "x") == "Hi there!"
    assert filled(case, "did:plc:abc", "bluesky") == "Hi there!"


def test_an_unknown_variable_is_refused_when_it_is_saved() -> None:
    assert checked("Hi {author}\r\n") == "Hi {author}"
    with pytest.raises(InputError, match=r"no variable {autor}; there are {author}, {brand}, {me}, {source}"):
        checked("Hi {autor}")
    with pytest.raises(InputError, match="needs a text"):
        checked(" \0 ")


def test_saved_replies_are_kept_by_name_and_brand(case: Case, store: Store) -> None:
    kept = store.snippets.save(Snippet(0, "Sorry", "We are sorry.", None, "ann", NOW))
    store.snippets.save(Snippet(0, "Globex", "Ours.", "Globex", "ann", NOW))
    assert [each.name for each in store.snippets.for_brand("Acme")] == ["Sorry"]
    with pytest.raises(InputError, match="already"):
        store.snippets.save(Snippet(0, "sorry", "Again.", None, "ann", NOW))
    store.snippets.save(replace(kept, text="Very sorry."))
    found = store.snippets.get(kept.id)
    assert found is not None
    assert found.text == "Very sorry."
    assert store.snippets.remove(kept.id)
    assert not store.snippets.remove(kept.id)
    assert [each.name for each in store.snippets.all()] == ["Globex"]
