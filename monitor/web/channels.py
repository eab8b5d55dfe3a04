"""Sending a test message to a channel from the status page.

There is no login, so only who can reach this machine's own address may do it: the form is there where the pages are
served on loopback. Another site that the same browser has open cannot press the button: the form carries a signed
token that only this page shows, and what the browser says of where a request comes from is checked. A name that a
stranger's DNS points at this machine is refused too.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from db.errors import SentimonError
from db.times import to_text
from jobs.channel import Message
from monitor.config import Config
from monitor.outlets import make_outlet
from monitor.web.forms import Refused, line, read_form

log = logging.getLogger(__name__)

GOOD_FOR = timedelta(hours=1)  # of a form that was shown
PAUSE = timedelta(seconds=30)  # between two tests of a channel
PATH = "/channels/test"

Clock = Callable[[], datetime]


class Trials:
    """The tests of one server's channels. Nothing is stored: after a restart a form must be loaded again."""

    def __init__(self, config: Config) -> None:
        from itsdangerous import URLSafeSerializer

        self._config = config
        self._signer: Any = URLSafeSerializer(secrets.token_bytes(32), salt="channel test")
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

    def token(self, request: Request, now: datetime) -> str:
        """Make the token of a form, "" where this request may have none."""
        if not self._at_home(request):
            return ""
        return str(self._signer.dumps(int((now + GOOD_FOR).timestamp())))

    def admit(self, request: Request) -> None:
        """Refuse a request that does not come from a page of this server."""
        if not self._at_home(request):
            raise Refused(
                403, "Channels are tested from the machine that serves this; elsewhere: sentimon alerts test CHANNEL"
            )
        # Our pages send no referrer, for which browsers write "null" as the origin.
        origin = request.headers.get("origin", "null")
        ours = {request.headers.get("host", ""), _address(self._proxy)} - {""}
        from_here = origin == "null" or _address(origin) in ours
        if not from_here or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise Refused(403, "This was sent from another site.")

    def send(self, given: Mapping[str, str], now: datetime) -> None:
        """Send the test that a form asks for, and keep what came of it."""
        from jobs.compose import trial

        if not self._signed(given.get("token", ""), now):
            raise Refused(403, "The page that this was sent from is too old: load it again.")
        name = given.get("channel", "")
        if name not in {channel.name for channel in self._config.channels}:
            raise Refused(404, "There is no such channel.")
        with self._one_at_a_time:
            before = self._found.get(name)
            if before and now - before[0] < PAUSE:
                raise Refused(429, f"It was tested a moment ago: once in {PAUSE.seconds} seconds is enough.")
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

    def _signed(self, token: str, now: datetime) -> bool:
        from itsdangerous import BadData

        try:
            return bool(now.timestamp() < self._signer.loads(token))
        except (BadData, ValueError):
            return False

    def _at_home(self, request: Request) -> bool:
        """Whether we serve on loopback, and are asked by a name of it, or by the one that a proxy gives us."""
        asked = request.headers.get("host", "")
        return _is_loopback(self._config.web.host) and (
            _is_loopback(_name(asked)) or (bool(asked) and asked == _address(self._proxy))
        )

    @property
    def _proxy(self) -> str:
        return self._config.web.url or ""


def mount(app: FastAPI, trials: Trials, clock: Clock) -> None:
    """Add the address that the form is sent to."""

    @app.post(PATH)
    async def test(request: Request) -> Response:
        try:
            trials.admit(request)
            given = await read_form(request)
            await run_in_threadpool(trials.send, given, clock())
        except Refused as refused:
            return refused.answer
        return RedirectResponse("../#channels", 303)


def _address(url: str) -> str:
    """Take host and port from a URL, "" where it is none."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def _name(address: str) -> str:
    """Take the name from "name:port", "" where it is none."""
    try:
        return urlsplit(f"//{address}").hostname or "" if "@" not in address else ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
