"""What the page of one alert says: the facts of the alert in the words that messages use, ready for the template."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from db.records import Alert, Delivery, Match, Part, Silence
from db.store import Store
from jobs.decide import Reason
from jobs.hold import SILENCED, silenced
from jobs.wording import between, length, moment, number, place, subject
from monitor.status import not_working

POSTS_SHOWN = 100
STANDING = 5  # posts shown where the story names none
LEAST = 0.1  # of what is more than expected, from which on a slice is shown
UNNAMED = ("none", "unsure")  # slices that say nothing
STEP = timedelta(minutes=5)

_REASONS = {
    Reason.FIRST: "that it was found",
    Reason.WORSENED: "that it got worse",
    Reason.REOPENED: "that it goes on after all",
    Reason.REPEATED: "that it still goes on",
    Reason.ESCALATED: "that nobody has taken it",
    Reason.PAST: "of all of it, when it was over",
    Reason.RESOLVED: "that it is over",
}
_STATES = {
    "sending": "is being sent",
    "sent": "sent",
    "failed": "did not arrive, is tried again",
    "dead": "did not arrive",
}


@dataclass(frozen=True, slots=True)
class Slice:
    """One line of the table that says where the posts are."""

    where: str
    observed: int
    expected: str


def gather(store: Store, alert: Alert, now: datetime) -> dict[str, Any]:
    """Collect what the page of an alert shows."""
    story = alert.story
    found = store.mentions.of_alert(alert.id, POSTS_SHOWN)
    chosen = _standing(store, alert, found)
    shown = {post.id for post in chosen}
    return {
        "alert": alert,
        "about": subject(alert),
        "lead": _lead(alert),
        "when": _when(alert),
        "feedback": store.alerts.said([alert.id]).get(alert.id),
        "held": None if (alert.held or "").startswith(SILENCED) else alert.held,
        "silences": [each for each in store.silences.ending_after(now) if silenced(alert, [each], now)],
        "has_chart": bool(alert.brand),
        "story": story,
        "slices": _slices(story.parts) if story else [],
        "confined": place(story.confined_to.kind, story.confined_to.name) if story and story.confined_to else "",
        "standing": chosen,
        "others": [post for post in found if post.id not in shown],
        "count": store.mentions.count_of_alert(alert.id),
        "told": [_told(delivery) for delivery in store.deliveries.of_alert(alert.id)],
        "disabled": not_working(store),
        "moment": moment,
    }


def of_cause(silence: Silence, alert: Alert) -> bool:
    """Whether a silence is on the cause of this alert, and on nothing else: the link to the alert may end it."""
    return (silence.brand, silence.rule, silence.scope) == (alert.brand, alert.rule, alert.scope)


def _standing(store: Store, alert: Alert, found: Sequence[Match]) -> list[Match]:
    """Return the posts that stand for an alert, in the order of its story, as far as they are still among its posts."""
    if (
        alert.rule == "single post" and alert.scope
    ):  # whatever it was found to feel: a threat of legal action may be neutral
        source, _, source_id = alert.scope.partition(" ")
        post = store.mentions.named(source, source_id, alert.brand)
        return [post] if post else []
    if not alert.story or not alert.story.posts:
        return list(found[:STANDING])
    known = {post.id: post for post in store.mentions.of(alert.story.posts)}
    chosen = [known[number] for number in alert.story.posts if number in known]
    return [post for post in chosen if post.about and post.sentiment == "negative"] or list(found[:STANDING])


def _lead(alert: Alert) -> str:
    """Take the summary without its subject, which the heading has."""
    text = alert.summary.removeprefix(f"{subject(alert)}: ")
    return f"{text[:1].upper()}{text[1:]}"


def _when(alert: Alert) -> str:
    if alert.rule == "single post":
        return f"Posted on {moment(alert.starts)}"
    if alert.ends:
        return f"Over: {between(alert.starts, alert.ends)}, {length(alert.ends - alert.starts)}"
    return f"Going on since {moment(alert.starts)}, for {length(alert.last_seen + STEP - alert.starts)} so far"


def _slices(parts: Sequence[Part]) -> list[Slice]:
    return [
        Slice(place(part.kind, part.name), part.observed, number(part.expected))
        for part in parts
        if part.share >= LEAST and part.name not in UNNAMED
    ]


def _told(delivery: Delivery) -> dict[str, Any]:
    """Say of a delivery who was told what, and whether it arrived."""
    reason = next((words for reason, words in _REASONS.items() if reason == delivery.reason), delivery.reason)
    return {
        "at": delivery.created_at,
        "channel": delivery.channel,
        "what": reason,
        "state": _STATES.get(delivery.state, delivery.state),
        "error": delivery.error,
    }
