"""Whichever way posts are looked up, pages have the same ones in the same order; a day's sample is drawn fairly."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

import db.posts
import db.verdicts
from db.filters import Filter
from db.posts import MANY, ORDERS, Mark, Wanted
from db.records import Reach
from db.store import Store
from tests.support import DAY, MINUTE, NOW, judge, keep, mention

TEXTS = ("acme is fine", "awful acme, charged twice", "love acme", "awful acme", "🙂", "acme twice, why?")
QUESTIONS = (
    Wanted(),
    Wanted(Filter(brands=("Acme",))),
    Wanted(Filter(brands=("Acme", "Bolt"), sentiments=("negative",))),
    Wanted(Filter(since=NOW - 40 * MINUTE, until=NOW - 9 * MINUTE)),
    Wanted(copies=False),
    Wanted(author="Ann 3"),
    Wanted(author="ann 3"),
    Wanted(text="acme"),
    Wanted(Filter(brands=("Bolt",)), text="acme twice"),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A hundred rated posts; every fifth names two brands, many have the same reach, and some came late."""
    store = Store(tmp_path / "posts.db")
    for number in range(100):
        post = mention(
            number,
            TEXTS[number % len(TEXTS)],
            NOW - (number * 7 % 100) * MINUTE,
            ("x", "reddit")[number % 3 == 0],
            author=("Ann 3", "ann 3", "bob")[number % 3],
            reach=Reach(followers=(None, 10, 5000)[number % 3]),
        )
        keep(store, post, brands=("Acme", "Bolt") if number % 5 == 0 else ("Acme",))
    judge(store)
    return store


def every(store: Store, wanted: Wanted, order: str, many: bool | None) -> list[int]:
    """Go through all pages."""
    found: list[int] = []
    after: Mark | None = None
    while True:
        page = store.posts.page(wanted, order, 7, after, many)
        found += [post.id for post in page.posts]
        if page.after is None:
            return found
        after = page.after


@pytest.mark.parametrize("order", ORDERS)
def test_pages_are_the_same_however_they_are_looked_up(
    store: Store, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sorted_out = [every(store, wanted, order, False) for wanted in QUESTIONS]
    assert [every(store, wanted, order, True) for wanted in QUESTIONS] == sorted_out
    monkeypatch.setattr(db.posts, "_COMMON", 10)  # words are common now
    for probed in (5, 60):
        monkeypatch.setattr(db.posts, "_PROBED", probed)
        assert [every(store, wanted, order, None) for wanted in QUESTIONS] == sorted_out
    counts = [store.posts.count(wanted) for wanted in QUESTIONS]
    assert [len(found) for found in sorted_out] == counts
    assert counts[0] == 120
    assert counts[5] + counts[6] < counts[0]
    assert all(len(set(found)) == len(found) for found in sorted_out)


def test_posts_are_counted_one_by_one_only_up_to_a_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MANY > 100
    monkeypatch.setattr(db.posts, "MANY", 30)
    assert store.posts.count(Wanted(text="acme")) == 30
    assert store.posts.count(Wanted(copies=False)) == 30


def test_the_samples_of_days_are_thrown_over_all_posts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rated = {
        post.id
        for post in store.posts.page(
            Wanted(Filter(brands=("Acme",), sentiments=("negative", "neutral", "positive"))), "newest", 200
        ).posts
    }
    days = [NOW + number * DAY for number in range(1, 121)]
    looked_at = store.verdicts.daily(5, ["Acme"], days[0])
    monkeypatch.setattr(db.verdicts, "_FEW", 20)
    drawn = [store.verdicts.daily(5, ["Acme"], day) for day in days]
    assert drawn[0] != looked_at
    assert all(len(set(one)) == 5 and set(one) <= rated for one in drawn)
    times = Counter(match_id for one in drawn for match_id in one)
    assert set(times) == rated  # each has come in 600 throws
    assert max(times.values()) < 25  # of 7 on the average
    # All day the same, whatever comes meanwhile, and where there are few, all of them.
    keep(
        store,
        *(
            mention(f"new {number}", at=NOW + DAY + MINUTE, collected_at=NOW + DAY + timedelta(hours=1))
            for number in range(3)
        ),
    )
    judge(store)
    assert store.verdicts.daily(5, ["Acme"], days[0]) == drawn[0]
    assert set(store.verdicts.daily(500, ["Acme"], days[0])) == rated
