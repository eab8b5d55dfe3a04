"""Who listens to a counterfeit Mastodon, and what they are sent: events over chunked HTTP, as the real one does."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

GREETING, HEARTBEAT = b":)\n", b":thump\n"
ILLS: Mapping[str, Sequence[bytes | None]] = {  # what can go wrong with a stream that has begun, by its name as a fault
    "sever": (b"",),
    "hang-up": (None,),
    "half": (b'event: update\ndata: {"id": "1', b""),
    "garbage": (b"event: update\ndata: {oops\n\n", b"\xff\xfe\n\n", b"event: odd\ndata: 1\n\n"),
}


@dataclass
class Listener:
    """One open stream: `path` and `tag` as they were asked for."""

    path: str
    tag: str
    _to_send: "SimpleQueue[bytes | None]" = field(default_factory=SimpleQueue)

    def hears(self, post: Any) -> bool:
        """Whether Mastodon sends the post there: neither boosts, nor on the public streams replies."""
        if post.visibility != "public" or post.boost_of is not None:
            return False
        if self.path.endswith("/hashtag"):
            return self.tag in post.tags
        reply = post.more.get("in_reply_to_id") is not None
        return not reply and not (self.path.endswith("/local") and "@" in post.author)

    def send(self, raw: bytes | None) -> None:
        """Bytes for the client; empty ones end the connection rudely, None in good order."""
        self._to_send.put(raw)

    def serve(self, connection: socket.socket, write: Callable[[bytes], None]) -> None:
        """Send what there is until the stream ends."""
        while (raw := self._to_send.get()) is not None:
            if not raw:
                # Lingering for no time sends a reset instead of an orderly end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                return
            write(b"%x\r\n%s\r\n" % (len(raw), raw))
        write(b"0\r\n\r\n")


class Streams:
    """All open streams. `opened` is called with each that was just opened, in a thread of its own."""

    def __init__(self) -> None:
        self.on = True  # False: there is no streaming server
        self.members_only = True  # as since Mastodon 4.2
        self.address: str | None = None  # what the server says of it; None: the server's own
        self.opened: Callable[[Listener], None] | None = None
        self.listeners: list[Listener] = []
        self._lock = threading.Lock()

    def open(self, path: str, tag: str) -> Listener:
        listener = Listener(path, tag.lower())
        listener.send(GREETING)
        listener.send(HEARTBEAT)
        with self._lock:
            self.listeners.append(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        with self._lock:
            self.listeners.remove(listener)

    def tell(self, event: str, post: Any) -> None:
        """Send an event about a post to all who hear it."""
        payload = post.id if event == "delete" else json.dumps(post.data(), ensure_ascii=False)
        self.say(f"event: {event}\ndata: {payload}\n\n".encode("utf-8", "replace"), lambda each: each.hears(post))

    def say(self, raw: bytes | None, wanted: Callable[[Listener], bool] = lambda _: True) -> None:
        """Send bytes as they are."""
        with self._lock:
            for listener in self.listeners:
                if wanted(listener):
                    listener.send(raw)

    def hang_up(self) -> None:
        self.say(None)

    def sever(self) -> None:
        self.say(b"")
