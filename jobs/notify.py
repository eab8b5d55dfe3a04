"""Notify: tell each channel about alerts, once, and again only when one worsens or ends.

A delivery is written down as `sending` before anything leaves. One that is still `sending` at the next run was cut
off by a crash: it is sent again, with the same key (at least once).
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from shlex import quote

from db.errors import DeliveryFailed
from db.filters import Filter
from db.records import Alert, Delivery, Match
from db.store import Store
from jobs.channel import Channel, Message
from jobs.decide import MAX_AGE, Reason, decide
from jobs.outcome import Outcome

log = logging.getLogger(__name__)

ATTEMPTS = 8
LOOKED_BACK = timedelta(days=30)  # an alert that was last seen before that is told to nobody, not even its end
TEXT_SHOWN = 140  # characters of a post; all of a message stays below what the narrowest chat services take
SUMMARY_SHOWN = 300
BRAND_SHOWN = 60
POSTS_SHOWN = 3

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def notify(store: Store, channels: Mapping[str, Channel], competitors: Sequence[str], now: datetime) -> Outcome:
    """Send what is due. Competitors' alerts are recorded, not told."""
    sent = failed = 0
    errors = []
    alerts = {alert.id: alert for alert in store.alerts.find(Filter(since=now - LOOKED_BACK))}
    with store.transaction():
        for alert, channel in product(alerts.values(), channels):
            reason = decide(store.deliveries.last(alert.id, channel), alert, now)
            if reason and alert.brand not in competitors:
                store.deliveries.open(alert.id, channel, reason, alert.observed, now)
    for delivery in store.deliveries.due(now):
        if now - delivery.created_at > MAX_AGE or delivery.alert_id not in alerts:
            _note(
                store,
                replace(delivery, state="dead", next_attempt_at=None, error=delivery.error or "too old to be sent"),
            )
            continue
        if delivery.channel not in channels:
            continue
        alert = alerts[delivery.alert_id]
        posts = store.mentions.of_alert(alert.id, POSTS_SHOWN)
        message = compose(delivery, alert, posts, store.mentions.count_of_alert(alert.id))
        delivery = _begun(delivery, now)
        _note(store, delivery)
        failure = _send(channels[delivery.channel], message)
        if failure:
            failed += 1
            errors.append(f"{delivery.channel}: {failure}")
            _note(store, _failed(delivery, failure))
        else:
            sent += 1
            _note(store, replace(delivery, state="sent", next_attempt_at=None, error=None))
    return Outcome({"sent": sent, "failed": failed}, "; ".join(errors) or None)


def _send(channel: Channel, message: Message) -> DeliveryFailed | None:
    try:
        channel.send(message)
    except DeliveryFailed as failure:
        return failure
    except Exception as bug:  # one channel's bug must not keep the others silent, and its traceback is wanted
        log.exception("a channel failed")
        return DeliveryFailed(f"bug: {type(bug).__name__}; the log has the details")
    return None


def compose(delivery: Delivery, alert: Alert, posts: Sequence[Match], count: int) -> Message:
    """Write the notification: what happened, against what was expected, and the posts that show it."""
    heading = {
        Reason.FIRST: "Negative spike",
        Reason.WORSENED: "Negative spike, getting worse",
        Reason.REOPENED: "Negative spike, back again",
        Reason.RESOLVED: "Negative spike is over",
        Reason.PAST: "Negative spike, over by now",
    }[Reason(delivery.reason)]
    brand = harmless(alert.brand)[:BRAND_SHOWN]  # an imported file may have named it
    lines = [harmless(alert.summary)[:SUMMARY_SHOWN]]
    if alert.in_common:
        lines.append("In common: " + ", ".join(alert.in_common))
    since = f"Since {alert.starts:%Y-%m-%d %H:%M} UTC"
    lines.append(f"{since}, over at {alert.ends:%H:%M} UTC" if alert.ends else since)
    if delivery.reason != Reason.RESOLVED:
        lines += [_excerpt(match) for match in posts[:POSTS_SHOWN]]
        lines.append(f"{count} negative posts so far: sentimon queue --brand {quote(brand)}")
    return Message(
        key=f"sentimon-{alert.id}-{delivery.id}",
        title=f"{heading}: {brand}",
        body="\n".join(lines),
        urgent=alert.severity == "critical" and delivery.reason != Reason.RESOLVED,
    )


def harmless(text: str) -> str:
    """Take from a stranger's text what chat services and terminals act on.

    Mass mentions, markup, bare links, control characters and those that turn the direction of writing.
    """
    text = _CONTROL.sub("", " ".join(text.split()))
    for sign in "*_`~<>[]|":
        text = text.replace(sign, "")
    return text.replace("@", "@\u200b").replace("://", ":\u200b//")


def _excerpt(match: Match) -> str:
    text = harmless(match.mention.shown)
    short = text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1] + "…"
    return f"- {match.mention.source}: {short}"


def _begun(delivery: Delivery, now: datetime) -> Delivery:
    """The attempt counts before it is made: after a crash the next one waits its time, and there is a last one."""
    attempts = delivery.attempts + 1
    wait = min(timedelta(minutes=2**attempts / 2), timedelta(hours=1))
    return replace(delivery, state="sending", attempts=attempts, next_attempt_at=now + wait)


def _failed(delivery: Delivery, failure: DeliveryFailed) -> Delivery:
    if failure.permanent or delivery.attempts >= ATTEMPTS:
        log.error("channel %s: gave up on delivery %d: %s", delivery.channel, delivery.id, failure)
        return replace(delivery, state="dead", next_attempt_at=None, error=str(failure))
    return replace(delivery, state="failed", error=str(failure))


def _note(store: Store, delivery: Delivery) -> None:
    with store.transaction():
        store.deliveries.update(delivery)
