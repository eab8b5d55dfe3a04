"""Counterfeit services that take notifications: a web server with every fault, and a mail server.

with FakeService() as service:
    service.plays.append(Play(429, {"Retry-After": "30"}))
    channel = WebhookChannel(service.url + "/hook", …)
"""

import email
import email.policy
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from tests.loopback import LoopbackHandler, LoopbackServer


@dataclass(frozen=True, slots=True)
class Play:
    """How a request is answered: with a status, or by a fault.

    "drop" hangs up, "garbage" is no HTTP, "silence" says nothing, "drip" sends the head and then a byte now and then.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]  # names in small letters
    body: bytes


class FakeService:
    """Writes down what it is sent, and answers as it is told: `plays` for the coming requests, then `usual`."""

    def __init__(self, usual: Play = Play(), tls: ssl.SSLContext | None = None) -> None:
        self.usual, self._tls = usual, tls
        self.plays: list[Play] = []
        self.asked: list[Asked] = []
        self._ending = threading.Event()

    def __enter__(self) -> Self:
        fake = self

        class Handler(LoopbackHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                fake.asked.append(Asked(self.command, self.path, headers, body))
                self.close_connection = True
                fake._play(self, fake.plays.pop(0) if fake.plays else fake.usual)

            do_GET = do_PUT = do_POST

        self._server = LoopbackServer(("127.0.0.1", 0), Handler)
        if self._tls:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _play(self, handler: LoopbackHandler, play: Play) -> None:
        if play.fault == "drop":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        elif play.fault == "garbage":
            handler.wfile.write(b"\x00\xff\x16\x03 220 this is not the web\r\n\r\n" * 20)
        elif play.fault == "silence":
            self._ending.wait(30)
        else:
            handler.send_response(play.status)
            for name, value in play.headers.items():
                handler.send_header(name, value)
            if play.fault != "drip":
                handler.send_header("Content-Length", str(len(play.body)))
            handler.end_headers()
            if play.fault == "drip":
                while not self._ending.wait(0.05):
                    handler.wfile.write(b"x")
                    handler.wfile.flush()
            else:
                handler.wfile.write(play.body)


USER, PASSWORD = "robot", "S3cret-mail-word"


class FakeMail:
    """A mail server on loopback that keeps what it takes.

    `refuse` has replies: to "login", a "recipient" or the "message".
    """

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.refuse: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._controller = Controller(
            self, hostname="127.0.0.1", port=_free_port(), authenticator=self._authenticate, auth_require_tls=False
        )
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def url(self, more: str = "") -> str:
        address = f"127.0.0.1:{self._controller.port}"
        return f"mailto://{USER}:{PASSWORD}@{address}?from=alerts@acme.example&to=desk@acme.example&mode=insecure{more}"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if "recipient" in self.refuse:
            return self.refuse["recipient"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        if "message" in self.refuse:
            return self.refuse["message"]
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        self.taken.append(email.message_from_bytes(content, policy=email.policy.default))  # type: ignore[arg-type]
        return "250 OK"

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        if "login" in self.refuse:
            return AuthResult(success=False, handled=False, message=self.refuse["login"])
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def closed_port() -> int:
    """A port on which nobody listens."""
    return _free_port()
