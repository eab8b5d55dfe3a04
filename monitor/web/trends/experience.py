"""People, process and product; touchpoints by source; and posts that need an answer beside all the others."""

from dataclasses import dataclass

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from db.desk import User
from jobs.trends.experience import Cell, Experience
from monitor.web.auth import need
from monitor.web.site import SEEN, Site
from monitor.web.trends import answers
from monitor.web.trends.charts import of_experience
from monitor.web.trends.question import controls, read


@dataclass(frozen=True, slots=True)
class Line:
    """One touchpoint, and its cell on each source."""

    touchpoint: str
    cells: tuple[Cell, ...]


def mount(app: FastAPI, site: Site) -> None:
    """Add /experience."""

    @app.api_route("/experience", methods=SEEN, response_class=HTMLResponse)
    def page(request: Request, user: User = Depends(need("viewer"))) -> Response:  # noqa: B008
        question = read(request, site, user)
        with site.store() as store:
            found, figures = answers.drawn(
                site, request, question, None, lambda: answers.experience(site, question), of_experience
            )
            values = controls(request, site, user, question, store.trends.sources()) | {
                "e": found,
                "lines": lines(found),
                "figures": figures,
                "any": store.posts.newest_id() > 0,
            }
        return site.page(request, "trends/experience.html", values)


def lines(found: Experience) -> list[Line]:
    """Make the rows of the matrix; touchpoints that nobody wrote of are left out."""
    made = []
    for start in range(0, len(found.matrix), max(len(found.sources), 1)):
        cells = found.matrix[start : start + len(found.sources)]
        if any(cell.counts.mentions for cell in cells):
            made.append(Line(cells[0].touchpoint, cells))
    return made
