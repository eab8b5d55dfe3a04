"""The first page: how people feel about us, what changed and why, and what waits."""

from collections.abc import Sequence

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from db.desk import Labels, User, visible
from db.filters import Filter
from db.records import Alert
from db.store import Store
from jobs.hold import stories
from jobs.trends.asked import Question
from jobs.trends.figures import Estimate, share_of
from jobs.trends.overview import Overview, Voice, overview
from jobs.trends.terms import NewTerms, new_terms
from monitor.plots.small import spark
from monitor.web.auth import need
from monitor.web.site import SEEN, Site
from monitor.web.trends.charts import of_overview
from monitor.web.trends.drawing import figures
from monitor.web.trends.question import Brands, brands_for, controls, read

REMEMBERED = 64  # questions whose terms are not looked for again while nothing is stored
GAPS_SHOWN = 6


class Terms:
    """New terms of the questions that were asked last: they are slow to find, and stay until something is stored."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], NewTerms | None] = {}

    def of(self, store: Store, question: Question, version: tuple[int, int]) -> NewTerms | None:
        """Return them, from memory where the same was asked of the same `version` of the database."""
        key = (question, version)
        if key not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.pop(next(iter(self._known)), None)
            self._known[key] = new_terms(store, question)
        return self._known[key]


def mount(app: FastAPI, site: Site) -> None:
    """Add the page at the root."""
    terms = Terms()

    @app.api_route("/", methods=SEEN, response_class=HTMLResponse)
    def page(request: Request, user: User = Depends(need("viewer"))) -> Response:  # noqa: B008
        question = read(request, site, user)
        brands = brands_for(site.config, user)
        version = site.pool.version()  # before anything is read
        with site.store() as store:
            found = overview(store, question, brands.own, brands.rivals, site.clock(), words=False)
            nets = [step.net.value if step.net else None for step in found.timeline]
            counts = [float(step.counts.mentions) for step in found.timeline]
            values = controls(request, site, user, question, store.trends.sources()) | {
                "o": found,
                "terms": terms.of(store, found.question, version) if found.changes else None,
                "ours": share_of_ours(found, brands),
                "waiting": store.cases.count(Filter(brands=found.question.brands)),
                "open_alerts": _open(stories(store.alerts.open()), found.question, user),
                "figures": figures(request, of_overview(found), question),
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
