"""Night hours, calling others in, saying it again, keeping quiet for a while: a night and a morning, step by step."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from db.filters import Filter
from db.records import Alert
from db.store import Store
from jobs.decide import Policy
from jobs.notify import Telling, notify
from jobs.outlet import Outlet
from tests.alert_rig import START, Desk
from tests.support import DAY, HOUR, MINUTE, rows

EVENING = START.replace(hour=20, minute=40)
SPIKE = Alert(
    id=0,
    brand="Acme",
    rule="negative spike",
    starts=EVENING - 10 * MINUTE,
    last_seen=EVENING,
    ends=None,
    severity="high",
    observed=10,
    expected=1.5,
    factor=6.7,
    probability=1e-6,
    window_minutes=60,
    mentions=12,
    share=0.83,
    usual_share=0.2,
    summary="",
    in_common=(),
)
GROWS = {time(20, 40): 10, time(22, 0): 20, time(23, 0): 40, time(2, 0): 80}  # UTC
TAKEN, OVER = time(7, 0), time(8, 30)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


def night(store: Store, policy: Policy, alert: Alert = SPIKE) -> list[tuple[str, str, int]]:
    """Step through a night in fives; return when a channel was told, why and of how many posts."""
    outlets = {"desk": Outlet(Desk()), "one": Outlet(Desk(), policy)}
    with store.transaction():
        alert = store.alerts.save(alert, ())
    now = alert.last_seen
    while now <= EVENING + 16 * HOUR:
        alert = replace(alert, observed=GROWS.get(now.time(), alert.observed))
        if alert.ends is None:
            alert = replace(alert, last_seen=now, ends=now if now.time() == OVER else None)
        with store.transaction():
            store.alerts.save(alert, ())
            if now.time() == TAKEN:
                store.alerts.take(alert.id, "ann", now)
        notify(store, outlets, Telling(), now)
        now += 5 * MINUTE
    sql = "SELECT created_at, reason, observed FROM deliveries WHERE channel = 'one' AND state = 'sent' ORDER BY id"
    return [(f"{datetime.fromisoformat(at):%H:%M}", reason, seen) for at, reason, seen in rows(store.path, sql)]


FIRST, LAST = ("20:40", "first", 10), ("08:30", "resolved", 80)
BERLIN = ZoneInfo("Europe/Berlin")  # an hour ahead of UTC in March


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        pytest.param(
            Policy(),
            [FIRST, ("22:00", "worsened", 20), ("23:00", "worsened", 40), ("02:00", "worsened", 80), LAST],
            id="each doubling",
        ),
        pytest.param(
            Policy(cooldown=4 * HOUR),
            [FIRST, ("00:40", "worsened", 40), ("04:40", "worsened", 80), LAST],
            id="a long cooldown",
        ),
        pytest.param(
            Policy(quiet=(time(22), time(7)), zone=BERLIN), [FIRST, ("06:00", "worsened", 80), LAST], id="a quiet night"
        ),
        pytest.param(
            Policy(repeat=4 * HOUR),
            [
                *(FIRST, ("22:00", "worsened", 20), ("23:00", "worsened", 40), ("02:00", "worsened", 80)),
                *(("06:00", "repeated", 80), LAST),
            ],
            id="said again until somebody takes it",
        ),
        pytest.param(
            Policy(repeat=90 * MINUTE, cooldown=9 * HOUR, quiet=(time(0), time(5))),
            [FIRST, ("05:40", "worsened", 80), LAST],
            id="neither quiet hours nor the cooldown are broken by a repetition",
        ),
        pytest.param(
            Policy(escalate_after=2 * HOUR),
            [("22:40", "escalated", 20), ("23:40", "worsened", 40), ("02:00", "worsened", 80), LAST],
            id="who is called in",
        ),
        pytest.param(Policy(escalate_after=11 * HOUR), [], id="nobody is called in once it is taken"),
        pytest.param(Policy(severity="critical"), [], id="not severe enough"),
    ],
)
def test_a_channel_is_told_through_a_night_as_it_wants(
    store: Store, policy: Policy, told: list[tuple[str, str, int]]
) -> None:
    assert night(store, policy) == told


def test_what_is_critical_is_told_at_night(store: Store) -> None:
    policy = Policy(quiet=(time(20), time(12)))
    assert night(store, policy, replace(SPIKE, severity="critical"))[0] == FIRST


def test_what_began_in_the_night_is_told_in_the_morning(store: Store) -> None:
    late = replace(SPIKE, starts=EVENING + HOUR, last_seen=EVENING + HOUR)
    told = night(store, Policy(quiet=(time(22), time(7)), zone=BERLIN), late)
    assert told == [("06:00", "first", 80), LAST]


def test_what_was_over_before_the_morning_is_told_in_one_message(store: Store) -> None:
    told = night(store, Policy(quiet=(time(20), time(9))))
    assert told == [("09:00", "past", 80)]


def test_who_takes_an_alert_while_its_counts_are_looked_at_keeps_it(store: Store) -> None:
    with store.transaction():
        known = store.alerts.save(replace(SPIKE, found_at=EVENING), ())
    with store.transaction():
        store.alerts.take(known.id, "ann", EVENING)
        store.alerts.hold(known.id, "silenced by ann")
    with store.transaction():
        store.alerts.save(replace(known, observed=20), ())
    (after,) = store.alerts.find(Filter())
    assert (after.observed, after.taken_by, after.held, after.found_at) == (20, "ann", "silenced by ann", EVENING)


def test_a_burst_that_stands_out_in_a_slice_first_is_one_story(store: Store) -> None:
    desk, boss = Desk(), Desk()
    outlets = {"desk": Outlet(desk), "boss": Outlet(boss, Policy(escalate_after=HOUR))}
    with store.transaction():
        part = store.alerts.save(replace(SPIKE, scope="source reddit"), ())
    notify(store, outlets, Telling(), EVENING)
    with store.transaction():
        whole = store.alerts.save(replace(SPIKE, observed=14), ())
    for minutes in (10, 60):
        notify(store, outlets, Telling(), EVENING + minutes * MINUTE)
    over = EVENING + 3 * HOUR
    with store.transaction():
        store.alerts.save(replace(whole, observed=25, last_seen=EVENING + 2 * HOUR), ())
    notify(store, outlets, Telling(), EVENING + 2 * HOUR)
    with store.transaction():
        store.alerts.save(replace(whole, observed=25, last_seen=over, ends=over), ())
        store.alerts.save(replace(part, last_seen=over, ends=over), ())
    notify(store, outlets, Telling(), over)
    told = rows(store.path, "SELECT channel, alert_id, reason FROM deliveries ORDER BY id")
    assert [each for each in told if each[0] == "desk"] == [
        ("desk", part.id, "first"),
        ("desk", whole.id, "worsened"),
        ("desk", whole.id, "resolved"),
    ]
    assert next(reason for channel, _, reason in told if channel == "boss") == "escalated"
    assert len(desk.messages) == 3


def test_days_without_a_run_bring_one_message(store: Store) -> None:
    desk = Desk()
    with store.transaction():
        alert = store.alerts.save(SPIKE, ())
    notify(store, {"desk": Outlet(desk)}, Telling(), EVENING)
    with store.transaction():
        store.alerts.save(replace(alert, observed=90, last_seen=EVENING + HOUR, ends=EVENING + HOUR), ())
    for later in (3 * DAY, 3 * DAY + timedelta(hours=1)):
        notify(store, {"desk": Outlet(desk)}, Telling(), EVENING + later)
    assert [message.title for message in desk.messages] == ["Negative spike: Acme", "Negative spike is over: Acme"]
