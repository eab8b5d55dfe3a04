"""Whether a channel is told of an alert now, and why: pure, so that every case can be put in a table."""

from datetime import datetime, timedelta
from enum import StrEnum

from db.records import Alert, Delivery

MAX_AGE = timedelta(hours=24)  # what was last seen before this is history: an import notifies nobody
WORSE = 2  # times the negatives that the channel was told
BETWEEN = timedelta(hours=1)  # a spike that still grows is told once an hour at the most


class Reason(StrEnum):
    """Why a notification is sent; kept with the delivery."""

    FIRST = "first"
    REOPENED = "reopened"  # it was told to be over, and is not
    PAST = "past"  # found when it was over already: one message tells all of it
    WORSENED = "worsened"
    RESOLVED = "resolved"


def decide(last: Delivery | None, alert: Alert, now: datetime) -> Reason | None:
    """The reason to tell a channel, or None. `last` is its latest delivery of this alert, whatever became of it."""
    if last is not None and last.state == "dead" and now - last.created_at >= BETWEEN:
        last = None  # the channel never heard of it, and may have been mended
    if last is None:
        if now - alert.last_seen > MAX_AGE:
            return None
        return Reason.FIRST if alert.ends is None else Reason.PAST
    over = last.reason in (Reason.RESOLVED, Reason.PAST)
    if alert.ends is not None:
        if over:
            return None
        return Reason.PAST if last.reason == Reason.FIRST and last.state in ("failed", "dead") else Reason.RESOLVED
    if over:
        return Reason.REOPENED
    worse = alert.observed >= WORSE * last.observed and now - last.created_at >= BETWEEN
    return Reason.WORSENED if worse else None
