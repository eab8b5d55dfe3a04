"""The page of a survey, `/s/TOKEN`: for somebody who was answered, without login, cookies or anything that counts them.

Looking at it changes nothing, so that programs that preview links answer nothing. It shows nothing of the case but the
name of the brand.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from db.desk import Survey
from db.errors import InputError
from db.records import NO_BRAND
from db.store import Store
from jobs.desk.surveys import COMMENT, Closed, answer, closed, found
from monitor.web.forms import line, read_form
from monitor.web.site import SEEN, Site

QUESTIONS = {
    "csat": "How satisfied are you with the answer that you got?",
    "ces": "How easy was it to get your matter handled?",
}
WORDS = {
    "csat": ("Very dissatisfied", "Dissatisfied", "Neither", "Satisfied", "Very satisfied"),
    "ces": ("Very hard", "Hard", "Rather hard", "Neither", "Rather easy", "Easy", "Very easy"),
}
UNCHOSEN = "Choose one of the answers, please."


def mount(app: FastAPI, site: Site) -> None:
    """Add the page."""

    def page(request: Request, survey: Survey | None, notice: str = "", status: int = 200, **more: Any) -> HTMLResponse:
        values: dict[str, Any] = {"survey": survey, "notice": notice, "done": False, "typed": None, **more}
        if survey is not None:
            values |= {
                "brand": "" if survey.brand == NO_BRAND else survey.brand,
                "question": QUESTIONS[survey.kind],
                "words": WORDS[survey.kind],
                "closed": closed(survey, site.clock()),
                "comment_longest": COMMENT,
            }
        return site.page(request, "survey.html", values, status)

    @app.api_route("/s/{token}", methods=SEEN, response_class=HTMLResponse)
    def show(token: str, request: Request, thanks: str = "") -> Response:
        with site.store() as store:
            survey = found(store, token, site.clock())
        answered = survey is not None and survey.answered_at is not None
        return page(request, survey, status=200 if survey else 404, done=answered and bool(thanks))

    @app.post("/s/{token}")
    async def give(token: str, request: Request) -> Response:
        return await run_in_threadpool(keep, token, await read_form(request), request)

    def keep(token: str, given: Mapping[str, str], request: Request) -> Response:
        now = site.clock()
        score, comment = given.get("score", ""), line(given.get("comment", ""), COMMENT)
        with site.store() as store:
            with store.transaction():
                survey = found(store, token, now)
                if survey is None:
                    return page(request, None, status=404)
                trouble = _try(store, survey, score, comment)
            if trouble:
                return page(request, survey, trouble[1], trouble[0], typed=comment)
        return site.go(request, f"/s/{token}?thanks=1")

    def _try(store: Store, survey: Survey, score: str, comment: str) -> tuple[int, str] | None:
        try:
            answer(store, survey, int(score) if len(score) == 1 and score in "1234567" else 0, comment, site.clock())
        except Closed as error:
            return 409, str(error)
        except InputError:
            return 422, UNCHOSEN
        return None
