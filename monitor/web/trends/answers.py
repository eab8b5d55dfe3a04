"""The answers to the questions of trends, from memory where nothing was stored since they were found."""

from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from typing import TypeVar

from fastapi import Request

from db.store import Store
from db.times import floor
from jobs.trends import compare as comparing
from jobs.trends import experience as experiencing
from jobs.trends import journey as journeys
from jobs.trends import overview as overviews
from jobs.trends.asked import HOUR, Question
from monitor.web.site import Site
from monitor.web.trends.charts import Chart, of_comparison, of_experience, of_journey, of_overview
from monitor.web.trends.drawing import Figure, figures
from monitor.web.trends.question import Brands

Found = TypeVar("Found")


def overview(site: Site, question: Question, brands: Brands) -> overviews.Overview:
    """Answer the first page, for somebody who may see these brands."""

    def find(store: Store) -> overviews.Overview:
        return overviews.overview(store, question, brands.own, brands.rivals, site.clock())

    return site.answers.of(("overview", question, brands, _hour(site)), find)


def journey(site: Site, question: Question) -> journeys.Journey:
    """Tell of each stage, and where feeling breaks."""
    return site.answers.of(("journey", question), lambda store: journeys.journey(store, question))


def experience(site: Site, question: Question) -> experiencing.Experience:
    """Tell of people, process and product, and of service."""
    return site.answers.of(("experience", question), lambda store: experiencing.experience(store, question))


def compare(site: Site, question: Question, by: str) -> comparing.Comparison:
    """Put brands, sources or periods side by side."""
    return site.answers.of(("compare", question, by), lambda store: comparing.compare(store, question, by))


def chart(site: Site, name: str, question: Question, brands: Brands, by: str) -> Chart | None:
    """Answer the question of one chart, None where there is no chart of this name."""
    if name == "journey":
        return of_journey(journey(site, question))[name]
    if name in ("timeline", "brands", "changes"):
        return of_overview(overview(site, question, brands))[name]
    if name in ("pillars", "matrix", "service"):
        return of_experience(experience(site, question))[name]
    return of_comparison(compare(site, question, by))[name] if name == "compare" else None


def drawn(
    site: Site,
    request: Request,
    question: Question,
    about: Hashable,
    find: Callable[[], Found],
    charts: Callable[[Found], Mapping[str, Chart]],
    **more: str,
) -> tuple[Found, Mapping[str, Figure]]:
    """Return what `find` does and its charts, as a page has them; `about` is what it depends on beside the question.

    `more` is what the page's addresses say beside the question.
    """
    path = request.url.path

    def both(_: Store) -> tuple[Found, Mapping[str, Figure]]:
        found = find()
        return found, figures(site, path, charts(found), question, **more)

    return site.answers.of(("drawn", path, question, about, _hour(site), *more.items()), both)


def _hour(site: Site) -> datetime:
    """Return the hour that is going on: how far sources were read is told of hours that are over."""
    return floor(site.clock(), HOUR)
