"""The journey: stage by stage, where feeling breaks, and the posts behind it."""

from dataclasses import replace

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from db.desk import User
from db.posts import MANY, Wanted
from db.records import Match
from db.store import Store
from jobs.trends.journey import Journey
from monitor.web.auth import need
from monitor.web.site import SEEN, Site
from monitor.web.trends import answers
from monitor.web.trends.charts import of_journey
from monitor.web.trends.question import controls, read

QUOTED = 5  # posts of where it breaks, each saying something else
LOOKED_AT = 30


def mount(app: FastAPI, site: Site) -> None:
    """Add /journey."""

    @app.api_route("/journey", methods=SEEN, response_class=HTMLResponse)
    def page(request: Request, user: User = Depends(need("viewer"))) -> Response:  # noqa: B008
        question = read(request, site, user)
        with site.store() as store:
            found, figures = answers.drawn(
                site, request, question, None, lambda: answers.journey(site, question), of_journey
            )
            values = controls(request, site, user, question, store.trends.sources()) | {
                "j": found,
                "rows": found.rows,
                "figures": figures,
                "quoted": _behind(store, found),
                "any": store.posts.newest_id() > 0,
            }
        return site.page(request, "trends/journey.html", values)


def _behind(store: Store, found: Journey) -> list[Match]:
    """Return the most negative posts of the stage at which the journey breaks."""
    if found.breaks.row is None:
        return []
    chosen = replace(found.breaks.row.link, sentiments=("negative",))
    many = found.breaks.row.compared.counts.negative >= MANY
    posts = store.posts.page(Wanted(chosen, copies=False), "negative", LOOKED_AT, many=many).posts
    first = {post.mention.shown.casefold(): post.id for post in reversed(posts)}
    return [post for post in posts if first[post.mention.shown.casefold()] == post.id][:QUOTED]
