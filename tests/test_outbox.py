"""Messages are told together, held, and passed on to who is called in; a channel that cannot work is left alone."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from db.errors import DeliveryFailed
from db.filters import Filter
from db.records import Alert, Delivery, Silence
from db.store import Store
from jobs.channel import Channel
from jobs.decide import Policy
from jobs.notify import Telling, notify
from jobs.outlet import Outlet
from tests.notify_rig import Desk, alert, save, states, tell
from tests.support import HOUR, MINUTE, NOW


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


# --- channels that do not work --------------------------------------------------------------------------------------

CLOSED = DeliveryFailed("no such room", permanent=True)


def told_by(store: Store, channel: Channel, now: datetime, fingerprint: str = "1") -> tuple[int, int]:
    outcome = notify(store, {"desk": Outlet(channel, fingerprint=fingerprint)}, Telling(), now)
    return outcome.counts["sent"], outcome.counts["failed"]


def test_a_channel_that_cannot_work_is_disabled_and_not_tried_with_the_next_alert(store: Store) -> None:
    alert(store)
    assert told_by(store, Desk([CLOSED]), NOW) == (0, 1)
    ((disabled, _),) = store.deliveries.disabled()
    assert (disabled.channel, disabled.reason, disabled.at) == ("desk", "no such room", NOW)
    alert(store, brand="Bolt")
    silent = Desk()
    assert told_by(store, silent, NOW + 2 * HOUR) == (0, 0)
    assert silent.messages == []


def test_the_first_of_two_messages_that_cannot_be_delivered_spares_the_second(store: Store) -> None:
    alert(store)
    alert(store, brand="Bolt")
    desk = Desk([CLOSED, CLOSED])
    assert told_by(store, desk, NOW) == (0, 1)
    assert told_by(store, desk, NOW + MINUTE) == (0, 0)
    assert {state for _, _, state, _ in states(store)} == {"dead"}
    assert len(desk.messages) == 1


def test_a_channel_whose_settings_were_mended_hears_of_what_goes_on(store: Store) -> None:
    alert(store)
    told_by(store, Desk([CLOSED]), NOW)
    mended = Desk()
    assert told_by(store, mended, NOW + HOUR, fingerprint="2") == (1, 0)
    assert store.deliveries.disabled() == []


def test_a_channel_that_somebody_resumes_hears_of_what_goes_on(store: Store) -> None:
    alert(store)
    told_by(store, Desk([CLOSED]), NOW)
    with store.transaction():
        assert store.deliveries.enable("desk")
    assert told_by(store, Desk(), NOW + HOUR) == (1, 0)


def test_a_service_that_asks_to_be_left_alone_is(store: Store) -> None:
    alert(store)
    desk = Desk([DeliveryFailed("too many", wait=17 * MINUTE)])
    told_by(store, desk, NOW)
    assert told_by(store, desk, NOW + 16 * MINUTE) == (0, 0)
    assert told_by(store, desk, NOW + 17 * MINUTE) == (1, 0)


# --- together, held, called in --------------------------------------------------------------------------------------


def of_rule(store: Store, rule: str, brand: str = "Acme", scope: str = "", severity: str = "warning") -> Alert:
    """One more alert that goes on."""
    made = replace(alert(store, brand=brand), id=0, rule=rule, scope=scope, severity=severity)
    with store.transaction():
        (spike,) = [one for one in store.alerts.find(Filter(brands=(brand,))) if one.rule == "negative spike"]
        store.alerts.save(replace(spike, rule="silence", severity="warning"), ())
        return store.alerts.save(made, ())


def test_what_is_found_of_a_brand_at_once_is_told_in_one_message_the_worst_first(store: Store) -> None:
    of_rule(store, "share shift", severity="high")
    alert(store, brand="Bolt")
    desk = Desk()
    assert tell(store, desk=desk) == (2, 0, None)
    assert sorted(desk.titles) == ["Negative spike: Bolt", "Share shift: Acme"]
    (acme,) = [message for message in desk.messages if "Acme" in message.title]
    assert "Also" in acme.body
    assert {state for _, _, state, _ in states(store)} == {"sent"}
    assert tell(store, NOW + MINUTE, desk=desk) == (0, 0, None)


def test_what_was_to_be_told_in_a_message_that_is_overtaken_is_told_by_itself(store: Store) -> None:
    shift = of_rule(store, "share shift", severity="high")
    desk = Desk([DeliveryFailed("away")])
    tell(store, desk=desk)
    save(store, replace(shift, ends=NOW + MINUTE))
    assert tell(store, NOW + HOUR, desk=desk)[:2] == (2, 0)
    told = desk.titles[1:]
    assert len(told) == 2
    assert any("over" in title for title in told)
    assert {state for _, _, state, _ in states(store)} == {"dead", "sent"}


def test_nobody_is_told_of_what_is_silenced_until_it_is_not(store: Store) -> None:
    going_on = alert(store)
    with store.transaction():
        store.silences.add(Silence(0, NOW, NOW + 2 * HOUR, "ann", "launch", "Acme"))
    desk = Desk()
    assert tell(store, desk=desk) == (0, 0, None)
    (held,) = store.alerts.find(Filter())
    assert held.held is not None
    assert "silenced by ann" in held.held
    save(store, replace(going_on, last_seen=NOW + 2 * HOUR))
    assert tell(store, NOW + 2 * HOUR, desk=desk) == (1, 0, None)
    assert store.alerts.find(Filter())[0].held is None
    assert desk.titles == ["Negative spike: Acme"]


def test_a_slice_of_a_spike_is_part_of_its_story(store: Store) -> None:
    whole = alert(store)
    with store.transaction():
        store.alerts.save(replace(whole, id=0, scope="source x", severity="critical"), ())
    desk = Desk()
    assert tell(store, desk=desk) == (1, 0, None)
    assert "Also" not in desk.messages[0].body


def test_who_is_called_in_hears_of_it_when_nobody_has_taken_it_for_a_while(store: Store) -> None:
    going_on = alert(store)
    desk, boss = Desk(), Desk()
    outlets = {"desk": Outlet(desk), "boss": Outlet(boss, Policy(escalate_after=30 * MINUTE))}
    for minutes in (0, 29, 30, 60):
        notify(store, outlets, Telling(), NOW + minutes * MINUTE)
        assert len(boss.messages) == (minutes >= 30)
    other = alert(store, brand="Bolt")
    with store.transaction():
        notified = other.id
        store.alerts.take(notified, "ann", NOW)
    notify(store, outlets, Telling(), NOW + HOUR)
    notify(store, outlets, Telling(), NOW + 2 * HOUR)
    assert len(boss.messages) == 1
    assert [reason for channel, reason, _, _ in states(store) if channel == "boss"] == ["escalated"]
    assert going_on.id != other.id


def test_an_attempt_whose_outcome_cannot_be_written_is_not_made_every_minute(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert(store)
    desk, update = Desk(), store.deliveries.update

    def full(delivery: Delivery) -> None:
        if delivery.state == "sent":
            raise sqlite3.OperationalError("database or disk is full")
        update(delivery)

    monkeypatch.setattr(store.deliveries, "update", full)
    for minute in range(3):
        with suppress(sqlite3.OperationalError):
            tell(store, NOW + minute * MINUTE / 4, desk=desk)
    assert len(desk.messages) == 1


def test_a_channel_that_is_gone_from_the_configuration_holds_nobody(store: Store) -> None:
    alert(store)
    tell(store, old=Desk([DeliveryFailed("away")]))
    assert tell(store, NOW + HOUR, new=Desk()) == (1, 0, None)


def test_deliveries_are_read_back_as_they_were_written(store: Store) -> None:
    one = alert(store)
    opened = store.deliveries.open(one.id, "desk", "first", 10, NOW)
    assert store.deliveries.last(one.id, "desk") == opened
    changed: Delivery = replace(opened, state="failed", attempts=2, next_attempt_at=NOW + HOUR, error="away")
    store.deliveries.update(changed)
    assert store.deliveries.due(NOW) == []
    assert store.deliveries.due(NOW + HOUR) == [changed]


# --- pictures -------------------------------------------------------------------------------------------------------


def test_a_chart_is_drawn_for_channels_that_show_it_only(store: Store) -> None:
    alert(store)
    with_pictures, without = Desk(), Desk()
    outlets = {"mail": Outlet(with_pictures, pictures=True), "text": Outlet(without)}
    notify(store, outlets, Telling(draw=lambda *_: b"a picture"), NOW)
    assert [message.image for message in (*with_pictures.messages, *without.messages)] == [b"a picture", None]
    assert ["chart is attached" in message.body for message in (*with_pictures.messages, *without.messages)] == [
        True,
        False,
    ]


def test_an_alert_whose_chart_cannot_be_drawn_is_told_without(store: Store) -> None:
    def broken(*_: object) -> bytes:
        raise ZeroDivisionError

    alert(store)
    desk = Desk()
    outcome = notify(store, {"desk": Outlet(desk, pictures=True)}, Telling(draw=broken), NOW)
    assert outcome.counts == {"sent": 1, "failed": 0}
    assert desk.messages[0].image is None
