"""What the buttons of a case's page do: each is one transaction, and ends in another page.

Every form holds the version that its page showed. Where somebody was quicker, nothing is saved: a page shows what is
there now beside what was wanted, and offers to do it all the same where that can be.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from db.desk import NOT_ABOUT, Case, User
from db.errors import InputError, NotAllowed, Stale
from db.labels import GUIDE
from db.store import Store
from jobs.desk import acts
from jobs.replier import Outbox
from monitor.sections import span_of
from monitor.web.auth import form
from monitor.web.desk import words
from monitor.web.desk.asking import Question, read
from monitor.web.desk.case import find, page
from monitor.web.desk.doing import Doing, acting
from monitor.web.desk.who import Responder
from monitor.web.forms import Form, Refused, number_of
from monitor.web.site import Site

KEPT = (
    "text",
    "note",
    "remark",
    "url",
    "reason",
    "until",
    "tag",
    "assignee",
    "level",
    "survey",
    "query",
    "next",
    "again",
    "about",
    *GUIDE,
)


class _TakenBack(Exception):
    """Ends a transaction that only asks whether something could be done."""


def mount(app: FastAPI, site: Site, outbox: Outbox) -> None:
    """Add the forms of a case, and the heartbeat of a page that is open."""
    lease = span_of(site.config.desk.lease)

    @app.post("/desk/cases/{number}")
    async def act(number: str, request: Request, user: Responder) -> Response:
        return await run_in_threadpool(decide, number, request, await form(request), user)

    def decide(number: str, request: Request, given: Form, user: User) -> Response:
        now, asked = site.clock(), read(given.get("query", ""))
        with site.store() as store:
            case = find(store, number, user)
            do = acting(given)
            doing = Doing(store, case.id, user, now, given, outbox, lease, site.config.desk.timezone)
            try:
                with store.transaction():
                    said = do.act(doing)
            except Stale as stale:
                return conflict(request, store, stale, do.words, doing, asked)
            except NotAllowed as error:
                raise Refused(403, str(error)) from None
            except InputError as error:
                more: dict[str, Any] = {"notice": f"{error}", "notice_kind": "trouble", "typed": _typed(given)}
                return page(site, request, store, case, user, asked, outbox, 400, **more)
        return site.go(request, _onwards(case, given, asked, said, do.ends or said == NOT_ABOUT))

    def conflict(request: Request, store: Store, stale: Stale, wanted: str, doing: Doing, asked: Question) -> Response:
        current = stale.current or find(store, str(doing.case_id), doing.user)
        last = store.replies.last(current.id)
        fresh = doing.on(current.version, last.version if last else 0)
        values = {
            "case": current,
            "why": str(stale),
            "wanted": wanted,
            "given": [(name, value) for name in ("do", *KEPT) for value in doing.given.all(name)],
            "typed": [(name, value) for name, value in _typed(doing.given).items() if value],
            "reply": last,
            "fresh": fresh.given,
            "possible": _possible(fresh),
            "events": store.cases.events(current.id)[-5:],
            "asked": asked,
            "states": words.STATES,
            "reply_states": words.REPLIES,
            "told": words.told,
            "stamp": words.stamp,
        }
        return site.page(request, "desk/conflict.html", values, 409)

    @app.post("/desk/cases/{number}/beat")
    async def beat(number: str, request: Request, user: Responder) -> Response:
        await form(request)
        return await run_in_threadpool(hold, number, user)

    def hold(number: str, user: User) -> Response:
        with site.store() as store:
            case = find(store, number, user)
            try:
                with store.transaction():
                    acts.beat(store, case.id, user, site.clock(), lease=lease)
            except Stale as stale:
                return JSONResponse({"lost": str(stale)}, 409)
        return Response(status_code=204)


def _possible(doing: Doing) -> bool:
    """Whether what was wanted can be done to what is there now; changes nothing."""
    try:
        with doing.store.transaction():
            acting(doing.given).act(doing)
            raise _TakenBack
    except _TakenBack:
        return True
    except (Stale, NotAllowed, InputError):
        return False


def _typed(given: Mapping[str, str]) -> dict[str, str]:
    """Return what somebody wrote, under the names of the page's fields."""
    if given.get("do") == "note":
        return {"note": given.get("text", "")}
    return {name: given.get(name, "") for name in ("text", "remark")}


def _onwards(case: Case, given: Mapping[str, str], asked: Question, said: str, ends: bool) -> str:
    """Say where to go on: where the case is put away, to the next of the list, else back to it."""
    pairs = [*asked.pairs, *([("page", str(asked.page))] if asked.page > 1 else [])]
    if said:
        pairs.append(("did", said))
    if ends:
        pairs.append(("of", str(case.id)))
        following = number_of(given.get("next", ""))
        address = "/desk" if following is None else f"/desk/cases/{following}"
    else:
        address = f"/desk/cases/{case.id}"
    return f"{address}?{urlencode(pairs)}" if pairs else address
