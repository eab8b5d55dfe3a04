"""Saved replies: everybody who answers reads them, approvers change them."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from db.desk import Snippet, User
from db.errors import InputError
from db.store import Store
from jobs.desk.snippet import VARIABLES, checked
from monitor.web.auth import form
from monitor.web.desk.who import Approver, Viewer
from monitor.web.forms import Form, Refused, line, number_of
from monitor.web.site import SEEN, Site

NAME_SHOWN = 60
LONGEST = 5_000  # characters of a saved reply
NOWHERE = "There is no such saved reply."
FOR_ALL = "A saved reply for all brands is changed by somebody who sees all brands."


def mount(app: FastAPI, site: Site) -> None:
    """Add /desk/snippets. Those for all brands are changed by who sees all."""

    def page(request: Request, store: Store, user: User, status: int = 200, **more: Any) -> Response:
        values = {
            "snippets": [one for one in store.snippets.all() if one.brand is None or user.sees(one.brand)],
            "brands": [brand.name for brand in site.config.brands if user.sees(brand.name)],
            "variables": VARIABLES,
            "edited": None,
            "notice": "",
            **more,
        }
        return site.page(request, "desk/snippets.html", values, status)

    @app.api_route("/desk/snippets", methods=SEEN, response_class=HTMLResponse)
    def show(request: Request, user: Viewer, edit: str = "") -> Response:
        with site.store() as store:
            edited = _find(store, edit, user) if edit else None
            return page(request, store, user, edited=edited)

    @app.post("/desk/snippets")
    async def act(request: Request, user: Approver) -> Response:
        return await run_in_threadpool(decide, request, await form(request), user)

    def decide(request: Request, given: Form, user: User) -> Response:
        with site.store() as store:
            known = _find(store, given.get("id", ""), user) if given.get("id") else None
            if known and not _theirs(known.brand, user):
                raise Refused(403, FOR_ALL)
            if given.get("do") == "remove" and known:
                with store.transaction():
                    store.snippets.remove(known.id)
                return site.go(request, "/desk/snippets")
            brand = given.get("brand", "") or None
            if brand is not None and not user.sees(brand):
                raise Refused(404, "There is no such brand.")
            if not _theirs(brand, user):
                raise Refused(403, FOR_ALL)
            name, text = line(given.get("name", ""), NAME_SHOWN), given.get("text", "")
            wanted = Snippet(known.id if known else 0, name, text, brand, user.name, site.clock())
            try:
                _keep(store, wanted)
            except InputError as error:
                return page(request, store, user, 400, edited=wanted, notice=str(error))
        return site.go(request, "/desk/snippets")


def _theirs(brand: str | None, user: User) -> bool:
    """Whether somebody may change saved replies for a brand that they see, or (None) for all."""
    return user.brands is None or brand is not None


def _keep(store: Store, wanted: Snippet) -> None:
    if not wanted.name:
        raise InputError("a saved reply needs a name")
    if len(wanted.text) > LONGEST:
        raise InputError(f"a saved reply has at most {LONGEST:,} characters")
    text = checked(wanted.text)
    with store.transaction():
        store.snippets.save(Snippet(wanted.id, wanted.name, text, wanted.brand, wanted.updated_by, wanted.updated_at))


def _find(store: Store, number: str, user: User) -> Snippet:
    snippet_id = number_of(number)
    found = None if snippet_id is None else store.snippets.get(snippet_id)
    if found is None or (found.brand is not None and not user.sees(found.brand)):
        raise Refused(404, NOWHERE)
    return found
