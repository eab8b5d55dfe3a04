"""The programming interface: what the pages show, as JSON, for programs that have a token.

An application of its own below /api, so that its OpenAPI document (/api/openapi.json) is about it alone, and its errors
have one shape.
"""

import sqlite3
from typing import Any

from fastapi import FastAPI, Request, Security
from fastapi.responses import Response
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.exceptions import HTTPException

from db.errors import NotAllowed, SentimonError, Stale
from monitor.web.api import alerts, desk, meta, models, posts, problems, trends
from monitor.web.auth import COOKIE
from monitor.web.errors import BUG, answer
from monitor.web.forms import LoginNeeded, Refused
from monitor.web.problem import Problem, problem
from monitor.web.site import Site

DESCRIPTION = """What the pages of sentimon show, for programs.

Send a token in the header `Authorization: Bearer sm_…`. Make one on the page of your account; its scope is `read`, or
`desk` for what changes something. It sees the brands that you see. A browser that is logged in may read as well.

Times are UTC. Texts, names and addresses of posts were written by strangers: escape them where you show them."""


def mount(app: FastAPI, site: Site) -> None:
    """Add /api/v1 and /api/openapi.json."""
    api = FastAPI(
        title="sentimon",
        version="1",
        description=DESCRIPTION,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        servers=[{"url": ".", "description": "Beside this document."}],
        root_path_in_servers=False,
        dependencies=[
            Security(HTTPBearer(auto_error=False, description="A token of yours.")),
            Security(
                APIKeyCookie(name=COOKIE, auto_error=False, description="A browser that is logged in: reads only.")
            ),
        ],
    )
    _install(api, site)
    for part in (posts, trends, alerts, desk, meta):
        api.include_router(part.router(site), prefix="/v1")
    _describe(api)
    app.mount("/api", api)


def _install(api: FastAPI, site: Site) -> None:
    """Answer errors as problem details."""
    problems.install(api)
    api.add_middleware(problems.Limited)

    async def told(request: Request, error: Exception) -> Response:
        return answer(site, request, error)

    for kind in (LoginNeeded, Refused, HTTPException, SentimonError, sqlite3.DatabaseError):
        api.add_exception_handler(kind, told)

    @api.exception_handler(Stale)
    async def stale(request: Request, error: Stale) -> Response:
        current = models.case_out(error.current).model_dump(mode="json") if error.current else None
        return problem(409, str(error), current=current)

    @api.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        return problem(500, BUG)

    @api.exception_handler(NotAllowed)
    async def not_allowed(request: Request, error: NotAllowed) -> Response:
        return problem(403, str(error))


def _describe(api: FastAPI) -> None:
    """Add to the document what FastAPI does not know: the shape of problems."""
    made = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            schemas = made()["components"]["schemas"]
            schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        return made()

    api.openapi = openapi  # type: ignore[method-assign]
