"""What is answered where a page cannot be: a page for browsers, problem details below /api, a line for all others."""

import logging
import sqlite3
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException

from db.errors import InputError, SentimonError
from monitor.web.forms import LoginNeeded, Refused, line
from monitor.web.problem import problem
from monitor.web.site import Site

log = logging.getLogger(__name__)

SAFE = ("GET", "HEAD", "OPTIONS")
NOWHERE = "There is no such page."
BUG = "This is a mistake of sentimon. Its log has the details."
LOGGED_OUT = "You are not logged in, or not any more: log in, go back, and send it again."
HEADINGS = {403: "Not allowed", 404: "Not found", 409: "Changed meanwhile", 429: "Too often", 503: "Not now"}


def install(app: FastAPI, site: Site) -> None:
    """Answer errors in the words of this module."""

    async def handle(request: Request, error: Exception) -> Response:
        return answer(site, request, error)

    async def unreadable(request: Request, error: RequestValidationError) -> Response:
        if request.scope["path"].startswith("/api/"):
            return await request_validation_exception_handler(request, error)
        named = ", ".join(sorted({str(found["loc"][-1]) for found in error.errors()}))
        return answer(site, request, Refused(400, f"The address cannot be read: look at {named}."))

    for kind in (LoginNeeded, Refused, HTTPException, SentimonError, sqlite3.DatabaseError):
        app.add_exception_handler(kind, handle)
    app.add_exception_handler(RequestValidationError, unreadable)  # type: ignore[arg-type]


def answer(site: Site, request: Request, error: Exception) -> Response:
    """Make the answer to a request that ended in this error."""
    if isinstance(error, LoginNeeded) and not request.scope["path"].startswith("/api/"):
        if request.method in SAFE:
            return site.go(request, _login(request))
        error = Refused(403, LOGGED_OUT)
    status, why, headers = _told(request, error)
    if request.scope["path"].startswith("/api/"):
        return problem(status, why, headers)
    if "text/html" in request.headers.get("accept", ""):
        values: dict[str, Any] = {"heading": HEADINGS.get(status, "This cannot be done"), "why": why}
        page = site.page(request, "error.html", values, status)
        page.headers.update(headers)
        return page
    return PlainTextResponse(f"{why}\n", status, headers)


def _told(request: Request, error: Exception) -> tuple[int, str, dict[str, str]]:
    """Return status, words and headers."""
    if isinstance(error, LoginNeeded):
        return 401, "Send the header Authorization: Bearer, a space and a token.", {"WWW-Authenticate": "Bearer"}
    if isinstance(error, Refused):
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'} if error.status == 401 else {}
        return error.status, str(error), headers | ({"Retry-After": str(error.wait)} if error.wait else {})
    if isinstance(error, HTTPException):
        words = NOWHERE if error.status_code == 404 and error.detail == "Not Found" else str(error.detail)
        return error.status_code, words, dict(error.headers or {})
    if isinstance(error, InputError):
        return 400, str(error), {}
    log.error("%s: %s", line(request.scope["path"], 200), error)
    return 503, f"sentimon cannot answer now: {error}", {}


def _login(request: Request) -> str:
    """Write where to log in, and come back from."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return "/login" if asked == "/" else f"/login?next={quote(asked, safe='/')}"
