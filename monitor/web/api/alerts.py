"""Alerts: what stood out, who sees to it, what the team says of it, and silence."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from db.desk import User, visible
from db.filters import Filter
from db.records import WORDS, Alert, Feedback, Silence
from db.store import Store
from monitor.web.api import models
from monitor.web.api.asking import Given, Id, Moment, Names, OneOf, Reader, Words, Worker
from monitor.web.api.problems import documented
from monitor.web.forms import Refused, line
from monitor.web.site import Site

MOST = 500
NOTE_LENGTH = 1000
LONGEST_HOURS = 30 * 24


class AskedAlerts(BaseModel):
    """Which alerts are wanted: those that were going on in the span."""

    since: Moment | None = Field(None, description="Going on at this time or later.")
    until: Moment | None = Field(None, description="Begun before this time.")
    brand: Names = Field([], description="Of this brand; may be repeated.")
    open: bool = Field(False, description="Only those that go on.")
    parts: bool = Field(False, description="Those too that are part of another alert, which explains them.")
    limit: int = Field(100, ge=1, le=MOST, description="How many at most, the newest first.")


class Taking(Given):
    """Who sees to an alert."""

    taken: bool = Field(True, description="True: you see to it. False: you let go of it.")


class Marking(Given):
    """What you say of an alert; the newest word counts."""

    word: Annotated[str, OneOf(WORDS)]
    note: Words = Field("", max_length=NOTE_LENGTH)


class Silencing(Given):
    """For how long nobody is to be told of alerts of this cause (brand, rule and scope)."""

    hours: float = Field(gt=0, le=LONGEST_HOURS, description="From now on.")
    comment: Words = Field("", max_length=NOTE_LENGTH)


def router(site: Site) -> APIRouter:
    """Make the addresses."""
    routes = APIRouter(tags=["Alerts"])

    @routes.get("/alerts", responses=documented())
    def alerts(asked: Annotated[AskedAlerts, Query()], user: Reader) -> list[models.AlertOut]:
        """List alerts, the newest first."""
        chosen = Filter(asked.since, asked.until, visible(user, asked.brand))
        with site.store() as store:
            shown = store.alerts.find(chosen, asked.limit, going_on=asked.open, parts=asked.parts)
            said = store.alerts.said(alert.id for alert in shown)
            return [models.alert_out(a, store.mentions.count_of_alert(a.id), said.get(a.id)) for a in shown]

    @routes.get("/alerts/{number}", responses=documented(404))
    def alert(number: Id, user: Reader) -> models.AlertOut:
        """Return one alert."""
        with site.store() as store:
            return _out(store, _seen(store, number, user))

    @routes.post("/alerts/{number}/take", responses=documented(400, 404, 409, 413))
    def take(number: Id, given: Taking, user: Worker) -> models.AlertOut:
        """See to an alert, so that it is not escalated, or let go of it."""
        with site.store() as store, store.transaction():
            found = _seen(store, number, user)
            if given.taken and found.taken_by not in (None, user.name):
                raise Refused(409, f"{found.taken_by} sees to it; to take it over, release it first.")
            store.alerts.take(number, user.name if given.taken else None, site.clock())
            return _out(store, _seen(store, number, user))

    @routes.post("/alerts/{number}/mark", responses=documented(400, 404, 413))
    def mark(number: Id, given: Marking, user: Worker) -> models.AlertOut:
        """Say whether an alert was useful, noise, or known already."""
        with site.store() as store, store.transaction():
            _seen(store, number, user)
            note = line(given.note, NOTE_LENGTH)
            store.alerts.say(Feedback(number, user.name, site.clock(), given.word, note))
            return _out(store, _seen(store, number, user))

    @routes.post("/alerts/{number}/silence", status_code=201, responses=documented(400, 404, 413))
    def silence(number: Id, given: Silencing, user: Worker) -> models.SilenceOut:
        """Tell nobody of alerts of this cause for a while."""
        now = site.clock()
        ends = now + timedelta(hours=given.hours)
        with site.store() as store, store.transaction():
            found = _seen(store, number, user)
            comment = line(given.comment, NOTE_LENGTH)
            made = Silence(0, now, ends, user.name, comment, found.brand, found.rule, found.scope)
            return models.silence_out(store.silences.add(made))

    return routes


def _seen(store: Store, number: int, user: User) -> Alert:
    found = store.alerts.get(number)
    if found is None or not user.sees(found.brand):
        raise Refused(404, "There is no such alert.")
    return found


def _out(store: Store, found: Alert) -> models.AlertOut:
    return models.alert_out(found, store.mentions.count_of_alert(found.id), store.alerts.said([found.id]).get(found.id))
