"""What the desk keeps of posts whose text and author are no longer kept."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from db.cases import Asked
from db.desk import Reply
from db.records import Reach
from db.store import Store
from jobs.desk import acts
from jobs.desk.answer import answered
from jobs.prune import prune
from monitor import plugins
from tests.cli_rig import configure, told
from tests.desk_rig import ANN, happened
from tests.support import DAY, HOUR, NOW, judge, keep, mention, rows

SECRET = "xyzzyplugh"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "posts.db") as opened:
        yield opened


def worked_on(store: Store) -> None:
    """Three cases: of somebody, answered; of the same, about to be; and of another, with a draft."""
    people = ("ann", "ann", "other")
    keep(store, *(mention(n, f"acme {n}?", author=who, reach=Reach(9)) for n, who in enumerate(people, 1)))
    judge(store)
    with store.transaction():
        for number, state in ((1, "sent"), (2, "queued"), (3, "draft")):
            (match,) = store.mentions.of([number])
            store.cases.open(match, None, "asks", 1.0, NOW, due=NOW + HOUR)
            acts.note(store, number, ANN, NOW, text=f"{SECRET} is a regular")
            url = f"https://x.example/{SECRET}" if state == "sent" else None
            store.replies.save(Reply(0, number, "ann", f"Dear {SECRET}", state, NOW, NOW, remark=SECRET, url=url))
        acts.claim(store, 2, ANN, NOW)
        case = store.cases.get(1)
        assert case is not None
        store.cases.save(answered(case, NOW))


def forgotten(store: Store) -> None:
    with store.transaction():
        receipt = store.forgotten.forget("x", "ann", NOW + DAY)
    assert (receipt.posts, receipt.cases, receipt.notes, receipt.replies) == (2, 2, 2, 2)


def deleted(store: Store) -> None:
    with store.transaction():
        assert store.forgotten.erase_named("x", ["1", "2"], NOW + DAY, "deleted") == 2


def aged(store: Store) -> None:
    with store.transaction():
        store._db.execute("UPDATE mentions SET created_at = '2025-01-01T00:00:00Z' WHERE author = 'ann'")
    assert prune(store, {"x": 30 * DAY}, NOW + DAY).counts["aged"] == 2


@pytest.mark.parametrize("go", [forgotten, deleted, aged])
def test_with_a_post_the_words_about_it_go_and_what_happened_stays(store: Store, go: Callable[[Store], None]) -> None:
    worked_on(store)
    go(store)
    assert rows(store.path, "SELECT case_id, who, text FROM notes ORDER BY id") == [
        (1, "ann", ""),
        (2, "ann", ""),
        (3, "ann", f"{SECRET} is a regular"),
    ]
    kept = "SELECT case_id, author, state, text, remark, url FROM replies ORDER BY id"
    assert rows(store.path, kept) == [
        (1, "ann", "sent", "", None, None),
        (2, "ann", "failed", "", None, None),
        (3, "ann", "draft", f"Dear {SECRET}", SECRET, None),
    ]
    assert happened(store, 1) == ["opened", "noted"]
    assert happened(store, 2) == ["opened", "noted", "claimed", "post gone"]
    first, second = (store.cases.get(number) for number in (1, 2))
    assert first is not None
    assert second is not None
    assert (first.state, first.match.mention.author) == ("replied", None)
    assert (second.state, second.dismissed_for, second.closed_at, second.lease_until) == (
        "dismissed",
        "other",
        NOW + DAY,
        None,
    )
    assert [case.id for case in store.cases.queue(Asked(), NOW + DAY, 9)] == [3]


def test_a_reply_that_is_being_sent_keeps_its_state(store: Store) -> None:
    worked_on(store)
    with store.transaction():
        store._db.execute("UPDATE replies SET state = 'sending' WHERE case_id = 2")
    deleted(store)
    assert rows(store.path, "SELECT state, text FROM replies WHERE case_id = 2") == [("sending", "")]


def test_asked_again_nothing_more_happens(store: Store) -> None:
    worked_on(store)
    deleted(store)
    before = rows(store.path, "SELECT * FROM cases"), rows(store.path, "SELECT * FROM events")
    with store.transaction():
        store.forgotten.erase([1, 2], NOW + 2 * DAY, "forgotten")
    assert (rows(store.path, "SELECT * FROM cases"), rows(store.path, "SELECT * FROM events")) == before


def test_the_receipt_counts_the_notes_and_replies_and_no_byte_of_them_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "BUILT_IN", ("monitor.collectors.file",))
    configure(tmp_path)
    with Store(tmp_path / "posts.db") as store:
        worked_on(store)
        store._db.execute("UPDATE mentions SET author = 'ann' WHERE id = 3")
    (receipt,) = told("forget", "--yes", "--author", "ann")["erased"]
    assert {what: receipt[what] for what in ("posts", "cases", "notes", "replies")} == {
        "posts": 3,
        "cases": 3,
        "notes": 3,
        "replies": 3,
    }
    held = b"".join(path.read_bytes() for path in tmp_path.glob("posts.db*"))
    assert SECRET.encode() not in held
