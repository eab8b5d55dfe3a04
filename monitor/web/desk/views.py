"""Questions to the queue that somebody keeps, for themselves or the team."""

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from db.desk import User
from monitor.web.auth import form
from monitor.web.desk.asking import Question, read
from monitor.web.desk.who import Viewer
from monitor.web.forms import Form, Refused, line, number_of
from monitor.web.site import Site

NAME_SHOWN = 60


def mount(app: FastAPI, site: Site) -> None:
    """Add /desk/views."""

    @app.post("/desk/views")
    async def keep(request: Request, user: Viewer) -> Response:
        return await run_in_threadpool(save, request, await form(request), user)

    def save(request: Request, given: Form, user: User) -> Response:
        asked = read(given.get("query", ""))
        query = Question(asked.pairs).query
        shared = bool(given.get("shared")) and user.may("responder")
        with site.store() as store, store.transaction():
            store.views.save(user.name, line(given.get("name", ""), NAME_SHOWN), query, shared)
        return site.go(request, f"/desk{asked.address}")

    @app.post("/desk/views/{number}/remove")
    async def drop(number: str, request: Request, user: Viewer) -> Response:
        return await run_in_threadpool(remove, number, request, await form(request), user)

    def remove(number: str, request: Request, given: Form, user: User) -> Response:
        view_id = number_of(number)
        with site.store() as store, store.transaction():
            if view_id is None or not store.views.delete(view_id, user.name):
                raise Refused(404, "There is no such view of yours.")
        return site.go(request, f"/desk{read(given.get('query', '')).address}")
