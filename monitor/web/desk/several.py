"""Acts on several cases at once: each on its own, so that one that cannot be done keeps none of the others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from db.desk import Case, User
from db.errors import InputError, NotAllowed, Stale
from db.store import Store
from jobs.desk import acts
from monitor.sections import span_of
from monitor.web.auth import form
from monitor.web.desk.asking import read
from monitor.web.desk.times import until
from monitor.web.desk.who import Responder
from monitor.web.forms import Form, Refused, number_of
from monitor.web.site import Site

MOST = 200  # cases of one form
DONE: Mapping[str, str] = {
    "claim": "claimed",
    "assign": "assigned",
    "dismiss": "dismissed",
    "snooze": "snoozed",
    "level": "given the level",
    "tag": "tagged",
}

Do = Callable[[Store, int], Case]


@dataclass(frozen=True, slots=True)
class Left:
    """A case to which it was not done, and why."""

    case_id: int
    why: str


def mount(app: FastAPI, site: Site) -> None:
    """Add /desk/several. A form from the list tells no versions: it means the cases as they are."""

    @app.post("/desk/several")
    async def act(request: Request, user: Responder) -> Response:
        return await run_in_threadpool(decide, request, await form(request), user)

    def decide(request: Request, given: Form, user: User) -> Response:
        asked, what = read(given.get("query", "")), given.get("do", "")
        chosen = _numbers(given)
        done: list[int] = []
        left: list[Left] = []
        if what not in DONE:
            raise Refused(400, "Nothing was chosen: press one of the buttons.")
        if not chosen:
            raise Refused(400, "No post was chosen: check those that are meant, then press the button again.")
        with site.store() as store:
            do = _doing(what, given, user, site.clock(), site)
            for case_id in chosen:
                try:
                    with store.transaction():
                        do(store, case_id)
                    done.append(case_id)
                except (Stale, NotAllowed, InputError) as error:
                    left.append(Left(case_id, str(error)))
        if not left:
            return site.go(request, f"/desk{asked.address}")
        values = {"done": done, "left": left, "what": DONE[what], "asked": asked}
        return site.page(request, "desk/several.html", values, 200 if done else 409)


def _numbers(given: Form) -> list[int]:
    """Return the cases that were checked."""
    found = map(number_of, given.all("case"))
    return list(dict.fromkeys(number for number in found if number is not None))[:MOST]


def _doing(what: str, given: Form, user: User, now: datetime, site: Site) -> Do:
    """Return what is done to each case; InputError where the form does not say how."""
    lease, zone = span_of(site.config.desk.lease), site.config.desk.timezone
    if what == "claim":
        return lambda store, case_id: acts.claim(store, case_id, user, now, lease=lease)
    if what == "assign":
        to = given.get("assignee", "") or None
        return lambda store, case_id: acts.assign(store, case_id, user, now, to=to)
    if what == "dismiss":
        reason = given.get("reason", "")
        return lambda store, case_id: acts.dismiss(store, case_id, user, now, reason=reason)
    if what == "snooze":
        time = until(given.get("until", ""), now, zone)
        return lambda store, case_id: acts.snooze(store, case_id, user, now, until=time)
    if what == "level":
        level = given.get("level", "")
        return lambda store, case_id: acts.set_level(store, case_id, user, now, level=level)
    tag = given.get("tag", "")
    return lambda store, case_id: acts.tag(store, case_id, user, now, tag=tag)
