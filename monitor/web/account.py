"""One's own account: the password, the devices on which one is logged in, and the tokens of programs."""

import re
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from db.desk import SCOPE_ROLES, SCOPES, User
from db.errors import InputError
from db.store import Store
from monitor import accounts
from monitor.web import throttle
from monitor.web.addresses import peer
from monitor.web.auth import form, need
from monitor.web.forms import Form, Refused, line
from monitor.web.login import DIFFERENT
from monitor.web.site import SEEN, Site

LIVES = {"30 days": 30, "90 days": 90, "1 year": 365, "until it is revoked": None}
NO_ACCOUNT = "There are no accounts yet: whoever is at this machine may do everything."
WRONG = "The old password is wrong."
GONE = "It was gone already."
_BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari", "curl")
_SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS X", "CrOS", "Linux")
_WORDS = {"Edg": "Edge", "OPR": "Opera", "Mac OS X": "macOS", "CrOS": "ChromeOS"}

Anybody = Annotated[User, Depends(need("viewer"))]


def mount(app: FastAPI, site: Site) -> None:
    """Add /account and what can be done there."""

    def page(request: Request, store: Store, user: User, status: int = 200, **more: Any) -> Response:
        here = request.state.session
        values = {
            "sessions": [
                (session, device(session.device), bool(here) and session.key == here.key)
                for session in store.sessions.of_user(user.id)
            ],
            "tokens": store.tokens.of_user(user.id),
            "scopes": [scope for scope in SCOPES if user.may(SCOPE_ROLES[scope])],
            "lives": list(LIVES),
            "seen": "all" if user.brands is None else ", ".join(user.brands),
            "notice": "",
            "done": "",
            "made": "",
        }
        return site.page(request, "account.html", {**values, **more}, status)

    @app.api_route("/account", methods=SEEN)
    def show(request: Request, user: Anybody, done: str = "") -> Response:
        said = {"password": "Your password is changed; you are logged out everywhere else."}.get(done, "")
        with site.store() as store:
            return page(request, store, user, done=said)

    @app.post("/account")
    async def act(request: Request, user: Anybody) -> Response:
        return await run_in_threadpool(decide, request, user, await form(request))

    def decide(request: Request, user: User, given: Form) -> Response:
        if not user.id:
            raise Refused(403, NO_ACCOUNT)
        with site.store() as store:
            try:
                return do(request, store, user, given)
            except InputError as error:
                return page(request, store, user, 400, notice=str(error))

    def do(request: Request, store: Store, user: User, given: Form) -> Response:
        now, what, which = site.clock(), given.get("do", ""), given.get("which", "")
        here = request.state.session.key if request.state.session else ""
        if what == "password":
            address = peer(request, site.config.web)
            throttle.admit(store, user.name.casefold(), address, now)  # a borrowed device must not try them all
            if user.has_password and not accounts.verified(store, user, given.get("old", "")):
                raise InputError(WRONG)
            if given.get("password") != given.get("again"):
                raise InputError(DIFFERENT)
            with store.transaction():
                throttle.clear(store, user.name.casefold(), address, now)
                accounts.set_password(store, user, given.get("password", ""), keep=here)
            return site.go(request, "/account?done=password")
        if what == "token":
            scopes = [scope for scope in given.all("scope") if user.may(SCOPE_ROLES.get(scope, "admin"))]
            life = given.get("life", "")
            if life not in LIVES:
                raise InputError("say how long the token is good")
            with store.transaction():
                name = line(given.get("name", ""), accounts.LONGEST_NAME)
                _, key = accounts.new_token(store, user, name, scopes, LIVES[life], now)
            return page(request, store, user, made=key)
        with store.transaction():
            if what == "revoke":
                found = which.isascii() and which.isdigit() and len(which) < 16
                done = found and store.tokens.revoke(int(which), user.id)
            elif what == "end":
                done = store.sessions.end(user.id, which)
            elif what == "end others":
                done = store.sessions.end_all(user.id, here) >= 0
            else:
                raise InputError("nothing was chosen: press one of the buttons")
        if not done:
            raise InputError(GONE)
        return site.go(request, "/account")


def device(agent: str) -> str:
    """Say in words what a browser calls itself."""
    browser = next((name for name in _BROWSERS if f"{name}/" in agent), "")
    system = next((name for name in _SYSTEMS if name in agent), "")
    if not browser:
        return line(re.sub(r"[(/].*", "", agent), 40) or "A device that does not say what it is"
    named = _WORDS.get(browser, browser)
    return f"{named} on {_WORDS.get(system, system)}" if system else named
