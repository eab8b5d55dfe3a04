"""Answers to posts: drafted, approved, sent back, withdrawn, and what a person says of one that nobody knows of.

Each function changes the reply and its case in the caller's transaction. `version` is that of the reply as the page
showed it, 0 where it showed none: where it is another one now, or where somebody else holds the case, they raise Stale.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from db.desk import SURVEYS, Case, Event, Reply, User
from db.errors import InputError, NotAllowed, Stale
from db.replies import UNSETTLED
from db.store import Store
from jobs.desk.moves import freed, holder
from jobs.desk.surveys import with_link
from jobs.replier import Outbox

OPEN = ("draft", "waiting", "returned", "failed")  # of a reply that can still be changed
LONGEST = 20_000  # characters that are kept of any reply
LONGEST_URL = 2_000
LONGEST_TOKEN = 64  # of a link to a survey, as far as its length counts
ON_ITS_WAY = {
    "queued": "a reply to this post is about to be sent; withdraw it first",
    "sending": "a reply to this post is being sent",
    "unknown": "nobody knows whether the last reply to this post was sent; look, and say so first",
}


def draft(
    store: Store,
    case_id: int,
    who: User,
    now: datetime,
    *,
    text: str,
    version: int | None = None,
    survey: str | None = None,
) -> Case:
    """Keep a text as the draft of the reply. One that waits for approval, was sent back or failed becomes one again."""
    case = _case(store, case_id, who)
    _may_work(case, who, now)
    last = store.replies.last(case.id)
    _same(case, last, version)
    _settled(last)
    if survey is not None and survey not in SURVEYS:
        raise InputError(f"no such survey: {survey[:30]!r}; there are {', '.join(SURVEYS)}")
    text = _tidy(text)
    if last is None or last.state not in OPEN:
        fresh = store.replies.save(Reply(0, case.id, who.name, text, "draft", now, now, survey=survey))
        return _note(store, case, who, now, "drafted", {"reply": str(fresh.id)})
    if last.state == "waiting" and last.author != who.name and not who.may("approver"):
        raise NotAllowed(f"only {last.author} or an approver changes a reply that waits for approval")
    changed = last.text != text or last.state != "draft"
    by = who.name if changed else last.author
    stored = store.replies.save(
        replace(_undecided(last), author=by, text=text, state="draft", survey=survey, updated_at=now, error=None)
    )
    if last.state == "draft" and by == last.author:
        return case
    return _note(store, handed(case, by), who, now, "edited", {"reply": str(stored.id)})


def submit(store: Store, case_id: int, who: User, now: datetime, *, outbox: Outbox, version: int | None = None) -> Case:
    """Hand the draft on: to be sent, or to another person where replies are approved."""
    case = _case(store, case_id, who)
    _may_work(case, who, now)
    reply = _reply(store, case, ("draft", "returned", "failed"), "there is no draft to send")
    _same(case, reply, version)
    _fit(outbox, case, reply)
    if outbox.approval:
        store.replies.save(replace(_undecided(reply), state="waiting", updated_at=now, error=None))
        return _note(store, _waiting(case, reply), who, now, "asked for approval", {"reply": str(reply.id)})
    return _queue(store, case, reply, who, now, "queued")


def approve(
    store: Store, case_id: int, who: User, now: datetime, *, outbox: Outbox, version: int | None = None
) -> Case:
    """Let a reply be sent that another person wrote."""
    case, reply = _judged(store, case_id, who, version)
    if case.closed_at is not None:
        raise InputError(f"the case is closed ({case.state}); reopen it first")
    _fit(outbox, case, reply)
    return _queue(store, case, replace(reply, decided_by=who.name, decided_at=now), who, now, "approved")


def send_back(store: Store, case_id: int, who: User, now: datetime, *, remark: str, version: int | None = None) -> Case:
    """Give a reply back to its author with a remark."""
    case, reply = _judged(store, case_id, who, version)
    remark = _tidy(remark)
    if not remark:
        raise InputError("say in a remark what should be changed")
    store.replies.save(
        replace(reply, state="returned", decided_by=who.name, decided_at=now, remark=remark, updated_at=now)
    )
    return _note(store, handed(case, reply.author), who, now, "sent back", {"reply": str(reply.id)})


def withdraw(store: Store, case_id: int, who: User, now: datetime, *, version: int | None = None) -> Case:
    """Make a draft of a reply again that waits for approval or to be sent."""
    case = _case(store, case_id, who)
    reply = _reply(store, case, ("waiting", "queued"), "no reply waits that could be withdrawn")
    _same(case, reply, version)
    if reply.author != who.name and not who.may("approver"):
        raise NotAllowed(f"only {reply.author} or an approver withdraws this reply")
    store.replies.save(replace(_undecided(reply), state="draft", not_before=None, updated_at=now))
    return _note(store, handed(case, reply.author), who, now, "withdrawn", {"reply": str(reply.id)})


def say_sent(
    store: Store, case_id: int, who: User, now: datetime, *, url: str | None = None, version: int | None = None
) -> Case:
    """Say of a reply of which nobody knows that it was sent."""
    case = _case(store, case_id, who)
    reply = _reply(store, case, ("unknown",), "of no reply is it unknown whether it was sent")
    _same(case, reply, version)
    link = _link(url)
    sent_at = reply.sending_at or now
    store.replies.save(replace(reply, state="sent", sent_at=sent_at, url=link, error=None, updated_at=now))
    return _note(store, answered(case, sent_at), who, now, "said to be sent", {"reply": str(reply.id)})


def say_not_sent(
    store: Store,
    case_id: int,
    who: User,
    now: datetime,
    *,
    again: bool = False,
    version: int | None = None,
) -> Case:
    """Say of a reply of which nobody knows that it was not sent: a draft again, or (`again`) to be sent as it is."""
    case = _case(store, case_id, who)
    reply = _reply(store, case, ("unknown",), "of no reply is it unknown whether it was sent")
    _same(case, reply, version)
    state = "queued" if again else "draft"
    store.replies.save(replace(reply, state=state, sending_at=None, not_before=None, error=None, updated_at=now))
    back = case if again else handed(case, reply.author)
    return _note(store, back, who, now, "said not to be sent", {"reply": str(reply.id)})


def by_hand(
    store: Store,
    case_id: int,
    who: User,
    now: datetime,
    *,
    url: str | None = None,
    text: str | None = None,
    version: int | None = None,
) -> Case:
    """Write down that somebody answered on the platform itself, and what they said.

    Without `text` a draft that there is was what they said; an empty one says that it is not kept.
    """
    case = _case(store, case_id, who)
    _may_work(case, who, now)
    last = store.replies.last(case.id)
    _same(case, last, version)
    _settled(last)
    link, said = _link(url), None if text is None else _tidy(text)
    if last is None or last.state not in OPEN:
        last = Reply(0, case.id, who.name, "", "by hand", now, now)
    stored = store.replies.save(
        replace(
            last,
            author=who.name,
            text=last.text if said is None else said,
            state="by hand",
            url=link,
            sent_at=now,
            error=None,
            survey=None,
            updated_at=now,
        )
    )
    return _note(store, answered(case, now), who, now, "replied by hand", {"reply": str(stored.id)})


def answered(case: Case, at: datetime) -> Case:
    """The case of a reply that was sent: answered and closed."""
    return replace(
        case,
        state="replied",
        replied_at=case.replied_at or at,
        triaged_at=case.triaged_at or at,
        closed_at=at,
        lease_until=None,
        snoozed_until=None,
        dismissed_for=None,
    )


def handed(case: Case, author: str) -> Case:
    """The case of a reply that did not go out: its author's again, who has to claim it."""
    return replace(freed(case), assignee=author) if case.state == "waiting" else case


def _case(store: Store, case_id: int, who: User) -> Case:
    if not who.may("responder"):
        raise NotAllowed(f"{who.name} may look, but not answer: that takes the role of a responder")
    case = store.cases.get(case_id)
    if case is None or not who.sees(case.match.brand):
        raise InputError(f"there is no case {case_id}")
    return case


def _may_work(case: Case, who: User, now: datetime) -> None:
    if case.closed_at is not None:
        raise InputError(f"the case is closed ({case.state}); reopen it first")
    if holder(case, now) not in (None, who.name):
        raise Stale(f"{case.assignee} is working on this post", case)


def _same(case: Case, reply: Reply | None, version: int | None) -> None:
    if version is not None and version != (reply.version if reply else 0):
        raise Stale("the reply was changed meanwhile; look at it again", case)


def _settled(reply: Reply | None) -> None:
    if reply and reply.state in UNSETTLED:
        raise InputError(ON_ITS_WAY[reply.state])


def _reply(store: Store, case: Case, states: tuple[str, ...], otherwise: str) -> Reply:
    reply = store.replies.last(case.id)
    if reply is None or reply.state not in states:
        raise InputError(ON_ITS_WAY.get(reply.state if reply and "draft" in states else "", otherwise))
    return reply


def _judged(store: Store, case_id: int, who: User, version: int | None) -> tuple[Case, Reply]:
    case = _case(store, case_id, who)
    if not who.may("approver"):
        raise NotAllowed(f"{who.name} may not approve replies: that takes the role of an approver")
    last = store.replies.last(case.id)
    _same(case, last, version)
    reply = _reply(store, case, ("waiting",), "no reply to this post waits for approval")
    if reply.author == who.name:
        raise NotAllowed("another person approves what you wrote")
    return case, reply


def _fit(outbox: Outbox, case: Case, reply: Reply) -> None:
    """InputError where the reply is empty, too long, or cannot be sent from here."""
    mention = case.match.mention
    text = reply.text
    if reply.survey and outbox.url:
        text = with_link(text, reply.survey, f"{outbox.url.rstrip('/')}/s/{'x' * LONGEST_TOKEN}")
    if not reply.text:
        raise InputError("the reply has no text")
    if reason := outbox.why_not(mention):
        raise InputError(reason)
    if surplus := outbox.surplus(mention, text):
        raise InputError(
            f"the reply is {surplus:,} {'character' if surplus == 1 else 'characters'} too long: "
            f"{mention.source} takes {outbox.longest(mention):,}"
        )


def _queue(store: Store, case: Case, reply: Reply, who: User, now: datetime, what: str) -> Case:
    store.replies.save(replace(reply, state="queued", updated_at=now, not_before=None, error=None))
    return _note(store, _waiting(case, reply), who, now, what, {"reply": str(reply.id)})


def _undecided(reply: Reply) -> Reply:
    return replace(reply, decided_by=None, decided_at=None)


def _waiting(case: Case, reply: Reply) -> Case:
    """Nobody else can claim, dismiss or snooze a case whose reply waits or is on its way."""
    return replace(case, state="waiting", assignee=case.assignee or reply.author, lease_until=None, snoozed_until=None)


def _note(store: Store, case: Case, who: User, now: datetime, what: str, detail: Mapping[str, str]) -> Case:
    triaged = replace(case, triaged_at=case.triaged_at or now)
    return store.cases.save(triaged, Event(0, case.id, now, what, who.name, detail))


def _tidy(text: str) -> str:
    """One kind of line break, no controls; browsers send two characters for a break, which would count as two."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(each for each in text if each in "\n\t" or (each >= " " and not "\x7f" <= each <= "\x9f"))
    if len(text) > LONGEST:
        raise InputError(f"a text of {len(text):,} characters is too long to be kept; {LONGEST:,} are")
    return re.sub("[\ud800-\udfff]", "\ufffd", text).strip()


def _link(url: str | None) -> str | None:
    url = (url or "").strip()
    if not url:
        return None
    if len(url) > LONGEST_URL or not re.fullmatch(r"https?://[^\s<>\"'\x00-\x1f]+", url):
        raise InputError("give the reply's address, which begins with https://, or leave it empty")
    return url
