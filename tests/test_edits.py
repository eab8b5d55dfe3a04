"""What happens to a stored post when its author edits or deletes it, or asks to be forgotten."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db.filters import Filter
from db.records import Answer, Mention, Position, Reach, Score, Verdict
from db.store import Store
from tests.support import judge

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = T0 + timedelta(hours=1)
FIRST = Mention("x", "1", "ann", "acme is bad", T0, T0)
BAD = Score(
    "m-1",
    True,
    "en",
    {"sentiment": Answer("negative", {"negative": 0.9, "neutral": 0.1, "positive": 0.0})},
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened:
        yield opened


def add(store: Store, *mentions: Mention) -> None:
    with store.transaction():
        store.mentions.add([(mention, ["Acme"]) for mention in mentions])


def score(store: Store) -> None:
    with store.transaction():
        store.scores.save([(match, BAD) for match in store.mentions.pending(9)], T0)


def counted(store: Store) -> list[tuple[int, int]]:
    return store._db.execute("SELECT negative, neutral FROM buckets WHERE span = '1d'").fetchall()


def versions(store: Store) -> list[tuple[str]]:
    return store._db.execute("SELECT text FROM versions ORDER BY id").fetchall()


def test_an_edited_post_has_its_new_text_and_keeps_the_old_one(store: Store) -> None:
    add(store, FIRST)
    add(store, replace(FIRST, text="acme is good now", collected_at=LATER))
    (match,) = store.mentions.every(Filter())
    assert match.mention.text == "acme is good now"
    assert versions(store) == [("acme is bad",)]
    assert [m.mention.text for m in store.mentions.find("good", Filter(), 9)] == ["acme is good now"]
    assert store.mentions.find("bad", Filter(), 9) == []


def test_an_edited_post_is_judged_anew_and_not_counted_until_then(store: Store) -> None:
    add(store, FIRST)
    score(store)
    assert counted(store) == [(1, 0)]
    add(store, replace(FIRST, text="acme is good now", collected_at=LATER))
    assert (store.mentions.pending_count(), counted(store)) == (1, [])
    assert "Acme" in store.buckets.unwatched(LATER)


def test_what_a_person_said_of_a_post_outlives_its_edit(store: Store) -> None:
    add(store, FIRST)
    score(store)
    with store.transaction():
        store.verdicts.give([Verdict(1, "eve", T0, {"sentiment": "neutral"})])
    add(store, replace(FIRST, text="acme is good now", collected_at=LATER))
    (match,) = store.mentions.every(Filter())
    assert (match.sentiment, match.mention.text) == ("neutral", "acme is good now")
    score(store)
    assert counted(store) == [(0, 1)]


def test_what_no_person_has_said_of_a_post_is_judged_anew_after_its_edit(store: Store) -> None:
    add(store, FIRST)
    judge(store)
    with store.transaction():
        store.verdicts.give([Verdict(1, "eve", T0, {"sentiment": "negative"})])
    add(store, replace(FIRST, text="where do I buy acme?", collected_at=LATER))
    judge(store)
    (match,) = store.mentions.every(Filter())
    assert (match.sentiment, match.stage, match.reply) == ("negative", "purchase", "yes")
    assert (match.reviewed, match.model) == (True, "keywords-1")
    assert counted(store) == [(1, 0)]


def test_an_older_reading_does_not_undo_an_edit(store: Store) -> None:
    add(store, replace(FIRST, text="acme is good now", collected_at=LATER))
    add(store, FIRST)
    (match,) = store.mentions.every(Filter())
    assert match.mention.text == "acme is good now"
    assert versions(store) == []


def test_a_score_of_the_old_text_is_not_kept_for_the_new_one(store: Store) -> None:
    add(store, FIRST)
    (being_judged,) = store.mentions.pending(9)
    add(store, replace(FIRST, text="acme is good now", collected_at=LATER))
    with store.transaction():
        store.scores.save([(being_judged, BAD)], LATER)
    assert (store.mentions.pending_count(), counted(store)) == (1, [])


def test_likes_are_brought_up_to_date_without_a_version(store: Store) -> None:
    add(store, replace(FIRST, reach=Reach(followers=7, likes=1)))
    add(store, replace(FIRST, reach=Reach(likes=30), collected_at=LATER))
    (match,) = store.mentions.every(Filter())
    assert match.mention.reach == Reach(followers=7, likes=30)
    assert versions(store) == []


def test_a_deleted_post_loses_text_and_author_and_stays_counted(store: Store) -> None:
    add(store, FIRST)
    score(store)
    add(store, replace(FIRST, text="acme is worse", collected_at=LATER))
    score(store)
    with store.transaction():
        assert store.forgotten.erase_named("x", ["1", "unknown"], LATER, "deleted") == 1
    (match,) = store.mentions.every(Filter())
    assert (match.mention.text, match.mention.author, match.mention.url) == ("", None, None)
    assert (match.mention.gone_at, match.mention.gone_reason) == (LATER, "deleted")
    assert (match.sentiment, counted(store), versions(store)) == ("negative", [(1, 0)], [])
    assert store.mentions.find("acme", Filter(), 9) == []


def test_a_deleted_post_that_is_read_again_stays_deleted(store: Store) -> None:
    add(store, FIRST)
    with store.transaction():
        store.forgotten.erase_named("x", ["1"], LATER, "deleted")
    add(store, replace(FIRST, collected_at=LATER + timedelta(hours=1)))
    (match,) = store.mentions.every(Filter())
    assert match.mention.text == ""


def test_a_person_who_is_forgotten_is_removed_and_not_stored_again(store: Store) -> None:
    add(store, FIRST, replace(FIRST, source_id="2", author="Ann"), replace(FIRST, source_id="3", author="bob"))
    with store.transaction():
        receipt = store.forgotten.forget("x", "ann", LATER)
    assert (receipt.posts, receipt.versions) == (2, 0)
    add(store, replace(FIRST, source_id="4"), replace(FIRST, source="reddit", source_id="5"))
    found = {m.mention.source_id: m.mention.author for m in store.mentions.every(Filter())}
    assert found == {"forgotten-1": None, "forgotten-2": None, "3": "bob", "5": "ann"}
    kept = store._db.execute("SELECT author FROM forgotten").fetchall()
    assert kept == [(receipt.author_hash,)]
    assert "ann" not in receipt.author_hash


def test_a_forgotten_persons_name_goes_from_ids_references_and_what_others_passed_on(store: Store) -> None:
    uri = "https://m.example/users/ann/statuses/1"
    by = replace(FIRST, author="bob")
    add(
        store,
        replace(FIRST, source_id=uri),
        replace(by, source_id="2", repost_of=uri),
        replace(by, source_id="3", text="no, acme is good", in_reply_to=uri),
    )
    with store.transaction():
        store.sources.configured("x", "x", "1")
        store.sources.move("x", "(recheck)", Position(f'{{"ids": ["{uri}"]}}'))
        assert store.forgotten.forget("x", "ann", LATER).posts == 2
    kept = "\n".join(store._db.conn.iterdump())
    assert "users/ann" not in kept
    assert "acme is bad" not in kept
    assert [m.mention.text for m in store.mentions.every(Filter())] == ["", "", "no, acme is good"]


def test_a_forgotten_person_is_known_after_a_restart(store: Store) -> None:
    with store.transaction():
        store.forgotten.forget("x", "ann", T0)
    with Store(store.path) as again:
        add(again, FIRST)
        assert again.mentions.counts() == (0, 0)


def test_two_files_give_the_same_person_different_hashes(store: Store, tmp_path: Path) -> None:
    with Store(tmp_path / "other.db") as other, store.transaction(), other.transaction():
        hashes = {opened.forgotten.forget("x", "ann", T0).author_hash for opened in (store, other)}
    assert len(hashes) == 2


def test_a_hidden_match_is_stored_and_counted_nowhere_until_a_person_says_so(store: Store) -> None:
    with store.transaction():
        store.mentions.add([(FIRST, ["Acme"])], lambda mention, brand: True)
    score(store)
    assert counted(store) == []
    assert list(store.mentions.every(Filter())) == []
    (match,) = store.mentions.every(Filter(only_about=False))
    with store.transaction():
        store.verdicts.give([Verdict(match.id, "eve", T0, {}, about=True)])
    assert counted(store) == [(1, 0)]


def test_a_score_of_the_old_text_comes_not_back_with_what_a_person_says_meanwhile(store: Store) -> None:
    add(store, FIRST)
    score(store)
    add(store, replace(FIRST, text="acme is good now", collected_at=LATER))
    with store.transaction():
        store.verdicts.give([Verdict(1, "eve", LATER, {"stage": "use"})])
    assert (store.mentions.pending_count(), counted(store)) == (1, [])


def test_an_edit_hides_a_post_and_shows_it_again(store: Store) -> None:
    add(store, FIRST)
    score(store)
    for text, shown in (("acme spam", 0), ("acme again", 1)):
        post = replace(FIRST, text=text, collected_at=LATER)
        with store.transaction():
            store.mentions.add([(post, ["Acme"])], lambda mention, brand: "spam" in mention.text)
        score(store)
        assert counted(store) == [(1, 0)] * shown
        assert store._db.execute("SELECT hidden, about FROM matches").fetchall() == [(1 - shown, shown)]
