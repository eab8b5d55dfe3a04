"""A small Reddit on a loopback socket: tokens, search, listings, paging, its cap and its faults.

    with FakeReddit() as reddit:
        reddit.submit("Acme is down", subreddit="acme", at=when)
        reddit.faults.extend(["503", "drop"])

or by hand: python -m tests.fake_reddit --port 8081 --posts FILE (JSON lines with id, author, created_at, text and,
if wanted, subreddit, title and in_reply_to).
"""

import argparse
import base64
import contextlib
import json
import re
import secrets
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.loopback import LoopbackHandler, LoopbackServer

CLIENT_ID, CLIENT_SECRET = "fake-client-id", "fake-client-secret"
ACCOUNT, REFRESH = ("acme_help", "reddit-password"), "reddit-refresh-token"
PAGE, CAP = 100, 1000


@dataclass(slots=True)
class Item:
    """A submission (t3) or a comment (t1)."""

    name: str
    subreddit: str
    author: str
    at: datetime
    title: str = ""
    text: str = ""
    parent: str | None = None
    score: int = 1
    comments: int = 0
    late: float = 0  # seconds until search finds it
    more: dict[str, Any] = field(default_factory=dict)  # overrides what is sent

    def data(self) -> dict[str, Any]:
        common = {
            "name": self.name,
            "id": self.name[3:],
            "author": self.author,
            "created_utc": self.at.timestamp(),
            "subreddit": self.subreddit,
            "score": self.score,
        }
        if self.parent is not None:
            link = f"/r/{self.subreddit}/comments/{self.parent[3:]}/_/{self.name[3:]}/"
            own: dict[str, Any] = {"body": self.text, "parent_id": self.parent, "permalink": link, "replies": ""}
        else:
            link = f"/r/{self.subreddit}/comments/{self.name[3:]}/_/"
            own = {"title": self.title, "selftext": self.text, "permalink": link, "num_comments": self.comments}
            own["removed_by_category"] = None
        return {**common, **own, **self.more}

    def words(self) -> list[str]:
        return _words(f"{self.title} | {self.text}")


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the request log."""

    method: str
    path: str
    params: dict[str, str]
    user_agent: str
    answer: str  # the status, or the fault


class FakeReddit:
    """The state, and the server around it. Faults are used up in order, one a request for a listing.

    Faults: "503" or any other status, "429" ("429:7" adds Retry-After), "drop", "html", "json" (valid, but no listing),
    "slow", "401" (with the header that praw expects) and "401-bare" (without it), "exhausted" (503 and nothing left).
    """

    def __init__(self, port: int = 0, cap: int = CAP, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.cap = cap
        self.now = now
        self.items: dict[str, Item] = {}
        self.faults: deque[str] = deque()
        self.token_faults: deque[str] = deque()
        self.write_faults: deque[str] = deque()
        self.sent: list[str] = []  # names of the comments made through the API
        self.requests: list[Request] = []
        self.behind = ""  # the path that a proxy puts before those of what is sent
        self.remaining: int | None = None  # requests left before the limit; None: plenty
        self.reset = 400
        self.private: set[str] = set()
        self.missing: set[str] = set()
        self.tokens: set[str] = set()
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.reddit = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FakeReddit":
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.02)

    def submit(self, title: str, text: str = "", *, at: datetime, **values: Any) -> str:
        return self._add("t3", at, title=title, text=text, **values)

    def comment(self, text: str, parent: str, *, at: datetime, **values: Any) -> str:
        return self._add("t1", at, text=text, parent=parent, **values)

    def _add(self, kind: str, at: datetime, subreddit: str = "acme", author: str = "ann", **values: Any) -> str:
        name = values.pop("name", None) or f"{kind}_{_base36(1_000_000 + len(self.items))}"
        with self.lock:
            self.items[name] = Item(name, subreddit, author, at, **values)
        return name

    def listings(self) -> list[Request]:
        """The requests that were not for a token."""
        return [request for request in self.requests if request.method == "GET"]

    def newest(self, subreddits: Iterable[str] | None, kind: str, query: str | None = None) -> list[Item]:
        wanted = None if subreddits is None else {name.lower() for name in subreddits}
        matches = (lambda words: True) if query is None else parse(query)
        with self.lock:
            items = [
                item
                for item in self.items.values()
                if item.name.startswith(kind)
                and (wanted is None or item.subreddit.lower() in wanted)
                and matches(item.words())
                and (query is None or not item.late or item.at + timedelta(seconds=item.late) <= self.now())
            ]
        return sorted(items, key=lambda item: item.at, reverse=True)[: self.cap]


class _Server(LoopbackServer):
    reddit: FakeReddit


class _Handler(LoopbackHandler):
    server: _Server

    def do_POST(self) -> None:
        reddit = self.server.reddit
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        path = urlsplit(self.path).path.removeprefix(reddit.behind)
        params = {key: values[-1] for key, values in parse_qs(body).items()}
        if path == "/api/comment":
            self._comment(params)
        elif path != "/api/v1/access_token":
            self._json(404, {"message": "Not Found", "error": 404})
        elif reddit.token_faults:
            self._fault(reddit.token_faults.popleft())
        elif self.headers.get("authorization") != f"Basic {_basic(CLIENT_ID, CLIENT_SECRET)}":
            self._json(401, {"message": "Unauthorized", "error": 401})
        elif params.get("grant_type") == "password" and (params.get("username"), params.get("password")) != ACCOUNT:
            self._json(200, {"error": "invalid_grant"})
        elif params.get("grant_type") == "refresh_token" and params.get("refresh_token") != REFRESH:
            self._json(400, {"error": "invalid_grant"})
        elif params.get("grant_type") not in ("client_credentials", "password", "refresh_token"):
            self._json(200, {"error": "unsupported_grant_type"})
        else:
            token = secrets.token_hex(16)
            reddit.tokens.add(token)
            self._json(200, {"access_token": token, "token_type": "bearer", "expires_in": 86400, "scope": "*"})

    def _comment(self, params: dict[str, str]) -> None:
        """Comment; of `write_faults` "lost": it is written and nobody hears of it, "RATELIMIT" and such: refused."""
        reddit = self.server.reddit
        fault = reddit.write_faults.popleft() if reddit.write_faults else ""
        if fault.isupper():
            refused = {"errors": [[fault, "you are doing that too much", "text"]], "ratelimit": 420.5}
            return self._json(200, {"json": refused})
        if fault and fault != "lost":
            return self._fault(fault)
        if self.headers.get("authorization", "").removeprefix("bearer ") not in reddit.tokens:
            return self._json(401, {"message": "Unauthorized", "error": 401})
        if params["thing_id"] not in reddit.items:
            refused = {"errors": [["DELETED_COMMENT", "that comment has been deleted", "parent"]]}
            return self._json(200, {"json": refused})
        name = reddit.comment(params["text"], params["thing_id"], at=reddit.now(), author=ACCOUNT[0])
        reddit.sent.append(name)
        if fault == "lost":
            return self._fault("drop")
        thing = {"kind": "t1", "data": reddit.items[name].data()}
        self._json(200, {"json": {"errors": [], "data": {"things": [thing]}}})

    def do_GET(self) -> None:
        reddit = self.server.reddit
        url = urlsplit(self.path)
        params = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        if reddit.remaining is not None:
            reddit.remaining = max(reddit.remaining - 1, 0)
        match = re.fullmatch(r"/r/([\w+]+)/(search|comments|new)/?", url.path)
        names = match[1].split("+") if match else []
        asked = params.get("id", "").split(",") if url.path.rstrip("/") == "/api/info" else []
        if reddit.faults:
            self._fault(reddit.faults.popleft())
        elif self.headers.get("authorization", "").removeprefix("bearer ") not in reddit.tokens:
            self._json(401, {"message": "Unauthorized", "error": 401}, _bearer("invalid_token"))
        elif url.path == "/api/v1/me":
            self._json(200, {"name": ACCOUNT[0]})
        elif url.path == f"/user/{ACCOUNT[0]}/comments":
            mine = [item for item in reddit.items.values() if item.author == ACCOUNT[0] and item.parent]
            children = [{"kind": "t1", "data": item.data()} for item in reversed(mine)]
            self._json(200, {"kind": "Listing", "data": {"children": children, "after": None}})
        elif asked:
            with reddit.lock:
                found = [reddit.items[name] for name in asked if name in reddit.items]
            children = [{"kind": item.name[:2], "data": item.data()} for item in found]
            self._json(200, {"kind": "Listing", "data": {"children": children, "after": None, "before": None}})
        elif match is None:
            self._json(404, {"message": "Not Found", "error": 404})
        elif any(name in reddit.private for name in names):
            self._json(403, {"reason": "private", "message": "Forbidden", "error": 403})
        elif all(name in reddit.missing for name in names):
            self._answer(302, b"", {"location": f"{reddit.url}/subreddits/search?q={names[0]}"})
        else:
            self._listing(match[2], names, params)

    def _listing(self, what: str, names: list[str], params: dict[str, str]) -> None:
        reddit = self.server.reddit
        everywhere = names == ["all"] or (what == "search" and params.get("restrict_sr", "").lower() != "true")
        query = params.get("q", "") if what == "search" else None
        items = reddit.newest(None if everywhere else names, "t1" if what == "comments" else "t3", query)
        start = 0
        if after := params.get("after"):
            # As on Reddit, an anchor that is no longer listed leaves nothing to go on from.
            start = next((n for n, item in enumerate(items, 1) if item.name == after), len(items))
        limit = min(max(int(params.get("limit", 25)), 1), PAGE)
        page = items[start : start + limit]
        children = [{"kind": item.name[:2], "data": item.data()} for item in page]
        after = page[-1].name if page and start + limit < len(items) else None
        self._json(200, {"kind": "Listing", "data": {"children": children, "after": after, "before": None}})

    def _fault(self, fault: str) -> None:
        if fault == "drop":
            self._log(fault)
            # Lingering for no time sends a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
        elif fault == "html":
            self._answer(200, b"<html>Whoa there, pardner!</html>", {"content-type": "text/html"})
        elif fault == "json":
            self._json(200, {"kind": "t2", "data": {}})
        elif fault == "slow":
            self._log(fault)
            self.close_connection = True
            self.server.reddit.closing.wait(5)
        elif fault == "exhausted":
            self.server.reddit.remaining = 0
            self._json(503, {})
        elif fault == "401":
            self._json(401, {"message": "Unauthorized", "error": 401}, _bearer("invalid_token"))
        else:
            status, _, wait = fault.removesuffix("-bare").partition(":")
            self._json(int(status), {"message": "fault", "error": int(status)}, {"retry-after": wait} if wait else {})

    def _json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = {"content-type": "application/json; charset=UTF-8"}
        self._answer(status, json.dumps(body).encode(), {**content, **(headers or {})})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._log(str(status))
        self.send_response(status)
        if self.command == "GET" and status != 429:
            remaining = self.server.reddit.remaining
            left = 900 if remaining is None else remaining
            self.send_header("x-ratelimit-remaining", f"{left}.0")
            self.send_header("x-ratelimit-used", str(1000 - left))
            self.send_header("x-ratelimit-reset", str(self.server.reddit.reset))
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:  # the client asked for it, and must not use the connection again
            self.send_header("connection", "close")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
            self.wfile.flush()

    def _log(self, answer: str) -> None:
        """Before anything is sent, so that who has the answer finds it in the log."""
        url = urlsplit(self.path)
        params = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        agent = self.headers.get("user-agent", "")
        self.server.reddit.requests.append(Request(self.command, url.path, params, agent, answer))


# --- a small part of the Lucene syntax: words, "phrases", AND, OR, NOT, - and parentheses; no operator means AND


def parse(query: str) -> Any:
    """A function of a post's words; ValueError for what this small part does not know."""
    tokens = re.findall(r'"[^"]*"|[()]|[^\s()"]+', query)
    if not tokens:
        return lambda words: False
    result = _either(tokens)
    if tokens:
        raise ValueError(f"unexpected {tokens[0]!r} in {query!r}")
    return result


def _either(tokens: list[str]) -> Any:
    parts = [_both(tokens)]
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        parts.append(_both(tokens))
    return lambda words: any(part(words) for part in parts)


def _both(tokens: list[str]) -> Any:
    parts = [_term(tokens)]
    while tokens and tokens[0] not in ("OR", ")"):
        if tokens[0] == "AND":
            tokens.pop(0)
        parts.append(_term(tokens))
    return lambda words: all(part(words) for part in parts)


def _term(tokens: list[str]) -> Any:
    token = tokens.pop(0) if tokens else ""
    if token in ("NOT", "-"):
        negated = _term(tokens)
        return lambda words: not negated(words)
    if token == "(":
        inside = _either(tokens)
        if not tokens or tokens.pop(0) != ")":
            raise ValueError("a parenthesis stays open")
        return inside
    if token in ("", ")", "AND", "OR") or ":" in token.strip('"'):
        raise ValueError(f"{token!r} is not understood here")
    negate, phrase = token.startswith("-"), _words(token)
    if not phrase:
        raise ValueError(f"{token!r} holds no word")
    length = len(phrase)

    def found(words: list[str]) -> bool:
        return negate != any(words[n : n + length] == phrase for n in range(len(words) - length + 1))

    return found


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _bearer(error: str) -> dict[str, str]:
    return {"www-authenticate": f'Bearer realm="reddit", error="{error}"'}


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


def load(reddit: FakeReddit, path: Path) -> int:
    """Fill the fake from JSON lines; a post with in_reply_to becomes a comment."""
    count = 0
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        at = datetime.fromisoformat(row["created_at"])
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        values = {"at": at, "author": row.get("author") or "[deleted]", "subreddit": row.get("subreddit", "acme")}
        id = re.sub(r"\W", "", str(row["id"])).lower()
        if row.get("in_reply_to"):
            parent = re.sub(r"\W", "", str(row["in_reply_to"])).lower()
            reddit.comment(row["text"], f"t3_{parent}", name=f"t1_{id}", **values)
        else:
            title, _, rest = row["text"].partition("\n") if "title" not in row else (row["title"], "", row["text"])
            reddit.submit(title[:300], title[300:] + rest, name=f"t3_{id}", **values)
        count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description="A small Reddit on the loopback interface.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--posts", type=Path)
    given = parser.parse_args()
    reddit = FakeReddit(given.port)
    count = load(reddit, given.posts) if given.posts else 0
    print(f"{reddit.url} with {count} posts; client {CLIENT_ID}, secret {CLIENT_SECRET}", flush=True)
    with contextlib.suppress(KeyboardInterrupt), reddit:
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
