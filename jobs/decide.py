"""Whether a channel is told of an alert now, and why: pure, so that every case can be put in a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum

from db.records import SEVERITIES, Alert, Delivery

MAX_AGE = timedelta(hours=24)  # what was last seen before this is history: an import notifies nobody
WORSE = 2  # times the posts that the channel was told
WORSENS = ("negative spike", "volume spike")  # rules whose alerts are counted in posts


class Reason(StrEnum):
    """Why a notification is sent; kept with the delivery."""

    FIRST = "first"
    REOPENED = "reopened"  # it was told to be over, and is not
    PAST = "past"  # found when it was over already: one message tells all of it
    WORSENED = "worsened"
    REPEATED = "repeated"  # it goes on, and nobody has taken it
    ESCALATED = "escalated"  # others were told, and nobody has taken it
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a channel wants to hear, and when."""

    alerts: bool = True
    severity: str = "warning"  # the least
    brands: Sequence[str] = ()  # () is all
    rules: Sequence[str] = ()
    quiet: tuple[time, time] | None = None  # from, to; in `zone`; only what is critical is told then
    zone: tzinfo = UTC
    cooldown: timedelta = timedelta(hours=1)  # between two messages on an alert that goes on
    repeat: timedelta | None = None
    escalate_after: timedelta | None = None  # it hears only of what others were told and nobody took for so long


TOLD_ALL = Policy()


def decide(
    last: Delivery | None, alert: Alert, now: datetime, policy: Policy = TOLD_ALL, first_told: datetime | None = None
) -> Reason | None:
    """The reason to tell a channel, or None.

    `last` is the channel's latest delivery of this alert, whatever became of it; `first_told` is when any channel was
    first told. Whether the alert is inhibited or silenced was asked before (jobs/hold.py).
    """
    if last is not None and last.state == "dead" and now - last.created_at >= policy.cooldown:
        last = None  # the channel never heard of it, and may have been mended
    if last is None and not _wanted(alert, policy):
        return None
    if policy.quiet and alert.severity != "critical" and _within(policy.quiet, now.astimezone(policy.zone).time()):
        return None  # what still matters in the morning is told then
    if last is None:
        return _news(alert, now, policy, first_told)
    if alert.rule == "single post":
        return None  # it does not go on: once is enough
    over = last.reason in (Reason.RESOLVED, Reason.PAST)
    if alert.ends is not None:
        if over:
            return None
        unheard = last.reason == Reason.FIRST and last.state in ("failed", "dead")
        return Reason.PAST if unheard else Reason.RESOLVED
    if over:
        return Reason.REOPENED
    if now - last.created_at < policy.cooldown:
        return None
    if alert.rule in WORSENS and alert.observed >= WORSE * max(last.observed, 1):
        return Reason.WORSENED
    if policy.repeat and alert.taken_by is None and now - last.created_at >= policy.repeat:
        return Reason.REPEATED
    return None


def _news(alert: Alert, now: datetime, policy: Policy, first_told: datetime | None) -> Reason | None:
    """The reason to tell a channel what it has not heard of."""
    goes_on = alert.ends is None or alert.rule == "single post"
    if policy.escalate_after is not None:
        waited = first_told is not None and now - first_told >= policy.escalate_after
        return Reason.ESCALATED if waited and alert.taken_by is None and goes_on else None
    if now - alert.last_seen > MAX_AGE:
        return None
    return Reason.FIRST if goes_on else Reason.PAST


def _wanted(alert: Alert, policy: Policy) -> bool:
    return (
        policy.alerts
        and SEVERITIES.index(alert.severity) >= SEVERITIES.index(policy.severity)
        and (not policy.brands or alert.brand in policy.brands or not alert.brand)
        and (not policy.rules or alert.rule in policy.rules)
    )


def _within(span: tuple[time, time], at: time) -> bool:
    begin, end = span
    return begin <= at < end if begin <= end else at >= begin or at < end
