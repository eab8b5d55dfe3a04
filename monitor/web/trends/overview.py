"""The first page: how people feel about us, what changed and why, and what waits."""

from collections.abc import Sequence

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from db.desk import Labels, User, visible
from db.records import Alert
from jobs.hold import stories
from jobs.trends.asked import Question
from jobs.trends.figures import Estimate, share_of
from jobs.trends.overview import Overview, Voice
from monitor.plots.small import spark
from monitor.web.auth import need
from monitor.web.site import SEEN, Site
from monitor.web.trends import answers
from monitor.web.trends.charts import of_overview
from monitor.web.trends.question import Brands, brands_for, controls, read

GAPS_SHOWN = 6


def mount(app: FastAPI, site: Site) -> None:
    """Add the page at the root."""

    @app.api_route("/", methods=SEEN, response_class=HTMLResponse)
    def page(request: Request, user: User = Depends(need("viewer"))) -> Response:  # noqa: B008
        question = read(request, site, user)
        brands = brands_for(site.config, user)
        with site.store() as store:
            found, figures = answers.drawn(
                site,
                request,
                question,
                brands,
                lambda: answers.overview(site, question, brands),
                of_overview,
            )
            nets = [step.net.value if step.net else None for step in found.timeline]
            counts = [float(step.counts.mentions) for step in found.timeline]
            values = controls(request, site, user, question, store.trends.sources()) | {
                "o": found,
                "terms": found.changes.terms if found.changes else None,
                "ours": share_of_ours(found, brands),
                "waiting": store.cases.count(found.question.brands),
                "open_alerts": _open(stories(store.alerts.open()), found.question, user),
                "figures": figures,
                "spark": spark(nets, "Net sentiment, step by step").inline(),
                "volume_spark": spark(counts, "Posts, step by step").inline(),
                "gaps": list(found.read.gaps)[-GAPS_SHOWN:],
                "before_link": found.question.posts(question.before) if question.before else None,
                "any": store.posts.newest_id() > 0,
                "pending": store.mentions.pending_count(visible(user, ())),
            }
        return site.page(request, "trends/overview.html", values)


def share_of_ours(found: Overview, brands: Brands) -> Estimate | None:
    """Return the share of voice of the brands that are asked about among all that are compared."""
    if not brands.rivals or not found.voices:
        return None
    ours = [voice for voice in found.voices if voice.brand in found.question.brands]
    return share_of(_mentions(ours), _mentions(found.voices))


def _mentions(voices: Sequence[Voice]) -> int:
    return sum((voice.compared.counts for voice in voices), Labels()).mentions


def _open(alerts: Sequence[Alert], question: Question, user: User) -> list[Alert]:
    """Keep those about the brands asked for, and, for who sees all brands, about sources."""
    return [
        alert
        for alert in alerts
        if user.sees(alert.brand) and (alert.brand in question.brands or not question.brands or not alert.brand)
    ]
