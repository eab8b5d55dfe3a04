"""The web application: the door, the headers of every answer, and the parts that the pages have."""

from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.app import utc_now
from monitor.config import Config
from monitor.web import (
    account,
    alert_list,
    alerts,
    api,
    care,
    channels,
    desk,
    errors,
    inbound,
    label,
    login,
    oidc,
    posts,
    status_page,
    survey,
    trends,
    users,
)
from monitor.web.auth import Door
from monitor.web.errors import BUG
from monitor.web.site import STATIC, Site

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
YEAR = 365 * 24 * 3600  # seconds


def build(config: Config, clock: Callable[[], datetime] | None = None) -> FastAPI:
    """Make the application over the configured database."""
    app = FastAPI(title="sentimon", docs_url=None, redoc_url=None, openapi_url=None)
    site = Site(config, clock or utc_now)
    app.state.site = site
    app.add_middleware(Door, site=site)
    app.add_middleware(Headers)  # the last that is added sees every answer, those of the door too
    errors.install(app, site)
    app.mount("/static", StaticFiles(directory=STATIC))
    trials = channels.Trials(config)

    @app.get("/healthz")
    def healthy() -> JSONResponse:
        return JSONResponse({"ok": True})

    login.mount(app, site)
    oidc.mount(app, site)
    account.mount(app, site)
    users.mount(app, site)
    inbound.mount(app, config, site.clock)
    alert_list.mount(app, site)
    alerts.mount(app, site)
    channels.mount(app, site, trials)
    status_page.mount(app, site, trials)
    posts.mount(app, site)
    trends.mount(app, site)
    desk.mount(app, site)
    api.mount(app, site)
    label.mount(app, site)
    care.mount(app, site)
    survey.mount(app, site)
    return app


class Headers:
    """The middleware that says of every answer what a browser may do with it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cache-Control"] = _kept(scope, message["status"])
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, sent)
        except Exception:  # a bug: it goes on to the log, and the answer gets its headers here
            if not begun:
                await PlainTextResponse(BUG, 500)(scope, receive, sent)
            raise


def _kept(scope: Scope, status: int) -> str:
    """Static files are kept under the name of their version; pages, which show posts and links that act, never."""
    if not scope["path"].startswith("/static/") or status >= 400:
        return "no-store"
    return f"public, max-age={YEAR}, immutable" if scope["query_string"].startswith(b"v=") else "no-cache"
