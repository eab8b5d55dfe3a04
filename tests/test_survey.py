"""What builds up over days, and brands that fall silent: from the counts in a store to one alert each."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from db.filters import Filter
from db.records import NO_BRAND, Alert, Coverage, Mention
from db.store import Store
from jobs.rules import Watching
from jobs.survey import survey
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention

WATCHING = Watching(("share shift", "silence"), platforms={"x-main": "x"})
WEEKS = 24 * DAY


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


def talk(since: datetime, until: datetime, share: float = 0.2, per_hour: int = 2, **more: Any) -> list[Mention]:
    """So many posts an hour, of which a share is negative."""
    dice = random.Random(f"{since}")
    hours = int((until - since) / HOUR)
    return [
        mention(
            f"{since:%m%d%H}-{hour}-{number}",
            "acme is awful" if dice.random() < share else "acme is fine",
            since + hour * HOUR + dice.random() * HOUR,
            author=f"a{hour} {number} {share}",
            **more,
        )
        for hour in range(hours)
        for number in range(per_hour)
    ]


def fill(store: Store, posts: Sequence[Mention], brand: str = "Acme") -> None:
    keep(store, *posts, brands=[brand])
    judge(store)


def read(store: Store, since: datetime, until: datetime, source: str = "x-main", state: str = "complete") -> None:
    with store.transaction():
        store.sources.configured(source, "x", "1")
        cause = None if state == "complete" else "unavailable"
        store.sources.cover(Coverage(source, "main", until, since, until, state, cause, 0, 0, Decimal(0), cause))


def look(store: Store, now: datetime = NOW, watching: Watching = WATCHING) -> list[Alert]:
    outcome = survey(store, watching, now)
    assert outcome.error is None
    return store.alerts.find(Filter())


def test_a_steady_brand_has_no_alert(store: Store) -> None:
    fill(store, talk(NOW - WEEKS, NOW))
    read(store, NOW - WEEKS, NOW)
    assert survey(store, WATCHING, NOW).counts == {"brands": 1, "opened": 0, "updated": 0}
    assert store.alerts.find(Filter()) == []


def test_an_empty_store_and_posts_without_a_brand_are_not_looked_at(store: Store) -> None:
    assert survey(store, WATCHING, NOW).counts["brands"] == 0
    fill(store, talk(NOW - DAY, NOW), NO_BRAND)
    assert survey(store, WATCHING, NOW).counts["brands"] == 0


def test_a_larger_share_of_negatives_is_one_alert_that_is_brought_up_to_date_and_ends(store: Store) -> None:
    begin = NOW - 4 * DAY
    fill(store, [*talk(NOW - WEEKS, begin), *talk(begin, NOW, share=0.7)])
    (alert,) = look(store)
    assert (alert.brand, alert.rule, alert.ends, alert.found_at) == ("Acme", "share shift", None, NOW)
    assert alert.share > 0.5 > 0.3 > alert.usual_share
    assert alert.summary.startswith("Acme: ")
    assert "negative, usually" in alert.summary
    assert look(store) == [alert]  # safe to run again
    with store.transaction():
        store.alerts.take(alert.id, "ann", NOW)
    fill(store, talk(NOW, NOW + DAY, share=0.7))
    (later,) = look(store, NOW + DAY)
    assert (later.id, later.found_at, later.taken_by) == (alert.id, NOW, "ann")
    assert later.last_seen > alert.last_seen
    fill(store, talk(NOW + DAY, NOW + 9 * DAY))
    (over,) = look(store, NOW + 9 * DAY)
    assert over.id == alert.id
    assert over.ends is not None
    assert NOW < over.ends < NOW + 9 * DAY


def test_a_platform_that_brings_nothing_and_is_never_read_hides_no_shift(store: Store) -> None:
    begin = NOW - 4 * DAY
    fill(store, [*talk(NOW - WEEKS, begin), *talk(begin, NOW, share=0.7)])
    read(store, NOW - WEEKS, NOW, "reviews", "missing")
    both = Watching(WATCHING.names, platforms={"x-main": "x", "reviews": "appstore"})
    assert [alert.rule for alert in look(store, watching=both)] == ["share shift"]


def silent(store: Store, since: datetime = NOW - 9 * HOUR) -> None:
    fill(store, talk(NOW - WEEKS, since))
    read(store, NOW - WEEKS, NOW)


def test_a_brand_that_nobody_mentions_though_its_source_is_read_is_one_alert_until_somebody_does(store: Store) -> None:
    silent(store)
    (alert,) = look(store)
    assert (alert.rule, alert.severity, alert.ends, alert.observed) == ("silence", "warning", None, 0)
    assert alert.starts == NOW - 9 * HOUR
    assert alert.expected > 5
    assert "though its sources were read" in alert.summary
    assert look(store) == [alert]
    read(store, NOW, NOW + 3 * HOUR)
    fill(store, [mention("back", at=NOW + 90 * MINUTE)])
    (over,) = look(store, NOW + 3 * HOUR)
    assert (over.id, over.ends, over.last_seen) == (alert.id, NOW + HOUR, NOW + HOUR)
    assert survey(store, WATCHING, NOW + 3 * HOUR).counts["opened"] == 0


@pytest.mark.parametrize("state", ["missing", "partial"])
def test_hours_that_were_not_wholly_read_are_not_silent(store: Store, state: str) -> None:
    fill(store, talk(NOW - WEEKS, NOW - 9 * HOUR))
    read(store, NOW - WEEKS, NOW - 9 * HOUR)
    read(store, NOW - 9 * HOUR, NOW, state=state)
    assert look(store) == []


def test_a_source_that_was_not_read_since_is_not_silent(store: Store) -> None:
    fill(store, talk(NOW - WEEKS, NOW - 9 * HOUR))
    read(store, NOW - WEEKS, NOW - 9 * HOUR)
    assert look(store) == []


@pytest.mark.parametrize("platforms", [{}, {"x-main": "x"}], ids=["a file", "a source that was never read"])
def test_posts_that_were_imported_and_come_no_more_are_no_silence(store: Store, platforms: dict[str, str]) -> None:
    fill(store, talk(NOW - WEEKS, NOW - 2 * DAY))
    assert look(store, watching=Watching(("silence",), platforms=platforms)) == []


def test_what_lies_between_an_import_and_the_first_reading_is_no_silence(store: Store) -> None:
    fill(store, talk(NOW - WEEKS, NOW - 2 * DAY))
    read(store, NOW - HOUR, NOW)
    assert look(store) == []


def test_a_source_that_is_gone_from_the_configuration_makes_no_silence(store: Store) -> None:
    silent(store)
    fill(store, talk(NOW - WEEKS, NOW, per_hour=1, source="reddit"))
    read(store, NOW - WEEKS, NOW, "reddit-main")
    assert look(store, watching=Watching(("silence",), platforms={"reddit-main": "reddit"})) == []


def test_who_is_talked_about_where_nobody_knows_how_far_was_read_is_not_silent(store: Store) -> None:
    silent(store)
    fill(store, talk(NOW - 9 * HOUR, NOW, source="hook"))
    assert look(store) == []


def test_a_platform_that_brings_nothing_hides_no_silence(store: Store) -> None:
    silent(store)
    read(store, NOW - WEEKS, NOW, "reviews", "missing")
    both = Watching(WATCHING.names, platforms={"x-main": "x", "reviews": "appstore"})
    assert [alert.rule for alert in look(store, watching=both)] == ["silence"]


def test_posts_that_cannot_be_rated_break_a_silence(store: Store) -> None:
    silent(store)
    fill(store, [mention(f"n{hour}", "12345", NOW - hour * HOUR) for hour in range(1, 9)])
    assert look(store) == []


def test_after_weeks_without_a_look_an_open_alert_goes_on(store: Store) -> None:
    silent(store)
    (alert,) = look(store)
    later = NOW + 10 * DAY
    read(store, NOW, later)
    (found,) = look(store, later)
    assert (found.id, found.ends, found.last_seen) == (alert.id, None, later)


def test_late_posts_that_explain_an_alert_end_it(store: Store) -> None:
    silent(store)
    look(store)
    fill(store, talk(NOW - 9 * HOUR, NOW))
    (alert,) = look(store, NOW + timedelta(minutes=5))
    assert alert.ends is not None


def test_rules_that_are_turned_off_find_nothing_and_end_what_goes_on(store: Store) -> None:
    silent(store)
    look(store)
    (alert,) = look(store, watching=Watching(("share shift",), platforms={"x-main": "x"}))
    assert alert.ends is not None


def test_each_brand_has_its_own_alert(store: Store) -> None:
    silent(store)
    fill(store, talk(NOW - WEEKS, NOW - 8 * HOUR, per_hour=3), "Bolt")
    fill(store, talk(NOW - WEEKS + MINUTE, NOW, per_hour=1), "Calm")
    found = look(store)
    assert sorted(alert.brand for alert in found) == ["Acme", "Bolt"]
    assert store.alerts.open() == sorted(found, key=lambda alert: alert.id)
