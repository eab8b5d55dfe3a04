"""Who may log in: the page /users, for admins."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from db.desk import User
from db.errors import InputError
from db.records import NO_BRAND
from db.store import Store
from monitor import accounts
from monitor.web.auth import LOCAL, form, need
from monitor.web.forms import Form, line
from monitor.web.site import SEEN, Site

ALLOWED = {
    "viewer": "sees everything, changes nothing",
    "responder": "works at the desk, labels posts, acts on alerts",
    "approver": "approves replies, takes over, keeps rules and saved replies",
    "admin": "tests channels, says who may log in",
}

Admin = Annotated[User, Depends(need("admin"))]


def mount(app: FastAPI, site: Site) -> None:
    """Add /users and what can be done there."""

    def page(request: Request, store: Store, status: int = 200, **more: Any) -> Response:
        found = store.users.every()
        configured = [brand.name for brand in site.config.brands]
        seen = {brand for user in found for brand in user.brands or ()}
        values = {
            "users": found,
            "roles": ALLOWED,
            "brands": [*configured, *sorted((seen | {NO_BRAND}) - set(configured))],
            "notice": "",
            "link": "",
            "invited": "",
            "typed": {},
        }
        return site.page(request, "users.html", {**values, **more}, status)

    @app.api_route("/users", methods=SEEN)
    def show(request: Request, user: Admin) -> Response:
        with site.store() as store:
            return page(request, store)

    @app.post("/users")
    async def act(request: Request, user: Admin) -> Response:
        return await run_in_threadpool(decide, request, await form(request), user)

    def decide(request: Request, given: Form, user: User) -> Response:
        name = line(given.get("name", ""), accounts.LONGEST_NAME)
        with site.store() as store:
            try:
                with store.transaction():
                    link = _do(site, request, store, given, name)
            except InputError as error:
                return page(request, store, 400, notice=str(error), typed=given)
            if link:
                return page(request, store, link=link, invited=name)
            # Whoever was at this machine without a name is a stranger from the first user on.
            return site.go(request, "/login?next=/users&did=first" if user == LOCAL else "/users")


def _do(site: Site, request: Request, store: Store, given: Form, name: str) -> str:
    """Do what was chosen; return a link to hand on, or "". Runs in the caller's transaction."""
    now, what = site.clock(), given.get("do", "")
    role, brands = given.get("role", ""), given.all("brand") if given.get("some") else None
    if given.get("some") and not brands:
        raise InputError("choose at least one brand, or all of them")
    if what == "add":
        password = given.get("password") or None
        user = accounts.add(store, name, role, brands, password, now)
        return "" if password else _link(site, request, accounts.invitation(store, user, now))
    user = accounts.known(store, name)
    if what == "link":
        return _link(site, request, accounts.invitation(store, user, now))
    if what == "change":
        accounts.change(store, user, role, brands)
    elif what == "disable":
        accounts.disable(store, user, now)
    elif what == "enable":
        accounts.enable(store, user)
    elif what == "end":
        store.sessions.end_all(user.id)
    else:
        raise InputError("nothing was chosen: press one of the buttons")
    return ""


def _link(site: Site, request: Request, token: str) -> str:
    base = site.config.web.url or str(request.base_url).rstrip("/")
    return f"{base}/invite?token={quote(token)}"
