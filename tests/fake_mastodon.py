"""A small Mastodon on a loopback socket: timelines, notifications, search, single posts, its limits and its faults.

    with FakeMastodon() as server:
        server.post("#acme is down", at=when)
        server.faults.extend(["503", "drop"])

Answers have the shapes of Mastodon 4.5 (docs.joinmastodon.org), with the fields that matter here.
"""

import contextlib
import html
import json
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.fake_mastodon_streams import ILLS, Streams
from tests.loopback import LoopbackHandler, LoopbackServer

TOKEN = "very-secret-access-token"
MOST = 40  # posts of a page


@dataclass(slots=True)
class Post:
    """A status; `more` overrides what is sent of it."""

    id: str
    uri: str
    url: str
    at: datetime
    text: str
    tags: Sequence[str]
    author: str
    visibility: str
    boost_of: "Post | None" = None
    searchable: bool = True
    more: dict[str, Any] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        account = {"id": "1", "username": self.author.split("@")[0], "acct": self.author, "followers_count": 12}
        counts = {"favourites_count": 3, "reblogs_count": 2, "replies_count": 1}
        return {
            "id": self.id,
            "uri": self.uri,
            "url": self.url,
            "created_at": self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.at.microsecond // 1000:03}Z",
            "edited_at": None,
            "account": account,
            "content": "" if self.boost_of else f"<p>{html.escape(self.text)}</p>",
            "spoiler_text": "",
            "visibility": self.visibility,
            "language": "en",
            "in_reply_to_id": None,
            "reblog": self.boost_of.data() if self.boost_of else None,
            "media_attachments": [],
            "tags": [{"name": tag} for tag in self.tags],
            **counts,
            **self.more,
        }


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the request log."""

    path: str
    params: dict[str, str]
    authorization: str | None
    user_agent: str
    answer: str  # the status, or the fault


class FakeMastodon:
    """The state, and the server around it. Faults are used up in order, one a request; streams have their own.

    Faults: "503" or any other status, "429" (what the limit says is in `reset`; "429:7" adds Retry-After, "429-bare"
    sends no header), "drop", "cut" (half an answer), "html", "html404", "json" (valid, but no listing), "slow",
    "drip" (a body that comes byte by byte), "drip-chunked" (the same in chunks).
    A stream also has the ILLS of fake_mastodon_streams.py, when it has begun.
    """

    def __init__(self, snowflakes: bool = True) -> None:
        self.snowflakes = snowflakes  # False: ids that only count, as on some other servers
        self.posts: dict[str, Post] = {}
        self.notifications: list[dict[str, Any]] = []
        self.faults: deque[str] = deque()
        self.stream_faults: deque[str] = deque()
        self.streams = Streams()
        self.requests: list[Request] = []
        self.remaining: int | None = None  # requests left before the limit; None: plenty
        self.reset: Any = None  # when it is lifted, as it is sent
        self.members_only = False
        self.ignores: set[str] = set()  # parameters that this server does not know
        self.looks_up = False  # ids that it pages by, and gives nothing where they are of no post, as snac does
        self.before_answer: Callable[[Request], None] | None = None
        self.account = "acme"  # whose token it is
        self.known_elsewhere: dict[str, Post] = {}  # posts of other servers that it fetches when asked for them
        self.keys: dict[str, Post] = {}  # by Idempotency-Key
        self.honours_keys = True
        self.sent: list[Post] = []  # by the account, through the API
        self.longest = 500
        self.write_faults: deque[str] = deque()
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self._made = 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.mastodon = self
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self.streams.hang_up()
        self._server.shutdown()
        self._server.server_close()

    def post(
        self,
        text: str,
        *,
        at: datetime,
        arrived: datetime | None = None,
        author: str = "ann",
        visibility: str = "public",
        boost_of: Post | None = None,
        searchable: bool = True,
        **more: Any,
    ) -> Post:
        """Publish a post here, or receive one from `author` "name@server". Hashtags are those of the text."""
        id = self._id(arrived or at)
        name, _, server = author.partition("@")
        home = f"https://{server}" if server else self.url
        number = id if not server else f"9{id}"
        uri = f"{home}/users/{name}/statuses/{number}" + ("/activity" if boost_of else "")
        tags = [tag.lower() for tag in re.findall(r"#(\w+)", text)]
        url = uri if boost_of else f"{home}/@{name}/{number}"
        made = Post(id, uri, url, at, text, tags, author, visibility, boost_of, searchable, more)
        with self.lock:
            self.posts[id] = made
        self.streams.tell("update", made)
        return made

    def me(self) -> dict[str, Any]:
        """The account of the token."""
        return {"id": "7", "username": self.account, "acct": self.account, "followers_count": 9}

    def edit(self, post: Post, text: str) -> None:
        post.text = text
        post.more["edited_at"] = post.at.isoformat()
        self.streams.tell("status.update", post)

    def mention(self, post: Post, kind: str = "mention") -> None:
        """Notify the account of a post."""
        with self.lock:
            number = 1000 + len(self.notifications)
            self.notifications.append({"id": str(number), "type": kind, "status": post.id})

    def delete(self, post: Post) -> None:
        with self.lock:
            del self.posts[post.id]
        self.streams.tell("delete", post)

    def _id(self, at: datetime) -> str:
        self._made += 1
        return str((int(at.timestamp() * 1000) << 16) + self._made if self.snowflakes else 1000 + self._made)

    def listed(self, wanted: Callable[[Post], bool], params: dict[str, str]) -> list[Post]:
        """A page of a timeline, as Mastodon cuts it."""
        if self.looks_up and not {params[name] for name in ("min_id", "max_id") if name in params} <= self.posts.keys():
            return []
        with self.lock:
            posts = sorted((post for post in self.posts.values() if wanted(post)), key=lambda post: int(post.id))
        return [posts[n] for n in page([int(post.id) for post in posts], params)]

    def found(self, query: str, params: dict[str, str]) -> list[Post]:
        """A page of a search: all the words and phrases must be there."""
        asked = [_words(part) for part in re.findall(r'"[^"]*"|\S+', query)]
        with self.lock:
            posts = [post for post in self.posts.values() if post.searchable and post.boost_of is None]
        hits = [post for post in posts if all(_holds(_words(post.text), part) for part in asked)]
        hits.sort(key=lambda post: int(post.id), reverse=True)
        start = int(params.get("offset", 0))
        return hits[start : start + min(int(params.get("limit", 20)), MOST)]


def page(ids: Sequence[int], params: dict[str, str]) -> list[int]:
    """The places of a page in ids that grow: just above min_id, else just below max_id; newest first."""
    limit = min(int(params.get("limit", 20)), MOST)
    below = int(params["max_id"]) if "max_id" in params else None
    above = max(int(params.get("min_id", -1)), int(params.get("since_id", -1)))
    places = [n for n, id in enumerate(ids) if id > above and (below is None or id < below)]
    return (places[:limit] if "min_id" in params else places[-limit:])[::-1]


@lru_cache(4096)  # a search looks at all posts
def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _holds(words: list[str], part: list[str]) -> bool:
    return any(words[n : n + len(part)] == part for n in range(len(words) - len(part) + 1))


class _Server(LoopbackServer):
    mastodon: FakeMastodon


class _Handler(LoopbackHandler):
    server: _Server

    def do_POST(self) -> None:
        """Post a status; "lost" in `write_faults`: it is posted, and nobody hears of it."""
        server = self.server.mastodon
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self.path_asked = urlsplit(self.path).path
        self.params = {key: values[-1] for key, values in parse_qs(body, keep_blank_values=True).items()}
        fault = server.write_faults.popleft() if server.write_faults else ""
        if fault and fault != "lost":
            return self._fault(fault)
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            return self._json(401, {"error": "The access token is invalid"})
        parent = server.posts.get(self.params.get("in_reply_to_id", ""))
        if self.path_asked != "/api/v1/statuses" or parent is None:
            return self._json(404, {"error": "The post you are trying to reply to does not appear to exist."})
        if len(self.params["status"]) > server.longest:
            return self._json(422, {"error": "Validation failed: Text character limit exceeded"})
        key = self.headers.get("idempotency-key", "")
        made = server.keys.get(key) if server.honours_keys else None
        if made is None:
            more = {"in_reply_to_id": parent.id, "account": server.me()}
            visibility = self.params.get("visibility", "public")
            made = server.post(
                self.params["status"], at=datetime.now(UTC), author=server.account, visibility=visibility, **more
            )
            server.keys[key] = made
            server.sent.append(made)
        if fault == "lost":
            return self._fault("drop")
        self._json(200, made.data())

    def do_GET(self) -> None:
        server = self.server.mastodon
        url = urlsplit(self.path)
        self.path_asked = unquote(url.path)
        self.params = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        token = self.headers.get("authorization")
        streaming = self.path_asked.startswith("/api/v1/streaming/")
        faults = server.stream_faults if streaming else server.faults
        if server.remaining is not None and not faults and not streaming:
            server.remaining -= 1
        fault = faults.popleft() if faults else ""
        if fault and not (streaming and fault in ILLS):
            self._fault(fault)
        elif streaming:
            self._stream(token, fault)
        elif server.remaining is not None and server.remaining < 0:
            self._json(429, {"error": "Too many requests"})
        elif token is not None and token != f"Bearer {TOKEN}":
            self._json(401, {"error": "The access token is invalid"})
        elif server.members_only and token is None:
            self._json(401, {"error": "This method requires an authenticated user"})
        else:
            self._answer_for(token is not None)

    def _answer_for(self, member: bool) -> None:
        server, path = self.server.mastodon, self.path_asked
        params = {key: value for key, value in self.params.items() if key not in server.ignores}
        if match := re.fullmatch(r"/api/v1/timelines/tag/(\w+)", path):
            tag = match[1].lower()
            self._timeline(lambda post: post.visibility == "public" and tag in post.tags, params)
        elif path == "/api/v1/timelines/public":
            local = params.get("local") in ("1", "true")
            self._timeline(lambda post: post.visibility == "public" and not (local and "@" in post.author), params)
        elif path == "/api/v1/notifications" and member:
            self._notifications(params)
        elif path == "/api/v2/search":
            found = server.found(params["q"], params) if member else []
            if params["q"] in server.known_elsewhere and member and params.get("resolve") in ("1", "true", "True"):
                fetched = server.known_elsewhere[params["q"]]
                server.posts[fetched.id] = fetched
                found = [fetched]
            self._json(200, {"accounts": [], "hashtags": [], "statuses": [post.data() for post in found]})
        elif match := re.fullmatch(r"/api/v1/statuses/(\d+)", path):
            post = server.posts.get(match[1])
            shown = post is not None and (member or post.visibility in ("public", "unlisted"))
            self._json(200, post.data()) if shown and post else self._json(404, {"error": "Record not found"})
        elif match := re.fullmatch(r"/api/v1/statuses/(\d+)/context", path):
            below = [post for post in server.posts.values() if post.more.get("in_reply_to_id") == match[1]]
            self._json(200, {"ancestors": [], "descendants": [post.data() for post in below]})
        elif path == "/api/v1/accounts/verify_credentials" and member:
            self._json(200, server.me())
        elif path == "/api/v1/instance/":
            address = server.streams.address or server.url.replace("http", "ws", 1)
            self._json(200, {"uri": server.host, "version": "4.5.0", "urls": {"streaming_api": address}})
        elif path == "/api/v1/notifications":
            self._json(401, {"error": "This method requires an authenticated user"})
        else:
            self._json(404, {"error": "Not found"})

    def _stream(self, token: str | None, ill: str) -> None:
        streams, known = self.server.mastodon.streams, ("/public", "/public/local", "/hashtag")
        if not streams.on or not self.path_asked.endswith(known):
            self._json(404, {"error": "Not found"}, bare=True)
        elif streams.members_only and token is None:
            self._json(401, {"error": "Missing access token"}, bare=True)
        elif token not in (None, f"Bearer {TOKEN}"):
            self._json(401, {"error": "Invalid access token"}, bare=True)
        else:
            self._log("stream")
            self.close_connection = True
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("cache-control", "no-store")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            listener = streams.open(self.path_asked, self.params.get("tag", ""))
            if streams.opened:
                streams.opened(listener)
            for raw in ILLS.get(ill, ()):
                listener.send(raw)
            with contextlib.suppress(OSError):
                listener.serve(self.connection, self._write)
            streams.leave(listener)

    def _write(self, raw: bytes) -> None:
        self.wfile.write(raw)
        self.wfile.flush()

    def _timeline(self, wanted: Callable[[Post], bool], params: dict[str, str]) -> None:
        posts = self.server.mastodon.listed(wanted, params)
        link = ""
        if posts:
            here = f"{self.server.mastodon.url}{quote(self.path_asked)}"
            link = f'<{here}?max_id={posts[-1].id}>; rel="next", <{here}?min_id={posts[0].id}>; rel="prev"'
        self._json(200, [post.data() for post in posts], {"link": link} if link else {})

    def _notifications(self, params: dict[str, str]) -> None:
        server = self.server.mastodon
        wanted = params.get("types[]")
        told = [each for each in server.notifications if wanted is None or each["type"] == wanted]
        page_of = [told[n] for n in page([int(each["id"]) for each in told], params)]
        shown = []
        for each in page_of:
            post = server.posts.get(each["status"])
            shown.append({**each, "account": {"acct": "x"}, "status": post.data() if post else None})
        self._json(200, shown)

    def _fault(self, fault: str) -> None:
        if fault == "drop":
            self._log(fault)
            # Lingering for no time sends a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
        elif fault == "cut":
            self._log(fault)
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n[{")
        elif fault in ("html", "html404"):
            self._answer(404 if fault == "html404" else 200, b"<html>Just a moment...</html>", "text/html", {})
        elif fault == "json":
            self._json(200, {})
        elif fault in ("drip", "drip-chunked"):
            self._log(fault)
            self._drip(fault == "drip-chunked")
        elif fault == "slow":
            self._log(fault)
            self.close_connection = True
            self.server.mastodon.closing.wait(5)
        else:
            status, _, wait = fault.partition(":")
            bare = status.endswith("-bare")
            headers = {"retry-after": wait} if wait else {}
            self._json(int(status.removesuffix("-bare")), {"error": "fault"}, headers, bare)

    def _drip(self, chunked: bool) -> None:
        """Send a byte every 50 ms, each well within a timeout, for five seconds at most."""
        self.close_connection = True
        length = b"transfer-encoding: chunked" if chunked else b"content-length: 999"
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%b\r\n\r\n" % length)
        with contextlib.suppress(OSError):
            for _ in range(100):
                self.wfile.write(b"1\r\n[\r\n" if chunked else b"[")
                self.wfile.flush()
                self.server.mastodon.closing.wait(0.05)

    def _json(self, status: int, body: Any, headers: dict[str, str] | None = None, bare: bool = False) -> None:
        self._answer(status, json.dumps(body).encode(), "application/json; charset=utf-8", headers or {}, bare)

    def _answer(self, status: int, body: bytes, content_type: str, headers: dict[str, str], bare: bool = False) -> None:
        server = self.server.mastodon
        self._log(str(status))
        self.send_response(status)
        self.send_header("content-type", content_type)
        if not bare:
            left = 299 if server.remaining is None else max(server.remaining, 0)
            soon = datetime.now(UTC) + timedelta(minutes=5)
            self.send_header("x-ratelimit-limit", "300")
            self.send_header("x-ratelimit-remaining", str(left))
            self.send_header("x-ratelimit-reset", str(server.reset or soon.isoformat()))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
            self.wfile.flush()

    def _log(self, answer: str) -> None:
        """Before anything is sent, so that who has the answer finds it in the log."""
        server = self.server.mastodon
        agent = self.headers.get("user-agent", "")
        asked = Request(self.path_asked, self.params, self.headers.get("authorization"), agent, answer)
        server.requests.append(asked)
        if server.before_answer:
            server.before_answer(asked)
