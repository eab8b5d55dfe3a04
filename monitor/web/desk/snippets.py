"""Saved replies: everybody who answers reads them, approvers change them."""

from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from db.desk import Snippet, User
from db.errors import InputError, Stale
from db.store import Store
from jobs.desk.snippet import VARIABLES, change, checked, version
from monitor.web.auth import form
from monitor.web.desk import meanwhile
from monitor.web.desk.who import Approver, Viewer
from monitor.web.forms import Form, Refused, line, number_of
from monitor.web.site import SEEN, Site

NAME_SHOWN = 60
LONGEST = 5_000  # characters of a saved reply
REPLY = "saved reply"
NOWHERE = "There is no such saved reply."
FOR_ALL = "A saved reply for all brands is changed by somebody who sees all brands."


def mount(app: FastAPI, site: Site) -> None:
    """Add /desk/snippets. Those for all brands are changed by who sees all."""

    def page(request: Request, store: Store, user: User, status: int = 200, **more: Any) -> Response:
        values = {
            "snippets": [one for one in store.snippets.all() if one.brand is None or user.sees(one.brand)],
            "brands": [brand.name for brand in site.config.brands if user.sees(brand.name)],
            "variables": VARIABLES,
            "version_of": version,
            "edited": None,
            "seen": version(more["edited"]) if more.get("edited") else "",
            "there": None,
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
        number, seen = given.get("id", ""), given.get("seen", "")
        with site.store() as store:
            if number and given.get("do") == "remove":
                with store.transaction():
                    found = _find(store, number, user)
                    if not _theirs(found.brand, user):
                        raise Refused(403, FOR_ALL)
                    if as_seen := version(found) == seen:
                        store.snippets.remove(found.id)
                if as_seen:
                    return site.go(request, "/desk/snippets")
                return page(request, store, user, 409, notice=meanwhile.other(REPLY))
            brand = given.get("brand", "") or None
            if brand is not None and not user.sees(brand):
                raise Refused(404, "There is no such brand.")
            if not _theirs(brand, user):
                raise Refused(403, FOR_ALL)
            known = _there(store, number, user)
            name, text = line(given.get("name", ""), NAME_SHOWN), given.get("text", "")
            wanted = Snippet(known.id if known else 0, name, text, brand, user.name, site.clock())
            try:
                if number and known is None:
                    raise Stale(meanwhile.gone(REPLY), None)
                _keep(store, wanted, seen)
            except Stale:
                return conflict(request, store, user, wanted, _there(store, number, user))
            except InputError as error:
                return page(request, store, user, 400, edited=wanted, seen=seen, notice=str(error))
        return site.go(request, "/desk/snippets")

    def conflict(request: Request, store: Store, user: User, wanted: Snippet, there: Snippet | None) -> Response:
        """Show what was typed beside what is there now; sent again from here, it is kept."""
        if there is None:
            return page(request, store, user, 409, edited=replace(wanted, id=0), notice=meanwhile.gone(REPLY))
        said = meanwhile.changed(REPLY)
        return page(request, store, user, 409, edited=wanted, seen=version(there), there=there, notice=said)


def _theirs(brand: str | None, user: User) -> bool:
    """Whether somebody may change saved replies for a brand that they see, or (None) for all."""
    return user.brands is None or brand is not None


def _keep(store: Store, wanted: Snippet, seen: str) -> None:
    if not wanted.name:
        raise InputError("a saved reply needs a name")
    if len(wanted.text) > LONGEST:
        raise InputError(f"a saved reply has at most {LONGEST:,} characters")
    kept = replace(wanted, text=checked(wanted.text))
    with store.transaction():
        if kept.id:
            change(store, kept, seen)
        else:
            store.snippets.save(kept)


def _there(store: Store, number: str, user: User) -> Snippet | None:
    """Return the saved reply that a form is about, None where it is new, or gone, or not theirs to change any more."""
    found = meanwhile.there(lambda: _find(store, number, user))
    return found if found and _theirs(found.brand, user) else None


def _find(store: Store, number: str, user: User) -> Snippet:
    snippet_id = number_of(number)
    found = None if snippet_id is None else store.snippets.get(snippet_id)
    if found is None or (found.brand is not None and not user.sees(found.brand)):
        raise Refused(404, NOWHERE)
    return found
