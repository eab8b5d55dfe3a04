"""A small Bluesky on loopback sockets: Jetstream v2 over a websocket, and the API of an account over HTTP.

    with FakeBluesky() as fake:
        uri = fake.post("acme is down", at=when)
        fake.delete(uri)
        fake.stream_faults.append("drop:10"); fake.faults.extend([503, "drop"])

or by hand: python -m tests.fake_bluesky --posts FILE (JSON lines with text and what else post() takes).
Faithful to what was read in the source of Jetstream and of the search: time cursors replay inclusively and are clamped
to what is kept; search knows no OR, shows posts late, looks into picture descriptions too and pages to 10,000 posts.
"""

import argparse
import base64
import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as Handshake
from websockets.http11 import Response
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from tests.fake_bluesky_records import get_record, put_record

HANDLE, PASSWORD, DID = "acme.test", "fake-app-password", "did:plc:acmeacmeacme"
SOMEONE = "did:plc:someone"
COLLECTION = "app.bsky.feed.post"
METHOD = "network.bsky.jetstream.subscribeEvents"
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Fault = int | str


@dataclass(slots=True)
class Post:
    uri: str
    record: Any
    indexed: datetime
    counts: tuple[int, int, int] = (0, 0, 0)  # likes, reposts, replies
    more: dict[str, Any] = field(default_factory=dict)  # overrides what is sent

    @property
    def author(self) -> str:
        return self.uri.split("/")[2]

    def sorted_at(self) -> datetime:
        try:
            claimed = datetime.fromisoformat(self.record["createdAt"])
        except (TypeError, KeyError, ValueError):
            return self.indexed
        return min(claimed, self.indexed) if claimed.tzinfo else self.indexed

    def words(self) -> str:
        if not isinstance(self.record, dict):
            return ""
        return f"{self.record.get('text')} | {json.dumps(self.record.get('embed', ''))}"

    def view(self) -> dict[str, Any]:
        likes, reposts, replies = self.counts
        author = {"did": self.author, "handle": "someone.test"}
        shown = {"uri": self.uri, "cid": "bafyfake", "author": author, "record": self.record}
        shown |= {"likeCount": likes, "repostCount": reposts, "replyCount": replies, "indexedAt": text_of(self.indexed)}
        return shown | self.more


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to the API, or one connection to the stream."""

    method: str
    params: Mapping[str, str]
    status: int  # 0 where nothing whole was sent


@dataclass
class FakeBluesky:
    """Posts, the stream of what happened to them, and faults to order."""

    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    kept: timedelta = timedelta(hours=36)  # by Jetstream
    lag: timedelta = timedelta(0)  # until search shows a post
    limit: int = 3_000  # requests in five minutes
    life: int = 7_200  # seconds that a session is valid, by the real clock, as atproto reads it
    pace: float = 0  # seconds between two frames
    slow: float = 2  # seconds that a "slow" answer takes
    port: int = 0
    posts: dict[str, Post] = field(default_factory=dict)
    frames: list[tuple[datetime, str]] = field(default_factory=list)
    notified: list[tuple[Post, str]] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)  # of the API's coming queries; see _Handler
    stream_faults: deque[Fault] = field(default_factory=deque)  # of the coming connections; see _stream
    asked: list[Asked] = field(default_factory=list)
    write_faults: deque[Fault] = field(default_factory=deque)  # of the coming records: a status, "drop", "lost"
    sent: list[str] = field(default_factory=list)  # ids of the posts that the account has made through the API
    _sessions: set[str] = field(default_factory=set)
    _window: list[datetime] = field(default_factory=list)
    _count: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _closing: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._http = _Http(("127.0.0.1", self.port), _handler(self))
        self._ws: Server = serve(
            self._stream,
            "127.0.0.1",
            0,
            process_request=self._shake,
            subprotocols=[Subprotocol("xrpc.v1.json")],
            compression=None,
        )
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        threading.Thread(target=self._ws.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._ws.shutdown()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self._ws.socket.getsockname()[1]}/xrpc"

    def calls(self, method: str) -> list[Asked]:
        """The requests for a method, named by its last part."""
        return [each for each in self.asked if each.method.endswith(method)]

    # --- what happens on the network ---------------------------------------------------------------------------------

    def post(
        self,
        text: str,
        at: datetime | None = None,
        author: str = SOMEONE,
        claimed: str | None = None,
        counts: tuple[int, int, int] = (0, 0, 0),
        record: object = None,
        more: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> str:
        """Post something; `claimed` is the author's createdAt, `record` the whole record, `more` changes the view."""
        with self._lock:
            self._count += 1
            at = at or self.now()
            uri = f"at://{author}/{COLLECTION}/{self._count:013d}"
            whole = {"$type": COLLECTION, "text": text, "createdAt": claimed or text_of(at), "langs": ["en"], **fields}
            post = Post(uri, whole if record is None else record, at, counts, dict(more or {}))
            self.posts[uri] = post
            self._happened("create", uri, at, post.record)
            return uri

    def edit(self, uri: str, text: str, at: datetime | None = None) -> None:
        with self._lock:
            post = self.posts[uri]
            post.record = {**post.record, "text": text}
            self._happened("update", uri, at or self.now(), post.record)

    def delete(self, uri: str, at: datetime | None = None) -> None:
        with self._lock:
            self.posts.pop(uri)
            self._happened("delete", uri, at or self.now(), None)

    def notify(self, uri: str, reason: str) -> None:
        """Tell the account of a post: mention, reply, quote; or of anything else, such as a like."""
        self.notified.append((self.posts[uri], reason))

    def emit(self, frame: str, at: datetime | None = None) -> None:
        """Put any frame into the stream."""
        with self._lock:
            self.frames.append((at or self.now(), frame))

    def close_account(self, did: str, status: object = "deleted", at: datetime | None = None) -> None:
        """Tell that an account is no longer active; without a status the host does not say why."""
        seen = at or self.now()
        account = {"did": did, "active": False, "seq": 1, "time": text_of(seen)}
        account |= {"status": status} if status else {}
        event = {"$type": f"{METHOD}#account", "seq": len(self.frames) + 1, "did": did, "account": account}
        self.emit(json.dumps({"$type": "message", "payload": event | {"time": text_of(seen)}}), seen)

    def end_sessions(self) -> None:
        self._sessions.clear()

    def _happened(self, operation: str, uri: str, at: datetime, record: object) -> None:
        _, _, did, collection, rkey = uri.split("/")
        event = {"$type": f"{METHOD}#commit", "seq": len(self.frames) + 1, "did": did, "rev": "3kfake", "rkey": rkey}
        event |= {"operation": operation, "collection": collection, "time": text_of(at), "witnessedAt": text_of(at)}
        if record is not None:
            event |= {"record": record, "cid": "bafyfake"}
        self.emit(json.dumps({"$type": "message", "payload": event}), at)

    # --- Jetstream ---------------------------------------------------------------------------------------------------

    def _shake(self, connection: ServerConnection, request: Handshake) -> Response | None:
        """Refuse before the upgrade: a path, a parameter, or a status in stream_faults ("429:7" has a Retry-After)."""
        url = urlsplit(request.path)
        params = {name: values[0] for name, values in parse_qs(url.query).items()}
        fault = str(self.stream_faults[0]) if self.stream_faults else ""
        status = int(fault[:3]) if re.match(r"\d{3}", fault) else 101
        if not url.path.endswith(f"/{METHOD}"):
            status = 404
        elif parse_qs(url.query).get("kinds") != ["commit", "account"] or params.get("collections") != COLLECTION:
            status = 400
        self.asked.append(Asked(METHOD, params, status))
        if status == 101:
            return None
        if self.stream_faults:
            self.stream_faults.popleft()
        refusal = connection.respond(HTTPStatus(status), '{"error": "InvalidRequest"}\n')
        if fault.startswith("429:"):
            refusal.headers["Retry-After"] = fault[4:]
        return refusal

    def _stream(self, connection: ServerConnection) -> None:
        """Replay, then go on live. Faults: "drop:N" and "error:N" after so many frames, "silent"."""
        fault = str(self.stream_faults.popleft()) if self.stream_faults else ""
        kind, _, after = fault.partition(":")
        params = parse_qs(urlsplit(str(connection.request and connection.request.path)).query)
        start = EPOCH + int(params["cursor"][0]) * MICROSECOND
        floor = self.now() - self.kept
        sent = 0
        try:
            if start < floor:
                start = floor
                info = {"$type": f"{METHOD}#info", "name": "OutdatedCursor", "message": "resumed from seq 1"}
                connection.send(json.dumps({"$type": "message", "payload": info}))
            place = 0
            while not self._closing.is_set():
                while place < len(self.frames) and kind != "silent":
                    at, frame = self.frames[place]
                    place += 1
                    if at < start:
                        continue
                    if after and sent == int(after):
                        if kind == "error":
                            connection.send('{"$type": "error", "error": "ConsumerTooSlow", "message": "too slow"}')
                        connection.socket.shutdown(socket.SHUT_RDWR)
                        return
                    connection.send(frame)
                    sent += 1
                    if self.pace:
                        self._closing.wait(self.pace)
                try:
                    connection.recv(timeout=0.02)
                except TimeoutError:
                    continue
        except (ConnectionClosed, OSError):
            return

    # --- the API -----------------------------------------------------------------------------------------------------

    def session(self) -> dict[str, Any]:
        """A new session, with tokens that look like JWTs."""
        self._count += 1
        access, refresh = (_token(kind, self._count, self.life) for kind in ("access", "refresh"))
        self._sessions |= {access, refresh}
        return {"did": DID, "handle": HANDLE, "accessJwt": access, "refreshJwt": refresh, "active": True}

    def knows(self, authorization: str | None) -> bool:
        return (authorization or "").removeprefix("Bearer ") in self._sessions

    def search(self, params: Mapping[str, list[str]]) -> dict[str, Any]:
        given = {name: values[0] for name, values in params.items()}
        size, offset = int(given.get("limit", "25")), int(given.get("cursor", "0"))
        if not 1 <= size <= 100 or offset + size > 10_000:
            raise ValueError("disallowed size/offset parameters")
        since, until = (datetime.fromisoformat(given[each]) if each in given else None for each in ("since", "until"))
        wanted = [_words(part) for part in re.findall(r'"[^"]*"|[^\s"]+', given["q"])]
        found = [
            post
            for post in sorted(self.posts.values(), key=Post.sorted_at, reverse=True)
            if post.indexed <= self.now() - self.lag
            and (since is None or post.sorted_at() >= since)
            and (until is None or post.sorted_at() < until)
            and all(_holds(_words(post.words()), words) for words in wanted)
        ]
        page: dict[str, Any] = {"posts": [post.view() for post in found[offset : offset + size]]}
        return page | ({"cursor": str(offset + size)} if len(found) > offset + size else {})

    def get_posts(self, params: Mapping[str, list[str]]) -> dict[str, Any]:
        uris = params.get("uris", [])
        if len(uris) > 25 or not all(uri.startswith("at://") for uri in uris):
            raise ValueError("uris: at most 25 AT-URIs")
        return {"posts": [self.posts[uri].view() for uri in uris if uri in self.posts]}

    def list_notifications(self, params: Mapping[str, list[str]]) -> dict[str, Any]:
        size, offset = int(params["limit"][0]), int(params.get("cursor", ["0"])[0])
        reasons = params.get("reasons")
        found = [
            {**post.view(), "reason": reason, "isRead": False}
            for post, reason in sorted(self.notified, key=lambda each: each[0].indexed, reverse=True)
            if not reasons or reason in reasons
        ]
        for each in found:
            for name in ("likeCount", "repostCount", "replyCount"):
                each.pop(name)
        page: dict[str, Any] = {"notifications": found[offset : offset + size]}
        return page | ({"cursor": str(offset + size)} if len(found) > offset + size else {})

    def rate(self) -> tuple[int, int]:
        """Requests left in these five minutes (-1 when there were too many), and when they end."""
        with self._lock:
            now = self.now()
            if not self._window or now - self._window[0] >= timedelta(minutes=5):
                self._window = []
            self._window.append(now)
            return max(-1, self.limit - len(self._window)), int(self._window[0].timestamp()) + 300


def text_of(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _token(kind: str, number: int, life: int) -> str:
    claims = {"scope": f"com.atproto.{kind}", "sub": DID, "exp": int(time.time()) + life, "jti": f"secret-{number}"}
    parts = (json.dumps(part).encode() for part in ({"typ": "JWT", "alg": "HS256"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2lnbmF0dXJl"])


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _holds(text: Sequence[str], words: Sequence[str]) -> bool:
    return any(list(text[at : at + len(words)]) == list(words) for at in range(len(text) - len(words) + 1))


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news here."""


def _handler(fake: FakeBluesky) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        bluesky = fake

    return Handler


class _Handler(BaseHTTPRequestHandler):
    """Queries meet the faults: a status; "429-bare" (no headers), "html", "html503", "drop", "cut", "slow", "empty"."""

    bluesky: FakeBluesky
    limits: Mapping[str, str]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.start()
        if self.method.endswith("refreshSession"):
            if not self.bluesky.knows(self.headers.get("Authorization")):
                return self.refuse(400, "ExpiredToken")
            return self.reply(200, self.bluesky.session())
        given = json.loads(body)
        if self.method.endswith("putRecord"):
            return self.put(given)
        if (given.get("identifier"), given.get("password")) != (HANDLE, PASSWORD):
            return self.refuse(401, "AuthenticationRequired")
        self.reply(200, self.bluesky.session())

    def put(self, given: Mapping[str, Any]) -> None:
        """Write a record; "lost" among the faults of writes: it is written, and nobody hears of it."""
        if not self.bluesky.knows(self.headers.get("Authorization")):
            return self.refuse(400, "ExpiredToken")
        fault = str(self.bluesky.write_faults.popleft()) if self.bluesky.write_faults else "ok"
        if fault == "drop":
            self.log(0)
            return self.hang_up()
        if fault[:3].isdecimal():
            self.limits = {"ratelimit-reset": str(int(self.bluesky.now().timestamp()) + 300)}
            return self.refuse(int(fault[:3]), "RateLimitExceeded" if fault.startswith("429") else "SomeError")
        try:
            answer = put_record(self.bluesky, given)
        except LookupError as error:
            return self.refuse(400, str(error.args[0]))
        except ValueError:
            return self.refuse(400, "InvalidRequest")
        if fault == "lost":
            self.log(0)
            return self.hang_up()
        self.reply(200, answer)

    def do_GET(self) -> None:
        self.start()
        left, reset = self.bluesky.rate()
        limit = str(self.bluesky.limit)
        self.limits = {
            "ratelimit-limit": limit,
            "ratelimit-remaining": str(max(0, left)),
            "ratelimit-reset": str(reset),
        }
        if not self.bluesky.knows(self.headers.get("Authorization")):
            return self.refuse(400, "ExpiredToken")
        fault = "429" if left < 0 else str(self.bluesky.faults.popleft()) if self.bluesky.faults else "ok"
        if fault == "drop":
            self.log(0)
            return self.hang_up()
        if fault == "slow":
            self.bluesky._closing.wait(self.bluesky.slow)
        if fault == "empty":
            return self.reply(200, {})
        if fault.startswith("html"):
            return self.reply(int(fault[4:] or 200), b"<html><body>Something went wrong</body></html>")
        if fault == "429-bare":
            self.limits = {}
        if fault[:3].isdecimal():
            return self.refuse(int(fault[:3]), "RateLimitExceeded" if fault.startswith("429") else "SomeError")
        answers = {
            "searchPosts": self.bluesky.search,
            "getPosts": self.bluesky.get_posts,
            "listNotifications": self.bluesky.list_notifications,
            "getRecord": lambda params: get_record(self.bluesky, params),
        }
        answer = answers.get(self.method.rsplit(".")[-1])
        if answer is None:
            return self.refuse(501, "MethodNotImplemented")
        try:
            self.reply(200, answer(self.params), cut=fault == "cut")
        except LookupError as error:
            self.refuse(400, str(error.args[0]))
        except ValueError:
            self.refuse(400, "InvalidRequest")

    def start(self) -> None:
        url = urlsplit(self.path)
        self.method, self.params = url.path.removeprefix("/xrpc/"), parse_qs(url.query)
        self.limits = {}

    def refuse(self, status: int, error: str) -> None:
        self.reply(status, {"error": error, "message": f"{error}, says the server"})

    def reply(self, status: int, body: object, cut: bool = False) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.log(0 if cut else status)
        self.send_response(status)
        for name, value in self.limits.items():
            self.send_header(name, value)
        kind = "text/html" if isinstance(body, bytes) else "application/json; charset=utf-8"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.wfile.flush()
        if cut:
            self.hang_up()

    def log(self, status: int) -> None:
        params = {name: ",".join(values) for name, values in self.params.items()}
        self.bluesky.asked.append(Asked(self.method, params, status))

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Silent: the requests are in FakeBluesky.asked."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8802)
    parser.add_argument("--posts", type=Path, help="JSON lines")
    given = parser.parse_args()
    with FakeBluesky(port=given.port) as fake:
        for line in given.posts.read_text(encoding="utf-8").splitlines() if given.posts else ():
            post = json.loads(line)
            fake.post(post["text"], datetime.fromisoformat(post["created_at"]) if "created_at" in post else None)
        print(f"{len(fake.posts)} posts; service_url {fake.url}, jetstream_url {fake.stream_url}", flush=True)
        print(f"handle {HANDLE}, app_password {PASSWORD}; Ctrl-C ends it", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(fake.asked)} requests")


if __name__ == "__main__":
    main()
