"""What the tests of POST /in/NAME share: a configuration with webhooks, and requests to a running server."""

import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import rows

TOKEN = "0123456789abcdef-secret"
SOURCES = f"""
[[sources]]
kind = "webhook"
name = "shop"
token = "{TOKEN}"

[[sources]]
kind = "webhook"
name = "Übler Laden 24/7"
token = "another-token-of-24-chars"

[[sources]]
kind = "webhook"
name = "unset"
token = {{ env = "NO_SUCH_VARIABLE" }}

[[sources]]
kind = "file"
name = "feed"
path = "feed.jsonl"

[web]
port = 0
"""
HEADER = "id,author,created_at,text"
POSTED = "2026-03-04T11:00:00Z"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def told(self) -> Any:
        return json.loads(self.text)


def bring(
    port: int,
    body: bytes | str,
    kind: str | None = "application/json",
    to: str = "shop",
    token: str | None = TOKEN,
    method: str = "POST",
    **headers: str,
) -> Answer:
    sent = {"Content-Type": kind} if kind else {}
    sent |= {"Authorization": f"Bearer {token}"} if token else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, f"/in/{to}", body.encode() if isinstance(body, str) else body, sent)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())
    finally:
        connection.close()


def begun(port: int, *lines: str) -> socket.socket:
    """A request that is sent by hand."""
    made = socket.create_connection(("127.0.0.1", port), timeout=20)
    made.sendall("".join(f"{line}\r\n" for line in ("POST /in/shop HTTP/1.1\r\nHost: x", *lines, "")).encode())
    return made


def row(id: int | str, text: str = "acme is fine", **more: Any) -> dict[str, Any]:
    return {"id": id, "author": "ann", "created_at": POSTED, "text": text, **more}


def array(*given: Any) -> str:
    return json.dumps(given)


def kept(folder: Path) -> list[tuple[Any, ...]]:
    """Source, id and text of every post."""
    if not (folder / "posts.db").exists():
        return []
    return sorted(rows(folder / "posts.db", "SELECT source, source_id, text FROM mentions"))
