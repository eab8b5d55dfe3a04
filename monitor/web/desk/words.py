"""How the desk puts states, targets and events into words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.desk import OPEN, Case, Event
from jobs.desk.hours import Hours, working
from jobs.wording import length

SOON = timedelta(minutes=30)
STATES: Mapping[str, str] = {
    "new": "New",
    "claimed": "Claimed",
    "waiting": "Waiting for approval",
    "replied": "Replied",
    "snoozed": "Snoozed",
    "dismissed": "Dismissed",
    "reopened": "Reopened",
}
REPLIES: Mapping[str, str] = {
    "draft": "Draft",
    "waiting": "Waiting for approval",
    "returned": "Sent back",
    "queued": "Will be sent in a moment",
    "sending": "Being sent",
    "sent": "Sent",
    "failed": "Not sent",
    "unknown": "Nobody knows whether this was sent",
    "by hand": "Answered on the platform",
}
# What is said after an act, by the name that stands in the address: nothing in an address is shown as it is.
DONE: Mapping[str, str] = {
    "dismissed": "Dismissed.",
    "snoozed": "Snoozed: it comes back by itself.",
    "replied": "Answered.",
    "submitted": "Submitted for approval.",
    "queued": "Taken: it is sent within a moment.",
    "saved": "Draft saved.",
    "released": "Released: anybody can take it.",
    "assigned": "Assigned.",
    "escalated": "Escalated.",
    "not about us": "Not about us: it counts nowhere, and needs no answer.",
    "not sent": "It is a draft again.",
    "corrected": "Corrected: every count goes by your word from now on.",
    "noted": "Note added.",
    "approved": "Approved: it is sent within a moment.",
    "returned": "Sent back with your remark.",
    "withdrawn": "Withdrawn.",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long a case has waited, against its target: the words, and "late", "soon" or ""."""

    words: str
    kind: str = ""


def waiting(case: Case, now: datetime, hours: Hours) -> Waiting:
    """Say how a case stands in time, and where nobody is there for a part of what is left, how much of it is ours."""
    if case.state == "snoozed" and case.snoozed_until:
        return Waiting(f"back {ahead(case.snoozed_until, now)}")
    if case.state not in OPEN:
        closed = case.closed_at or case.replied_at
        return Waiting(f"{case.state} {length(now - closed)} ago" if closed else case.state)
    if case.due is None:
        return Waiting(f"waits {length(now - case.created_at)}")
    if case.due <= now:
        return Waiting(f"overdue {length(now - case.due)}", "late")
    left, ours = case.due - now, working(now, case.due, hours)
    said = f"due in {length(left)}" if left < timedelta(days=2) else f"due {stamp(case.due)}"
    if ours < left:
        said += f" ({length(ours)} of business hours)"
    return Waiting(said, "soon" * (ours < SOON))


def ahead(time: datetime, now: datetime) -> str:
    """Say when something comes: in how long within a day, else the time."""
    return f"in {length(time - now)}" if timedelta(0) < time - now < timedelta(days=1) else stamp(time)


def stamp(time: datetime) -> str:
    """Write a time of UTC: 2026-03-04 12:00."""
    return f"{time:%Y-%m-%d %H:%M}"


def told(event: Event) -> str:
    """Say what happened: the verb, and what is known of it besides."""
    said = {name: plain(value) if event.what == "corrected" else value for name, value in event.detail.items()}
    rest = ", ".join(f"{plain(name)}: {value}" for name, value in said.items() if value)
    return f"{event.what} ({rest})" if rest else event.what


def sure(label: str | None, probability: float | None) -> str:
    """Say how sure the model is: "92 %", "" where it is not known."""
    return f"{probability:.0%}" if label and probability is not None else ""


def short(count: int) -> str:
    """Write a number of followers in little room: 870, 23k, 1.2m."""
    if count < 1_000:
        return str(count)
    if count < 999_500:
        return f"{count / 1_000:.1f}k" if count < 9_950 else f"{count / 1_000:.0f}k"
    return f"{count / 1_000_000:.1f}m"


def plain(label: str) -> str:
    """Write a label as a word: contact_centre is a contact centre."""
    return label.replace("_", " ")
