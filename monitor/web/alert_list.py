"""The page /alerts: what goes on, and what is over."""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import Response

from db.alerts import Chosen
from db.desk import User, visible
from db.records import RULES
from jobs.hold import SILENCED
from jobs.wording import subject
from monitor.status import not_working
from monitor.web.alerts import LABELS
from monitor.web.auth import need
from monitor.web.site import SEEN, Site

SEVERITIES = ("critical", "high", "warning")
SHOWN = 50  # that are over, on a page; and at most so many that go on, times four
PAGES = 200

Several = Annotated[Sequence[str], Query()]


def mount(app: FastAPI, site: Site) -> None:
    """Add the list of alerts, with filters in its address."""

    @app.api_route("/alerts", methods=SEEN)
    def show(
        request: Request,
        user: Annotated[User, Depends(need("viewer"))],
        brand: Several = (),
        rule: Several = (),
        severity: Several = (),
        parts: str = "",
        page: Annotated[int, Query(ge=1, le=PAGES)] = 1,
    ) -> Response:
        brands, rules, severities = _given(brand), _given(rule), _given(severity)
        chosen = Chosen(visible(user, brands), rules, severities, bool(parts))
        with site.store() as store:
            open_ones = store.alerts.listed(chosen, True, 4 * SHOWN) if page == 1 else []
            past = store.alerts.listed(chosen, False, SHOWN + 1, (page - 1) * SHOWN)
            values: dict[str, Any] = {
                "open_ones": sorted(open_ones, key=lambda alert: SEVERITIES.index(alert.severity)),
                "past": past[:SHOWN],
                "said": store.alerts.said(alert.id for alert in (*open_ones, *past)),
                "disabled": not_working(store),
            }
        asked = [("brand", each) for each in brands] + [("rule", each) for each in rules]
        asked += [("severity", each) for each in severities] + ([("parts", "yes")] if parts else [])
        known = [each.name for each in site.config.brands if user.sees(each.name)]
        values |= {
            "brands": [*known, *(each for each in brands if each not in known and user.sees(each))],
            "rules": RULES,
            "severities": SEVERITIES,
            "chosen": {"brand": brands, "rule": rules, "severity": severities, "parts": bool(parts)},
            "subject": subject,
            "silenced": SILENCED,
            "labels": LABELS,
            "page": page,
            "older": f"/alerts?{urlencode([*asked, ('page', page + 1)])}" if len(past) > SHOWN and page < PAGES else "",
            "newer": f"/alerts?{urlencode([*asked, ('page', page - 1)])}" if page > 1 else "",
        }
        return site.page(request, "alerts.html", values)


def _given(values: Sequence[str]) -> tuple[str, ...]:
    """Leave out the empty choice of a form."""
    return tuple(value for value in values if value)
