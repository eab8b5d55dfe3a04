"""A stateful fake of X's recent search (API v2) on a real loopback socket, with faults to order.

with FakeX() as fake: fake.add("acme is down", time); fake.script(503, "drop", after=2); … XOptions(api_url=fake.url)
By hand: python -m tests.fake_x --port 8801 --posts posts.jsonl (lines with text and what else add() takes).
"""

import argparse
import base64
import html
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

EPOCH_MS = 1288834974657
WEEK = timedelta(days=7)
SEARCH = "/2/tweets/search/recent"
PARAMETERS = {"query", "max_results", "since_id", "until_id", "start_time", "end_time", "next_token", "sort_order"}
PARAMETERS |= {"pagination_token", "tweet.fields", "expansions", "user.fields"}
NEW_NAMES = {
    "edit_history_tweet_ids": "edit_history_post_ids",
    "note_tweet": "note_post",
    "referenced_tweets": "referenced_posts",
}
POST_FIELDS = {"id", "text", "created_at", "author_id", "conversation_id", "lang", "public_metrics", "entities"}
POST_FIELDS |= {"in_reply_to_user_id", *NEW_NAMES}
HTML = b"<html><body><h1>Something went wrong</h1></body></html>"
Fault = int | str  # a status, or one of the names in FakeX.script


class Refusal(Exception):
    """Answered with status 400, as X words it."""

    def __init__(self, parameter: str, value: str, message: str) -> None:
        super().__init__(message)
        self.body = {
            "errors": [{"parameters": {parameter: [value]}, "message": message}],
            "title": "Invalid Request",
            "detail": "One or more parameters to your request was invalid.",
            "type": "https://api.twitter.com/2/problems/invalid-request",
        }


@dataclass(frozen=True, slots=True)
class Post:
    id: int
    text: str
    created_at: datetime
    author_id: str = "1001"
    username: str = "someone"
    lang: str = "en"
    likes: int = 0
    reposts: int = 0
    replies: int = 0
    reply_to: str | None = None
    quote_of: str | None = None
    retweet_of: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    params: Mapping[str, str]
    status: int  # 0 where no whole answer was sent
    posts: int  # sent, and so billed


@dataclass
class FakeX:
    """X, as far as a search for mentions sees it. Posts show after `lag`, and are searched for seven days."""

    token: str = "test-token"
    style: str = "old"  # or "new": the field names of August 2026
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    lag: timedelta = timedelta(seconds=30)
    port: int = 0
    limit: int = 450  # requests a quarter of an hour
    slow: float = 1.0  # seconds that a "slow" answer takes
    repeat_token: bool = False  # every page names the same next page
    leak_retweets: bool = False  # -is:retweet is not honoured
    billed: int = 0  # posts sent in answers
    requests: list[Request] = field(default_factory=list)
    _posts: dict[int, Post] = field(default_factory=dict)
    _faults: list[Fault] = field(default_factory=list)
    _window: list[datetime] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _closing: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", self.port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, text: str, created_at: datetime | None = None, number: int | None = None, **others: Any) -> str:
        """Post something; returns its id, a snowflake of that time unless told another."""
        with self._lock:
            time = created_at or self.now()
            number = id_at(time) if number is None else number
            while number in self._posts:
                number += 1
            self._posts[number] = Post(number, text, time, **others)
            return str(number)

    def script(self, *faults: Fault, after: int = 0) -> None:
        """What happens to the coming requests, one each, after so many good ones.

        A status; "ok"; "429-bare" (no headers), "429-cap" (the month's cap); "html200", "html503"; "drop" (nothing
        is sent), "cut" (half the answer is sent, and billed), "slow"; "partial" (posts and errors), "empty" ({}),
        "list" (a status 503 whose body is a JSON list).
        """
        with self._lock:
            self._faults += ["ok"] * after + list(faults)

    def next_fault(self) -> Fault:
        with self._lock:
            return self._faults.pop(0) if self._faults else "ok"

    @property
    def scripted(self) -> int:
        """Faults that have not happened yet."""
        return len(self._faults)

    def search(self, params: Mapping[str, str]) -> dict[str, Any]:
        """The answer to a request for recent search; raises Refusal."""
        with self._lock:
            return self._search(params)

    def _search(self, params: Mapping[str, str]) -> dict[str, Any]:
        now = self.now()
        for name in params.keys() - PARAMETERS - ({"post.fields"} if self.style == "new" else set()):
            raise Refusal(name, params[name], f"The query parameter [{name}] is not one of the known ones")
        wanted = {*params.get("tweet.fields", "").split(","), *params.get("post.fields", "").split(",")} - {""}
        old_names = {new: old for old, new in NEW_NAMES.items()}
        wanted = {old_names.get(name, name) for name in wanted}
        for name in wanted - POST_FIELDS:
            raise Refusal("tweet.fields", name, f"The `tweet.fields` query parameter value [{name}] is not known")
        size = int(params.get("max_results", "10"))
        if not 10 <= size <= 100:
            message = f"The `max_results` query parameter value [{size}] is not between 10 and 100"
            raise Refusal("max_results", str(size), message)
        for name in ("since_id", "until_id"):
            if name in params and time_of(int(params[name])) < now - WEEK:
                least = id_at(now - WEEK)
                message = f"'{name}' must be a tweet id created after {now - WEEK:%Y-%m-%dT%H:%MZ}. "
                message += f"Please use a '{name}' that is larger than {least}"
                raise Refusal(name, params[name], message)
        matches = compile_query(params.get("query", ""), self.leak_retweets)
        start = self._start(params, now)
        since, until = int(params.get("since_id", 0)), int(params.get("until_id", 1 << 63))
        key = f"{params['query']}|{since}|{until}"
        if token := params.get("next_token") or params.get("pagination_token"):
            until = min(until, _read_token(token, key))
        found = [
            post
            for number, post in sorted(self._posts.items(), reverse=True)
            if since < number < until and start <= post.created_at <= now - self.lag and matches(post)
        ]
        page = found[:size]
        meta: dict[str, Any] = {"result_count": len(page)}
        if page:
            meta |= {"newest_id": str(page[0].id), "oldest_id": str(page[-1].id)}
        if len(found) > size:
            meta["next_token"] = "b26v89c19zqg8o3f" if self.repeat_token else _write_token(page[-1].id, key)
        return ({"data": [self._show(post, wanted) for post in page]} if page else {}) | {"meta": meta}

    def _start(self, params: Mapping[str, str], now: datetime) -> datetime:
        if "start_time" not in params or "since_id" in params:
            return now - WEEK
        start = datetime.fromisoformat(params["start_time"])
        if start < now - WEEK:
            message = f"Invalid 'start_time':'{params['start_time']}'. 'start_time' must be within the last 7 days."
            raise Refusal("start_time", params["start_time"], message)
        return start

    def _show(self, post: Post, wanted: set[str]) -> dict[str, Any]:
        links = [("replied_to", post.reply_to), ("quoted", post.quote_of), ("retweeted", post.retweet_of)]
        references = [{"type": kind, "id": target} for kind, target in links if target]
        whole = html.escape(post.text, quote=False)
        everything: dict[str, Any] = {
            "created_at": post.created_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "author_id": post.author_id,
            "conversation_id": post.reply_to or str(post.id),
            "lang": post.lang,
            "public_metrics": {
                "like_count": post.likes,
                "retweet_count": post.reposts,
                "reply_count": post.replies,
                "quote_count": 0,
            },
        }
        if references:
            everything["referenced_tweets"] = references
        if len(post.text) > 280:
            everything["note_tweet"] = {"text": whole}
        shown = {name: value for name, value in everything.items() if name in wanted}
        cut = html.escape(post.text[:255], quote=False) + "… https://t.co/4uDjX2zzTq"
        shown |= {"id": str(post.id), "text": cut if len(post.text) > 280 else whole}
        shown |= {"edit_history_tweet_ids": [str(post.id)]}
        return {NEW_NAMES.get(name, name) if self.style == "new" else name: value for name, value in shown.items()}

    def rate(self) -> tuple[int, int]:
        """Requests left in this quarter of an hour (-1 when there were too many), and when it ends."""
        with self._lock:
            now = self.now()
            if not self._window or now - self._window[0] >= timedelta(minutes=15):
                self._window = []
            self._window.append(now)
            return max(-1, self.limit - len(self._window)), int(self._window[0].timestamp()) + 900

    def seen(self, params: Mapping[str, str], status: int, posts: int) -> None:
        with self._lock:
            self.requests.append(Request(dict(params), status, posts))
            self.billed += posts

    def wait(self) -> None:
        self._closing.wait(self.slow)


def time_of(post_id: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=(post_id >> 22) + EPOCH_MS)


def id_at(time: datetime) -> int:
    return ((time - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1) - EPOCH_MS) << 22


def _write_token(last: int, key: str) -> str:
    return base64.urlsafe_b64encode(f"{last}|{key}".encode()).decode().rstrip("=")


def _read_token(token: str, key: str) -> int:
    if token == "b26v89c19zqg8o3f":
        return 1 << 63
    last, _, of = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().partition("|")
    if of != key:
        raise Refusal("next_token", token, "Invalid 'next_token': it belongs to another request.")
    return int(last)


# --- the query language ---------------------------------------------------------------------------------------------

Test = Callable[[Post], bool]


def compile_query(query: str, leak_retweets: bool = False) -> Test:
    """A test for posts; raises Refusal where X would (an empty query, one of negations only, an unknown operator)."""
    if not query.strip() or len(query) > 512:
        raise Refusal("query", query, "The `query` query parameter must be 1 to 512 characters long")
    tokens = re.findall(r'-?\(|\)|-?"[^"]*"|[^\s()"]+|"', query)
    if not any(_stands_alone(token) for token in tokens):
        raise Refusal("query", query, "Rules must contain a non-negated keyword or operator that can stand alone")
    reader = _Reader(query, tokens, leak_retweets)
    test = reader.either()
    if reader.tokens:
        raise Refusal("query", query, f"There were errors processing your request: no viable alternative at {query!r}")
    return test


def _stands_alone(token: str) -> bool:
    return token not in ("(", "-(", ")", "OR") and not token.startswith(("-", "is:", "has:", "lang:"))


@dataclass
class _Reader:
    query: str
    tokens: list[str]
    leak_retweets: bool

    def either(self) -> Test:
        choices = [self.all()]
        while self.tokens[:1] == ["OR"]:
            self.tokens.pop(0)
            choices.append(self.all())
        return lambda post: any(choice(post) for choice in choices)

    def all(self) -> Test:
        parts = []
        while self.tokens and self.tokens[0] not in ("OR", ")"):
            parts.append(self.part())
        if not parts:
            raise self.refusal("something is missing beside OR or inside parentheses")
        return lambda post: all(part(post) for part in parts)

    def part(self) -> Test:
        token = self.tokens.pop(0)
        negated, token = token.startswith("-"), token.removeprefix("-")
        if token == "(":
            inner = self.either()
            if self.tokens[:1] != [")"]:
                raise self.refusal("missing ')'")
            self.tokens.pop(0)
        else:
            inner = self.term(token)
        if negated and token == "is:retweet" and self.leak_retweets:
            return lambda post: True
        return (lambda post: not inner(post)) if negated else inner

    def term(self, token: str) -> Test:
        if token in ('"', '""', ""):
            raise self.refusal("missing '\"' or an empty term")
        if not token.startswith('"'):
            if token.lower() in ("and", "or"):
                raise self.refusal(f"Ambiguous use of {token} as a keyword")
            if operator := re.fullmatch(r"(\w+):(.+)", token):
                return self.operator(*operator.groups())
            if re.fullmatch(r"[@#$]\w+", token):
                whole = re.compile(rf"(?<!\w){re.escape(token)}(?!\w)", re.IGNORECASE)
                return lambda post: bool(whole.search(post.text))
        words = _words(token)
        if not words:
            raise self.refusal(f"{token} holds no word")
        return lambda post: _adjacent(words, _words(post.text))

    def operator(self, name: str, value: str) -> Test:
        if name == "from":
            return lambda post: value.lower() in (post.username.lower(), post.author_id)
        if name == "lang":
            return lambda post: post.lang == value
        if name == "is" and value in ("retweet", "reply", "quote"):
            return lambda post: (
                {"retweet": post.retweet_of, "reply": post.reply_to, "quote": post.quote_of}[value] is not None
            )
        if (name, value) == ("has", "links"):
            return lambda post: "http" in post.text
        raise self.refusal(f"Reference to invalid operator '{name}:{value}'")

    def refusal(self, what: str) -> Refusal:
        return Refusal("query", self.query, f"There were errors processing your request: {what}")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _adjacent(words: Sequence[str], text: Sequence[str]) -> bool:
    return any(text[at : at + len(words)] == words for at in range(len(text) - len(words) + 1))


# --- the server -----------------------------------------------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news here."""


def _handler(fake: FakeX) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        x = fake

    return Handler


class _Handler(BaseHTTPRequestHandler):
    x: FakeX
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.params = dict(parse_qsl(url.query, keep_blank_values=True))
        if url.path != SEARCH:
            return self.problem(404, "Not Found Error", "no such path")
        left, reset = self.x.rate()
        self.limits = {
            "x-rate-limit-limit": str(self.x.limit),
            "x-rate-limit-remaining": str(max(0, left)),
            "x-rate-limit-reset": str(reset),
        }
        if self.headers.get("Authorization") != f"Bearer {self.x.token}":
            return self.problem(401, "Unauthorized", "Unauthorized")
        self.answer("429" if left < 0 else str(self.x.next_fault()))

    def answer(self, fault: str) -> None:
        if fault == "drop":
            self.x.seen(self.params, 0, 0)
            return self.hang_up()
        if fault == "slow":
            self.x.wait()
        if fault == "empty":
            return self.reply(200, {})
        if fault == "list":
            return self.reply(503, [])
        if fault.startswith("html"):
            return self.reply(int(fault[4:]), HTML)
        if fault.startswith("429"):
            return self.too_many(fault)
        if fault.isdecimal():
            return self.problem(int(fault), *_problem(int(fault)))
        try:
            body = self.x.search(self.params)
        except Refusal as refusal:
            return self.reply(400, refusal.body)
        if fault == "partial":
            body["errors"] = [{"title": "Authorization Error", "detail": "not yours", "resource_type": "tweet"}]
        self.reply(200, body, len(body.get("data", ())), cut=fault == "cut")

    def too_many(self, fault: str) -> None:
        if fault == "429-cap":
            title, detail = "UsageCapExceeded", "Usage cap exceeded: Monthly product cap"
            body = {"title": title, "detail": detail, "type": "https://api.twitter.com/2/problems/usage-capped"}
            self.limits = {}
            return self.reply(429, body | {"period": "Monthly", "scope": "Product"})
        if fault == "429-bare":
            self.limits = {}
        self.problem(429, "Too Many Requests", "Too Many Requests")

    def problem(self, status: int, title: str, detail: str) -> None:
        self.reply(status, {"title": title, "detail": detail, "type": "about:blank", "status": status})

    def reply(self, status: int, body: object, posts: int = 0, cut: bool = False) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.x.seen(getattr(self, "params", {}), 0 if cut else status, posts)
        self.send_response(status)
        for name, value in getattr(self, "limits", {}).items():
            self.send_header(name, value)
        if status == 302:
            self.send_header("Location", f"{self.x.url}/elsewhere")
        self.send_header("Content-Type", "text/html" if body is HTML else "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.wfile.flush()
        if cut:
            self.hang_up()

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Silent: the requests are in FakeX.requests."""


def _problem(status: int) -> tuple[str, str]:
    known = {
        401: ("Unauthorized", "Unauthorized"),
        402: ("CreditsDepleted", "Your enrolled account does not have any credits to fulfill this request."),
        403: ("Client Forbidden", "When authenticating requests, you must use keys from an app attached to a Project."),
        503: ("Service Unavailable", "Service Unavailable"),
    }
    return known.get(status, ("Error", f"status {status}"))


def read_posts(path: Path, now: datetime) -> Iterator[dict[str, Any]]:
    """What add() takes, a JSON object a line. Times are moved so that the newest post is a minute old."""
    known = {each.name for each in fields(Post)} - {"id"}
    renamed = {"author": "author_id", "in_reply_to": "reply_to"}
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
    ]
    times = [datetime.fromisoformat(line["created_at"]) for line in lines if "created_at" in line]
    shift = now - timedelta(minutes=1) - max(times, default=now)
    for line in lines:
        time = datetime.fromisoformat(line["created_at"]) + shift if "created_at" in line else now
        named = {renamed.get(name, name): value for name, value in line.items()}
        yield {name: value for name, value in named.items() if name in known} | {"created_at": time}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8801)
    parser.add_argument("--posts", type=Path, help="JSON lines")
    parser.add_argument("--token", default="test-token")
    parser.add_argument("--style", choices=["old", "new"], default="old")
    given = parser.parse_args()
    with FakeX(token=given.token, style=given.style, port=given.port) as fake:
        for post in read_posts(given.posts, datetime.now(UTC)) if given.posts else ():
            fake.add(**post)
        print(f"{len(fake._posts)} posts at {fake.url}; bearer token {given.token}; Ctrl-C ends it", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(fake.requests)} requests, {fake.billed} posts billed")


if __name__ == "__main__":
    main()
