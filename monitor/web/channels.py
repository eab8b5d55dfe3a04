"""Sending a test message to a channel from the status page: the role admin may."""

import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from db.desk import User
from db.errors import SentimonError
from db.times import to_text
from jobs.channel import Message
from monitor.config import Config
from monitor.outlets import make_outlet
from monitor.web.auth import form, need
from monitor.web.forms import Refused, line
from monitor.web.site import Site

log = logging.getLogger(__name__)

PAUSE = timedelta(seconds=30)  # between two tests of a channel


class Trials:
    """The tests of one server's channels. Nothing is stored."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._one_at_a_time = threading.Lock()
        self._found: dict[str, tuple[datetime, str]] = {}  # when each channel was tested last, and what came of it

    def channels(self) -> Sequence[Mapping[str, Any]]:
        """List the channels for the status page and its twin, with what came of the last test."""
        rows = []
        for channel in self._config.channels:
            at, came = self._found.get(channel.name, (None, None))
            tested = {"at": to_text(at), "came": came} if at else None
            rows.append({"name": channel.name, "kind": channel.kind, "tested": tested})
        return rows

    def send(self, given: Mapping[str, str], now: datetime) -> None:
        """Send the test that a form asks for, and keep what came of it."""
        from jobs.compose import trial

        name = given.get("channel", "")
        if name not in {channel.name for channel in self._config.channels}:
            raise Refused(404, "There is no such channel.")
        with self._one_at_a_time:
            before = self._found.get(name)
            if before and now - before[0] < PAUSE:
                raise Refused(
                    429, f"It was tested a moment ago: once in {PAUSE.seconds} seconds is enough.", wait=PAUSE.seconds
                )
            self._found[name] = (now, "is being sent")
        self._found[name] = (now, self._try(name, trial(now)))

    def _try(self, name: str, message: Message) -> str:
        try:
            make_outlet(self._config, name).channel.send(message)
        except SentimonError as failure:
            return f"failed: {line(str(failure), 300)}"
        except Exception as bug:  # a channel may be anybody's plugin; its traceback is wanted, the page goes on
            log.exception("a channel failed")
            return f"failed: bug: {type(bug).__name__}; the log has the details"
        return "it has taken the test message"


def mount(app: FastAPI, site: Site, trials: Trials) -> None:
    """Add the address that the form is sent to."""

    @app.post("/channels/test")
    async def test(request: Request, user: Annotated[User, Depends(need("admin"))]) -> Response:
        given = await form(request)
        await run_in_threadpool(trials.send, given, site.clock())
        return site.go(request, "/status#channels")
