"""The page of one alert, on which whoever holds its link takes, judges and silences it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from db.records import WORDS, Alert, Feedback, Silence
from db.store import Store
from monitor import links
from monitor.canvas import Picture
from monitor.config import Config
from monitor.views import picture_of
from monitor.web.alert_page import gather, of_cause
from monitor.web.forms import Refused, line, read_form

SILENCES = {"1 hour": timedelta(hours=1), "8 hours": timedelta(hours=8), "3 days": timedelta(days=3)}
LABELS = {"useful": "Useful", "noise": "Noise", "known": "Known already"}
BY_LINK = "somebody with the link"
NAME = "sentimon_name"  # of the cookie
REMEMBERED = 365 * 24 * 3600  # seconds
NAME_SHOWN = 60
NOTE_SHOWN = 1000
NARROW = 420  # pixels of a plot on a phone
DIGITS = 15  # of a number that the database can take
SEEN = ["GET", "HEAD"]

EXPIRED = "This link is not good any more. Take one from a newer message to act on the alert."
UNCHOSEN = "Nothing was chosen: press one of the buttons."

Clock = Callable[[], datetime]


def mount(app: FastAPI, config: Config, templates: Jinja2Templates, clock: Clock) -> None:
    """Add /alerts/N and its chart. Looking at them changes nothing: chat services fetch every link that is posted."""

    def page(request: Request, store: Store, alert: Alert, token: str, notice: str = "", **more: Any) -> Response:
        now = clock()
        may_act = bool(token) and links.admits(store, token, alert.id, now)
        shown = gather(store, alert, now) | {
            "token": token if may_act else "",
            "notice": notice or (EXPIRED if token and not may_act else ""),
            "words": LABELS,
            "spans": list(SILENCES),
            "of_cause": of_cause,
            "typed": more.get("typed", {}),
            "known": line(unquote(request.cookies.get(NAME, "")), NAME_SHOWN),
        }
        return templates.TemplateResponse(request, "alert.html", shown, status_code=more.get("status", 200))

    @app.api_route("/alerts/{number}", methods=SEEN, response_class=HTMLResponse)
    def show(number: str, request: Request, token: str = "") -> Response:
        with Store(config.database) as store:
            alert = _alert(store, number)
            return page(request, store, alert, token) if alert else _nowhere()

    @app.api_route("/alerts/{number}/chart.svg", methods=SEEN)
    def chart(number: str, narrow: str = "") -> Response:
        with Store(config.database) as store:
            alert = _alert(store, number)
            picture = picture_of(store, alert, clock()) if alert else None
        if picture is None:
            return _nowhere()
        return Response((_narrowed(picture) if narrow else picture).svg(), media_type="image/svg+xml")

    @app.post("/alerts/{number}")
    async def act(number: str, request: Request) -> Response:
        try:
            given = await read_form(request)
        except Refused as refused:
            return refused.answer
        return await run_in_threadpool(decide, number, given, request)

    def decide(number: str, given: Mapping[str, str], request: Request) -> Response:
        now, token = clock(), given.get("token", "")
        with Store(config.database) as store:
            alert = _alert(store, number)
            if alert is None:
                return _nowhere()
            if not links.admits(store, token, alert.id, now):
                return page(request, store, alert, "", EXPIRED, status=403)
            who, note = line(given.get("who", ""), NAME_SHOWN), line(given.get("note", ""), NOTE_SHOWN)
            with store.transaction():
                status, notice = _do(store, alert.id, given.get("do", ""), who or BY_LINK, note, now)
            if notice:
                typed = {"who": who, "note": note}
                return page(request, store, _again(store, alert), token, notice, status=status, typed=typed)
        done = RedirectResponse(f"{alert.id}?token={quote(token)}", 303)
        if who:  # typed once, and known on this device from then on
            done.set_cookie(NAME, quote(who), max_age=REMEMBERED, httponly=True, samesite="strict")
        return done


def _do(store: Store, number: int, what: str, who: str, note: str, now: datetime) -> tuple[int, str]:
    """Do what was chosen. Returns status and notice where it was not done; runs in the caller's transaction."""
    alert = store.alerts.get(number)
    if alert is None:
        return 404, "This alert is gone."
    if what in WORDS:
        store.alerts.say(Feedback(number, who, now, what, note))
    elif what == "take":
        if alert.taken_by not in (None, who):
            return 409, f"{alert.taken_by} has taken it meanwhile. To take it over, let go of it first."
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
    known = number.isascii() and number.isdigit() and len(number) <= DIGITS
    return store.alerts.get(int(number)) if known else None


def _again(store: Store, alert: Alert) -> Alert:
    return store.alerts.get(alert.id) or alert


def _narrowed(picture: Picture) -> Picture:
    """Make a chart as wide as a phone, so that its letters stay legible; the page has its title."""
    kept = {name: value for name, value in picture.specification.items() if name != "title"}
    return Picture(kept | {"width": NARROW})


def _nowhere() -> Response:
    return PlainTextResponse("There is no such alert, or nothing to draw of it; the status is at /\n", 404)
