"""The status page and its JSON twin, until the desk and the trends have pages of their own."""

import logging
import shlex
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.templating import Jinja2Templates

from db.errors import SentimonError
from db.filters import Filter
from db.store import Store
from jobs.hold import stories
from monitor.app import utc_now
from monitor.config import Config
from monitor.shapes import alert_json, case_json, trend_json
from monitor.status import take_status
from monitor.web import alerts, channels, inbound

log = logging.getLogger(__name__)

RECENT = timedelta(days=30)
ALERTS_SHOWN = 50
POSTS_SHOWN = 20  # of each alert
QUEUE_SHOWN = 50
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


def build(config: Config) -> FastAPI:
    """Make the application over the configured database."""
    app = FastAPI(title="sentimon", docs_url=None, redoc_url=None, openapi_url=None)
    templates = Jinja2Templates(directory=Path(__file__).parent / "templates")
    templates.env.filters["shell"] = shlex.quote
    trials = channels.Trials(config)

    def gather() -> dict[str, Any]:
        now = utc_now()
        with Store(config.database) as store:
            return {
                "status": take_status(config, store, now),
                "brands": [trend_json(trend) for trend in store.trends.by(("brand",), Filter())],
                "alerts": [
                    alert_json(
                        alert, store.mentions.of_alert(alert.id, POSTS_SHOWN), store.mentions.count_of_alert(alert.id)
                    )
                    for alert in stories(store.alerts.find(Filter(since=now - RECENT), ALERTS_SHOWN))
                ],
                "queue": [case_json(case) for case in store.cases.waiting(Filter(), QUEUE_SHOWN)],
                "channels": trials.channels(),
            }

    @app.middleware("http")
    async def harden(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"  # links that let their holder act, and posts
        return response

    # Plain functions: FastAPI runs them in a thread, which is what a SQLite connection wants.
    @app.api_route("/", methods=["GET", "HEAD"], response_class=HTMLResponse)
    def page(request: Request) -> HTMLResponse:
        return templates.TemplateResponse(
            request, "status.html", gather() | {"test_token": trials.token(request, utc_now())}
        )

    @app.get("/status.json")
    def twin() -> JSONResponse:
        return JSONResponse(gather())

    @app.get("/healthz")
    def healthy() -> JSONResponse:
        return JSONResponse({"ok": True})

    inbound.mount(app, config, utc_now)
    alerts.mount(app, config, templates, utc_now)
    channels.mount(app, trials, utc_now)

    @app.exception_handler(404)
    def nowhere(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("There is no such page; the status is at /\n", 404)

    @app.exception_handler(SentimonError)
    @app.exception_handler(sqlite3.DatabaseError)
    def unable(request: Request, error: Exception) -> PlainTextResponse:
        log.error("%s: %s", request.url.path, error)
        return PlainTextResponse(f"sentimon cannot answer now: {error}\n", 503)

    return app
