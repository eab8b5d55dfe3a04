"""A server on loopback that answers every request a byte at a time, each well within any timeout, and never ends."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

PAUSE = 0.03  # seconds between two bytes
ANSWERS = {
    "head": (b"HTTP/1.1 200 OK\r\n", b"x-long: " + b"a" * 10_000),
    "body": (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999\r\n\r\n",
        b"[" + b" " * 10_000,
    ),
    "body without a length": (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", b"{}" + b" " * 10_000),
    "length of a part": (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        b"0" * 10_000,
    ),
    "a body of a 404": (b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\n\r\n", b"{}" + b" " * 10_000),
}


class Dripping:
    """`asked` counts the connections on which something was asked."""

    def __init__(self, how: str) -> None:
        self._at_once, self._slowly = ANSWERS[how]
        self._ending = threading.Event()
        self.asked = 0

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ending.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._drip, args=(connection,), daemon=True).start()

    def _drip(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if not connection.recv(65_536):
                return
            self.asked += 1
            connection.sendall(self._at_once)
            for byte in self._slowly:
                if self._ending.wait(PAUSE):
                    return
                connection.sendall(bytes([byte]))
