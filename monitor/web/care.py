"""The page of how well people are cared for, `/care`, and the same as CSV and JSON."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from db.desk import User, visible
from db.store import Store
from db.times import floor, to_text
from jobs.desk.care import FEW, GOOD, Care, Group, Share, Spread, care
from jobs.desk.surveys import HIGHEST
from jobs.wording import length
from monitor.shapes import defused
from monitor.web.auth import need
from monitor.web.site import SEEN, Site
from monitor.web.trends.address import check, names

SPANS = {"7d": 7, "28d": 28, "90d": 90, "365d": 365}
SPAN_NAMES = {"7d": "7 days", "28d": "28 days", "90d": "90 days", "365d": "a year"}
USUAL = "28d"
AS_OF = timedelta(minutes=5)  # what only time changes, as whether a case is overdue, is looked at so often
SECOND = timedelta(seconds=1)  # the one that goes on is counted: times are stored to the second
FORMULAS = {
    "First response time": "time of our first reply − time of the post; the median, and the one 90 % stay below",
    "First response, business hours": "the same, counting only hours in which the team is there ([desk] in the file)",
    "Within target": "first replies no later than the case was due ÷ first replies to cases with a target",
    "Answered, dismissed, open": "what has become by now of the posts written in the span; they add up to all of them",
    "Time to first action": "first time that somebody did something about a case − time at which it was opened",
    "Time to detection": "time at which the case was opened − time of the post",
    "Satisfied (CSAT)": "answers of 4 or 5 of 5 ÷ answers",
    "Easy (customer effort)": "answers of 5, 6 or 7 of 7 ÷ answers",
}


def mount(app: FastAPI, site: Site) -> None:
    """Add the page and what can be taken away of it."""
    install(site)

    def gather(request: Request, user: User) -> tuple[Care, dict[str, Any]]:
        with site.store() as store:
            known, sources_seen = names(site, store, user), store.posts.named()[1]
        asked = _asked(request, known)
        brands, sources = visible(user, asked["brand"]), asked["source"]

        def find(store: Store) -> Care:
            now = site.clock()  # it may be found again later, for whoever asks next
            since = now - timedelta(days=SPANS[asked["span"]])
            return care(store, brands, sources, since, now + SECOND, now, site.config.desk.business)

        found = site.cared.of(("care", asked["span"], brands, sources, floor(site.clock(), AS_OF)), find)
        choices = {
            "brands": known["brand"],
            "sources": sources_seen,
            "spans": SPAN_NAMES,
        }
        return found, {"asked": asked, "choices": choices}

    @app.api_route("/care", methods=SEEN, response_class=HTMLResponse)
    def show(request: Request, user: Annotated[User, Depends(need("viewer"))]) -> Response:
        found, about = gather(request, user)
        desk = site.config.desk

        def cases(**more: str | Sequence[str]) -> str:
            """Write the address of the cases behind a number."""
            pairs = {"brand": about["asked"]["brand"], "source": about["asked"]["source"], **more}
            return f"/desk?{urlencode({name: value for name, value in pairs.items() if value}, doseq=True)}"

        values = {
            **about,
            "care": found,
            "by_person": found.by_person if user.may("approver") else (),
            "cases": cases,
            "few": FEW,
            "formulas": FORMULAS,
            "hours": f"{desk.hours} {desk.timezone}, {', '.join(desk.days)}",
            "surveyed": bool(desk.survey and site.config.web.url),
            "highest": HIGHEST,
            "query": urlencode(about["asked"], doseq=True),
        }
        return site.page(request, "care.html", values)

    @app.api_route("/care.json", methods=SEEN)
    def twin(request: Request, user: Annotated[User, Depends(need("viewer"))]) -> Response:
        found, about = gather(request, user)
        return JSONResponse({**about["asked"], **care_json(found, user.may("approver"))})

    @app.api_route("/care.csv", methods=SEEN)
    def table(request: Request, user: Annotated[User, Depends(need("viewer"))]) -> Response:
        found, _ = gather(request, user)
        text = io.StringIO()
        rows = list(_rows(found, user.may("approver")))
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows({key: defused(value) for key, value in row.items()} for row in rows)
        named = {"Content-Disposition": 'attachment; filename="care.csv"'}
        return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=named)


def install(site: Site) -> None:
    """Give the templates the words for lengths of time and shares."""
    site.templates.env.filters["lasting"] = lambda span: "–" if span is None else length(span)
    site.templates.env.filters["share"] = lambda value: "–" if value is None else f"{value:.0%}"


def care_json(found: Care, persons: bool) -> dict[str, Any]:
    """Write the figures for programs: lengths in seconds, shares from 0 to 1 with their intervals."""
    return {
        "since": to_text(found.since),
        "until": to_text(found.until),
        "all": _group_json(found.every),
        "triage": _spread_json(found.triage),
        "untouched": found.untouched,
        "detection_lag": _spread_json(found.lag),
        "by_source": {group.name: _group_json(group) for group in found.by_source},
        "by_brand": {group.name: _group_json(group) for group in found.by_brand},
        **({"by_person": {group.name: _group_json(group) for group in found.by_person}} if persons else {}),
        "surveys": [
            {
                "source": one.tally.source,
                "kind": one.tally.kind,
                "offered": one.tally.offered,
                "answered": one.tally.answered,
                "scores": {str(score): count for score, count in one.tally.scores},
                "mean": one.mean,
                "good_from": GOOD[one.tally.kind],
                "good": _share_json(one.good),
            }
            for one in found.felt
        ],
    }


def _group_json(group: Group) -> dict[str, Any]:
    outcomes = group.outcomes
    return {
        "first_reply": _spread_json(group.first),
        "first_reply_business": _spread_json(group.business),
        "within_target": _share_json(group.within),
        "answered": outcomes.answered,
        "dismissed": outcomes.dismissed,
        "open": outcomes.open,
        "overdue": outcomes.overdue,
        "dismissed_for": dict(outcomes.reasons or {}),
    }


def _spread_json(spread: Spread) -> dict[str, Any]:
    return {
        "n": spread.n,
        "median": None if spread.median is None else round(spread.median.total_seconds()),
        "p90": None if spread.high is None else round(spread.high.total_seconds()),
    }


def _share_json(share: Share) -> dict[str, Any]:
    low, high = share.interval if share.of else (None, None)
    return {"count": share.count, "n": share.of, "share": share.value, "low": low, "high": high}


def _rows(found: Care, persons: bool) -> Iterator[dict[str, Any]]:
    """Write the figures as a table, lengths in seconds."""
    kinds = [("all", [found.every]), ("source", found.by_source), ("brand", found.by_brand)]
    for kind, groups in [*kinds, *([("person", found.by_person)] if persons else [])]:
        for group in groups:
            shown = _group_json(group)
            first, business, within = shown["first_reply"], shown["first_reply_business"], shown["within_target"]
            yield {
                "kind": kind,
                "name": group.name,
                "replies": first["n"],
                "first_reply_median": first["median"],
                "first_reply_p90": first["p90"],
                "business_median": business["median"],
                "business_p90": business["p90"],
                "with_target": within["n"],
                "within_target": within["count"],
                "answered": shown["answered"],
                "dismissed": shown["dismissed"],
                "open": shown["open"],
                "overdue": shown["overdue"],
            }


def _asked(request: Request, known: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Read span, brands and sources of an address; InputError where it says anything else."""
    given = request.query_params
    check(given.multi_items(), {"span": SPANS, **known})
    named = {name: tuple(dict.fromkeys(value for value in given.getlist(name) if value)) for name in known}
    return {"span": given.get("span") or USUAL, **named}
