"""What detectors remember of the midnights: kept, spoiled, and never different from what is made of the counts."""

import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from db.records import Mention, Verdict
from db.store import Store
from jobs import past
from jobs.past import Detector, Look, Wanted
from jobs.reading import Reading
from jobs.rules import Watching
from jobs.watch import watch
from models import spikes, volume
from models.state import Past, pack
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention, rows

NEGATIVE = Detector("negative spike", spikes, 5)
WATCHING = Watching(("negative spike", "volume spike"))
MIDNIGHT = NOW.replace(hour=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


def steady(since: datetime, until: datetime, per_day: int = 12, source: str = "x") -> list[Mention]:
    dice = random.Random(f"{since}{source}")
    return [
        mention(
            f"{since:%y%m%d%H}-{n}",
            dice.choice(["awful weather at acme", "love acme", "acme sells tea"]),
            since + dice.random() * (until - since),
            source,
            author=f"{source} {since} {n}",
        )
        for n in range(int((until - since) / DAY * per_day))
    ]


def crowd(start: datetime, count: int = 40) -> list[Mention]:
    return [
        mention(f"c{start:%m%d%H}-{n}", "awful acme", start + n * MINUTE, author=f"c{start} {n}") for n in range(count)
    ]


def fill(store: Store, *posts: Mention) -> None:
    keep(store, *posts)
    judge(store)


def look(store: Store, since: datetime = NOW, until: datetime = NOW, slices: bool = True) -> Look:
    return past.look(store, NEGATIVE, [Wanted("Acme", since, until, slices)], lambda since: Reading())["Acme"]


def days(store: Store, detector: str = "negative spike") -> list[datetime]:
    return store.pasts.days(detector, "Acme")


def forget_all(store: Store) -> None:
    with store.transaction():
        store.pasts.spoil("Acme", NOW - 10_000 * DAY)


def test_the_last_midnights_and_mondays_of_five_weeks_are_kept(store: Store) -> None:
    fill(store, *steady(NOW - 60 * DAY, NOW))
    watch(store, WATCHING, NOW)
    mondays = [day for day in (MIDNIGHT - n * DAY for n in range(35)) if day.weekday() == 0]
    expected = sorted({MIDNIGHT, MIDNIGHT - DAY, MIDNIGHT - 2 * DAY, *mondays}, reverse=True)
    assert days(store) == days(store, "volume spike") == expected
    assert len(mondays) == 5
    fill(store, mention("later", at=NOW + 9 * DAY))
    watch(store, WATCHING, NOW + 9 * DAY)
    assert min(days(store)) > NOW + 9 * DAY - 35 * DAY
    assert MIDNIGHT - DAY not in days(store)
    assert MIDNIGHT + 9 * DAY in days(store)


def test_a_look_from_what_is_kept_finds_what_a_look_from_the_beginning_finds(store: Store) -> None:
    fill(store, *steady(NOW - 30 * DAY, NOW), *steady(NOW - 30 * DAY, NOW, source="reddit"), *crowd(NOW - 2 * HOUR))
    watch(store, WATCHING, NOW)
    kept = look(store)
    forget_all(store)
    anew = look(store)
    assert (kept.anew, anew.anew) == (False, True)
    assert kept.names == anew.names == sorted(kept.names)
    assert {"", "source reddit", "source x"} <= set(kept.names)
    assert kept.findings == anew.findings
    assert kept.findings[""]


def test_a_state_is_the_same_whenever_it_is_made(store: Store) -> None:
    fill(store, *steady(NOW - 20 * DAY, NOW - 5 * DAY))
    watch(store, WATCHING, NOW - 5 * DAY)
    fill(store, *steady(NOW - 5 * DAY, NOW))
    watch(store, WATCHING, NOW)
    in_steps = states(look(store, NOW - 2 * DAY))
    forget_all(store)
    assert states(look(store, NOW - 2 * DAY)).items() >= in_steps.items()
    assert len(in_steps) == 2  # midnights


def states(looked: Look) -> Mapping[tuple[datetime, str], bytes]:
    return {(day, name): pack(past, row) for day, past in looked.pasts.items() for row, name in enumerate(looked.names)}


def test_counts_that_change_spoil_what_rests_on_them_and_nothing_else(store: Store) -> None:
    fill(store, *steady(NOW - 30 * DAY, NOW))
    watch(store, WATCHING, NOW)
    before = rows(store.path, "SELECT day, detector, slice, state FROM pasts WHERE slice = '' ORDER BY 1, 2")
    fill(store, *crowd(MIDNIGHT - DAY - HOUR))
    watch(store, WATCHING, NOW)
    after = rows(store.path, "SELECT day, detector, slice, state FROM pasts WHERE slice = '' ORDER BY 1, 2")
    assert [row[:3] for row in after] == [row[:3] for row in before]
    changed = {row[0] for row, other in zip(before, after, strict=True) if row != other}
    assert changed == {f"{day:%Y-%m-%d}T00:00:00Z" for day in (MIDNIGHT, MIDNIGHT - DAY)}
    kept = look(store)
    forget_all(store)
    assert look(store).findings == kept.findings


def test_a_verdict_on_an_old_post_spoils_too(store: Store) -> None:
    fill(store, mention("old", "awful acme", NOW - 10 * DAY), *steady(NOW - 30 * DAY, NOW))
    watch(store, WATCHING, NOW)
    with store.transaction():
        store.verdicts.give([Verdict(1, "eve", NOW, {"sentiment": "positive"})])
    assert store.pasts.rest_on("Acme", NOW - 10 * DAY)
    watch(store, Watching(()), NOW)  # no rule looks, and what is no longer right is gone all the same
    assert max(days(store)) <= NOW - 10 * DAY


def test_what_another_version_of_the_detector_kept_is_not_used_and_is_written_over(store: Store) -> None:
    fill(store, *steady(NOW - 30 * DAY, NOW), *crowd(NOW - 2 * HOUR))
    watch(store, WATCHING, NOW)
    right = rows(store.path, "SELECT slice, day, state FROM pasts ORDER BY 1, 2, 3")
    with store.transaction():
        for junk, day in ((b"", MIDNIGHT), (b"negative 1" + bytes(5_000), MIDNIGHT - DAY)):
            store.pasts.save("negative spike", "Acme", day, dict.fromkeys(("", "source x", "stage use"), junk))
    found = look(store)
    assert found.anew
    fill(store, mention("one more", at=NOW))
    watch(store, WATCHING, NOW)
    again = rows(store.path, "SELECT slice, day, state FROM pasts ORDER BY 1, 2, 3")
    assert [row[2] for row in again if row[0] == ""] == [row[2] for row in right if row[0] == ""]
    assert not look(store).anew


def test_what_is_kept_is_not_written_again_while_an_alert_goes_on(store: Store) -> None:
    fill(store, *steady(NOW - 30 * DAY, NOW), *crowd(MIDNIGHT - 30 * MINUTE, 60))
    watch(store, WATCHING, MIDNIGHT + 40 * MINUTE)
    assert store.alerts.open()
    before = rows(store.path, "SELECT id, detector, slice, day FROM pasts ORDER BY id")
    watch(store, WATCHING, MIDNIGHT + 45 * MINUTE)
    assert rows(store.path, "SELECT id, detector, slice, day FROM pasts ORDER BY id") == before


@pytest.mark.parametrize("away", [370, 900])
def test_a_brand_that_returns_after_years_is_looked_at_without_reading_all_of_them(store: Store, away: int) -> None:
    then = NOW - away * DAY
    fill(store, *steady(then - 30 * DAY, then))
    watch(store, WATCHING, then)
    assert days(store)
    fill(store, *steady(NOW - HOUR, NOW, per_day=240))
    watch(store, WATCHING, NOW)
    assert all(day > NOW - 36 * DAY for day in days(store))
    begins = min([*days(store), MIDNIGHT])
    assert begins == MIDNIGHT if away > 400 else begins < MIDNIGHT - 20 * DAY
    assert look(store, NOW - HOUR).anew == (away > 400)


def test_nothing_is_known_of_a_brand_that_nobody_mentioned(store: Store) -> None:
    assert look(store) == past.NOTHING
    with store.transaction():
        past.keep(store, "negative spike", "Acme", past.NOTHING, NOW)
    assert days(store) == []


def test_brands_that_begin_at_different_times_are_looked_at_together_as_if_alone(store: Store) -> None:
    fill(store, *steady(NOW - 30 * DAY, NOW), *crowd(NOW - 2 * HOUR))
    keep(store, *steady(NOW - 12 * DAY, NOW, 30, "reddit"), brands=["Bolt"])
    judge(store)
    wanted = [Wanted("Acme", NOW, NOW, True), Wanted("Bolt", NOW - DAY, NOW, True), Wanted("None", NOW, NOW, True)]
    together = past.look(store, NEGATIVE, wanted, lambda since: Reading())
    assert together["None"] == past.NOTHING
    for each in wanted[:2]:
        alone = past.look(store, NEGATIVE, [each], lambda since: Reading())[each.brand]
        assert alone.findings == together[each.brand].findings
        assert states(alone) == states(together[each.brand])


def test_what_a_platform_that_is_not_read_usually_brings_is_missing_and_not_silent(store: Store) -> None:
    """It has brought nothing today: its part is that of the weeks before."""
    fill(store, *steady(NOW - 20 * DAY, MIDNIGHT, 90), *steady(NOW - 20 * DAY, NOW, 10, "reddit"))
    hours = [MIDNIGHT + hour * HOUR for hour in range(24)]
    end = MIDNIGHT + DAY

    def at_the_end(read: Reading) -> Past:
        wanted = [Wanted("Acme", MIDNIGHT, end, False)]
        return past.look(store, NEGATIVE, wanted, lambda since: read)["Acme"].pasts[end]

    seen = at_the_end(Reading({"x": hours}))["seen"]
    assert np.all((seen > 0.02) & (seen < 0.3))
    assert at_the_end(Reading())["seen"].min() == 1.0


def test_states_of_other_days_brands_and_detectors_stay(store: Store) -> None:
    with store.transaction():
        for brand in ("Acme", "Bolt"):
            for detector in ("a", "b"):
                for number in range(3):
                    store.pasts.save(detector, brand, MIDNIGHT - number * DAY, {"": b"1", "source x": b"2"})
        store.pasts.drop("a", "Acme", [MIDNIGHT])
    assert store.pasts.days("a", "Acme") == [MIDNIGHT - DAY, MIDNIGHT - 2 * DAY]
    assert store.pasts.before("b", "Acme", MIDNIGHT + timedelta(hours=5)) == (MIDNIGHT, {"": b"1", "source x": b"2"})
    assert store.pasts.before("a", "Acme", MIDNIGHT) == (MIDNIGHT - DAY, {"": b"1", "source x": b"2"})
    assert store.pasts.before("a", "Acme", MIDNIGHT - 3 * DAY) is None
    with store.transaction():
        store.pasts.spoil("Acme", MIDNIGHT - DAY)
    assert store.pasts.days("b", "Acme") == [MIDNIGHT - DAY, MIDNIGHT - 2 * DAY]  # that midnight is before the change
    assert len(store.pasts.days("b", "Bolt")) == 3
    assert volume.LAYOUT.name != spikes.LAYOUT.name
