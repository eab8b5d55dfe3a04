"""From an episode to the alert that tells it, with its story and its posts."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db.filters import Filter
from db.records import Alert, Match, Mention, Reach
from db.store import Store
from jobs.desk.urgency import priority
from jobs.group import group
from jobs.raise_alert import NEGATIVE, POSTS_KEPT, VOLUME, described, queue, severity_of
from jobs.reading import Reading
from models.episodes import Episode, Finding
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention

START = NOW - 2 * HOUR


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


def fill(store: Store, posts: Sequence[Mention]) -> None:
    keep(store, *posts)
    judge(store)


def past(count: int = 120, source: str = "x") -> list[Mention]:
    """Four quiet weeks: a quarter of the posts is negative."""
    dice = random.Random(source)
    texts = ["awful weather at acme", "love acme", "acme opened a shop", "acme sells tea"]
    return [
        mention(f"p{n}", dice.choice(texts), START - dice.random() * 28 * DAY, source, author=f"{source} {n}")
        for n in range(count)
    ]


def burst(count: int = 20, source: str = "x", text: str = "acme charged twice for order", **more: Any) -> list[Mention]:
    step = 2 * HOUR / count
    return [
        mention(f"b{n}", f"{text} {n}", START + n * step, source, **{"author": f"{source} burst {n}"} | more)
        for n in range(count)
    ]


def episode(observed: int = 20, score: float = 8.5, ends: datetime | None = None, starts: datetime = START) -> Episode:
    peak = Finding(starts + HOUR, 2 * HOUR, observed, 2.0, observed / 2.0, 25, 0.8, 0.25, score, 0.0, 5.0)
    return Episode(starts, NOW - 5 * MINUTE, ends, peak, [peak])


def tell(
    store: Store, rule: str = NEGATIVE, scope: str = "", read: Reading | None = None, **more: Any
) -> tuple[Alert, Sequence[Match]]:
    return described(store, rule, "Acme", scope, episode(**more), lambda since: read or Reading())


def test_an_episode_is_told_with_its_numbers_story_and_posts(store: Store) -> None:
    fill(store, [*past(), *burst()])
    alert, posts = tell(store)
    assert (alert.id, alert.brand, alert.rule, alert.scope, alert.ends) == (0, "Acme", NEGATIVE, "", None)
    assert (alert.observed, alert.expected, alert.factor, alert.window_minutes) == (20, 2.0, 10.0, 120)
    assert (alert.severity, alert.score, alert.low, alert.high) == ("critical", 8.5, 0.0, 5.0)
    assert alert.summary.startswith("Acme: 20 negative posts in 2 h, 10 times the 2 expected")
    assert {post.sentiment for post in posts} == {"negative"}
    assert len(posts) == 20
    story = alert.story
    assert story is not None
    assert (story.authors, story.coverage, story.baseline_since) == (20, None, START - 28 * DAY)
    assert "charged twice" in " ".join(story.new_terms)
    assert list(alert.in_common) == list(story.terms)
    assert set(story.posts) <= {post.id for post in posts}
    assert len({post.mention.author for post in posts if post.id in story.posts}) == len(story.posts) >= 3


def test_a_burst_on_one_source_names_it(store: Store) -> None:
    fill(store, [*past(), *past(source="reddit"), *burst(source="reddit")])
    story = tell(store)[0].story
    assert story is not None
    assert {(part.kind, part.name) for part in story.parts[:2]} >= {("source", "reddit")}


@pytest.mark.parametrize(
    ("scope", "kinds"),
    [("source reddit", {"stage", "pillar", "touchpoint"}), ("pillar process", {"source"}), ("stage use", {"source"})],
)
def test_the_story_of_a_slice_is_of_its_own_posts(store: Store, scope: str, kinds: set[str]) -> None:
    fill(store, [*past(), *past(source="reddit"), *burst(6), *burst(source="reddit")])
    alert, posts = tell(store, scope=scope)
    assert alert.scope == scope
    assert alert.story is not None
    assert alert.story.confined_to is None
    assert {part.kind for part in alert.story.parts} == kinds
    of_kind = [part.observed for part in alert.story.parts if part.kind in ("pillar", "source")]
    assert sum(of_kind) == len(posts) == (20 if scope == "source reddit" else 26)
    if scope == "source reddit":
        assert {post.mention.source for post in posts} == {"reddit"}


def test_a_volume_spike_has_posts_of_every_feeling_and_not_too_many(store: Store) -> None:
    fill(store, [*past(20), *burst(3), *burst(4, "reddit", "love acme")])
    alert, posts = tell(store, VOLUME, observed=7, score=12.0)
    assert (alert.rule, alert.severity, len(posts)) == (VOLUME, "high", 7)
    assert {post.sentiment for post in posts} == {"negative", "positive"}
    assert POSTS_KEPT == 1000


@pytest.mark.parametrize(
    ("rule", "score", "severity"),
    [(NEGATIVE, 4.0, "warning"), (NEGATIVE, 6.0, "high"), (NEGATIVE, 8.0, "critical"), (VOLUME, 8.0, "warning")],
)
def test_the_score_at_the_peak_says_how_severe_it_is(rule: str, score: float, severity: str) -> None:
    assert severity_of(rule, score) == severity


def saved(store: Store, alert: Alert, posts: Sequence[Match] = ()) -> Alert:
    with store.transaction():
        return store.alerts.save(replace(alert, found_at=alert.found_at or NOW), posts)


def test_an_episode_that_overlaps_an_alert_is_told_by_it(store: Store) -> None:
    fill(store, [*past(), *burst()])
    first = saved(store, *tell(store, observed=9))
    fill(store, burst(5, "reddit"))
    alert, posts = tell(store, ends=NOW)
    assert (alert.id, alert.observed, alert.ends, len(posts)) == (first.id, 20, NOW, 25)
    assert alert.story != first.story


def test_a_story_is_not_told_anew_while_nothing_has_changed(store: Store) -> None:
    fill(store, [*past(), *burst()])
    first = saved(store, *tell(store))
    fill(store, burst(5, "reddit"))
    assert tell(store)[0].story == first.story


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"brand": "Bolt"}, id="another brand"),
        pytest.param({"rule": VOLUME}, id="another rule"),
        pytest.param({"scope": "source x"}, id="a slice"),
        pytest.param({"starts": START - 9 * HOUR, "last_seen": START - MINUTE, "ends": START}, id="what was before"),
    ],
)
def test_other_alerts_do_not_tell_it(store: Store, other: dict[str, Any]) -> None:
    fill(store, [*past(20), *burst()])
    saved(store, replace(tell(store)[0], **other))
    assert tell(store)[0].id == 0


def test_of_two_alerts_that_overlap_the_one_that_began_nearest_tells_it(store: Store) -> None:
    fill(store, [*past(20), *burst()])
    alert = tell(store)[0]
    saved(store, replace(alert, starts=START - 5 * HOUR, ends=NOW))
    near = saved(store, replace(alert, starts=START - HOUR, ends=NOW))
    assert tell(store)[0].id == near.id


def test_what_was_not_read_of_the_window_is_told(store: Store) -> None:
    fill(store, [*past(20), *burst()])
    story = tell(store, read=Reading({"x": [START]}))[0].story
    assert story is not None
    assert story.coverage == "x not read for 1 h"


def test_copies_are_counted_and_told_once(store: Store) -> None:
    text = "acme charged twice for the very same order of blue shoes and nobody at the shop answers my letters"
    fill(store, [*past(20), *(mention(f"c{n}", text, START + n * MINUTE, author=f"a{n}") for n in range(6))])
    group(store)
    alert, posts = tell(store, observed=6)
    assert alert.story is not None
    assert (len(posts), alert.story.copies, len(alert.story.posts)) == (6, 5, 1)


def test_posts_that_were_old_when_their_alert_was_found_are_history_and_wait_for_nobody(store: Store) -> None:
    fill(store, [*past(), *burst()])
    alert, posts = tell(store)
    alert = saved(store, alert, posts)
    with store.transaction():
        assert queue(store, alert, posts, NOW + 8 * DAY) == 0
    assert store.mentions.count_of_alert(alert.id) == 20


def test_posts_wait_once_the_worst_first_with_the_alert_as_their_reason(store: Store) -> None:
    far = mention("far", "acme charged twice", START, reach=Reach(followers=10**6), author="star")
    fill(store, [*past(20), *burst(), far])
    alert, posts = tell(store)
    alert = saved(store, alert, posts)
    with store.transaction():
        assert queue(store, alert, posts, NOW) == 21
        assert queue(store, alert, posts, NOW + HOUR) == 0
    waiting = store.cases.waiting(Filter(), 100)
    assert waiting[0].match.mention.source_id == "far"
    assert {case.reason for case in waiting} == {"negative spike of 2026-03-04 10:00 UTC"}
    assert {case.alert_id for case in waiting} == {alert.id}


def test_who_is_surely_negative_and_carries_far_is_worst(store: Store) -> None:
    reach = (Reach(), Reach(followers=100), Reach(followers=100, reposts=50), Reach(followers=10**6))
    fill(store, [mention(n, "acme is awful", author=f"a{n}", reach=each) for n, each in enumerate(reach)])
    fill(store, [mention(9, "acme is fine", reach=Reach(followers=10**6))])
    ranked = sorted(store.mentions.every(Filter()), key=priority, reverse=True)
    assert [match.mention.source_id for match in ranked] == ["3", "2", "1", "0", "9"]


def test_a_story_of_hostile_posts_is_made_all_the_same(store: Store) -> None:
    attack = "acme charged twice \u202e@everyone <script>" + "\x00`*_" * 5_000
    fill(store, [*past(20), *burst(5, text=attack), *burst(3, "reddit", attack, author=None)])
    alert, posts = tell(store, observed=8, ends=NOW + timedelta(minutes=5))
    assert len(posts) == 8
    assert len(alert.summary) <= 300
    assert "@everyone" not in alert.summary
