"""Counts over time, and the answers behind the pages of trends and of care."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from db.desk import User, visible
from jobs.desk.care import Care
from jobs.desk.care import care as take_care
from jobs.trends.asked import AGAINST, DAYS, LONGEST, STEPS, Question, parse
from jobs.trends.compare import BY, Comparison
from jobs.trends.experience import Experience
from jobs.trends.journey import Journey
from jobs.trends.overview import Overview
from monitor.web.api import models
from monitor.web.api.asking import Moment, Names, OneOf, Reader, Span, Stages, check_names, check_order
from monitor.web.api.problems import documented
from monitor.web.site import Site
from monitor.web.trends import answers
from monitor.web.trends.question import beside_rivals, brands_for

MOST_COUNTS = 10_000
CARE_DAYS = 28


class AskedCounts(Span):
    """Which posts are counted, and by what."""

    step: Annotated[str, OneOf(("hour", "day", "week", "all"))] = Field(
        "day", description="Length of a step; a week begins on Monday, all is the whole span."
    )
    by: list[Annotated[str, OneOf(("source", "stage"))]] = Field(
        [], max_length=2, description="Count by this as well; may be repeated."
    )
    copies: bool = Field(True, description="False counts only the first of posts that say nearly the same.")


class AskedTrends(BaseModel):
    """What a page of trends is asked: a span, and what it is compared with."""

    days: int | None = Field(
        None, ge=1, le=LONGEST.days, description=f"The last so many days, {DAYS} by default; or since and until."
    )
    since: Moment | None = Field(None, description="From this time on: a day, or a time.")
    until: Moment | None = Field(None, description="Up to this time, exclusive.")
    brand: Names = Field([], description="Of this brand; may be repeated. By default our own ones.")
    source: Names = Field([], description="Of this source; may be repeated.")
    stage: Stages = Field([], description="At this stage of the journey; may be repeated.")
    step: Annotated[str, OneOf(tuple(STEPS))] | None = Field(None, description="Length of a step; by default as fits.")
    against: Annotated[str, OneOf(AGAINST)] = Field("previous", description="What the span is compared with.")
    before_since: Moment | None = Field(None, description="Where against is custom: from this time on.")
    before_until: Moment | None = Field(None, description="Where against is custom: up to this time.")

    def question(self, site: Site, user: User) -> Question:
        """Return the question, about our own brands as far as somebody may see them unless others are named."""
        check_names(site, user, self.brand, self.source)
        times = {name: getattr(self, name) for name in ("since", "until", "before_since", "before_until")}
        given = {name: [time.isoformat()] for name, time in times.items() if time is not None}
        given |= {"brand": self.brand, "source": self.source, "stage": self.stage, "against": [self.against]}
        given |= {"days": [str(self.days)] if self.days else [], "step": [self.step] if self.step else []}
        question = parse(given, site.clock())
        named = question.brands or brands_for(site.config, user).own
        return question.of(visible(user, named) if named or user.brands is not None else ())


class AskedComparison(AskedTrends):
    """What is put side by side; brands, where none is named, are our own ones and all competitors."""

    by: Annotated[str, OneOf(BY)] = Field("brand", description="Compare brands, sources, or the two periods.")


class AskedCare(BaseModel):
    """Whose care, and when."""

    since: Moment | None = Field(None, description=f"From this time on; by default the last {CARE_DAYS} days.")
    until: Moment | None = Field(None, description="Up to this time, exclusive; by default now.")
    brand: Names = Field([], description="Of this brand; may be repeated.")
    source: Names = Field([], description="Of this source; may be repeated.")


def router(site: Site) -> APIRouter:
    """Make the addresses."""
    routes = APIRouter(tags=["Trends"])

    @routes.get("/trends", responses=documented(400))
    def trends(asked: Annotated[AskedCounts, Query()], user: Reader) -> list[models.Count]:
        """Count posts of each brand by sentiment, step by step; the last 10,000 rows at most."""
        check_names(site, user, asked.brand, asked.source)
        keys = ([asked.step] if asked.step != "all" else []) + list(asked.by)
        with site.store() as store:
            found = store.trends.by(keys, asked.filter(user), asked.copies)
        return [models.count_out(trend) for trend in found[-MOST_COUNTS:]]

    @routes.get("/overview", responses=documented(400))
    def overview(asked: Annotated[AskedTrends, Query()], user: Reader) -> Overview:
        """Answer as the first page does: net sentiment, volume, share of voice, journey, and what changed and why."""
        question, brands = asked.question(site, user), brands_for(site.config, user)
        return answers.overview(site, question, brands)

    @routes.get("/journey", responses=documented(400))
    def journey(asked: Annotated[AskedTrends, Query()], user: Reader) -> Journey:
        """Say how people feel at each stage of the journey, and where it breaks."""
        question = asked.question(site, user)
        return answers.journey(site, question)

    @routes.get("/experience", responses=documented(400))
    def experience(asked: Annotated[AskedTrends, Query()], user: Reader) -> Experience:
        """Say how people feel about people, process and product, at touchpoints and on channels; and service load."""
        question = asked.question(site, user)
        return answers.experience(site, question)

    @routes.get("/compare", responses=documented(400))
    def compare(asked: Annotated[AskedComparison, Query()], user: Reader) -> Comparison:
        """Put brands, sources or two periods side by side."""
        question = asked.question(site, user)
        if asked.by == "brand" and not any(name.strip() for name in asked.brand):
            question = beside_rivals(question, brands_for(site.config, user))
        return answers.compare(site, question, asked.by)

    @routes.get("/care", responses=documented(400))
    def care(asked: Annotated[AskedCare, Query()], user: Reader) -> Care:
        """Say how long people wait for an answer, what becomes of their posts, and what they say of our answers.

        By person only to approvers.
        """
        now = site.clock()
        check_names(site, user, asked.brand, asked.source)
        check_order(asked.since, asked.until)
        until = min(asked.until or now, now)
        since = asked.since or until - timedelta(days=CARE_DAYS)
        with site.store() as store:
            brands = visible(user, asked.brand)
            found = take_care(store, brands, asked.source, since, until, now, site.config.desk.business)
        return found if user.may("approver") else replace(found, by_person=())

    return routes
