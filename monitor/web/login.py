"""Logging in with a password, logging out, and the link with which somebody sets a first password."""

import re
import threading
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from db.errors import InputError
from monitor import accounts
from monitor.web import throttle
from monitor.web.addresses import path_of, peer
from monitor.web.auth import COOKIE, begin, form
from monitor.web.forms import Form, Refused, line
from monitor.web.site import SEEN, Site, user_of

WRONG = "Name or password is wrong."
# What is said after an act, by the name that stands in the address: nothing in an address is shown as it is.
DONE = {"first": "The first user was added. From now on everybody logs in: log in with that name and password."}
SPENT = "This link is not good any more: ask for another one."
DIFFERENT = "The two passwords differ."
AT_ONCE = 2  # passwords that are checked at the same time: each takes 64 MiB


def mount(app: FastAPI, site: Site) -> None:
    """Add /login, /logout and /invite."""
    turns = threading.BoundedSemaphore(AT_ONCE)

    def page(request: Request, after: str, status: int = 200, **more: Any) -> Response:
        with site.store() as store:
            nobody = not store.users.any()
        values = {"next": after, "oidc": site.config.web.oidc, "nobody": nobody, "name": "", "notice": "", "done": ""}
        return site.page(request, "login.html", {**values, **more}, status)

    @app.api_route("/login", methods=SEEN)
    def show(request: Request, next: str = "/", did: str = "") -> Response:
        after = path_within(next)
        return site.go(request, after) if user_of(request) else page(request, after, done=DONE.get(did, ""))

    @app.post("/login")
    async def login(request: Request) -> Response:
        return await run_in_threadpool(enter, request, await form(request))

    def enter(request: Request, given: Form) -> Response:
        now, after, address = site.clock(), path_within(given.get("next", "/")), peer(request, site.config.web)
        name = line(given.get("name", ""), accounts.LONGEST_NAME)
        with site.store() as store:
            try:
                throttle.admit(store, name.casefold(), address, now)
            except Refused as refused:
                answer = page(request, after, refused.status, notice=str(refused), name=name)
                answer.headers["Retry-After"] = str(refused.wait)
                return answer
            user = store.users.named(name)
            with turns:
                right = accounts.verified(store, user, given.get("password", ""))
            if user is None or user.disabled_at or not right:
                return page(request, after, 403, notice=WRONG, name=name)
            done = site.go(request, after)
            with store.transaction():
                throttle.clear(store, name.casefold(), address, now)
                begin(site, request, done, store, user, now)
        return done

    @app.post("/logout")
    async def logout(request: Request) -> Response:
        await form(request)
        return await run_in_threadpool(leave, request)

    def leave(request: Request) -> Response:
        if request.state.session:
            with site.store() as store, store.transaction():
                store.sessions.end(request.state.session.user_id, request.state.session.key)
        done = site.go(request, "/login")
        done.delete_cookie(COOKIE, path_of(request, site.config.web))
        return done

    @app.api_route("/invite", methods=SEEN)
    def welcome(request: Request, token: str = "") -> Response:
        with site.store() as store:
            user = accounts.invited(store, token, site.clock())
        if user is None:
            raise Refused(403, SPENT)
        return site.page(request, "invite.html", {"name": user.name, "token": token, "notice": ""})

    @app.post("/invite")
    async def accept(request: Request) -> Response:
        return await run_in_threadpool(set_first, request, await form(request))

    def set_first(request: Request, given: Form) -> Response:
        now, token = site.clock(), given.get("token", "")
        done = site.go(request, "/")
        with site.store() as store:
            try:
                if given.get("password") != given.get("again"):
                    raise InputError(DIFFERENT)
                with turns, store.transaction():
                    user = accounts.invited(store, token, now)
                    if user is None:
                        raise Refused(403, SPENT)
                    accounts.set_password(store, user, given.get("password", ""))
                    begin(site, request, done, store, user, now)
            except InputError as error:
                user = accounts.invited(store, token, now)
                if user is None:
                    raise Refused(403, SPENT) from None
                values = {"name": user.name, "token": token, "notice": str(error)}
                return site.page(request, "invite.html", values, 400)
        return done


def path_within(address: str) -> str:
    """Return an address of ours as it was given, "/" for any other."""
    good = re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", address) and len(address) <= 2000
    return address if good else "/"
