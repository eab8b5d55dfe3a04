"""How long an answer may take in all: when that is over, the sockets that it comes on are shut.

The timeouts of client libraries are for each read, so that a server which sends a byte now and then could hold a run
for ever: in the head of an answer, in its body, in the length of a part. No library has a limit on all of it, and what
waits on a socket can be ended in one way only, whichever library it is.
"""

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Self

PATIENCE = 4  # timeouts that an answer may take in all
AGAIN = 0.1  # seconds after which sockets are shut again: a library may connect anew by itself

_under_way: ContextVar["Deadline | None"] = ContextVar("under_way", default=None)


class Deadline:
    """Ends what is under way in this thread when its time is over; `over` says that it did.

    One can be set within another. What was read when it is over may look whole, and is not to be used.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.over = False
        self._sockets: list[Callable[[], Iterable[Any]]] = []
        self._done = threading.Event()
        self._outer: Deadline | None = None
        self._token: Token[Deadline | None] | None = None

    def __enter__(self) -> Self:
        self._outer = _under_way.get()
        self._token = _under_way.set(self)
        threading.Thread(target=self._wait, name="deadline", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._done.set()
        if self._token is not None:
            _under_way.reset(self._token)

    def watch(self, sockets: Callable[[], Iterable[Any]]) -> None:
        """Name the sockets that are shut when the time is over, as they are then; None among them is passed over."""
        self._sockets.append(sockets)
        if self._outer is not None:
            self._outer.watch(sockets)

    def _wait(self) -> None:
        self.over = not self._done.wait(self.seconds)
        while not self._done.is_set():
            for sockets in list(self._sockets):
                for each in list(sockets()):
                    _shut(each)
            self._done.wait(AGAIN)


def watch(sockets: Callable[[], Iterable[Any]]) -> None:
    """Let the deadline that is set in this thread, if any, shut these sockets."""
    deadline = _under_way.get()
    if deadline is not None:
        deadline.watch(sockets)


class Watched(http.client.HTTPConnection):
    """Tells its socket to the deadline under way. It is put before the connection of a library on http.client."""

    def connect(self) -> None:
        watch(lambda: [self.sock])  # a proxy may answer before it is connected
        super().connect()
        self._tell()

    def request(self, *args: Any, **given: Any) -> None:
        self._tell()
        super().request(*args, **given)

    def _tell(self) -> None:
        opened = self.sock  # that of an answer without a length belongs to the answer alone
        watch(lambda: [opened])


class Opened:
    """The sockets that an httpx client has opened: `note` is its requests' extension "trace"."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def note(self, event: str, told: Mapping[str, Any]) -> None:
        """Remember the socket of a connection that was made, and forget those that were closed."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            opened = told["return_value"].get_extra_info("socket")
            self._sockets = [*(each for each in self._sockets if each.fileno() >= 0), opened]

    def sockets(self) -> list[socket.socket]:
        return self._sockets


def _shut(each: Any) -> None:
    """Let whoever reads from a socket find its end. Of a TLS socket, what lies below: its own state is the reader's."""
    if isinstance(each, socket.socket):
        with contextlib.suppress(OSError):  # it is closed already
            socket.socket.shutdown(each, socket.SHUT_RDWR)
