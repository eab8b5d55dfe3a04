"""How things stand, and which words there are: status, coverage, brands, sources, labels, models."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from db.desk import User
from db.labels import COUNTED_STAGES, LABELS
from monitor.coverage import take_coverage
from monitor.status import take_status
from monitor.web.api.asking import Moment, Reader
from monitor.web.api.models import Answered
from monitor.web.api.problems import documented
from monitor.web.site import Site

A_DAY = timedelta(days=1)
LONGEST = timedelta(days=92)  # of coverage: 2,208 hours a source


class SourceStatus(Answered):
    """How reading a source stands."""

    name: str
    kind: str
    last_run: datetime | None
    last_ok: datetime | None
    last_error: str | None
    paused: str | None = Field(description="Why it waits for a person.")
    next_run: datetime | None


class JobStatus(Answered):
    """How a job's last run went."""

    job: str
    source: str | None
    started: datetime
    seconds: float
    counts: dict[str, int]
    error: str | None


class Status(Answered):
    """How things stand."""

    time: datetime
    model: str = Field(description="The model that judges now.")
    posts: int
    waiting_for_score: int
    sources: list[SourceStatus]
    jobs: list[JobStatus]


class ReadHour(Answered):
    """How far an hour of posting time was read."""

    hour: datetime
    state: str = Field(description="complete, partial or missing.")
    cause: str | None
    reason: str | None


class SourceCoverage(Answered):
    """How far each hour was read on a source; hours before it was first read are not there."""

    name: str
    kind: str
    complete: int
    partial: int
    missing: int
    hours: list[ReadHour]


class Coverage(Answered):
    """How far each hour was read."""

    since: datetime
    until: datetime
    sources: list[SourceCoverage]


class AskedCoverage(BaseModel):
    """Since when."""

    since: Moment | None = Field(None, description="From this time on, 92 days back at most. By default the last day.")


class SourceOut(Answered):
    """A source that is configured."""

    name: str
    kind: str


class Question(Answered):
    """A question that the model answers, and the answers in their order. docs/labels.md says what each means."""

    question: str
    labels: list[str]


class Model(Answered):
    """A version of the model that was trained here."""

    name: str
    base: str
    created_at: datetime
    posts: int = Field(description="How many it learned from.")
    measures: dict[str, float]
    in_force: bool


def router(site: Site) -> APIRouter:
    """Make the addresses."""
    routes = APIRouter(tags=["How things stand"])

    @routes.get("/status", responses=documented())
    def status(user: Reader) -> Status:
        """Say how the sources and the jobs stand."""
        with site.store() as store:
            return Status.model_validate(take_status(site.config, store, site.clock(), user))

    @routes.get("/coverage", responses=documented())
    def coverage(asked: Annotated[AskedCoverage, Query()], user: Reader) -> Coverage:
        """Say how far each hour was read on each source: no posts in a missing hour say nothing."""
        now = site.clock()
        since = min(max(asked.since or now - A_DAY, now - LONGEST), now)
        with site.store() as store:
            return Coverage.model_validate(take_coverage(site.config, store, since, now))

    @routes.get("/brands", responses=documented())
    def brands(user: Reader) -> list[str]:
        """Name the brands that you may see, those first that are configured."""
        with site.store() as store:
            return _brands(site, user, store.mentions.brands())

    @routes.get("/sources", responses=documented())
    def sources(user: Reader) -> list[SourceOut]:
        """Name the sources that are read."""
        return [SourceOut(name=source.name, kind=source.kind) for source in site.config.sources]

    @routes.get("/labels", responses=documented())
    def labels(user: Reader) -> list[Question]:
        """List the questions that posts are judged by, and their answers."""
        known = {**LABELS, "stage": COUNTED_STAGES}
        return [Question(question=question, labels=list(answers)) for question, answers in known.items()]

    @routes.get("/models", responses=documented())
    def models(user: Reader) -> list[Model]:
        """List the versions of the model that were trained here."""
        with site.store() as store:
            return [Model.model_validate(found) for found in store.models.all()]

    return routes


def _brands(site: Site, user: User, stored: list[str]) -> list[str]:
    names = dict.fromkeys([*(brand.name for brand in site.config.brands), *stored])
    return [name for name in names if user.sees(name)]
