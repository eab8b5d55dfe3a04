"""What people do to cases. Each act runs in the caller's transaction, and writes down what happened in the same.

`version` is that of the case which the person saw; where it is another by now, or somebody else holds the claim, Stale
is raised with the case as it is. NotAllowed is raised where the role does not suffice, InputError for nonsense.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from db.desk import NOT_ABOUT, Case, Event, User
from db.errors import InputError, NotAllowed, Stale
from db.records import Match, Verdict
from db.store import Store
from db.times import to_text
from jobs.desk.answer import ON_ITS_WAY, by_hand
from jobs.desk.moves import holder, move

LEASE = timedelta(minutes=10)
LONGEST_SNOOZE = timedelta(days=365)
LONGEST_TAG = 40  # characters
LONGEST_NOTE = 10_000


def seen(store: Store, case_id: int, who: User, version: int | None = None) -> Case:
    """Return the case that somebody wants to change; see above for what is raised."""
    case = store.cases.get(case_id)
    if case is None or not who.sees(case.match.brand):
        raise InputError(f"there is no case {case_id}")
    if version is not None and version != case.version:
        raise Stale(f"case {case_id} was changed meanwhile; look at it again", case)
    return case


def claim(
    store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None, lease: timedelta = LEASE
) -> Case:
    """Take a case that nobody holds, for as long as the lease; one's own is held longer."""
    case = seen(store, case_id, who, version)
    changed = move(case, "claim", who, now, until=now + lease)
    if holder(case, now) == who.name:
        return beat(store, case_id, who, now, lease=lease)
    return _save(store, changed, who, now, "claimed", _whose(case, who))


def beat(
    store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None, lease: timedelta = LEASE
) -> Case:
    """Say that one is still at it: the claim holds longer, never shorter; the version stays. Stale where it is lost."""
    case = seen(store, case_id, who)  # an old version is no reason to lose a claim
    if not who.may("responder"):
        raise NotAllowed(f"claim needs the role responder; {who.name} is {who.role}")
    if case.state != "claimed" or case.assignee != who.name:
        raise Stale(f"case {case_id} is {_stands(case)} now", case)
    store.cases.beat(case_id, max(now + lease, case.lease_until or now))
    return seen(store, case_id, who)


def release(store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None) -> Case:
    """Give a case back; an approver may do so for others."""
    case = seen(store, case_id, who, version)
    return _save(store, move(case, "release", who, now), who, now, "released", _whose(case, who))


def take_over(
    store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None, lease: timedelta = LEASE
) -> Case:
    """Take a case from whoever holds it."""
    case = seen(store, case_id, who, version)
    if case.state == "claimed" and holder(case, now) in (None, who.name):
        return claim(store, case_id, who, now, lease=lease)
    changed = move(case, "take over", who, now, until=now + lease)
    return _save(store, changed, who, now, "taken over", _whose(case, who))


def assign(
    store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None, to: str | None = None
) -> Case:
    """Hand a case to somebody, or, with `to` None, to nobody in particular."""
    case = seen(store, case_id, who, version)
    to = _colleague(store, case, who, to)
    changed = move(case, "assign", who, now, to=to)
    return _save(store, changed, who, now, "assigned", _whose(case, who) | ({"to": to} if to else {}))


def dismiss(store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None, reason: str) -> Case:
    """Say that a post gets no answer, and for which of DISMISSALS. That it is not about us is a verdict on it."""
    case = _settled(store, seen(store, case_id, who, version))
    closed = _save(store, move(case, "dismiss", who, now, reason=reason), who, now, "dismissed", {"for": reason})
    return _judged(store, closed, who, now, about=False) if reason == NOT_ABOUT else closed


def snooze(
    store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None, until: datetime
) -> Case:
    """Put a case away until a time; then it is there again by itself, for whoever had it."""
    case = _settled(store, seen(store, case_id, who, version))
    if until > now + LONGEST_SNOOZE:
        raise InputError("a case is snoozed for a year at most")
    return _save(store, move(case, "snooze", who, now, until=until), who, now, "snoozed", {"until": to_text(until)})


def reopen(store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None, why: str = "") -> Case:
    """Let a post wait for an answer again, and be about the brand. Why, where somebody says so, becomes a note."""
    case = seen(store, case_id, who, version)
    if case.match.mention.gone_at is not None:
        raise InputError("the post is not there any more: nobody can answer it")
    was = "woken" if case.state == "snoozed" else "reopened"
    measured = {"was_due": to_text(case.due)} if case.due and case.closed_at else {}  # its last answer is, by this
    changed = _save(store, move(case, "reopen", who, now), who, now, was, measured)
    changed = _judged(store, changed, who, now, about=True)
    return note(store, case_id, who, now, text=why) if why.strip() else changed


def set_level(store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None, level: str) -> Case:
    """Say how urgent it is; when an answer is due follows from that within a minute."""
    case = seen(store, case_id, who, version)
    changed = move(case, "level", who, now, level=level)
    return case if level == case.level else _save(store, changed, who, now, "level", _raised(case, level))


def escalate(
    store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None, to: str | None = None
) -> Case:
    """Ask for somebody who decides more: the case is at least high, marked, and free for them, or handed to one.

    What another person holds stays theirs, unless an approver says so.
    """
    case = seen(store, case_id, who, version)
    to = _colleague(store, case, who, to)
    changed = move(case, "escalate", who, now, to=to)
    detail = (_raised(case, changed.level) if changed.level != case.level else {}) | ({"for": to} if to else {})
    return _save(store, changed, who, now, "escalated", detail)


def tag(store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None, tag: str) -> Case:
    """Tag a case. Whoever holds it is not disturbed: the version stays."""
    case = _touch(store, case_id, who, version)
    name = tag_name(tag)
    if store.cases.tag(case.id, name):
        store.cases.record(Event(0, case.id, now, "tagged", who.name, {"tag": name}))
    return seen(store, case_id, who)


def untag(store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None, tag: str) -> Case:
    """Take a tag off a case."""
    case = _touch(store, case_id, who, version)
    name = tag_name(tag)
    if store.cases.untag(case.id, name):
        store.cases.record(Event(0, case.id, now, "untagged", who.name, {"tag": name}))
    return seen(store, case_id, who)


def note(store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None, text: str) -> Case:
    """Write something for the others. What happened says that there is a note, not what it says."""
    case = _touch(store, case_id, who, version)
    words = text.replace("\0", "").strip()
    if not words or len(words) > LONGEST_NOTE:
        raise InputError(f"a note has 1 to {LONGEST_NOTE:,} characters")
    store.cases.note(case.id, who.name, now, words)
    store.cases.record(Event(0, case.id, now, "noted", who.name))
    return case


def replied_by_hand(store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None) -> Case:
    """Say that the post was answered on its platform."""
    seen(store, case_id, who, version)
    return by_hand(store, case_id, who, now)


def word(match: Match, who: User, now: datetime, labels: Mapping[str, str], about: bool | None = None) -> Verdict:
    """Make what somebody says a verdict on the post; what they say nothing of stays as people have said it before."""
    return Verdict(match.id, who.name, now, labels, about=match.about if about is None else about)


def tag_name(text: str) -> str:
    """Write a tag as it is kept: small letters, single blanks, without the sign that some put before it."""
    name = " ".join(text.replace("\0", "").split()).removeprefix("#").casefold()
    if not name or len(name) > LONGEST_TAG or not name.isprintable():
        raise InputError(f"a tag has 1 to {LONGEST_TAG} characters")
    return name


def _touch(store: Store, case_id: int, who: User, version: int | None) -> Case:
    case = seen(store, case_id, who, version)
    if not who.may("responder"):
        raise NotAllowed(f"tags and notes need the role responder; {who.name} is {who.role}")
    return case


def _settled(store: Store, case: Case) -> Case:
    """InputError where a reply is on its way, or perhaps sent: the case is not put away over it."""
    reply = store.replies.last(case.id)
    if reply and reply.state in ON_ITS_WAY:
        raise InputError(ON_ITS_WAY[reply.state])
    return case


def _save(
    store: Store, case: Case, who: User, now: datetime, what: str, detail: Mapping[str, str] | None = None
) -> Case:
    return store.cases.save(case, Event(0, case.id, now, what, who.name, detail or {}))


def _judged(store: Store, case: Case, who: User, now: datetime, *, about: bool) -> Case:
    """Keep a person's word on whether a post is about the brand, unless that is what is known of it."""
    if case.match.about == about:
        return case
    store.verdicts.give([word(case.match, who, now, {}, about)], about_told=True)
    return seen(store, case.id, who)


def _whose(case: Case, who: User) -> dict[str, str]:
    """Whose it was, where that was somebody else."""
    return {"from": case.assignee} if case.assignee and case.assignee != who.name else {}


def _raised(case: Case, level: str) -> dict[str, str]:
    """What the job triage needs to work out anew when an answer is due."""
    return {"from": case.level, "to": level} | ({"due": to_text(case.due)} if case.due else {})


def _stands(case: Case) -> str:
    return f"{case.state} by {case.assignee}" if case.assignee else case.state


def _colleague(store: Store, case: Case, who: User, name: str | None) -> str | None:
    """Name somebody as they are called; InputError where they are not there or could not do anything with the case."""
    if name is None or name == who.name:
        return name
    user = store.users.named(name)
    if user is None or not user.may("responder") or not user.sees(case.match.brand):
        raise InputError(f"{name} cannot be given case {case.id}: no user, no responder, or not of its brand")
    return user.name
