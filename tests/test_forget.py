"""A person is forgotten: everywhere, for ever, and in the bytes of the file."""

import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from db.filters import Filter
from db.records import Alert, Match, Reach, Silence
from db.store import Store
from jobs.compose import compose
from jobs.decide import Reason
from jobs.rules import Watching
from jobs.watch import watch
from monitor import plugins, shapes
from tests.cli_rig import complaint, said, sentimon, told
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, kept_counts, mention, recounted, rows
from tests.test_hold import SPIKE
from tests.test_single import LEGAL

SECRET = "xyzzyplugh"


@pytest.fixture(autouse=True)
def _few_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "BUILT_IN", ("monitor.collectors.file",))


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store(folder / "posts.db") as opened:
        yield opened


def forget(*args: str) -> dict[str, tuple[int, int]]:
    answer = told("forget", "--yes", *args)
    assert answer["file_written_anew"] is True
    assert len({one["author_hash"] for one in answer["erased"]}) == 1
    return {one["source"]: (one["posts"], one["versions"]) for one in answer["erased"]}


def held(folder: Path) -> str:
    """All bytes of the database."""
    files = sorted(folder.glob("posts.db*"))
    assert files
    return "".join(path.read_bytes().decode("latin-1").casefold() for path in files)


def test_all_posts_of_a_person_lose_text_and_author_and_stay_counted(store: Store) -> None:
    keep(store, mention(1, "acme is awful", author="Ann"), mention(2, author="ann", source="reddit"), mention(3))
    keep(store, mention(1, "acme is awful, i say", author="Ann", collected_at=NOW + HOUR))
    judge(store)
    counted = kept_counts(store.path)
    assert forget("--author", "ANN") == {"reddit": (1, 0), "x": (1, 1)}
    found = rows(store.path, "SELECT source_id, author, text, gone_reason FROM mentions ORDER BY id")
    gone = [(f"forgotten-{number}", None, "", "forgotten") for number in (1, 2)]
    assert found == [*gone, ("3", "someone", "acme is fine", None)]
    assert rows(store.path, "SELECT count(*) FROM versions") == [(0,)]
    assert kept_counts(store.path) == counted == recounted(store.path)
    assert store.mentions.find("awful", Filter(), 9) == []


@pytest.mark.parametrize(("stored", "asked"), [("ann", "@Ann"), ("@ann", "ann"), ("ÄNNE", "änne"), ("ann", " ann ")])
def test_a_name_is_known_however_it_is_written(store: Store, stored: str, asked: str) -> None:
    keep(store, mention(1, author=stored))
    assert forget("--author", asked) == {"x": (1, 0)}
    keep(store, mention(2, author=stored))
    assert rows(store.path, "SELECT count(*) FROM mentions") == [(1,)]


def test_on_one_source_only_where_it_is_named(store: Store) -> None:
    keep(store, mention(1, author="ann"), mention(2, author="ann", source="reddit"))
    assert forget("--author", "ann", "--source", "Reddit") == {"reddit": (1, 0)}
    assert rows(store.path, "SELECT author FROM mentions ORDER BY source") == [(None,), ("ann",)]


def test_somebody_without_posts_is_not_stored_in_future_either(store: Store) -> None:
    keep(store, mention(1))
    assert forget("--author", "ann") == {"x": (0, 0)}
    keep(store, mention(2, author="ann"))
    assert rows(store.path, "SELECT source_id FROM mentions") == [("1",)]


def test_asked_again_the_receipt_is_of_nothing_and_the_person_the_same(store: Store) -> None:
    keep(store, mention(1, author="ann"))
    first, second = (told("forget", "--yes", "--author", "ann") for _ in range(2))
    assert [one["posts"] for one in first["erased"] + second["erased"]] == [1, 0]
    assert first["erased"][0]["author_hash"] == second["erased"][0]["author_hash"]


def test_where_nothing_was_stored_nothing_is_said_to_be_erased(store: Store) -> None:
    keep(store, mention(1, author="ann"))
    none = "No posts of this person are stored, nothing was erased; from now on none is stored"
    shown = said(sentimon("forget", "--yes", "--author", "anm"))
    assert none in shown
    assert "Erased, and not stored again" not in shown
    shown = said(sentimon("forget", "--yes", "--author", "ann"))
    assert "Erased, and not stored again" in shown
    assert none not in shown


@pytest.mark.parametrize("seed", range(3))
def test_no_byte_of_the_file_holds_what_was_erased(folder: Path, seed: int) -> None:
    """Rows that grew were moved about in the file, and leave copies behind; a text that is long fills pages."""
    dice = random.Random(seed)
    with Store(folder / "posts.db") as store:
        store._db.execute("PRAGMA secure_delete = OFF")  # as SQLite is built outside of Debian
        for round_ in range(6):
            posts = []
            for number in dice.sample(range(200), 200 if round_ == 0 else 100):
                words = f"acme word{dice.randrange(999)} " * dice.choice((1, 5, 40))
                text = f"{words} {SECRET}{number} {words}" if number % 7 == 0 else words
                likes = Reach(likes=dice.choice((None, 3, 70_000)))
                author = SECRET if number % 7 == 0 else "ann"
                posts.append(mention(number, text, author=author, collected_at=NOW + round_ * HOUR, reach=likes))
            keep(store, *posts)
            with store.transaction():
                store.mentions.checked("x", [str(dice.randrange(200)) for _ in range(80)], NOW + round_ * DAY)
        assert SECRET in held(folder)
    result = sentimon("forget", "--yes", "--author", SECRET)
    assert result.exit_code == 0
    assert SECRET not in result.output
    assert SECRET not in held(folder)
    assert rows(folder / "posts.db", "PRAGMA integrity_check") == [("ok",)]
    assert rows(folder / "posts.db", "SELECT count(*) FROM mentions") == [(200,)]
    assert rows(folder / "posts.db", "INSERT INTO mentions_fts (mentions_fts) VALUES ('integrity-check')") == []


NAMING = pytest.mark.parametrize(
    ("source", "author", "begins"),
    [
        ("mastodon", f"{SECRET}@m.example", f"https://m.example/users/{SECRET}/statuses"),
        ("bluesky", f"did:plc:{SECRET}", f"at://did:plc:{SECRET}/app.bsky.feed.post"),
    ],
)


def told_of(store: Store) -> Alert:
    """Let a single post be told, and silence its alert; return it."""
    judge(store)
    assert watch(store, Watching(names=("single post",)), NOW + MINUTE).error is None
    (alert,) = store.alerts.find(Filter())
    with store.transaction():
        store.silences.add(Silence(0, NOW, NOW + DAY, "ann", "", alert.brand, alert.rule, alert.scope))
    return alert


@NAMING
def test_an_alert_on_a_post_and_its_silence_keep_no_name_of_its_author(
    store: Store, folder: Path, source: str, author: str, begins: str
) -> None:
    keep(store, mention(f"{begins}/1", LEGAL, source=source, author=author))
    assert SECRET in told_of(store).scope
    forget("--author", author)
    assert SECRET not in held(folder)
    (alert,), (silence,) = store.alerts.find(Filter()), store.silences.ending_after(NOW)
    assert alert.scope == silence.scope == f"{source} forgotten-1"
    assert store.mentions.named(source, "forgotten-1", "Acme") is not None  # which the page of the alert shows


@NAMING
def test_what_a_person_deleted_before_keeps_no_name_of_theirs_either(
    store: Store, folder: Path, source: str, author: str, begins: str
) -> None:
    one, two, other = f"{begins}/1", f"{begins}/2", f"{begins.replace(SECRET, 'bob')}/3"
    bob = author.replace(SECRET, "bob")
    keep(store, mention(one, LEGAL, source=source, author=author))
    told_of(store)
    keep(store, mention(two, source=source, author=author), mention(other, source=source, author=bob, in_reply_to=two))
    with store.transaction():
        store.forgotten.erase_named(source, [one, two], NOW, "deleted")
    assert forget("--author", author, "--source", source) == {source: (0, 0)}
    assert SECRET not in held(folder)
    found = rows(store.path, "SELECT source_id, gone_reason FROM mentions ORDER BY id")
    assert found == [("forgotten-1", "deleted"), ("forgotten-2", "deleted"), (other, None)]


def test_an_alert_on_anothers_post_stays_as_it_is(store: Store) -> None:
    keep(store, mention(1, LEGAL, author="bob"), mention(2, author="ann"), mention(1, author="ann", source="reddit"))
    assert told_of(store).scope == "x 1"
    forget("--author", "ann")
    assert [alert.scope for alert in store.alerts.find(Filter())] == ["x 1"]
    assert [silence.scope for silence in store.silences.ending_after(NOW)] == ["x 1"]


def test_beside_a_reader_that_stays_it_says_that_traces_may_be_left(store: Store, folder: Path) -> None:
    keep(store, mention(1, author="ann"))
    reader = sqlite3.connect(folder / "posts.db")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM mentions").fetchone()
    with Store(folder / "posts.db") as other:
        other._db.execute("PRAGMA busy_timeout = 100")
        with other.transaction():
            other.forgotten.forget("x", "ann", NOW)
        assert other.forgotten.scrub() is False
        reader.close()
        assert other.forgotten.scrub() is True
    assert rows(folder / "posts.db", "SELECT author FROM mentions") == [(None,)]


class TestAsking:
    def test_the_number_of_posts_is_told_before_anything_is_erased(self, store: Store) -> None:
        keep(store, mention(1, author="ann"), mention(2, author="ann"), mention(3, author="ann", source="reddit"))
        result = sentimon("forget", "--author", "ann", stdin="y\n")
        assert "1 on reddit, 2 on x by ann. Erase them for ever" in result.stderr
        assert result.exit_code == 0
        assert rows(store.path, "SELECT count(*) FROM mentions WHERE author IS NOT NULL") == [(0,)]

    @pytest.mark.parametrize("answer", ["n\n", "", "\n"])
    def test_without_a_yes_nothing_is_erased(self, store: Store, answer: str) -> None:
        keep(store, mention(1, author="ann"))
        result = sentimon("forget", "--author", "ann", stdin=answer)
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-1] == (
            "sentimon: not confirmed, nothing erased; --yes erases without asking"
        )
        assert rows(store.path, "SELECT author FROM mentions") == [("ann",)]
        assert rows(store.path, "SELECT count(*) FROM forgotten") == [(0,)]

    def test_a_source_that_nobody_knows_is_one_line(self, store: Store) -> None:
        keep(store, mention(1, author="ann"))
        assert "no source 'redit'" in complaint(sentimon("forget", "--yes", "--author", "ann", "--source", "redit"))


class TestWhereTextIsGone:
    @pytest.fixture
    def gone(self, store: Store) -> Store:
        for number, reason in enumerate(("deleted", "forgotten", "aged"), 1):
            keep(store, mention(number, f"acme is awful {number}", NOW - timedelta(minutes=number)))
            judge(store)
            with store.transaction():
                store.forgotten.erase_named("x", [str(number)], NOW, reason)
        return store

    SAID = ("(deleted on its platform)", "(removed: author asked to be forgotten)", "(no longer kept)")

    def matches(self, store: Store) -> list[Match]:
        return sorted(store.mentions.every(Filter()), key=lambda match: match.mention.source_id)

    def test_lists_say_why(self, gone: Store) -> None:
        assert gone
        listed = " ".join(said(sentimon("mentions")).split())
        assert all(line in listed for line in self.SAID)

    def test_programs_are_told_why(self, gone: Store) -> None:
        found = [shapes.match_json(match) for match in self.matches(gone)]
        assert [(one["text"], one["gone"], one["author"]) for one in found] == [
            (text, reason, None) for text, reason in zip(self.SAID, ("deleted", "forgotten", "aged"), strict=True)
        ]

    def test_exports_say_why(self, gone: Store) -> None:
        assert gone
        lines = [json.loads(line) for line in said(sentimon("export", "--format", "jsonl")).splitlines()]
        assert {line["text"] for line in lines} == set(self.SAID)

    def test_notifications_say_why(self, gone: Store) -> None:
        body = compose("key", Reason.FIRST, SPIKE, self.matches(gone), 3).body
        assert [line for line in body.splitlines() if line.startswith("- ")] == [f"- x: {line}" for line in self.SAID]

    def test_nobody_is_asked_to_judge_what_is_gone(self, gone: Store) -> None:
        assert gone.verdicts.sample(9, None, 1) == []
        keep(gone, mention(9, "acme is awful"))
        judge(gone)
        assert [match.mention.source_id for match, _ in gone.verdicts.sample(9, None, 1)] == ["9"]

    def test_another_model_leaves_the_labels_of_what_is_gone(self, gone: Store) -> None:
        keep(gone, mention(9, "acme is awful"))
        judge(gone)
        (other,) = [match.id for match in self.matches(gone) if match.mention.source_id == "9"]
        assert gone.mentions.judged_by_others("newer-model", Filter()) == [other]


def test_a_post_that_is_there_is_shown_as_it_is() -> None:
    assert mention(1, "acme").shown == "acme"
    assert replace(mention(1, ""), gone_at=NOW, gone_reason="of another version").shown == "(no longer kept)"
