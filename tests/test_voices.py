"""Whoever says the same again is heard once: what detection counts, in whatever order posts come in."""

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from db.migrations import migrations
from db.records import Mention, Verdict
from db.store import Store
from jobs.group import group
from jobs.rematch import rematch
from jobs.score import rescore
from models.query import parse
from tests.support import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    Keywords,
    brand,
    echoes,
    judge,
    keep,
    kept_counts,
    kept_voices,
    mention,
    recounted,
    recounted_voices,
    rows,
)

AWFUL, FINE = "acme is awful", "acme is fine"
COPIED = "acme charged twice for the very same order of blue shoes and nobody at the shop will answer my letters"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store
        assert kept_voices(store.path) == recounted_voices(store.path)


def said(number: int, after: timedelta, text: str = AWFUL, author: str | None = "ann", **more: Any) -> Mention:
    return mention(number, text, NOW + after, author=author, **more)


def fill(store: Store, *posts: Mention, brands: Sequence[str] = ("Acme",)) -> None:
    keep(store, *posts, brands=brands)
    judge(store)


def heard(store: Store) -> list[tuple[str, str]]:
    """The posts that are no echoes, with their brand."""
    return sorted(post for post, echo in echoes(store.path).items() if not echo)


def counted(store: Store) -> tuple[int, int]:
    """Negatives and others that detection hears of."""
    found = store.voices.hourly("Acme", NOW - 400 * DAY, NOW + 400 * DAY)
    return sum(negative for _, negative, _ in found), sum(other for _, _, other in found)


@pytest.mark.parametrize(
    ("second", "is_echo"),
    [
        pytest.param(said(2, HOUR), True, id="the same feeling an hour later"),
        pytest.param(said(2, 3 * HOUR), True, id="three hours later"),
        pytest.param(said(2, 3 * HOUR + timedelta(seconds=1)), False, id="later"),
        pytest.param(said(2, timedelta(0)), True, id="in the same second"),
        pytest.param(said(2, HOUR, FINE), False, id="another feeling"),
        pytest.param(said(2, HOUR, author="bob"), False, id="somebody else"),
        pytest.param(said(2, HOUR, author="ANN"), True, id="the same name in capitals"),
        pytest.param(said(2, HOUR, source="reddit"), False, id="somebody of that name elsewhere"),
        pytest.param(said(2, HOUR, author=None), False, id="nobody knows who"),
        pytest.param(said(2, HOUR, author=""), False, id="a name that is empty"),
        pytest.param(said(2, HOUR, "12345"), False, id="what cannot be rated"),
    ],
)
def test_who_says_the_same_again_within_three_hours_is_an_echo(store: Store, second: Mention, is_echo: bool) -> None:
    fill(store, said(1, timedelta(0)), second)
    assert echoes(store.path) == {("1", "Acme"): False, ("2", "Acme"): is_echo}
    assert sum(counted(store)) == (1 if is_echo or second.text == "12345" else 2)
    assert kept_counts(store.path) == recounted(store.path)  # people are shown all of them


def test_posts_without_an_author_are_each_heard(store: Store) -> None:
    fill(store, *(said(number, number * MINUTE, author=None) for number in range(5)))
    assert counted(store) == (5, 0)


def test_joy_and_calm_are_one_feeling_and_anger_another(store: Store) -> None:
    fill(store, said(1, timedelta(0), "love acme"), said(2, MINUTE, FINE), said(3, 2 * MINUTE), said(4, 3 * MINUTE))
    assert heard(store) == [("1", "Acme"), ("3", "Acme")]


def test_each_brand_hears_a_person_for_itself(store: Store) -> None:
    fill(store, said(1, timedelta(0)))
    fill(store, said(2, MINUTE), brands=("Acme", "Bolt"))
    assert heard(store) == [("1", "Acme"), ("2", "Bolt")]


@pytest.mark.parametrize("seed", range(6))
def test_the_order_in_which_posts_arrive_and_jobs_run_changes_nothing(tmp_path: Path, seed: int) -> None:
    dice = random.Random(7)
    posts = [
        said(number, dice.random() * 9 * HOUR, dice.choice([AWFUL, FINE, COPIED]), dice.choice(["ann", "bob"]))
        for number in range(40)
    ]
    expected = played(tmp_path / "in order.db", [sorted(posts, key=lambda post: post.created_at)])
    dice = random.Random(seed)
    dice.shuffle(posts)
    cuts = sorted(dice.sample(range(1, 40), 3))
    parts = [posts[start:end] for start, end in zip([0, *cuts], [*cuts, 40], strict=True)]
    assert 5 < sum(expected.values()) < 35
    assert played(tmp_path / "shuffled.db", parts, dice) == expected


def played(path: Path, parts: Sequence[Sequence[Mention]], dice: random.Random | None = None) -> dict[str, bool]:
    """Which posts that are no copies are echoes: of copies it is one that was stored first that is heard."""
    with Store(path) as store:
        for part in parts:
            keep(store, *part)
            if dice is None or dice.random() < 0.6:
                judge(store)
        judge(store)
    assert kept_voices(path) == recounted_voices(path)
    return {post: echo for (post, _), echo in echoes(path).items()}


def test_a_page_that_lists_the_newest_first_hears_the_oldest(store: Store) -> None:
    fill(store, *(said(number, -number * 10 * MINUTE) for number in range(6)))
    assert heard(store) == [("5", "Acme")]


def test_a_late_older_post_is_heard_in_place_of_the_next_one_which_is_watched_again(store: Store) -> None:
    fill(store, said(2, 2 * HOUR), said(3, 4 * HOUR))
    assert heard(store) == [("2", "Acme")]
    store.buckets.watched("Acme", store.buckets.unwatched(NOW + DAY)["Acme"], NOW + DAY)
    fill(store, said(1, timedelta(0)))
    assert heard(store) == [("1", "Acme")]
    assert store.buckets.unwatched(NOW + DAY)["Acme"].since == NOW
    assert counted(store) == (1, 0)


def test_who_goes_on_for_a_day_is_heard_once_and_again_after_three_hours_of_quiet(store: Store) -> None:
    fill(store, *(said(number, number * 2 * HOUR) for number in range(12)), said(99, 26 * HOUR))
    assert heard(store) == [("0", "Acme"), ("99", "Acme")]


def test_a_verdict_on_the_first_post_lets_the_second_be_heard_and_back(store: Store) -> None:
    fill(store, said(1, timedelta(0)), said(2, HOUR))
    for labels, about, expected in (
        ({"sentiment": "positive"}, True, (1, 1)),
        ({}, False, (1, 0)),
        ({"sentiment": "negative"}, True, (1, 0)),
    ):
        with store.transaction():
            store.verdicts.give([Verdict(1, "eve", NOW, labels, about=about)])
        assert counted(store) == expected, labels


def model(number: str, negative: str) -> Any:
    return Keywords(f"keywords-{number}", negative=(negative,))


def test_another_models_judgement_settles_echoes_anew(store: Store) -> None:
    fill(store, said(1, timedelta(0)), said(2, HOUR, FINE), said(3, 2 * HOUR))
    assert heard(store) == [("1", "Acme"), ("2", "Acme")]
    rescore(store, model("2", "fine"), [1, 2, 3], lambda: NOW)
    assert heard(store) == [("1", "Acme"), ("2", "Acme")]
    rescore(store, model("3", "acme"), [1, 2, 3], lambda: NOW)
    assert heard(store) == [("1", "Acme")]


def test_a_first_post_that_is_hidden_lets_the_second_be_heard(store: Store) -> None:
    fill(store, said(1, timedelta(0), "awful acme spam"), said(2, HOUR))
    rematch(store, [brand(hide=parse("spam"))])
    assert counted(store) == (1, 0)
    rematch(store, [brand()])
    assert counted(store) == (1, 0)
    assert heard(store) == [("1", "Acme")]


def test_an_edited_post_says_what_it_said_until_it_is_judged_anew(store: Store) -> None:
    fill(store, said(1, timedelta(0)), said(2, HOUR))
    keep(store, said(1, timedelta(0), FINE, collected_at=NOW + 5 * HOUR))
    assert heard(store) == [("1", "Acme")]
    judge(store)
    assert counted(store) == (1, 1)


@pytest.mark.parametrize("order", ["group first", "score first"])
def test_copies_and_reposts_are_echoes_whichever_job_runs_first(store: Store, order: str) -> None:
    posts = [said(number, number * MINUTE, COPIED, f"author {number}") for number in range(4)]
    keep(store, *posts, said(9, HOUR, "RT acme charged twice", "fan", repost_of="0"))
    if order == "group first":
        group(store)
        judge(store)
    else:
        judge(store)
        assert counted(store) == (5, 0)
        group(store)
    assert heard(store) == [("0", "Acme")]
    assert counted(store) == (1, 0)


def test_who_passes_a_complaint_on_and_then_complains_is_heard(store: Store) -> None:
    keep(store, said(1, timedelta(0), COPIED, "bob"), said(2, MINUTE, COPIED), said(3, 2 * MINUTE))
    judge(store)
    assert heard(store) == [("1", "Acme"), ("2", "Acme")]  # nobody has compared them yet
    group(store)
    assert heard(store) == [("1", "Acme"), ("3", "Acme")]


def test_a_deleted_post_loses_text_and_author_and_stays_counted(store: Store) -> None:
    fill(store, said(1, timedelta(0)), said(2, HOUR), said(3, 9 * HOUR))
    before = kept_voices(store.path)
    with store.transaction():
        store.forgotten.erase_named("x", ["1", "2"], NOW, "deleted")
    assert kept_voices(store.path) == before
    assert rows(store.path, "SELECT text, author FROM mentions WHERE source_id IN ('1', '2')") == [("", None)] * 2
    with store.transaction():  # a word on it later does not make it heard
        store.verdicts.give([Verdict(2, "eve", NOW, {"stage": "use"})])
    assert counted(store) == (2, 0)


def test_a_person_who_is_forgotten_stays_counted_as_they_were(store: Store) -> None:
    fill(store, said(1, timedelta(0)), said(2, HOUR), said(3, HOUR, author="bob"))
    before = kept_voices(store.path)
    with store.transaction():
        store.forgotten.forget("x", "ann", NOW)
    assert kept_voices(store.path) == before
    fill(store, said(4, 2 * HOUR))  # is not stored
    assert kept_voices(store.path) == before


def test_what_a_machine_wrote_is_looked_up_in_the_order_of_an_index(store: Store) -> None:
    asked: list[str] = []
    keep(store, *(said(number, number * timedelta(seconds=1), author="bot") for number in range(300)))
    store._db.conn.set_trace_callback(asked.append)
    judge(store)
    store._db.conn.set_trace_callback(None)
    assert heard(store) == [("0", "Acme")]
    lookups = [sql for sql in asked if "FROM mentions p" in sql]
    assert len(lookups) >= 300
    for sql in (lookups[0], lookups[-1]):
        (first, second) = [detail for *_, detail in rows(store.path, f"EXPLAIN QUERY PLAN {sql}")]
        assert first.startswith("SEARCH p USING INDEX mentions_by_author (source=? AND author=? AND created_at>?")
        assert second.startswith("SEARCH k USING")


def test_slices_are_counted_by_the_labels_in_force(store: Store) -> None:
    fill(store, said(1, timedelta(0), "awful acme, I wanted to buy"), said(2, timedelta(0), FINE, "bob"))
    assert store.voices.totals("Acme", NOW, NOW + HOUR) == {
        ("source", "x"): (1, 1),
        ("stage", "purchase"): (1, 0),
        ("stage", "use"): (0, 1),
        ("pillar", "product"): (1, 1),
        ("touchpoint", "none"): (1, 1),
    }
    assert store.voices.brands() == ["Acme"]
    assert store.voices.first("Acme", NOW - DAY) == NOW
    assert store.voices.first("Acme", NOW + DAY) is None


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    """A file as the release before left it: posts, alerts of which two of one cause are open, what was sent."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        migrations.apply(Database(connection), stop_before="m007_alerts")
        connection.executescript(
            """
            INSERT INTO mentions (id, source, source_id, author, text, created_at, collected_at, copy_of) VALUES
                (1, 'x', 'a', 'ann', 'awful', '2026-01-01T00:04:59Z', '2026-01-01T00:05:00Z', NULL),
                (2, 'x', 'b', 'ANN', 'awful', '2026-01-01T02:00:00Z', '2026-01-01T02:05:00Z', NULL),
                (3, 'x', 'c', 'bob', 'awful', '2026-01-01T00:05:00Z', '2026-01-01T00:05:00Z', 1),
                (4, 'x', 'd', NULL, 'awful', '1969-12-31T23:58:00Z', '2026-01-01T00:05:00Z', NULL),
                (5, 'x', 'e', 'ann', 'fine', '2026-01-01T02:01:00Z', '2026-01-01T02:05:00Z', NULL),
                (6, 'x', 'f', 'ann', '123', '2026-01-01T02:02:00Z', '2026-01-01T02:05:00Z', NULL);
            INSERT INTO matches (id, mention_id, brand, source, created_at, state, sentiment, stage, model) SELECT
                id, id, 'Acme', source, created_at, iif(text = '123', 'not_rated', 'rated'),
                CASE text WHEN 'awful' THEN 'negative' WHEN 'fine' THEN 'neutral' END, 'use', 'old' FROM mentions;
            INSERT INTO alerts VALUES
                (1, 'Acme', 'negative spike', '2026-01-01T00:00:00Z', '2026-01-01T01:00:00Z', NULL,
                    'high', 9, 1.0, 9.0, 0.001, 60, 9, 1.0, 0.1, 'Acme: a spike', '[]'),
                (2, 'Acme', 'negative spike', '2026-01-01T02:00:00Z', '2026-01-01T03:00:00Z', NULL,
                    'high', 9, 1.0, 9.0, 1e-6, 60, 9, 1.0, 0.1, 'Acme: another', '["refund"]'),
                (3, 'Bolt', 'negative spike', '2026-01-01T02:00:00Z', '2026-01-01T03:00:00Z', NULL,
                    'high', 9, 1.0, 9.0, 0.0, 60, 9, 1.0, 0.1, 'Bolt: a spike', '[]');
            INSERT INTO alert_posts VALUES (1, 1), (2, 2);
            INSERT INTO deliveries VALUES
                (7, 1, 'desk', 'first', 'sent', 1, 9, '2026-01-01T00:05:00Z', NULL, NULL),
                (8, 2, 'desk', 'first', 'failed', 3, 9, '2026-01-01T02:05:00Z', '2026-01-01T02:09:00Z', 'no answer');
            """
        )
    return path


def test_voices_of_an_old_file_are_counted_from_its_posts(old_file: Path) -> None:
    with Store(old_file) as store:
        assert echoes(old_file) == {
            (post, "Acme"): echo for post, echo in zip("abcdef", (False, True, True, False, False, False), strict=True)
        }
        assert kept_voices(old_file) == recounted_voices(old_file)
        assert store.voices.first("Acme", NOW - 100_000 * DAY).isoformat() == "1969-12-31T23:55:00+00:00"  # type: ignore[union-attr]


def test_alerts_of_an_old_file_keep_their_posts_and_deliveries_and_one_of_a_cause_is_open(old_file: Path) -> None:
    with Store(old_file) as store:
        assert [(a.id, a.brand, a.scope) for a in store.alerts.open()] == [(2, "Acme", ""), (3, "Bolt", "")]
        closed = store.alerts.get(1)
        assert closed is not None
        assert closed.ends == closed.last_seen
        assert [round(alert.score) for alert in store.alerts.open()] == [6, 300]
        assert store.alerts.open()[0].in_common == ("refund",)
        assert store.alerts.posts_of([1, 2, 3]) == {1, 2}
        assert [(d.id, d.state) for d in store.deliveries.of_alert(1)] == [(7, "sent")]
        (due,) = store.deliveries.due(NOW)
        assert (due.id, due.attempts, due.error, due.joined, due.since) == (8, 3, "no answer", None, None)
        opened = store.deliveries.open(3, "desk", "first", 9, NOW)
        assert opened.id == 9
    assert rows(old_file, "PRAGMA foreign_key_check") == []
