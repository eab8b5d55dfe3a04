"""Who is asking, and what they may do: the door that every request passes.

Nothing is shown to somebody who is not known, but for the few addresses in `_OPEN`. A browser is known by the cookie of
its session, a program by its token (below /api only), and whoever sits at this machine by that, as long as there is no
user at all.
"""

import hmac
import re
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.desk import SCOPE_ROLES, Session, User
from db.errors import SentimonError
from db.store import Store
from db.tokens import hashed
from monitor.sections import span_of
from monitor.web.addresses import address_of, at_home, is_secure, ours, path_of
from monitor.web.errors import SAFE, answer
from monitor.web.forms import LARGEST_OF_OURS, Form, LoginNeeded, Refused, read_form
from monitor.web.site import Site, user_of

COOKIE = "sentimon_session"
VISIT = "sentimon_visit"  # of somebody who has not logged in: what the tokens of their forms are made from
LOCAL = User(id=0, name="local", role="admin")
LONGEST = timedelta(days=7)  # of a session, however busy
NOTED = timedelta(minutes=1)  # how often it is written down that a session or a token was used

# What is shown to everybody, or has a key of its own in its address, form or header.
_OPEN = re.compile(r"/(login(/.*)?|invite|static/.*|favicon\.ico|healthz|in/.*|alerts/[0-9]+(/chart\.svg)?)")


def need(role: str) -> Callable[[Request], Awaitable[User]]:
    """Make what `Depends` wants: whoever may do what this role may, or else an answer that says why not."""

    async def check(request: Request) -> User:  # a plain one would be run in a thread, which takes longer than it does
        user = user_of(request)
        if user is None:
            raise LoginNeeded
        if not user.may(role):
            raise Refused(403, f"This takes the role {role}; {user.name} has the role {user.role}.")
        return user

    return check


def need_scope(scope: str) -> Callable[[Request], Awaitable[User]]:
    """Make what `Depends` wants below /api: whoever has a token of this scope, and the role for it.

    A browser that is logged in may read as well, and write with the token of its session in the header X-CSRF-Token.
    """

    allowed = need(SCOPE_ROLES[scope])

    async def check(request: Request) -> User:
        user = await allowed(request)
        scopes = request.state.scopes
        if scopes is None and request.method not in SAFE:
            _check_token(request, request.headers.get("x-csrf-token", ""))
        if scopes is not None and scope not in scopes:
            raise Refused(403, f"This takes a token with the scope {scope}.")
        return user

    return check


async def form(request: Request) -> Form:
    """Read the form of somebody who is logged in; Refused where it does not come from a page of ours."""
    given = await read_form(request, LARGEST_OF_OURS)
    check_form(request, given)
    return given


def check_form(request: Request, given: Mapping[str, str]) -> None:
    """Refuse a form that does not come from a page that this browser was shown."""
    _check_token(request, given.get("csrf", "") or request.headers.get("x-csrf-token", ""))


def _check_token(request: Request, token: str) -> None:
    expected = getattr(request.state, "csrf", "")
    if not expected or not hmac.compare_digest(token.encode(errors="replace"), expected.encode()):
        raise Refused(403, "The page that this was sent from is too old: go back, load it again, and send it again.")


def begin(site: Site, request: Request, response: Response, store: Store, user: User, now: datetime) -> None:
    """Log somebody in on the device that asks; runs in the caller's transaction."""
    key = secrets.token_urlsafe(32)
    device = request.headers.get("user-agent", "")[:300]
    store.sessions.tidy(now - span_of(site.config.web.session), now)
    store.sessions.add(Session(hashed(key), user.id, now, now, now + LONGEST, device))
    set_cookie(site, request, response, COOKIE, key)
    response.delete_cookie(VISIT, path_of(request, site.config.web))


def set_cookie(site: Site, request: Request, response: Response, name: str, value: str, age: int | None = None) -> None:
    """Set a cookie that scripts and other sites do not get; without an age it goes with the browser's session."""
    web = site.config.web
    response.set_cookie(
        name,
        value,
        max_age=age,
        path=path_of(request, web),
        secure=is_secure(request, web),
        httponly=True,
        samesite="lax",
    )


class Door:
    """The middleware: says who is asking (`request.state`), and sends away whom it does not know."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site
        self._idle = span_of(site.config.web.session)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        state, path = request.state, scope["path"]  # in that of `url` a hostile name of a host could have a part
        state.user, state.csrf, state.scopes, state.session = None, "", None, None
        if path.startswith(("/static/", "/in/", "/s/")) or path == "/healthz":  # surveys set no cookies
            await self._app(scope, receive, send)
            return
        try:
            await run_in_threadpool(self._recognise, request)
            _check_origin(request, self._site)
            if state.user is None and not _OPEN.fullmatch(path):
                raise LoginNeeded
        except (LoginNeeded, Refused, SentimonError, sqlite3.DatabaseError) as error:
            await answer(self._site, request, error)(scope, receive, send)
            return
        if state.csrf or state.scopes is not None:
            await self._app(scope, receive, send)
            return
        # Nobody is logged in, or needs to be: their forms are bound to another cookie.
        known = request.cookies.get(VISIT, "")
        visit = known or secrets.token_urlsafe(32)
        state.csrf = _token_of(visit)

        async def sent(message: Message) -> None:
            if not known and message["type"] == "http.response.start":
                response = Response()
                set_cookie(self._site, request, response, VISIT, visit)
                MutableHeaders(scope=message).append("Set-Cookie", response.headers["Set-Cookie"])
            await send(message)

        await self._app(scope, receive, sent)

    def _recognise(self, request: Request) -> None:
        """Set user, scopes, session and the token of forms in `request.state`."""
        bearer = request.headers.get("authorization", "")
        with self._site.store() as store:
            if request.scope["path"].startswith("/api/") and bearer[:7].lower() == "bearer ":
                self._by_token(request, store, bearer[7:].strip())
            elif key := request.cookies.get(COOKIE, ""):
                self._by_cookie(request, store, key)
            if request.state.user is None and at_home(request, self._site.config.web) and not store.users.any():
                request.state.user = LOCAL

    def _by_cookie(self, request: Request, store: Store, key: str) -> None:
        now = self._site.clock()
        session = store.sessions.get(hashed(key))
        if session is None or session.ends_at <= now or session.seen_at + self._idle <= now:
            return
        user = store.users.get(session.user_id)
        if user is None or user.disabled_at:
            return
        if now - session.seen_at >= NOTED:
            with store.transaction():
                store.sessions.seen(session.key, now)
        request.state.user, request.state.session, request.state.csrf = user, session, _token_of(key)

    def _by_token(self, request: Request, store: Store, key: str) -> None:
        now = self._site.clock()
        token = store.tokens.of_key(hashed(key))
        user = store.users.get(token.user_id) if token else None
        if token is None or user is None or user.disabled_at or (token.ends_at and token.ends_at <= now):
            raise Refused(401, "The token is unknown, expired or revoked.")
        if token.used_at is None or now - token.used_at >= NOTED:
            with store.transaction():
                store.tokens.used(token.id, now)
        request.state.user, request.state.scopes = user, token.scopes


def _token_of(key: str) -> str:
    return hmac.new(key.encode(errors="replace"), b"csrf", sha256).hexdigest()


def _check_origin(request: Request, site: Site) -> None:
    """Refuse what another site lets a browser send us; programs, which say nothing of it, bring a token."""
    if request.method in SAFE or request.state.scopes is not None:
        return
    # Our pages send no referrer, for which browsers write "null" as the origin.
    origin = request.headers.get("origin", "null")
    from_here = origin == "null" or address_of(origin).lower() in ours(request, site.config.web)
    if not from_here or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refused(403, "This was sent from another site.")
