"""Logging in with a provider of OpenID Connect: authorization code flow with PKCE (OpenID Connect Core 1.0, 3.1)."""

import hmac
import json
import logging
import secrets
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from db.desk import User
from db.errors import InputError
from db.store import Store
from monitor import accounts
from monitor.sections import OidcConfig
from monitor.web.addresses import path_of
from monitor.web.auth import begin, set_cookie
from monitor.web.forms import Refused, line
from monitor.web.login import path_within
from monitor.web.provider import Provider, Unusable
from monitor.web.site import Site

log = logging.getLogger(__name__)

COOKIE = "sentimon_oidc"
GOOD_FOR = timedelta(minutes=10)
OLD = "This login was begun too long ago, or elsewhere: try again."
FAILED = "The provider did not log you in: try again, or ask an admin."
STRANGER = "Nobody here has your account: ask an admin to add {name} as a user."


def mount(app: FastAPI, site: Site) -> None:
    """Add /login/oidc and /login/oidc/callback where a provider is configured."""
    settings = site.config.web.oidc
    if settings is None:
        return
    provider = Provider(settings)
    begun = _Begun()

    @app.get("/login/oidc")
    def leave(request: Request, next: str = "/") -> Response:
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        until = int((site.clock() + GOOD_FOR).timestamp())
        try:
            address = provider.login_address(_back(site, request), state, nonce, verifier)
        except Unusable as error:
            raise _failed(error) from None
        done = RedirectResponse(address, 303)
        kept = begun.sign([state, nonce, verifier, until, path_within(next)])
        set_cookie(site, request, done, COOKIE, kept, int(GOOD_FOR.total_seconds()))
        return done

    @app.get("/login/oidc/callback")
    def come_back(request: Request, code: str = "", state: str = "", error: str = "") -> Response:
        now = site.clock()
        expected = begun.take(request.cookies.get(COOKIE, ""), state, now)
        if expected is None:
            raise Refused(403, OLD)
        nonce, verifier, after = expected
        if error or not code:
            log.warning("the provider of OpenID Connect answers: %s", line(error, 100) or "no code")
            raise Refused(403, FAILED)
        try:
            claims = provider.claims(code, _back(site, request), verifier, nonce, now)
        except Unusable as failure:
            raise _failed(failure) from None
        done = site.go(request, after)
        with site.store() as store, store.transaction():
            user = _user(store, settings, claims, now)
            begin(site, request, done, store, user, now)
        done.delete_cookie(COOKIE, path_of(request, site.config.web))
        return done


class _Begun:
    """The logins that were begun: each is kept in a signed cookie, and good for one return."""

    def __init__(self) -> None:
        from itsdangerous import URLSafeSerializer

        self._signer: Any = URLSafeSerializer(secrets.token_bytes(32), salt="oidc")
        self._used: dict[str, int] = {}
        self._lock = threading.Lock()

    def sign(self, begun: list[str | int]) -> str:
        """Write what is kept in the cookie."""
        return str(self._signer.dumps(begun))

    def take(self, cookie: str, state: str, now: datetime) -> tuple[str, str, str] | None:
        """Return (nonce, verifier, next) of the login that somebody returns from, once; None where there is none."""
        from itsdangerous import BadData

        try:
            expected, nonce, verifier, until, after = self._signer.loads(cookie)
        except (BadData, ValueError):
            return None
        if not hmac.compare_digest(expected.encode(), state.encode(errors="replace")) or now.timestamp() >= until:
            return None
        with self._lock:
            self._used = {used: end for used, end in self._used.items() if end > now.timestamp()}
            if expected in self._used:
                return None
            self._used[expected] = until
        return nonce, verifier, after


def _user(store: Store, settings: OidcConfig, claims: Mapping[str, Any], now: datetime) -> User:
    """Find whom the provider means, or add them. Raises Refused. Runs in the caller's transaction.

    Somebody who is known by name is taken over only where the name is an e-mail address that the provider has verified:
    other names people choose themselves.
    """
    subject = json.dumps([settings.issuer, str(claims["sub"])[:255]])
    email = str(claims.get("email", "")) if claims.get("email_verified") is True else ""
    user = store.users.of_subject(subject)
    if user is None and "@" in email:
        user = store.users.named(email)
        if user is not None and user.subject is None:
            store.users.link(user.id, subject)
        elif user is not None:
            user = None
    if user is None:
        name = line(email or str(claims.get("preferred_username") or claims["sub"]), accounts.LONGEST_NAME)
        if settings.role is None or not store.users.any():
            raise Refused(403, STRANGER.format(name=name))
        try:
            user = accounts.add(store, name, settings.role, None, None, now)
        except InputError as error:
            raise Refused(403, f"You cannot be added: {error}. Ask an admin.") from None
        store.users.link(user.id, subject)
    if user.disabled_at:
        raise Refused(403, FAILED)
    return user


def _back(site: Site, request: Request) -> str:
    """Write where the provider sends people back to; it has to know this address."""
    return f"{site.config.web.url or str(request.base_url).rstrip('/')}/login/oidc/callback"


def _failed(error: Unusable) -> Refused:
    log.warning("OpenID Connect: %s", error)
    return Refused(503 if error.unreachable else 403, FAILED)
