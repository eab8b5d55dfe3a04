"""A negative spike becomes one alert with its posts, however often and whenever one looks."""

import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db.filters import Filter
from db.records import NO_BRAND, Alert, Mention, Reach
from db.store import Store
from jobs import past
from jobs.notify import Telling, notify
from jobs.outlet import Outlet
from jobs.rules import Sensitivity, Watching
from jobs.watch import watch
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention, rows

BURST = NOW - 3 * HOUR  # when the negatives begin


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


def steady(until: datetime = NOW, days: int = 14, per_day: int = 18, seed: int = 5) -> list[Mention]:
    """Two quiet weeks: a quarter of the posts are negative."""
    dice = random.Random(seed)
    posts = []
    for number in range(days * per_day):
        text = dice.choice(["awful weather at acme", "love acme", "acme opened a shop", "acme sells tea"])
        at = until - dice.random() * days * DAY
        posts.append(mention(f"{until:%y%m%d}-{number}", text, at, author=f"regular {number}"))
    return posts


def complaints(start: datetime = BURST, count: int = 50, seed: int = 6, **more: Any) -> list[Mention]:
    """So many people were charged twice within three hours."""
    dice = random.Random(seed)
    return [
        mention(
            f"c{start:%y%m%d}-{number}",
            f"acme charged twice for order {number}",
            start + dice.random() * 3 * HOUR,
            author=f"customer {seed} {number}",
            **more,
        )
        for number in range(count)
    ]


def fill(store: Store, *posts: Mention, brand: str = "Acme") -> None:
    keep(store, *posts, brands=[brand])
    judge(store)


def look(store: Store, now: datetime = NOW, competitors: tuple[str, ...] = (), **sensitivity: Any) -> dict[str, int]:
    watching = Watching(["negative spike"], competitors, Sensitivity(**sensitivity))
    outcome = watch(store, watching, now)
    assert outcome.error is None
    return dict(outcome.counts)


def alerts(store: Store) -> list[Alert]:
    """Those on all of a brand: its slices may have their own."""
    return [alert for alert in store.alerts.find(Filter()) if not alert.scope]


def everything(store: Store) -> list[list[tuple[Any, ...]]]:
    return [
        rows(store.path, f"SELECT * FROM {table} ORDER BY 1, 2")
        for table in ("alerts", "alert_posts", "cases", "events")
    ]


def test_a_spike_opens_one_alert_with_its_posts_and_queues_them(store: Store) -> None:
    fill(store, *steady(), *complaints())
    assert look(store) == {"brands": 1, "opened": 1, "updated": 0, "queued": len(store.mentions.of_alert(1))}
    (alert,) = alerts(store)
    assert (alert.brand, alert.rule, alert.ends) == ("Acme", "negative spike", None)
    assert BURST - HOUR <= alert.starts <= BURST + HOUR
    assert alert.observed >= 40
    assert alert.factor > 10
    assert alert.share > 0.7 > alert.usual_share
    assert {"charged", "twice"} <= set(" ".join(alert.in_common).split())
    assert alert.summary.startswith(f"Acme: {alert.observed} negative posts in ")
    posts = store.mentions.of_alert(alert.id)
    assert len(posts) >= 45
    assert {post.sentiment for post in posts} == {"negative"}
    waiting = store.cases.waiting(Filter(), 1000)
    assert {case.match.id for case in waiting} == {post.id for post in posts}
    assert {(case.alert_id, case.state) for case in waiting} == {(alert.id, "new")}
    assert store.cases.count() == len(posts)
    opened = "SELECT count(*) FROM events WHERE what = 'opened' AND detail LIKE '%negative spike of %'"
    assert rows(store.path, opened) == [(len(posts),)]


def test_a_steady_stream_opens_nothing(store: Store) -> None:
    fill(store, *steady())
    assert look(store) == {"brands": 1, "opened": 0, "updated": 0, "queued": 0}
    assert store.buckets.unwatched(NOW + DAY) == {}
    assert look(store)["brands"] == 0


def test_looking_again_changes_nothing(store: Store) -> None:
    fill(store, *steady(), *complaints())
    look(store)
    before = everything(store)
    assert look(store) == {"brands": 0, "opened": 0, "updated": 1, "queued": 0}
    assert everything(store) == before


def test_late_posts_update_the_same_alert(store: Store) -> None:
    fill(store, *steady(), *complaints(count=30))
    look(store)
    (before,) = alerts(store)
    fill(store, *complaints(count=40, seed=7, source="reddit"))
    counts = look(store, NOW + 5 * MINUTE)
    (after,) = alerts(store)
    assert counts["opened"] == 0
    assert counts["queued"] > 0
    assert after.id == before.id
    assert after.observed > before.observed
    assert {post.mention.source for post in store.mentions.of_alert(after.id)} == {"x", "reddit"}


def test_an_alert_ends_an_hour_after_the_last_of_it_without_any_new_post(store: Store) -> None:
    fill(store, *steady(), *complaints())
    look(store)
    look(store, NOW + 30 * MINUTE)
    assert alerts(store)[0].ends is None
    look(store, NOW + 8 * HOUR)
    (alert,) = alerts(store)
    assert alert.ends is not None
    assert NOW < alert.ends < NOW + 7 * HOUR
    before = everything(store)
    assert look(store, NOW + 9 * HOUR) == {"brands": 0, "opened": 0, "updated": 0, "queued": 0}
    assert everything(store) == before


def test_an_alert_whose_spike_later_posts_explain_ends(store: Store) -> None:
    fill(store, *steady(), *complaints(count=12))
    look(store)
    assert alerts(store)[0].ends is None
    dice = random.Random(8)
    at = [BURST + dice.random() * 3 * HOUR for _ in range(200)]
    fill(store, *(mention(f"late{n}", "love acme", when, author=f"fan {n}") for n, when in enumerate(at)))
    look(store, NOW + 5 * MINUTE)
    assert alerts(store)[0].ends is None  # it may yet go on
    look(store, NOW + HOUR)
    (alert,) = alerts(store)
    assert alert.ends is not None
    assert look(store, NOW + HOUR + 5 * MINUTE)["updated"] == 0


def test_a_spike_some_days_later_is_another_alert(store: Store) -> None:
    fill(store, *steady(), *complaints(BURST - 5 * DAY - 7 * HOUR), *complaints(seed=12))
    look(store)
    newest, oldest = alerts(store)
    assert newest.starts - oldest.starts > 4 * DAY
    fill(store, mention("again", "acme opened a shop", NOW - 7 * DAY))
    assert look(store)["opened"] == 0
    again = alerts(store)
    assert [alert.id for alert in again] == [newest.id, oldest.id]
    assert again[0].starts - again[1].starts > 4 * DAY


def test_competitors_are_watched_but_not_answered_for(store: Store) -> None:
    fill(store, *steady(), *complaints(), brand="Bolt")
    counts = look(store, competitors=("Bolt",))
    assert (counts["opened"], counts["queued"]) == (1, 0)
    assert store.cases.count() == 0
    assert len(store.mentions.of_alert(1)) > 0


def test_posts_without_a_brand_are_not_watched(store: Store) -> None:
    fill(store, *steady(), *complaints(), brand=NO_BRAND)
    assert look(store) == {"brands": 0, "opened": 0, "updated": 0, "queued": 0}


def test_each_brand_is_held_against_its_own_past(store: Store) -> None:
    fill(store, *steady(), *complaints())
    with store.transaction():
        store.mentions.add([(post, ["Bolt"]) for post in steady(seed=9)])
    judge(store)
    assert look(store)["opened"] == 1
    assert [alert.brand for alert in alerts(store)] == ["Acme"]


def test_a_higher_threshold_and_minimum_open_nothing(store: Store) -> None:
    fill(store, *steady(), *complaints(count=20))
    assert look(store, minimum=200)["opened"] == 0
    fill(store, mention("one more", "love acme"))
    assert look(store, threshold=300.0)["opened"] == 0


def test_the_worst_and_farthest_carried_post_waits_first(store: Store) -> None:
    posts = complaints()
    far = mention("far", "acme charged twice", BURST + HOUR, reach=Reach(followers=1_000_000))
    fill(store, *steady(), *posts, far)
    look(store)
    assert store.cases.waiting(Filter(), 1)[0].match.mention.source_id == "far"
    assert store.cases.waiting(Filter(brands=("Bolt",)), 10) == []


def test_imported_history_opens_alerts_and_tells_nobody(store: Store) -> None:
    then = datetime(2017, 11, 20, 12, tzinfo=UTC)
    fill(store, *steady(then), *complaints(then - DAY))
    look(store)
    (alert,) = alerts(store)
    assert alert.starts.year == 2017
    assert alert.ends is not None
    assert notify(store, {"desk": Outlet(_Mute())}, Telling(), NOW).counts == {"sent": 0, "failed": 0}


class _Mute:
    def send(self, message: object) -> None:
        pytest.fail("nobody wants to hear of that")


@pytest.mark.parametrize("year", [1, 1970, 2009, 2026])
def test_one_post_from_long_ago_costs_no_time(store: Store, year: int) -> None:
    fill(store, mention("old", "awful acme", datetime(year, 1, 2, tzinfo=UTC)), *steady(), *complaints())
    started = time.perf_counter()
    look(store)
    assert time.perf_counter() - started < 5
    assert len(alerts(store)) == 1


@pytest.mark.parametrize("ahead", [20 * HOUR, 4000 * DAY])
def test_a_clock_behind_its_posts_does_no_harm(store: Store, ahead: timedelta) -> None:
    fill(store, *steady(), *complaints(), mention("ahead", "awful acme", NOW + ahead))
    assert look(store)["opened"] == 1
    fill(store, *(mention(f"n{n}", "awful acme", NOW + ahead) for n in range(30)))
    look(store)
    assert look(store, NOW + 8 * HOUR)["brands"] == 0
    assert alerts(store)[-1].ends is not None


def test_posts_from_the_future_are_watched_when_their_time_has_come(store: Store) -> None:
    fill(store, *steady())
    look(store)
    fill(store, *complaints(NOW + 2 * HOUR))
    assert look(store)["opened"] == 0
    assert look(store, NOW + 5 * HOUR)["opened"] == 1


def test_only_posts_that_cannot_be_rated_open_nothing(store: Store) -> None:
    fill(store, *(mention(number, "12345", NOW - number * MINUTE) for number in range(100)))
    assert look(store) == {"brands": 1, "opened": 0, "updated": 0, "queued": 0}


def test_posts_scored_while_one_looks_are_seen_next_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, *steady(), *complaints(count=2))

    def meanwhile(*given: Any, **more: Any) -> past.Look:
        monkeypatch.undo()
        found = past.look(*given, **more)
        scoring.start()
        scoring.join(0.3)
        return found

    def arrive() -> None:
        with Store(store.path) as other:
            fill(other, *complaints(count=50, seed=11, source="reddit"))

    scoring = threading.Thread(target=arrive)
    monkeypatch.setattr("jobs.watch.past.look", meanwhile)
    look(store)
    scoring.join(10)
    assert look(store)["opened"] == 1


def test_a_crash_while_an_alert_is_kept_leaves_all_of_it_for_the_next_look(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    fill(store, *steady(), *complaints())
    with monkeypatch.context() as patch:
        patch.setattr(store.buckets, "watched", crash)
        with pytest.raises(KeyboardInterrupt):
            look(store)
    assert everything(store) == [[], [], [], []]
    assert look(store)["opened"] == 1


def test_spikes_some_27_hours_apart_are_alerts_of_their_own(store: Store) -> None:
    starts = [BURST - number * 27 * HOUR for number in (3, 2, 1, 0)]
    fill(store, *steady(per_day=240))
    for number, start in enumerate(starts):
        fill(store, *complaints(start, count=80, seed=number))
        look(store, start + 8 * HOUR)
    found = sorted(alert.starts for alert in alerts(store))
    assert len(found) == len(starts)
    assert all(abs(alert - start) < 2 * HOUR for alert, start in zip(found, starts, strict=True))
    assert all(alert.ends for alert in alerts(store))
