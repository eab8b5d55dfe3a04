"""Notify: hold each alert against what inhibits or silences it, then tell each channel what it has not heard.

The order is fixed: inhibited, silenced, grouped by brand, decided (jobs/decide.py), sent, recorded. A delivery is
written down as `sending` before anything leaves. One that is still `sending` at the next run was cut off by a crash:
it is sent again, with the same key (at least once).
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from db.errors import DeliveryFailed
from db.filters import Filter
from db.records import SEVERITIES, Alert, Delivery, Match
from db.store import Store
from jobs import digest
from jobs.channel import Message
from jobs.compose import POSTS_SHOWN, compose
from jobs.decide import MAX_AGE, Reason, decide
from jobs.hold import at_the_same_time, causes, held
from jobs.letter import Page
from jobs.links import NO_LINKS, Links
from jobs.outcome import Outcome
from jobs.outlet import Outlet
from jobs.period import About
from jobs.report import DrawJourney

log = logging.getLogger(__name__)

ATTEMPTS = 8
LOOKED_BACK = timedelta(days=30)  # an alert that was last seen before that is told to nobody, not even its end
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(hours=1)  # between two attempts
DISABLED = "the channel is disabled"
NEGATIVE = "negative spike"
NO_ONES = ""  # the brand of alerts on sources

Draw = Callable[[Store, Alert], bytes | None]


@dataclass(frozen=True, slots=True)
class Telling:
    """How alerts are told: the brands that nobody is told of, what draws charts (PNG), where links lead.

    `page` makes documents for e-mail, `about` says what digests are about.
    """

    untold: Sequence[str] = ()
    draw: Draw = lambda store, alert: None
    draw_digest: digest.Draw | None = None
    draw_journey: DrawJourney | None = None
    links: Links = NO_LINKS
    page: Page | None = None
    about: About | None = None


def notify(store: Store, outlets: Mapping[str, Outlet], telling: Telling, now: datetime) -> Outcome:
    """Send what is due."""
    with store.transaction():
        recent = _hold(store, store.alerts.find(Filter(since=now - LOOKED_BACK)), telling.untold, now)
        disabled = _disabled(store, outlets)
        for name, outlet in outlets.items():
            if name not in disabled:
                _open(store, name, outlet, recent, now)
    alerts = {alert.id: alert for alert in store.alerts.find(Filter(since=now - LOOKED_BACK))}
    sent = failed = 0
    errors = []
    for delivery in store.deliveries.due(now):
        useless = _useless(delivery, alerts, disabled, now)
        if useless:
            _note(store, replace(delivery, state="dead", next_attempt_at=None, error=delivery.error or useless))
            continue
        if delivery.channel not in outlets or delivery.channel in disabled:
            continue
        message = _message(store, delivery, outlets[delivery.channel], alerts, telling)
        delivery = _begun(delivery, now)
        _note(store, delivery)
        failure = _send(outlets[delivery.channel], message)
        if failure:
            failed += 1
            errors.append(f"{delivery.channel}: {failure}")
            _fail(store, delivery, failure, outlets[delivery.channel], now)
            if failure.permanent:
                disabled.add(delivery.channel)
        else:
            sent += 1
            _note(store, replace(delivery, state="sent", next_attempt_at=None, error=None))
    return Outcome({"sent": sent, "failed": failed}, "; ".join(errors) or None)


def _hold(store: Store, alerts: Sequence[Alert], untold: Sequence[str], now: datetime) -> list[Alert]:
    """Note of each alert why nobody is told of it now, and return them as they are then."""
    silences = store.silences.ending_after(now)
    of_brand = defaultdict[str, list[Alert]](list)
    for alert in causes(alerts):
        of_brand[alert.brand].append(alert)
    noted = []
    for alert in alerts:
        beside = of_brand[alert.brand] + (of_brand[NO_ONES] if alert.brand else [])
        reason = held(alert, beside, silences, untold, now)
        if reason != alert.held:
            store.alerts.hold(alert.id, reason)
        noted.append(replace(alert, held=reason))
    return noted


def _disabled(store: Store, outlets: Mapping[str, Outlet]) -> set[str]:
    """Name the channels that do not work; one whose settings have changed is tried again."""
    names = set()
    for found, fingerprint in store.deliveries.disabled():
        outlet = outlets.get(found.channel)
        if outlet is not None and outlet.fingerprint == fingerprint:
            names.add(found.channel)
        else:
            store.deliveries.enable(found.channel)
    return names


def _open(store: Store, name: str, outlet: Outlet, recent: Sequence[Alert], now: datetime) -> None:
    """Write down what the channel is to be told: of each brand in one message, the worst first."""
    leading: dict[str, Delivery] = {}
    for alert in sorted(recent, key=lambda alert: (-SEVERITIES.index(alert.severity), bool(alert.scope), alert.id)):
        if alert.held:
            continue
        last, first = store.deliveries.last(alert.id, name), store.deliveries.first_sent(alert.id)
        for part in _parts(alert, recent) if last is None else ():
            # What stood out in a slice first, and then in all of the brand, goes on as the story that it was.
            told = store.deliveries.last(part.id, name)
            last = max(filter(None, (last, told)), key=lambda delivery: delivery.id, default=None)
            first = first or store.deliveries.first_sent(part.id)
        reason = decide(last, alert, now, outlet.policy, first)
        if reason:
            leader = leading.get(alert.brand)
            opened = store.deliveries.open(alert.id, name, reason, alert.observed, now, leader.id if leader else None)
            leading.setdefault(alert.brand, opened)
    if outlet.digest:
        for_span = digest.due(store.deliveries.last_digest(name, outlet.digest.every), outlet.digest, now)
        if for_span:
            store.deliveries.open_digest(name, outlet.digest.every, *for_span, now)


def _parts(alert: Alert, recent: Sequence[Alert]) -> list[Alert]:
    """The alerts on slices of a negative spike."""
    if alert.rule != NEGATIVE or alert.scope:
        return []
    return [
        other
        for other in recent
        if other.scope and (other.brand, other.rule) == (alert.brand, alert.rule) and at_the_same_time(alert, other)
    ]


def _useless(delivery: Delivery, alerts: Mapping[int, Alert], disabled: set[str], now: datetime) -> str | None:
    """Say why a delivery is not tried again, or None."""
    if delivery.channel in disabled:
        return DISABLED
    if now - delivery.created_at > MAX_AGE or (delivery.alert_id is not None and delivery.alert_id not in alerts):
        return "too old to be sent"
    return None


def _message(
    store: Store, delivery: Delivery, outlet: Outlet, alerts: Mapping[int, Alert], telling: Telling
) -> Message:
    key = f"sentimon-{delivery.alert_id or 'digest'}-{delivery.id}"
    if delivery.alert_id is None:
        return digest.compose_digest(
            store,
            delivery,
            key,
            telling.links,
            telling.about,
            telling.draw_digest if outlet.pictures else None,
            telling.page,
            telling.draw_journey if outlet.pictures else None,
        )
    alert = alerts[delivery.alert_id]
    joined = store.deliveries.joined(delivery.id)
    return compose(
        key,
        Reason(delivery.reason),
        alert,
        _shown(store, alert),
        store.mentions.count_of_alert(alert.id),
        telling.links,
        _chart(store, alert, telling.draw) if outlet.pictures else None,
        [(Reason(other.reason), alerts[other.alert_id or 0]) for other in joined if other.alert_id in alerts],
        telling.page,
    )


def _shown(store: Store, alert: Alert) -> Sequence[Match]:
    """The posts that stand for an alert: those that its story names, else the most negative."""
    named = store.mentions.of(alert.story.posts[:POSTS_SHOWN]) if alert.story else []
    return named or store.mentions.of_alert(alert.id, POSTS_SHOWN)


def _chart(store: Store, alert: Alert, draw: Draw) -> bytes | None:
    try:
        return draw(store, alert)
    except Exception:  # an alert without its picture is better than none; the traceback is wanted
        log.exception("the chart of alert %d cannot be drawn", alert.id)
        return None


def _send(outlet: Outlet, message: Message) -> DeliveryFailed | None:
    try:
        outlet.channel.send(message)
    except DeliveryFailed as failure:
        return failure
    except Exception as bug:  # one channel's bug must not keep the others silent, and its traceback is wanted
        log.exception("a channel failed")
        return DeliveryFailed(f"bug: {type(bug).__name__}; the log has the details")
    return None


def _begun(delivery: Delivery, now: datetime) -> Delivery:
    """The attempt counts before it is made: after a crash the next one waits its time, and there is a last one."""
    attempts = delivery.attempts + 1
    wait = min(SHORTEST * 2 ** (attempts - 1), LONGEST)
    return replace(delivery, state="sending", attempts=attempts, next_attempt_at=now + wait)


def _fail(store: Store, delivery: Delivery, failure: DeliveryFailed, outlet: Outlet, now: datetime) -> None:
    """Write down that an attempt was in vain; a channel that cannot work is not tried again."""
    over = failure.permanent or delivery.attempts >= ATTEMPTS
    again = delivery.next_attempt_at if failure.wait is None else now + failure.wait
    with store.transaction():
        if over:
            log.error("channel %s: gave up on delivery %d: %s", delivery.channel, delivery.id, failure)
        if failure.permanent:
            store.deliveries.disable(delivery.channel, str(failure), outlet.fingerprint, now)
        store.deliveries.update(
            replace(
                delivery,
                state="dead" if over else "failed",
                next_attempt_at=None if over else again,
                error=str(failure),
            )
        )


def _note(store: Store, delivery: Delivery) -> None:
    with store.transaction():
        store.deliveries.update(delivery)
