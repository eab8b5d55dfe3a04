"""Reply: send what a person has queued, at most once.

A reply is `sending` in a transaction of its own before anything leaves. One that is still `sending` long after was cut
off by a crash: it becomes `unknown`, unless the platform shows it, and is never sent again without a person saying that
it was not. Nothing here sends a reply whose row says anything but `queued`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from db.desk import Case, Event, Reply
from db.errors import CollectorError, RateLimited, ReplyRefused, SentimonError
from db.store import Store
from jobs.desk.answer import answered, handed
from jobs.desk.surveys import link, with_link
from jobs.meter import StoreMeter
from jobs.outcome import Outcome
from jobs.replier import Looker, Outbox, Replied, Route, key_of

log = logging.getLogger(__name__)

AT_ONCE = 4  # replies of a run: the last of many that are slow would look cut off to another process
PUT_OFF = 500  # others that wait for the same limit
CUT_OFF = timedelta(minutes=5)  # longer than any reply is on its way: only a crash, or a kill, leaves a row so
UNKNOWN = "nobody knows whether it was sent: {why}"
CRASHED = "sentimon was ended while it was sent"


def reply(store: Store, outbox: Outbox, now: datetime, stopping: Callable[[], bool] = lambda: False) -> Outcome:
    """Look after what was cut off, then send what is due, one after another."""
    counts = {"sent": 0, "failed": 0, "unknown": 0}
    errors = []
    for lost in store.replies.in_states(["sending"]):
        if lost.sending_at is None or lost.sending_at <= now - CUT_OFF:
            outcome = _cut_off(store, outbox, lost, now)
            counts[outcome.state] += 1
            errors += [_line(outcome)] if outcome.state == "unknown" else []
    for due in store.replies.due(now, AT_ONCE):
        if stopping():
            break
        begun = _begin(store, outbox, due.id, now)
        if begun is None:  # withdrawn meanwhile, or put off with another one
            continue
        state, error = _send(store, begun, now)
        if state in counts:
            counts[state] += 1
        errors += [error] if error and state != "queued" else []
    return Outcome(counts, "; ".join(errors) or None)


def look(store: Store, outbox: Outbox, reply_id: int, now: datetime) -> Reply | None:
    """Ask the platform whether it shows a reply of which nobody knows; return it as it is then, None without proof.

    It asks the network, so that no transaction may be open. Raises as `Collector.collect` does.
    """
    found = store.replies.get(reply_id)
    case = store.cases.get(found.case_id) if found else None
    if found is None or case is None or found.state not in ("sending", "unknown"):
        return None
    route = outbox.route(case.match.mention)
    if route is None or not isinstance(route.replier, Looker):
        return None
    with store.transaction():
        text = _whole(store, outbox, found, now)
    meter = _meter(store, route, now)
    proof = route.replier.found(case.match.mention, text, key_of(found), meter, now)
    if proof is None:
        return None
    with store.transaction():
        current = store.replies.get(reply_id)
        if current is None or current.state not in ("sending", "unknown"):  # somebody has said meanwhile
            return None
        return _sent(store, current, proof, current.sending_at or now, now, "found sent")


def _whole(store: Store, outbox: Outbox, written: Reply, now: datetime) -> str:
    """What is sent: what somebody wrote and, where one is offered, the link to a survey, the same at every attempt."""
    if not written.survey or not outbox.url:
        return written.text
    return with_link(written.text, written.survey, link(store, written, outbox.url, now))


@dataclass(frozen=True, slots=True)
class _Begun:
    """A reply whose row says `sending`, with what sends it."""

    reply: Reply
    case: Case
    route: Route
    text: str


def _cut_off(store: Store, outbox: Outbox, lost: Reply, now: datetime) -> Reply:
    """First it is shown as unknown; then, where the platform shows it, as sent."""
    with store.transaction():
        current = store.replies.get(lost.id)
        if current is None or current.state != "sending":
            return current or lost
        unknown = _unknown(store, current, CRASHED, now)
    try:
        return look(store, outbox, lost.id, now) or unknown
    except CollectorError as error:
        log.info("reply %d: cannot look whether it was sent: %s", lost.id, error)
    except Exception:  # a bug of one platform must not keep the others from answering, and its traceback is wanted
        log.exception("reply %d: cannot look whether it was sent", lost.id)
    return unknown


def _begin(store: Store, outbox: Outbox, reply_id: int, now: datetime) -> _Begun | None:
    """Write down that a reply is about to be sent, or why it cannot be. When this returns, that is on the disk."""
    with store.transaction(durable=True):
        queued = store.replies.get(reply_id)
        if queued is None or queued.state != "queued" or (queued.not_before and queued.not_before > now):
            return None
        case = store.cases.get(queued.case_id)
        if case is None:
            return None
        mention = case.match.mention
        route = outbox.route(mention)
        reason = outbox.why_not(mention)
        if case.closed_at is not None:
            reason = f"the case was closed ({case.state}) before it was sent"
        if reason or route is None:
            _failed(store, queued, reason or "nothing sends it", now)
            return None
        begun = store.replies.save(replace(queued, state="sending", sending_at=now, not_before=None, updated_at=now))
        store.sources.known(route.source, route.replier.platform)  # its budget is kept there
        text = _whole(store, outbox, begun, now)
    return _Begun(begun, case, route, text)


def _send(store: Store, begun: _Begun, now: datetime) -> tuple[str, str | None]:
    """Send it, and write down what came of it: return the state, and a line for somebody to act on."""
    sending, replier = begun.reply, begun.route.replier
    mention, meter = begun.case.match.mention, _meter(store, begun.route, now)
    try:
        replied = replier.reply(mention, begun.text, key_of(sending), meter, now)
    except ReplyRefused as refused:
        with store.transaction():
            _failed(store, _now_of(store, sending), str(refused), now)
        return "failed", f"reply {sending.id} was not sent: {refused}"
    except RateLimited as limited:
        _put_off(store, sending, begun.route, limited, now)
        return "queued", None
    except SentimonError as error:
        why = str(error)
    except Exception as bug:  # whatever it is, the reply may have left; the traceback is wanted
        log.exception("reply %d", sending.id)
        why = f"bug: {type(bug).__name__}; the log has the details"
    else:
        with store.transaction():
            _sent(store, _now_of(store, sending), replied, now, now, "replied")
        return "sent", None
    with store.transaction():
        unknown = _unknown(store, _now_of(store, sending), why, now)
    return "unknown", _line(unknown)


def _now_of(store: Store, sending: Reply) -> Reply:
    """The row as it is now: while a reply was sent for very long, another process may have taken it for cut off."""
    return store.replies.get(sending.id) or sending


def _put_off(store: Store, sending: Reply, route: Route, limited: RateLimited, now: datetime) -> None:
    """Certainly not sent: it waits, and all others on the same way with it."""
    with store.transaction():
        current = _now_of(store, sending)
        if current.state in ("sending", "unknown"):  # else a person has said meanwhile what is to become of it
            later = replace(current, state="queued", sending_at=None, error=str(limited), updated_at=now)
            store.replies.save(replace(later, not_before=limited.not_before))
        for other in store.replies.due(now, PUT_OFF):
            case = store.cases.get(other.case_id)
            if case and case.match.mention.source == route.replier.platform:
                store.replies.save(replace(other, not_before=limited.not_before, error=str(limited), updated_at=now))


def _sent(store: Store, current: Reply, replied: Replied, sent_at: datetime, now: datetime, what: str) -> Reply:
    stored = store.replies.save(
        replace(
            current,
            state="sent",
            sent_at=sent_at,
            remote_id=replied.remote_id,
            url=replied.url,
            error=None,
            not_before=None,
            updated_at=now,
        )
    )
    case = store.cases.get(current.case_id)
    if case:
        _note(store, answered(case, sent_at), stored, what, now)
    return stored


def _failed(store: Store, current: Reply, reason: str, now: datetime) -> Reply:
    stored = store.replies.save(
        replace(current, state="failed", error=reason, sending_at=None, not_before=None, updated_at=now)
    )
    case = store.cases.get(current.case_id)
    if case:
        _note(store, handed(case, stored.author), stored, "not sent", now)
    return stored


def _unknown(store: Store, current: Reply, why: str, now: datetime) -> Reply:
    stored = store.replies.save(replace(current, state="unknown", error=UNKNOWN.format(why=why), updated_at=now))
    case = store.cases.get(current.case_id)
    if case:
        _note(store, case, stored, "perhaps sent", now)
    return stored


def _note(store: Store, case: Case, current: Reply, what: str, now: datetime) -> None:
    store.cases.save(case, Event(0, case.id, now, what, None, {"reply": str(current.id)}))


def _line(unknown: Reply) -> str:
    return (
        f"reply {unknown.id}: {unknown.error}; look on the platform, then say so on the desk or with `sentimon replies`"
    )


def _meter(store: Store, route: Route, now: datetime) -> StoreMeter:
    return StoreMeter(store, route.source, route.monthly_budget, now, route.total_budget)
