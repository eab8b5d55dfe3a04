"""Counts by pillar, touchpoint and reply are those of the posts, whatever happens to them."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db.desk import Labels
from db.filters import Filter
from db.ranges import ranges
from db.records import Verdict
from db.store import Store
from db.times import floor, to_text
from jobs.score import rescore
from tests.support import DAY, HOUR, NOW, Keywords, judge, keep, kept_counts, mention, recounted, rows

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


def kept(path: Path) -> set[tuple[Any, ...]]:
    sql = "SELECT span, start, brand, source, kind, name, negative, neutral, positive, not_rated FROM facets"
    return set(rows(path, sql))


def counted_post_by_post(path: Path) -> set[tuple[Any, ...]]:
    counts: dict[tuple[str, ...], Counter[str]] = {}
    sql = """SELECT created_at, brand, source, state, sentiment, pillar, touchpoint, reply FROM matches
        WHERE state != 'pending' AND about"""
    for created_at, brand, source, state, sentiment, *labels in rows(path, sql):
        posted = datetime.fromisoformat(created_at)
        week = floor(posted, DAY) - posted.weekday() * DAY
        for span, start in (("1h", floor(posted, HOUR)), ("1d", floor(posted, DAY)), ("1w", week)):
            for kind, name in zip(("pillar", "touchpoint", "reply"), labels, strict=True):
                key = (span, to_text(start), brand, source, kind, name or "none")
                counts.setdefault(key, Counter())[sentiment if state == "rated" else "not_rated"] += 1
    return {(*key, of["negative"], of["neutral"], of["positive"], of["not_rated"]) for key, of in counts.items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


def test_they_are_counted_with_the_scores(path: Path) -> None:
    with Store(path) as store:
        keep(store, mention(1, "acme charged twice, awful?"), mention(2, "love the acme shop"), mention(3, "123"))
        assert kept(path) == set()
        judge(store)
        assert kept(path) == counted_post_by_post(path)
        assert ("1h", "2026-03-04T12:00:00Z", "Acme", "x", "pillar", "process", 1, 0, 0, 0) in kept(path)
        assert ("1d", "2026-03-04T00:00:00Z", "Acme", "x", "touchpoint", "store", 0, 0, 1, 0) in kept(path)
        assert ("1d", "2026-03-04T00:00:00Z", "Acme", "x", "reply", "none", 0, 0, 0, 1) in kept(path)


def test_they_follow_another_model_a_person_and_an_edit(path: Path) -> None:
    with Store(path) as store:
        posts = [
            mention(n, "acme charged twice", NOW - n * timedelta(minutes=50), ("x", "reddit")[n % 2]) for n in range(9)
        ]
        keep(store, *posts)
        judge(store)
        other: Any = Keywords("keywords-2", negative=("love",))
        rescore(store, other, store.mentions.judged_by_others("keywords-2", Filter()), lambda: NOW)
        assert kept(path) == counted_post_by_post(path)
        ids = [row[0] for row in rows(path, "SELECT id FROM matches ORDER BY id")]
        with store.transaction():
            labels = {"pillar": "people", "touchpoint": "store", "reply": "yes"}
            store.verdicts.give([Verdict(ids[0], "eve", NOW, labels), Verdict(ids[1], "eve", NOW, {}, about=False)])
        assert kept(path) == counted_post_by_post(path)
        assert any(row[4:6] == ("pillar", "people") for row in kept(path))
        keep(store, mention(2, "love acme", posts[2].created_at, posts[2].source, collected_at=NOW + HOUR))
        assert kept(path) == counted_post_by_post(path)
        judge(store)
        assert kept(path) == counted_post_by_post(path)
        assert kept_counts(path) == recounted(path)


def test_whole_days_are_read_as_such_and_hours_at_the_edges() -> None:
    day, three = MIDNIGHT + DAY, MIDNIGHT + 3 * DAY
    assert ranges(MIDNIGHT, three, "day") == [("1d", "2026-03-01T00:00:00Z", "2026-03-04T00:00:00Z")]
    assert ranges(MIDNIGHT + 5 * HOUR, three + HOUR, None) == [
        ("1h", "2026-03-01T05:00:00Z", "2026-03-02T00:00:00Z"),
        ("1d", "2026-03-02T00:00:00Z", "2026-03-04T00:00:00Z"),
        ("1h", "2026-03-04T00:00:00Z", "2026-03-04T01:00:00Z"),
    ]
    weeks = MIDNIGHT + 20 * DAY + HOUR  # from a Sunday on
    assert ranges(MIDNIGHT, weeks, None) == [
        ("1d", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
        ("1w", "2026-03-02T00:00:00Z", "2026-03-16T00:00:00Z"),
        ("1d", "2026-03-16T00:00:00Z", "2026-03-21T00:00:00Z"),
        ("1h", "2026-03-21T00:00:00Z", "2026-03-21T01:00:00Z"),
    ]
    assert ranges(MIDNIGHT, weeks, "week") == ranges(MIDNIGHT, weeks, None)
    assert {span for span, _, _ in ranges(MIDNIGHT, weeks, "day")} == {"1d", "1h"}
    assert ranges(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR, "week")[0][0] == "1h"
    assert {span for span, _, _ in ranges(MIDNIGHT, day, "hour")} == {"1h"}


def test_a_span_that_begins_and_ends_within_days_counts_what_lies_in_it(path: Path) -> None:
    with Store(path) as store:
        keep(store, *(mention(n, "acme charged twice", MIDNIGHT + n * HOUR) for n in range(80)))
        judge(store)
        for since, until in ((0, 80), (3, 77), (24, 48), (25, 47), (47, 49), (10, 10)):
            chosen = Filter(MIDNIGHT + since * HOUR, MIDNIGHT + until * HOUR)
            found = Labels(negative=until - since) if until > since else None
            assert store.facets.counts(chosen, ("pillar",)).get(("pillar", "process")) == found
            assert sum(store.trends.counts(chosen).values(), Labels()).negative == until - since
            for step in ("hour", "day", "week"):
                steps = store.trends.counts(chosen, ("source",), step)
                assert sum(steps.values(), Labels()).negative == until - since
        assert set(store.trends.counts(Filter(MIDNIGHT, MIDNIGHT + 80 * HOUR), (), "week")) == {
            ("2026-02-23",),  # the Monday of the week that has the Sunday
            ("2026-03-02",),
        }


def test_brands_and_sources_narrow_counts_and_names_that_nobody_has_count_nothing(path: Path) -> None:
    with Store(path) as store:
        keep(store, mention(1), mention(2, source="reddit"), brands=("Acme",))
        keep(store, mention(3), brands=("Bolt",))
        judge(store)
        span = (NOW - DAY, NOW + DAY)
        by_brand = store.trends.counts(Filter(*span), ("brand", "source"))
        assert {key: labels.mentions for key, labels in by_brand.items()} == {
            ("Acme", "x"): 1,
            ("Acme", "reddit"): 1,
            ("Bolt", "x"): 1,
        }
        assert store.trends.counts(Filter(*span, brands=("\0",)), ("brand",)) == {}
        assert store.facets.counts(Filter(*span, brands=("Acme",), sources=("x",)), ("reply",)) == {
            ("reply", "no"): Labels(neutral=1)
        }
        assert (store.trends.brands(), store.trends.sources()) == (["Acme", "Bolt"], ["reddit", "x"])


def test_questions_read_one_stretch_of_the_index_for_each_brand_and_source(path: Path) -> None:
    with Store(path) as store:
        keep(store, mention(1))
        judge(store)
        asked: list[str] = []
        store._db.conn.set_trace_callback(asked.append)
        store.trends.counts(Filter(NOW - 2 * DAY, NOW), ("stage",))
        store.facets.counts(Filter(NOW - 2 * DAY, NOW))
        store._db.conn.set_trace_callback(None)
        counting = [sql for sql in asked if "json_each" in sql]
        assert len(counting) == 6
        for sql in counting:
            plan = [row[3] for row in store._db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()]
            assert any("PRIMARY KEY (span=? AND brand=? AND source=? AND start>? AND start<?)" in step for step in plan)
            assert not [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step]
