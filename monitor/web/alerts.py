"""The page of one alert, on which it is taken, judged and silenced: by the team, and by whoever holds its link."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from db.records import WORDS, Alert, Feedback, Silence
from db.store import Store
from monitor import links
from monitor.canvas import Picture
from monitor.views import picture_of
from monitor.web.alert_page import gather, of_cause
from monitor.web.auth import check_form
from monitor.web.forms import LoginNeeded, Refused, line, number_of, read_form
from monitor.web.site import SEEN, Site, user_of

SILENCES = {"1 hour": timedelta(hours=1), "8 hours": timedelta(hours=8), "3 days": timedelta(days=3)}
LABELS = {"useful": "Useful", "noise": "Noise", "known": "Known already"}
BY_LINK = "somebody with the link"
NAME = "sentimon_name"  # of the cookie
REMEMBERED = 365 * 24 * 3600  # seconds
NAME_SHOWN = 60
NOTE_SHOWN = 1000
NARROW = 420  # pixels of a plot on a phone

EXPIRED = "This link is not good any more. Take one from a newer message to act on the alert."
UNCHOSEN = "Nothing was chosen: press one of the buttons."
NOT_YOURS = "Acting on an alert takes the role responder, or the link in a message about it."
NOWHERE = "There is no such alert, or nothing to draw of it."


def mount(app: FastAPI, site: Site) -> None:
    """Add /alerts/N and its chart. Looking at them changes nothing: chat services fetch every link that is posted."""

    def page(request: Request, store: Store, alert: Alert, by: "_Holder", notice: str = "", **more: Any) -> Response:
        shown = gather(store, alert, site.clock()) | {
            "token": by.token,
            "may_act": by.may_act,
            "signed": by.name,
            "notice": notice or by.trouble,
            "words": LABELS,
            "spans": list(SILENCES),
            "of_cause": of_cause,
            "typed": more.get("typed", {}),
            "known": line(unquote(request.cookies.get(NAME, "")), NAME_SHOWN),
        }
        return site.page(request, "alert.html", shown, more.get("status", 200))

    @app.api_route("/alerts/{number}", methods=SEEN)
    def show(number: str, request: Request, token: str = "") -> Response:
        with site.store() as store:
            alert = _alert(store, number)
            by = _admitted(request, store, alert, token, site.clock())
            return page(request, store, _there(alert), by)

    @app.api_route("/alerts/{number}/chart.svg", methods=SEEN)
    def chart(number: str, request: Request, token: str = "", narrow: str = "") -> Response:
        with site.store() as store:
            alert = _alert(store, number)
            _admitted(request, store, alert, token, site.clock())
            picture = picture_of(store, _there(alert), site.clock())
        if picture is None:
            raise Refused(404, NOWHERE)
        return Response((_narrowed(picture) if narrow else picture).svg(), media_type="image/svg+xml")

    @app.post("/alerts/{number}")
    async def act(number: str, request: Request) -> Response:
        given = await read_form(request)
        return await run_in_threadpool(decide, number, given, request)

    def decide(number: str, given: Mapping[str, str], request: Request) -> Response:
        now, token = site.clock(), given.get("token", "")
        with site.store() as store:
            alert = _alert(store, number)
            by = _admitted(request, store, alert, token, now)
            alert = _there(alert)
            if not by.may_act:
                return page(request, store, alert, by, by.trouble or NOT_YOURS, status=403)
            if not by.token:  # no link says that its holder meant it: the form must be one of ours
                check_form(request, given)
            who, note = line(given.get("who", ""), NAME_SHOWN), line(given.get("note", ""), NOTE_SHOWN)
            with store.transaction():
                status, notice = _do(store, alert.id, given.get("do", ""), by.name or who or BY_LINK, note, now)
            if notice:
                typed = {"who": who, "note": note}
                return page(request, store, _again(store, alert), by, notice, status=status, typed=typed)
        done = site.go(request, f"/alerts/{alert.id}" + (f"?token={quote(token)}" if by.token else ""))
        if who and not by.name:  # typed once, and known on this device from then on
            done.set_cookie(NAME, quote(who), max_age=REMEMBERED, httponly=True, samesite="strict")
        return done


@dataclass(frozen=True, slots=True)
class _Holder:
    """Who looks at an alert: somebody who is logged in, or somebody with a link."""

    may_act: bool
    name: str = ""  # "" where it is typed into the form
    token: str = ""  # of a link that is good
    trouble: str = ""


def _admitted(request: Request, store: Store, alert: Alert | None, token: str, now: datetime) -> _Holder:
    """Say who looks; LoginNeeded or Refused where they may not.

    An alert of a brand that is not theirs is answered as one that is not there.
    """
    user = user_of(request)
    good = alert is not None and bool(token) and links.admits(store, token, alert.id, now)
    if user and user.id and alert and user.sees(alert.brand) and user.may("responder"):
        return _Holder(True, user.name)
    if good:
        return _Holder(True, token=token)
    if user is None:
        raise Refused(403, EXPIRED) if token else LoginNeeded()
    if alert is None or not user.sees(alert.brand):
        raise Refused(404, NOWHERE)
    return _Holder(user.may("responder"), user.name, trouble=EXPIRED if token else "")


def _there(alert: Alert | None) -> Alert:
    if alert is None:
        raise Refused(404, NOWHERE)
    return alert


def _do(store: Store, number: int, what: str, who: str, note: str, now: datetime) -> tuple[int, str]:
    """Do what was chosen. Returns status and notice where it was not done; runs in the caller's transaction."""
    alert = store.alerts.get(number)
    if alert is None:
        return 404, "This alert is gone."
    if what in WORDS:
        store.alerts.say(Feedback(number, who, now, what, note))
    elif what == "take":
        if alert.taken_by not in (None, who):
            return 409, f"{alert.taken_by} has taken it meanwhile. To take it over, release it first."
        store.alerts.take(number, who, now)
    elif what == "release":
        store.alerts.take(number, None, now)
    elif what in SILENCES:
        _end_silences(store, alert, now)  # what was chosen last holds
        made = Silence(0, now, now + SILENCES[what], who, note, alert.brand, alert.rule, alert.scope)
        store.silences.add(made)
    elif what == "unsilence":
        _end_silences(store, alert, now)
    else:
        return 400, UNCHOSEN
    return 303, ""


def _end_silences(store: Store, alert: Alert, now: datetime) -> None:
    for silence in store.silences.ending_after(now):
        if of_cause(silence, alert):
            store.silences.end(silence.id, now)


def _alert(store: Store, number: str) -> Alert | None:
    alert_id = number_of(number)
    return None if alert_id is None else store.alerts.get(alert_id)


def _again(store: Store, alert: Alert) -> Alert:
    return store.alerts.get(alert.id) or alert


def _narrowed(picture: Picture) -> Picture:
    """Make a chart as wide as a phone, so that its letters stay legible; the page has its title."""
    kept = {name: value for name, value in picture.specification.items() if name != "title"}
    return Picture(kept | {"width": NARROW})
