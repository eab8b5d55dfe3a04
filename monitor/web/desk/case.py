"""The page of a case: the post, what is known around it, the reply, and what happened."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from db.conversations import Author
from db.desk import Case, Reply, User
from db.labels import GUIDE, LABELS, PILLARS, REPLIES, SENTIMENTS, STAGES, TOUCHPOINTS
from db.records import Mention
from db.store import Store
from jobs.desk.answer import ON_ITS_WAY
from jobs.desk.context import context
from jobs.desk.moves import holder
from jobs.desk.snippet import fill
from jobs.replier import Outbox
from monitor.sections import span_of
from monitor.web.desk import queue, words
from monitor.web.desk.asking import Question, read
from monitor.web.desk.who import Viewer
from monitor.web.forms import Refused, number_of
from monitor.web.site import SEEN, Site
from monitor.words import counted

NOWHERE = "There is no such case."
QUESTIONS = (
    ("stage", "Stage", STAGES),
    ("pillar", "Pillar", PILLARS),
    ("touchpoint", "Touchpoint", TOUCHPOINTS),
    ("reply", "Needs an answer", REPLIES),
)
WRITABLE = ("draft", "returned", "failed")  # of a reply, in the editor
BEATS = 3  # of a page that is open, within a lease


def mount(app: FastAPI, site: Site, outbox: Outbox) -> None:
    """Add /desk/cases/N. Looking at it changes nothing."""

    @app.api_route("/desk/cases/{number}", methods=SEEN, response_class=HTMLResponse)
    def show(number: str, request: Request, user: Viewer) -> Response:
        asked = read(request.url.query)
        did, of = request.query_params.get("did", ""), request.query_params.get("of", "")
        with site.store() as store:
            case = find(store, number, user)
            suggestion = _suggested(store, case, user, request.query_params)
            more: dict[str, Any] = {"notice": words.DONE.get(did, ""), "suggestion": suggestion}
            if number_of(of) is not None:
                more["of"] = number_of(of)
            return page(site, request, store, case, user, asked, outbox, **more)


def find(store: Store, number: str, user: User) -> Case:
    """Return a case by its number as it stands in an address; Refused where somebody may not know of it."""
    case_id = number_of(number)
    case = None if case_id is None else store.cases.get(case_id)
    if case is None or not user.sees(case.match.brand):
        raise Refused(404, NOWHERE)
    return case


def page(
    site: Site,
    request: Request,
    store: Store,
    case: Case,
    user: User,
    asked: Question,
    outbox: Outbox,
    status: int = 200,
    **more: Any,
) -> Response:
    """Fill the page. `more` may have notice, notice_kind, of, suggestion (for the editor), typed (and not taken)."""
    now = site.clock()
    shown = queue.gather(site, store, asked, user, now)
    before, after = queue.neighbours(shown["items"], case.id)
    around = context(store, case, user)
    values = {
        **shown,
        **_about(store, case),
        **_reply(store, case, user, outbox, now),
        "before": before,
        "after": after,
        "around": around,
        "alert_seen": bool(around.alert and user.sees(around.alert.brand)),
        "history": _history(around.author),
        "closed": case.closed_at is not None,
        "held": holder(case, now) not in (None, user.name),
        "holding": holder(case, now) == user.name,
        "beat_seconds": max(int(span_of(site.config.desk.lease).total_seconds()) // BEATS, 1),
        "survey": site.config.desk.survey,
        "told": words.told,
        "typed": {},
        **more,
    }
    typed: Mapping[str, str] = values["typed"]
    values["draft_text"] = typed.get("text") or more.get("suggestion") or values["draft_text"]
    values["case"] = case
    return site.page(request, "desk/desk.html", values, status)


def _about(store: Store, case: Case) -> dict[str, Any]:
    """What the model and people said of the post, why it is here, and what happened since."""
    likely = store.posts.likelihoods([case.match]).get(case.match.id, {})
    return {
        "score": bool(likely),
        "likely": {question: likely.get(question, {}) for question in LABELS},
        "sentiments": SENTIMENTS,
        "questions": [entry for entry in QUESTIONS if entry[0] in GUIDE],
        "rule": store.rules.get(case.rule_id) if case.rule_id is not None else None,
        "events": store.cases.events(case.id),
        "notes": store.cases.notes(case.id),
    }


def _reply(store: Store, case: Case, user: User, outbox: Outbox, now: datetime) -> dict[str, Any]:
    """What was answered, and what can be."""
    mention = case.match.mention
    replies = store.replies.of_case(case.id)
    last = replies[-1] if replies else None
    draft = last if last and last.state in WRITABLE and case.closed_at is None else None
    snippets = [
        {"id": one.id, "name": one.name, "filled": fill(one.text, case, user)}
        for one in store.snippets.for_brand(case.match.brand)
    ]
    return {
        "replies": replies,
        "reply_states": words.REPLIES,
        "draft": draft,
        "draft_text": draft.text if draft else "",
        "reply_version": last.version if last else 0,
        "can_write": _can_write(case, last, user, now),
        "snippets": snippets,
        "longest": _room(outbox, mention),
        "why_not": outbox.why_not(mention),
        "approval": outbox.approval,
        "links_out": bool(mention.url and mention.url.startswith(("http://", "https://")) and not mention.gone_at),
    }


def _room(outbox: Outbox, mention: Mention) -> int | None:
    """Say how many plain characters a reply may have, beside what the platform's own way of answering takes."""
    longest = outbox.longest(mention)
    return longest and longest - outbox.surplus(mention, "a" * longest)


def _can_write(case: Case, last: Reply | None, user: User, now: datetime) -> bool:
    busy = last is not None and (last.state in ON_ITS_WAY or last.state == "waiting")
    return case.closed_at is None and not busy and holder(case, now) in (None, user.name)


def _history(author: Author | None) -> str:
    """Say how often somebody wrote before, and how that went."""
    if author is None or not author.labels.mentions:
        return "Nothing earlier by this author is stored." if author else ""
    labels = author.labels
    moods = [(labels.negative, "negative"), (labels.positive, "positive")]
    told = ", ".join(f"{count:,} {name}" for count, name in moods if count)
    parts = [f"{counted(labels.mentions, 'other post')} by them" + (f" ({told})" if told else "")]
    if author.cases:
        ended = [(sum(one.state == state for one in author.cases), state) for state in ("replied", "dismissed")]
        told = ", ".join(f"{count:,} {state}" for count, state in ended if count)
        parts.append(f"{counted(len(author.cases), 'case')}: {told or 'none answered yet'}")
    if author.first_seen:
        parts.append(f"first seen {author.first_seen:%Y-%m-%d}")
    return "; ".join(parts) + "."


def _suggested(store: Store, case: Case, user: User, given: Mapping[str, str]) -> str:
    """Return the saved reply, or the answer to a post like this one, that somebody chose without scripts."""
    last = store.replies.last(case.id)
    begun = last.text if last and last.state in WRITABLE else ""
    chosen, like = given.get("use", ""), given.get("like", "")
    found = ""
    snippet_id = number_of(chosen)
    if snippet_id is not None:
        snippet = store.snippets.get(snippet_id)
        if snippet and snippet.brand in (None, case.match.brand):
            found = fill(snippet.text, case, user)
    elif like:
        said = store.replies.of_case(find(store, like, user).id)
        found = next((one.text for one in reversed(said) if one.state in ("sent", "by hand")), "")
    return "\n\n".join(text for text in (begun, found) if text) if found else ""
