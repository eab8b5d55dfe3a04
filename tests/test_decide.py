"""Who is told of an alert, and why."""

from datetime import UTC, datetime, timedelta

import pytest

from db.records import Alert, Delivery
from jobs.decide import MAX_AGE, Reason, decide

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def alert(observed: int = 10, seen: timedelta = timedelta(minutes=5), ended: bool = False) -> Alert:
    last_seen = NOW - seen
    return Alert(
        id=1,
        brand="Acme",
        rule="negative-spike",
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
