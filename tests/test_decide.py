"""Who is told of an alert, and why."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from db.records import Alert, Delivery
from jobs.decide import MAX_AGE, Policy, Reason, decide

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def alert(observed: int = 10, seen: timedelta = timedelta(minutes=5), ended: bool = False) -> Alert:
    last_seen = NOW - seen
    return Alert(
        id=1,
        brand="Acme",
        rule="negative spike",
        starts=last_seen - timedelta(hours=2),
        last_seen=last_seen,
        ends=last_seen + timedelta(minutes=30) if ended else None,
        severity="high",
        observed=observed,
        expected=1.5,
        factor=observed / 1.5,
        probability=1e-5,
        window_minutes=60,
        mentions=observed,
        share=1.0,
        usual_share=0.25,
        summary="",
        in_common=(),
    )


def told(reason: Reason, observed: int = 10, state: str = "sent", ago: timedelta = timedelta(hours=1)) -> Delivery:
    return Delivery(1, 1, "desk", reason.value, state, 1, observed, NOW - ago)


OLD = MAX_AGE + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("last", "current", "reason"),
    [
        pytest.param(None, alert(), Reason.FIRST, id="a new alert is told"),
        pytest.param(None, alert(ended=True), Reason.PAST, id="one that ended before anyone was told, too"),
        pytest.param(told(Reason.PAST), alert(ended=True), None, id="and its end is not told again"),
        pytest.param(None, alert(seen=MAX_AGE), Reason.FIRST, id="up to a day after it was last seen"),
        pytest.param(None, alert(seen=OLD), None, id="imported history notifies nobody"),
        pytest.param(None, alert(seen=OLD, ended=True), None, id="what was never told is never resolved"),
        pytest.param(told(Reason.FIRST), alert(), None, id="the same is not told twice"),
        pytest.param(told(Reason.FIRST, state="sending"), alert(), None, id="nor while it is being sent"),
        pytest.param(told(Reason.FIRST), alert(19), None, id="a little worse is not worth a message"),
        pytest.param(told(Reason.FIRST), alert(20), Reason.WORSENED, id="twice as bad is"),
        pytest.param(told(Reason.FIRST, ago=timedelta(minutes=20)), alert(40), None, id="but not within the hour"),
        pytest.param(told(Reason.WORSENED, 20), alert(39), None, id="measured by what was told last"),
        pytest.param(told(Reason.WORSENED, 20), alert(40), Reason.WORSENED, id="and again at twice that"),
        pytest.param(told(Reason.FIRST), alert(ended=True), Reason.RESOLVED, id="its end is told"),
        pytest.param(told(Reason.FIRST), alert(30, ended=True), Reason.RESOLVED, id="the end wins over worse"),
        pytest.param(told(Reason.WORSENED), alert(ended=True), Reason.RESOLVED, id="also after it got worse"),
        pytest.param(told(Reason.FIRST), alert(seen=OLD, ended=True), Reason.RESOLVED, id="however late"),
        pytest.param(told(Reason.RESOLVED), alert(ended=True), None, id="but once"),
        pytest.param(told(Reason.RESOLVED), alert(12), Reason.REOPENED, id="a story that comes back is told"),
        pytest.param(told(Reason.PAST), alert(12), Reason.REOPENED, id="also if it was over when it was found"),
        pytest.param(told(Reason.REOPENED), alert(12), None, id="once"),
        pytest.param(told(Reason.FIRST, state="failed"), alert(ended=True), Reason.PAST, id="over before it arrived"),
        pytest.param(told(Reason.FIRST, state="dead"), alert(), Reason.FIRST, id="given up, but it goes on"),
        pytest.param(
            told(Reason.FIRST, state="dead", ago=timedelta(minutes=5)), alert(), None, id="given up a moment ago"
        ),
    ],
)
def test_a_channel_is_told_with_a_reason_or_not_at_all(
    last: Delivery | None, current: Alert, reason: Reason | None
) -> None:
    assert decide(last, current, NOW) == reason


TAKEN = replace(alert(), taken_by="ann", taken_at=NOW)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("policy", "last", "current", "reason"),
    [
        pytest.param(Policy(alerts=False), None, alert(), None, id="one for digests hears of no alert"),
        pytest.param(Policy(severity="critical"), None, alert(), None, id="less than it wants to hear"),
        pytest.param(Policy(severity="high"), None, alert(), Reason.FIRST, id="what it wants to hear"),
        pytest.param(Policy(severity="critical"), told(Reason.FIRST), alert(ended=True), Reason.RESOLVED, id="the end"),
        pytest.param(Policy(brands=["Bolt"]), None, alert(), None, id="another brand"),
        pytest.param(Policy(brands=["Bolt", "Acme"]), None, alert(), Reason.FIRST, id="its brand"),
        pytest.param(
            Policy(brands=["Bolt"]), None, replace(alert(), brand=""), Reason.FIRST, id="a source has no brand"
        ),
        pytest.param(Policy(rules=["silence"]), None, alert(), None, id="another rule"),
        pytest.param(
            Policy(cooldown=2 * HOUR), told(Reason.FIRST), alert(40), None, id="worse, but still cooling down"
        ),
        pytest.param(Policy(repeat=HOUR), told(Reason.FIRST), alert(), Reason.REPEATED, id="nobody took it"),
        pytest.param(Policy(repeat=2 * HOUR), told(Reason.FIRST), alert(), None, id="not yet"),
        pytest.param(Policy(repeat=HOUR), told(Reason.FIRST), TAKEN, None, id="somebody has it"),
        pytest.param(
            Policy(repeat=HOUR), told(Reason.FIRST), alert(20), Reason.WORSENED, id="worse is the better reason"
        ),
    ],
)
def test_a_channel_hears_what_its_policy_asks_for(
    policy: Policy, last: Delivery | None, current: Alert, reason: Reason | None
) -> None:
    assert decide(last, current, NOW, policy, NOW) == reason


@pytest.mark.parametrize(
    ("current", "waited", "reason"),
    [
        pytest.param(alert(), None, None, id="nobody was told yet"),
        pytest.param(alert(), timedelta(minutes=29), None, id="others may still take it"),
        pytest.param(alert(), timedelta(minutes=30), Reason.ESCALATED, id="nobody has"),
        pytest.param(TAKEN, HOUR, None, id="somebody has"),
        pytest.param(alert(ended=True), HOUR, None, id="it is over"),
    ],
)
def test_an_alert_escalates_while_nobody_has_taken_it(
    current: Alert, waited: timedelta | None, reason: Reason | None
) -> None:
    policy = Policy(escalate_after=timedelta(minutes=30))
    assert decide(None, current, NOW, policy, None if waited is None else NOW - waited) == reason


def test_who_was_called_in_hears_the_end_too() -> None:
    policy = Policy(escalate_after=timedelta(minutes=30))
    assert decide(told(Reason.ESCALATED), alert(ended=True), NOW, policy, NOW - HOUR) == Reason.RESOLVED


NIGHT = Policy(quiet=(time(22), time(7)), zone=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("policy", "at", "told_now"),
    [
        (NIGHT, datetime(2026, 3, 1, 20, 59, tzinfo=UTC), True),  # 21:59 in Berlin
        (NIGHT, datetime(2026, 3, 1, 21, 0, tzinfo=UTC), False),
        (NIGHT, datetime(2026, 3, 2, 5, 59, tzinfo=UTC), False),
        (NIGHT, datetime(2026, 3, 2, 6, 0, tzinfo=UTC), True),
        (NIGHT, datetime(2026, 7, 2, 5, 0, tzinfo=UTC), True),  # in summer 7:00 comes an hour sooner
        (Policy(quiet=(time(12), time(13))), datetime(2026, 3, 1, 12, 30, tzinfo=UTC), False),
        (Policy(quiet=(time(12), time(13))), datetime(2026, 3, 1, 13, 0, tzinfo=UTC), True),
    ],
)
def test_quiet_hours_are_those_of_the_channels_time_zone(policy: Policy, at: datetime, told_now: bool) -> None:
    current = replace(alert(), starts=at - HOUR, last_seen=at)
    assert decide(None, current, at, policy) == (Reason.FIRST if told_now else None)
    assert decide(None, replace(current, severity="critical"), at, policy) == Reason.FIRST
    over = replace(current, ends=at)
    assert decide(told(Reason.FIRST), over, at, policy) == (Reason.RESOLVED if told_now else None)


def test_what_came_and_went_in_quiet_hours_is_told_in_one_message_at_their_end() -> None:
    at = datetime(2026, 3, 2, 1, tzinfo=UTC)
    over = replace(alert(), starts=at - HOUR, last_seen=at, ends=at)
    assert decide(None, over, at + 4 * HOUR, NIGHT) is None
    assert decide(None, over, at + 5 * HOUR, NIGHT) == Reason.PAST
