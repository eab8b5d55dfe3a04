"""What happens at the desk, told to pages that are open: server-sent events, with one look at the database for all.

A page is told numbers: how many posts are in each tab, how many came, and how the case that is open stands. It never
gets anything that would move what somebody reads.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from sse_starlette.sse import EventSourceResponse

from db.desk import Session, User
from db.store import Store
from monitor.sections import span_of
from monitor.web.desk.asking import Question, read
from monitor.web.desk.queue import counted
from monitor.web.desk.who import Viewer
from monitor.web.forms import Refused, number_of
from monitor.web.site import Site

EVERY = 1.0  # seconds between two looks
MOST, OF_ONE = 200, 20  # listeners, and those of one user
CHECKED = 15.0  # seconds after which it is asked whether a listener is still logged in
PING = 20  # seconds; proxies close what is silent
TOLD = ("answer", "mine", "waiting", "snoozed")


class Hub:
    """Looks for what is new while anybody listens, and wakes the listeners."""

    def __init__(self, look: Callable[[], int]) -> None:
        self._look = look
        self._listeners: Counter[int] = Counter()  # by user
        self._newest = 0
        self._ended = False
        self._woken: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def admit(self, user_id: int) -> None:
        """Refused where too many listen, or the server ends."""
        if self._ended or self._listeners.total() >= MOST or self._listeners[user_id] >= OF_ONE:
            raise Refused(503, "Too many pages listen; this one works without, load it again to see what is new.", 60)

    def enter(self, user_id: int) -> None:
        """Begin to listen."""
        self._listeners[user_id] += 1

    def leave(self, user_id: int) -> None:
        """Listen no more."""
        self._listeners[user_id] -= 1

    def end(self) -> None:
        """Let every listener go, from any thread: the server ends."""
        self._ended = True
        if self._loop and self._woken and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    async def after(self, known: int, patience: float) -> int | None:
        """Wait until something happened after an event, for some seconds at most; None where the server ends.

        Returns the number of the newest event.
        """
        if self._task is None or self._task.done():
            self._loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
            self._task = self._loop.create_task(self._watch())
        until = asyncio.get_running_loop().time() + patience
        while not self._ended and self._newest <= known and self._woken:
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                break
            try:
                await asyncio.wait_for(self._woken.wait(), left)
            except TimeoutError:
                break
        return None if self._ended else max(self._newest, known)

    async def _watch(self) -> None:
        """Look again and again until nobody listens."""
        while self._listeners.total() and not self._ended:
            newest = await run_in_threadpool(self._look)
            if newest > self._newest:
                self._newest = newest
                woken, self._woken = self._woken, asyncio.Event()
                if woken:
                    woken.set()
            await asyncio.sleep(EVERY)


@dataclass(frozen=True, slots=True)
class Listener:
    """A page that is open: what it shows, and for whom."""

    asked: Question
    user: User
    session: Session | None
    seen: int  # the newest event that its list knows
    case_id: int | None
    version: int


def mount(app: FastAPI, site: Site) -> None:
    """Add /desk/live."""
    idle = span_of(site.config.web.session)

    def look() -> int:
        with site.store() as store:
            return store.cases.newest_event()

    hub = Hub(look)
    app.state.live = hub

    @app.get("/desk/live")
    async def live(request: Request, user: Viewer) -> Response:
        listener = _listener(request, user)
        hub.admit(user.id)
        return EventSourceResponse(stream(listener), ping=PING, headers={"X-Accel-Buffering": "no"})

    async def stream(listener: Listener) -> AsyncIterator[dict[str, str]]:
        known = listener.seen
        hub.enter(listener.user.id)  # here, and not before: of a page that went at once, nothing below would ever run
        try:
            while True:
                newest = await hub.after(known, CHECKED)
                if newest is None:
                    return
                told = await run_in_threadpool(tell, listener, newest > known)
                if told is None:
                    return
                if newest > known:
                    yield {"event": "desk", "data": json.dumps(told)}
                known = newest
        finally:
            hub.leave(listener.user.id)

    def tell(listener: Listener, changed: bool) -> dict[str, Any] | None:
        """Return what a page is told, None where its session has ended."""
        now = site.clock()
        with site.store() as store:
            if not _still_in(store, listener, now, idle):
                return None
            return _news(store, listener, now) if changed else {}


def _listener(request: Request, user: User) -> Listener:
    given = request.query_params

    def number(name: str) -> int | None:
        return number_of(given.get(name, ""))

    session = request.state.session
    return Listener(read(request.url.query), user, session, number("seen") or 0, number("case"), number("version") or 0)


def _still_in(store: Store, listener: Listener, now: datetime, idle: timedelta) -> bool:
    if listener.session is None:  # whoever sits at this machine, as long as there are no users
        return not store.users.any()
    session, user = store.sessions.get(listener.session.key), store.users.get(listener.user.id)
    return (
        session is not None
        and session.ends_at > now
        and session.seen_at + idle > now
        and user is not None
        and (user.role, user.brands, user.disabled_at) == (listener.user.role, listener.user.brands, None)
    )


def _news(store: Store, listener: Listener, now: datetime) -> dict[str, Any]:
    having = store.cases.having(listener.asked.first("q"))
    told: dict[str, Any] = {
        "counts": counted(store, listener.asked, listener.user, now, TOLD, having),
        "new": store.cases.arrived(replace(listener.asked.asked(listener.user), having=having), now, listener.seen),
    }
    case = store.cases.get(listener.case_id) if listener.case_id is not None else None
    if case and listener.user.sees(case.match.brand) and case.version != listener.version:
        last = store.cases.events(case.id)[-1:]
        by = last[0].who if last else None
        told["case"] = {"version": case.version, "state": case.state, "assignee": case.assignee, "by": by}
    return told
