"""How things stand: the page /status and its JSON twin."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from db.desk import User, visible
from db.filters import Filter
from jobs.hold import stories
from monitor.shapes import alert_json, case_json, trend_json
from monitor.status import take_status
from monitor.web.auth import need
from monitor.web.channels import Trials
from monitor.web.site import SEEN, Site

RECENT = timedelta(days=30)
ALERTS_SHOWN = 50
POSTS_SHOWN = 20  # of each alert
QUEUE_SHOWN = 50

Viewer = Annotated[User, Depends(need("viewer"))]


def mount(app: FastAPI, site: Site, trials: Trials) -> None:
    """Add /status and /status.json."""

    def gather(user: User) -> dict[str, Any]:
        with site.store() as store:
            return {
                "status": take_status(site.config, store, site.clock(), user),
                "brands": [
                    trend_json(trend) for trend in store.trends.by(("brand",), Filter(brands=visible(user, ())))
                ],
                "channels": trials.channels(),
            }

    def posts(user: User) -> dict[str, Any]:
        """Return what the page leaves to those of alerts and of the desk."""
        seen = Filter(brands=visible(user, ()))
        with site.store() as store:
            recent = stories(store.alerts.find(replace(seen, since=site.clock() - RECENT), ALERTS_SHOWN))
            return {
                "alerts": [
                    alert_json(
                        alert, store.mentions.of_alert(alert.id, POSTS_SHOWN), store.mentions.count_of_alert(alert.id)
                    )
                    for alert in recent
                ],
                "queue": [case_json(case) for case in store.cases.waiting(seen, QUEUE_SHOWN)],
            }

    # Plain functions: FastAPI runs them in a thread, which is what a SQLite connection wants.
    @app.api_route("/status", methods=SEEN)
    def page(request: Request, user: Viewer) -> Response:
        return site.page(request, "status.html", gather(user))

    @app.api_route("/status.json", methods=SEEN)
    def twin(user: Viewer) -> JSONResponse:
        return JSONResponse(gather(user) | posts(user))
