"""A Jetstream (version 2) over the firehose of a PDS: its events as JSON, over a websocket, with replay.

    with JetBridge(pds_url) as bridge:
        ...  # bridge.url is the `jetstream_url` of a source

A cursor from 10**15 on is a time in microseconds and any other a sequence number; both replay inclusively, and without
one the stream begins now. Nothing is ever too old. Two of them witness the same event at different times.
"""

import json
import socket
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from tests.real_bluesky.firehose import Account, Firehose, Record

METHOD = "network.bsky.jetstream.subscribeEvents"
KINDS = {"commit", "identity", "account", "sync"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = 10**15  # cursors from here on are times


@dataclass(frozen=True, slots=True)
class Event:
    """One frame, numbered and with the microsecond in which it was witnessed."""

    seq: int
    witnessed: int
    kind: str
    did: str
    collection: str
    frame: str


@dataclass
class JetBridge:
    """Everything that the PDS has told, and whoever listens."""

    pds: str
    cut_after: int | None = None  # frames, until the next connection is cut
    asked: list[dict[str, list[str]]] = field(default_factory=list)  # the parameters of each connection
    events: list[Event] = field(default_factory=list)
    _closing: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._server = serve(
            self._stream,
            "127.0.0.1",
            0,
            process_request=self._shake,
            subprotocols=[Subprotocol("xrpc.v1.json")],
            compression=None,
        )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.firehose = Firehose(self.pds, self._witness).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.firehose.__exit__()
        self._server.shutdown()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/xrpc"

    def latest(self, collection: str) -> datetime:
        """When the last change in a collection was witnessed."""
        return EPOCH + timedelta(microseconds=max(e.witnessed for e in self.events if e.collection == collection))

    def _witness(self, event: Record | Account) -> None:
        last = self.events[-1] if self.events else None
        seq = last.seq + 1 if last else 1
        witnessed = max(time.time_ns() // 1000, last.witnessed + 1 if last else 0)
        if isinstance(event, Record):
            kind, collection = "commit", event.collection
            told: dict[str, Any] = {"rev": event.rev, "operation": event.operation, "collection": event.collection}
            told |= {"rkey": event.rkey}
            told |= {"cid": event.cid, "record": event.value} if event.cid else {}
        else:
            kind, collection = ("identity", "") if event.active is None else ("account", "")
            upstream = {"did": event.did, "seq": seq, "time": _text(witnessed)}
            told = {kind: upstream | ({"handle": event.handle} if event.handle else {"active": event.active})}
        payload = {"$type": f"{METHOD}#{kind}", "seq": seq, "did": event.did, "time": _text(witnessed)}
        payload |= {"witnessedAt": _text(witnessed), **told}
        frame = json.dumps({"$type": "message", "payload": payload})
        self.events.append(Event(seq, witnessed, kind, event.did, collection, frame))

    def _shake(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse before the upgrade what Jetstream refuses."""
        url = urlsplit(request.path)
        params = parse_qs(url.query)
        kinds = set(params.get("kinds", KINDS))
        self.asked.append(params)
        if not url.path.endswith(f"/{METHOD}"):
            return connection.respond(HTTPStatus.NOT_FOUND, '{"error": "MethodNotImplemented"}')
        if not kinds <= KINDS or ("collections" in params and "commit" not in kinds):
            return connection.respond(HTTPStatus.BAD_REQUEST, '{"error": "InvalidRequest"}')
        return None

    def _stream(self, connection: ServerConnection) -> None:
        params = parse_qs(urlsplit(str(connection.request and connection.request.path)).query)
        kinds, collections = set(params.get("kinds", KINDS)), params.get("collections", [])
        dids, longest = params.get("dids", []), int(params.get("maxMessageSizeBytes", ["0"])[0])
        cut_after, self.cut_after = self.cut_after, None
        place, sent = self._place(params.get("cursor")), 0
        try:
            while not self._closing.is_set():
                while place < len(self.events):
                    event, place = self.events[place], place + 1
                    if (
                        event.kind not in kinds
                        or (dids and event.did not in dids)
                        or (event.kind == "commit" and collections and event.collection not in collections)
                        or (longest and len(event.frame.encode()) > longest)
                    ):
                        continue
                    if sent == cut_after:
                        connection.socket.shutdown(socket.SHUT_RDWR)
                        return
                    connection.send(event.frame)
                    sent += 1
                try:
                    connection.recv(timeout=0.02)
                except TimeoutError:
                    continue
        except (ConnectionClosed, OSError):
            return

    def _place(self, cursor: list[str] | None) -> int:
        """Find the event to begin with."""
        if cursor is None:
            return len(self.events)
        start = int(cursor[0])
        marks = [event.witnessed if start >= TIMES else event.seq for event in self.events]
        return bisect_left(marks, start)


def _text(microseconds: int) -> str:
    at = EPOCH + timedelta(microseconds=microseconds)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
