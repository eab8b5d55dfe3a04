"""The webhook of the soak: a shop that brings its posts over HTTP, again and again until they are taken."""

import csv
import http.client
import io
import json
import socket
from collections import deque
from collections.abc import Mapping, MutableSequence, Sequence
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import urlsplit

from benchmarks.soak_platforms import Platform, Post
from benchmarks.soak_worker import Call, Worker
from monitor.web.inbound import LARGEST

TOKEN = "a-token-that-is-in-no-log"
MOST = 200  # posts of a request
DIES = 0.06  # of the steps in which something is brought
PATIENCE = 20.0  # seconds until an answer must be there
ASKED = {"401": 401, "404": 404, "413": 413, "413-said": 413, "415": 415, "422": 422}  # what must be answered


class Webhook(Platform):
    """A shop keeps what was not taken, in order. An edit is brought as a post of the same id."""

    name = "webhook"
    faults = (*ASKED, "cut", "unread", "twice", "odd", "away")
    refusal = "401"
    down = ("cut", "away")
    passes = "ok"
    deletes = False  # an import tells of none

    def open(self, stack: ExitStack) -> None:
        self.orders: deque[str] = deque()
        self.waiting: list[Mapping[str, Any]] = []
        self.deaths = 0

    def options(self) -> str:
        return f'token = "{TOKEN}"'

    def queues(self) -> list[tuple[MutableSequence[Any], Sequence[str]]]:
        return [(self.orders, self.faults)]

    def add(self, post: Post) -> None:
        post.at = post.at.replace(microsecond=0)
        post.id, post.matches = f"shop-{post.number}", True  # what is brought is kept, whatever it names
        self.edit(post, post.text)

    def edit(self, post: Post, text: str) -> None:
        row = {"id": post.id, "author": "ann", "created_at": post.at.isoformat(), "text": text}
        self.waiting.append(row)

    def odd(self, at: Any) -> None:
        self.waiting.append({"id": "odd", "author": "ann", "created_at": "never", "text": "acme is odd"})

    def bring(self, worker: Worker, may_die: bool) -> None:
        """Bring what waits, until it is taken or something goes wrong."""
        taken = True
        while self.waiting and taken:
            dies_at = int(10 ** self.rng.uniform(0, 2.5)) if may_die and self.rng.random() < DIES else None
            taken = self.ask(worker, dies_at)

    def ask(self, worker: Worker, dies_at: int | None = None) -> bool:
        """Bring the first that wait; return whether they are known to be taken. `dies_at` is as in Call."""
        address = worker.call(Call(self.now, dies_at))
        fault = self.orders.popleft() if self.orders else "ok"
        rows = self.waiting[:MOST]
        try:
            taken = self._send(address, rows, fault)
        except (OSError, http.client.HTTPException):
            if dies_at is None:
                raise SystemExit(f"soak: the webhook hung up on a request ({fault})") from None
            worker.died()
            self.deaths += 1
            return False
        if taken:
            del self.waiting[: len(rows)]
        return taken

    def _send(self, address: str, rows: Sequence[Mapping[str, Any]], fault: str) -> bool:
        """Make one request; return whether the shop knows that it was taken."""
        if fault == "away":
            return False
        kind, body = self._written(rows)
        path, token = "/in/webhook", TOKEN
        if fault == "odd":
            kind, body = "application/json", json.dumps([*rows, {"id": 1}, None, [2]]).encode()
        elif fault == "401":
            token = "another-token-altogether"
        elif fault == "404":
            path = "/in/another"
        elif fault == "413":
            kind, body = "application/json", json.dumps([*rows]).encode() + b" " * LARGEST
        elif fault == "415":
            kind = "application/pdf"
        elif fault == "422":
            kind, body = "application/json", json.dumps([*rows]).encode()[:-1]
        headers = {"Content-Type": kind, "Authorization": f"Bearer {token}", "Content-Length": str(len(body))}
        if fault == "413-said":
            headers["Content-Length"], body = str(LARGEST + 1), b""
        if fault in ("cut", "unread"):
            self._leave(address, path, headers, body[:-1] if fault == "cut" else body)
            return False
        status, told = _ask(address, path, headers, body)
        good = sum(row["id"] != "odd" for row in rows)
        expected = ASKED.get(fault) or (200 if good else 422)
        if status != expected or (status == 200 and told["stored"] + told["known"] != good):
            raise SystemExit(f"soak: the webhook answers {status} to {fault} of {good} good posts: {told}")
        if fault == "twice":
            again = _ask(address, path, headers, body)[1]
            if again["stored"]:
                raise SystemExit(f"soak: the webhook stores again what it has: {again}")
        return fault not in ASKED

    def _written(self, rows: Sequence[Mapping[str, Any]]) -> tuple[str, bytes]:
        """Write posts in one of the forms of an import."""
        kind = self.rng.choice(("application/json", "application/x-ndjson", "text/csv"))
        if kind == "application/json":
            return kind, json.dumps([*rows]).encode()
        if kind == "application/x-ndjson":
            return kind, "".join(json.dumps(row) + "\n" for row in rows).encode()
        written = io.StringIO()
        writer = csv.DictWriter(written, ["id", "author", "created_at", "text"])
        writer.writeheader()
        writer.writerows(rows)
        return kind, written.getvalue().encode()

    def _leave(self, address: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Send a request and hang up: in the middle of it, or when the answer begins."""
        url = urlsplit(address)
        with closing(socket.create_connection((url.hostname or "", url.port or 0), PATIENCE)) as connection:
            lines = [f"POST {path} HTTP/1.1", "Host: shop", *(f"{name}: {value}" for name, value in headers.items())]
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            if len(body) == int(headers["Content-Length"]) and not connection.recv(1):  # of the answer
                raise ConnectionResetError


def _ask(address: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=PATIENCE)
    try:
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()
