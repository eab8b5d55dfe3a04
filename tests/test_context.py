"""What somebody sees around a case: the conversation, its author's past, and nothing that they may not see."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.desk import User
from db.store import Store
from jobs.desk.context import BELOW, POSTS, context
from tests.case_rig import ADMIN, answer, case_of, dismiss, post
from tests.support import HOUR, MINUTE, NOW, judge, keep, mention


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "posts.db") as store:
        yield store


def texts(said: object) -> list[str]:
    return [one.text for one in said]  # type: ignore[attr-defined]


def test_a_conversation_is_shown_from_its_first_post_to_the_answers_in_order(store: Store) -> None:
    post(store, 1, "the beginning, acme", NOW - 3 * HOUR)
    post(store, 2, "acme went on", NOW - 2 * HOUR, in_reply_to="1")
    case = case_of(store, 3, "awful acme", NOW - HOUR, in_reply_to="2")
    post(store, 5, "later, acme", NOW + 2 * MINUTE, in_reply_to="4")
    post(store, 4, "sooner, acme", NOW + MINUTE, in_reply_to="3")
    thread = context(store, case, ADMIN).thread
    assert texts(thread.above) == ["the beginning, acme", "acme went on"]
    assert thread.here.text == "awful acme"
    assert texts(thread.below) == ["sooner, acme", "later, acme"]
    assert not thread.lost
    assert not thread.cut


def test_what_we_replied_is_marked_and_stands_once_though_it_was_collected_too(store: Store) -> None:
    case = case_of(store, 1, "awful acme", NOW - HOUR)
    answer(store, case, "we are sorry, acme", after=10 * MINUTE, remote_id="ours", who="ben")
    post(store, "ours", "we are sorry, acme", NOW - 50 * MINUTE, in_reply_to="1", author="acmehelp")
    again = case_of(store, 2, "still awful, acme", NOW, in_reply_to="ours")
    below = context(store, case, ADMIN).thread.below
    assert [(one.text, one.ours, one.author) for one in below] == [
        ("we are sorry, acme", True, "ben"),
        ("still awful, acme", False, "someone"),
    ]
    above = context(store, again, ADMIN).thread.above
    assert [(one.text, one.ours) for one in above] == [("awful acme", False), ("we are sorry, acme", True)]
    assert above[0].case_id == case.id


def test_drafts_are_nothing_that_was_said(store: Store) -> None:
    case = case_of(store, 1)
    answer(store, case, "not yet", state="draft", sent_at=None)
    answer(store, case, "perhaps", state="unknown", sent_at=None)
    assert context(store, case, ADMIN).thread.below == []


def test_a_first_post_that_was_never_stored_is_told(store: Store) -> None:
    case = case_of(store, 1, in_reply_to="elsewhere")
    thread = context(store, case, ADMIN).thread
    assert thread.lost
    assert not thread.alone
    assert context(store, case_of(store, 2), ADMIN).thread.alone


def test_posts_that_answer_each_other_in_a_ring_end(store: Store) -> None:
    post(store, 1, in_reply_to="2")
    case = case_of(store, 2, in_reply_to="1")
    thread = context(store, case, ADMIN).thread
    assert [one.key for one in thread.above] == ["1"]
    assert thread.below == []


def test_a_storm_of_answers_is_cut_and_said_to_be(store: Store) -> None:
    case = case_of(store, "first")
    for number in range(BELOW + 5):
        post(store, number, f"acme {number}", NOW + number * MINUTE, in_reply_to="first")
    thread = context(store, case, ADMIN).thread
    assert len(thread.below) == BELOW
    assert thread.cut


def test_the_author_is_known_by_earlier_posts_and_how_their_cases_went(store: Store) -> None:
    first = case_of(store, 1, "awful acme", NOW - 50 * HOUR, author="ann")
    answer(store, first, "we are sorry", who="ben")
    dismiss(store, case_of(store, 2, "acme is fine", NOW - 40 * HOUR, author="Ann"), "spam")
    post(store, 3, "love acme", NOW - 30 * HOUR, author="ann")
    post(store, 4, "love acme", NOW - 30 * HOUR, author="somebody else")
    post(store, 5, "love acme", NOW - 30 * HOUR, author="ann", source="reddit")
    author = context(store, case_of(store, 6, author="ann"), ADMIN).author
    assert author is not None
    assert (author.labels.negative, author.labels.neutral, author.labels.positive) == (1, 1, 1)
    assert author.first_seen == NOW - 50 * HOUR
    assert [one.mention.source_id for one in author.posts] == ["3", "2", "1"]
    assert [(one.state, one.dismissed_for, one.reply, one.replied_by) for one in author.cases] == [
        ("dismissed", "spam", None, None),
        ("replied", None, "we are sorry", "ben"),
    ]


def test_of_a_busy_author_the_newest_posts_are_shown_and_all_are_counted(store: Store) -> None:
    for number in range(POSTS + 4):
        post(store, number, "awful acme", NOW - (number + 1) * HOUR, author="ann")
    author = context(store, case_of(store, "this", author="ann"), ADMIN).author
    assert author is not None
    assert author.labels.negative == POSTS + 4
    assert [one.mention.source_id for one in author.posts] == [str(number) for number in range(POSTS)]


def test_a_post_on_two_brands_is_one_post_of_its_author(store: Store) -> None:
    keep(store, mention("both", "awful acme, awful bolt", NOW - HOUR, author="zoe"), brands=("Acme", "Bolt"))
    judge(store)
    case = case_of(store, 1, "acme, again?", author="Zoe")
    author = context(store, case, ADMIN).author
    assert author is not None
    assert (author.labels.negative, len(author.posts)) == (1, 1)
    assert store.conversations.before([case.id], ())[case.id].wrote == 1
    seen = store.conversations.author(case.match, ("Bolt",), 9, 9)
    assert seen is not None
    assert seen.labels.mentions == 1


def test_nothing_is_shown_of_authors_who_are_gone_or_were_never_known(store: Store) -> None:
    post(store, 1, "awful acme, says ann", NOW - HOUR, author="ann")
    case = case_of(store, 2, author="ann", in_reply_to="1")
    nobody = case_of(store, 3, author=None)
    with store.transaction():
        store.forgotten.erase_named("x", ["1"], NOW, "deleted")
    shown = context(store, case, ADMIN)
    assert texts(shown.thread.above) == ["(deleted on its platform)"]
    assert shown.author is not None
    assert shown.author.posts == []
    with store.transaction():
        store.forgotten.forget("x", "ann", NOW)
    gone = store.cases.get(case.id)
    assert gone is not None
    assert context(store, gone, ADMIN).author is None
    assert context(store, nobody, ADMIN).author is None


def test_another_brands_posts_lose_their_words_for_who_may_not_see_it(store: Store) -> None:
    post(store, 1, "bolt is a secret", NOW - HOUR, author="ann", brand="Bolt")
    case = case_of(store, 2, "awful acme", author="ann", in_reply_to="1")
    post(store, 3, "bolt again", NOW + MINUTE, in_reply_to="2", brand="Bolt")
    few = User(2, "few", "responder", brands=("Acme",))
    shown = context(store, case, few)
    assert texts([*shown.thread.above, *shown.thread.below]) == ["(a post about another brand)"] * 2
    assert all(one.author is None for one in shown.thread.above)
    assert shown.author is not None
    assert shown.author.posts == []
    everything = context(store, case, ADMIN)
    assert texts(everything.thread.above) == ["bolt is a secret"]
    assert everything.author is not None
    assert len(everything.author.posts) == 1


def test_the_alert_comes_along(store: Store) -> None:
    from tests.web_rig import SPIKE

    with store.transaction():
        alert = store.alerts.save(SPIKE, ())
    assert context(store, case_of(store, 1, alert_id=alert.id), ADMIN).alert == store.alerts.get(alert.id)
    assert context(store, case_of(store, 2), ADMIN).alert is None


def test_a_look_writes_nothing(store: Store, tmp_path: Path) -> None:
    case = case_of(store, 1, author="ann", in_reply_to="0")
    before = store._db.execute("SELECT total_changes()").fetchone()
    context(store, case, ADMIN)
    assert store._db.execute("SELECT total_changes()").fetchone() == before
