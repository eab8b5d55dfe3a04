"""Brands, sources or periods side by side."""

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from db.desk import User
from jobs.trends.asked import Question
from jobs.trends.compare import BY
from monitor.web.auth import need
from monitor.web.site import SEEN, Site
from monitor.web.trends import answers
from monitor.web.trends.address import word
from monitor.web.trends.charts import of_comparison
from monitor.web.trends.question import beside_rivals, brands_for, controls, read

NAMES = {"brand": "Brands", "source": "Sources", "period": "Periods"}


def mount(app: FastAPI, site: Site) -> None:
    """Add /compare."""

    @app.api_route("/compare", methods=SEEN, response_class=HTMLResponse)
    def page(request: Request, user: User = Depends(need("viewer"))) -> Response:  # noqa: B008
        by = word(request, "by", BY) or "brand"
        question = asked_of(request, site, user, by)
        with site.store() as store:
            found, figures = answers.drawn(
                site, request, question, by, lambda: answers.compare(site, question, by), of_comparison, by=by
            )
            values = controls(request, site, user, question, store.trends.sources()) | {
                "c": found,
                "bys": [(f"/compare?{question.to_query(by=each)}", said, each == by) for each, said in NAMES.items()],
                "extra": (("by", by),),
                "figures": figures,
                "any": store.posts.newest_id() > 0,
            }
        return site.page(request, "trends/compare.html", values)


def asked_of(request: Request, site: Site, user: User, by: str) -> Question:
    """Read the question; brands are compared with all competitors where none is named."""
    question = read(request, site, user, {"by": BY})
    if by == "brand" and not word(request, "brand"):
        return beside_rivals(question, brands_for(site.config, user))
    return question
