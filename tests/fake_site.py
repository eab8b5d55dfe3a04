"""What the fakes of sites without a client library share: a server on loopback, a log of requests, faults to order.

Faults are used up in order, one a request: a status ("503", "403"), "429" ("429:7" adds Retry-After), "html", "json"
(valid, but nothing of theirs), "deep" (JSON that nests without end), "half" (the connection ends in the middle), "drop"
(a reset), "slow" (no answer within the timeout), "drip" (a body byte by byte; "drip:gzip" one that unpacks to nothing,
"drip:302" one of a redirect to the same address), "" (none: a request passes).
"""

import contextlib
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.loopback import LoopbackHandler, LoopbackServer

HTML = b"<html><body><h1>Something went wrong</h1></body></html>"


class Free:
    """The meter of what costs nothing."""

    def left(self) -> Decimal | None:
        return None

    def reserve(self, most: Decimal) -> None:
        pytest.fail("it costs nothing")

    def settle(self, actual: Decimal) -> None:
        pytest.fail("it costs nothing")

    def use(self, units: int, limit: int, period: str, renewed_at: datetime) -> None:
        pytest.fail("it is not rationed")


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the request log."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]  # names in small letters


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, status: int = 200) -> "Answer":
        return cls(json.dumps(value).encode(), status, {"content-type": "application/json; charset=utf-8"})


class FakeSite:
    """The server; a fake says what it answers."""

    def __init__(self) -> None:
        self.faults: deque[str] = deque()
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.site = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: Request) -> Answer:
        raise NotImplementedError

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(LoopbackServer):
    site: FakeSite


class _Handler(LoopbackHandler):
    server: _Server

    def do_GET(self) -> None:
        site, url = self.server.site, urlsplit(self.path)
        params = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        request = Request(url.path, params, {name.lower(): value for name, value in self.headers.items()})
        site.requests.append(request)
        fault = site.faults.popleft() if site.faults else None
        if fault == "drop":
            # Lingering for no time sends a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._hang_up()
        elif fault == "slow":
            site.closing.wait(5)
            self._hang_up()
        elif fault and fault.startswith("drip"):
            self._drip(fault.removeprefix("drip").removeprefix(":"))
        elif fault == "half":
            answer = site.answer(request)
            self._send(answer, len(answer.body) * 2)
            self._hang_up()
        else:
            answer = _faulty(fault) if fault else site.answer(request)
            self._send(answer, len(answer.body))

    def _drip(self, how: str) -> None:
        """Send a byte every 50 ms, each well within a timeout, for five seconds at most."""
        headers = {"gzip": {"content-encoding": "gzip"}, "302": {"location": self.path}}.get(how, {})
        self._send(Answer(b"", 302 if how == "302" else 200, headers), 1_000_000)
        begin = b"\x1f\x8b\x08\x08" + bytes(6) if how == "gzip" else b""  # what follows is the name of a file
        with contextlib.suppress(OSError):
            for byte in begin.ljust(100, b"x"):
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                self.server.site.closing.wait(0.05)
        self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.close()

    def _send(self, answer: Answer, length: int) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(length))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(answer.body)
            self.wfile.flush()


def _faulty(fault: str) -> Answer:
    if fault == "html":
        return Answer(HTML, headers={"content-type": "text/html"})
    if fault == "json":
        return Answer.of({"unrelated": [1, 2]})
    if fault == "deep":
        return Answer(b"[" * 100_000, headers={"content-type": "application/json"})
    status, _, wait = fault.partition(":")
    return Answer(HTML, int(status), {"content-type": "text/html"} | ({"retry-after": wait} if wait else {}))
