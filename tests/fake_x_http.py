"""The HTTP side of the fake of X: which request is meant, what is wrong with it, and what goes wrong on the way."""

import json
import re
import socket
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tests.fake_x_query import PROBLEMS, Refusal, named

if TYPE_CHECKING:
    from tests.fake_x import FakeX

HTML = b"<html><body><h1>Something went wrong</h1></body></html>"
PLACES = (
    ("search", "GET", r"/2/tweets/search/recent"),
    ("counts", "GET", r"/2/tweets/counts/recent"),
    ("lookup", "GET", r"/2/tweets"),
    ("create", "POST", r"/2/tweets"),
    ("own", "GET", r"/2/users/\d+/tweets"),
    ("user", "GET", r"/2/users/by/username/\w+"),
    ("mentions", "GET", r"/2/users/\d+/mentions"),
    ("jobs", "POST", r"/2/compliance/jobs"),
    ("jobs", "GET", r"/2/compliance/jobs/\w+"),
    ("rules", "GET", r"/2/tweets/search/stream/rules"),
    ("rules", "POST", r"/2/tweets/search/stream/rules"),
    ("stream", "GET", r"/2/tweets/search/stream"),
    ("upload", "PUT", r"/upload/\w+"),
    ("download", "GET", r"/download/\w+"),
)


class Forbidden(Exception):
    """What X does not let this account do."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news here."""


def handler(fake: "FakeX") -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        x = fake

    return Handler


class _Handler(BaseHTTPRequestHandler):
    x: "FakeX"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.params = dict(parse_qsl(url.query, keep_blank_values=True))
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.limits: dict[str, str] = {}
        places = (name for name, method, path in PLACES if method == self.command and re.fullmatch(path, url.path))
        self.place, self.what = url.path, next(places, "")
        self.authorised = "Authorization" in self.headers
        if not self.what:
            return self.problem(404, "Not Found Error", "no such path")
        if self.what in ("upload", "download"):
            return self.file()
        left, reset = self.x.rate(self.what)
        self.limits = {
            "x-rate-limit-limit": str(self.x.limit),
            "x-rate-limit-remaining": str(max(0, left)),
            "x-rate-limit-reset": str(reset),
        }
        if not self.known():
            return self.problem(401, "Unauthorized", "Unauthorized")
        self.answer("429" if left < 0 else str(self.x.next_fault(self.what)))

    do_POST = do_PUT = do_GET

    def known(self) -> bool:
        """The app's token, or for what an account does, a signature with its keys (which is not verified here)."""
        given = self.headers.get("Authorization") or ""
        if self.what not in ("create", "own"):
            return given == f"Bearer {self.x.token}"
        app, account = self.x.keys
        parts = (f'oauth_consumer_key="{app}"', f'oauth_token="{account}"', "oauth_signature=")
        return given.startswith("OAuth ") and all(part in given for part in parts)

    def file(self) -> None:
        """The files of a compliance job lie at addresses that are signed: a token beside the signature is refused."""
        number, fault = self.place.rsplit("/", 1)[-1], str(self.x.next_fault(self.what))
        if fault.isdecimal() or self.authorised:
            return self.problem(int(fault) if fault.isdecimal() else 400, "InvalidAuthentication", "too much of it")
        if fault == "drop":
            return self.hang_up()
        if self.what == "upload":
            self.x.uploaded(number, self.body)
            return self.reply(200, b"")
        self.reply(200, HTML if fault == "html200" else self.x.result(number), cut=fault == "cut")

    def answer(self, fault: str) -> None:
        if fault == "drop":
            self.seen(0, 0)
            return self.hang_up()
        if fault == "slow":
            self.x.closing.wait(self.x.slow)
        if fault == "empty":
            return self.reply(200, {})
        if fault == "list":
            return self.reply(503, [])
        if fault.startswith("html"):
            return self.reply(int(fault[4:]), HTML)
        if fault.startswith("429"):
            return self.too_many(fault)
        if fault.isdecimal():
            return self.problem(int(fault), *problem_of(int(fault)))
        try:
            if self.what == "stream":
                if self.x.listened and fault != "slow":  # then the client has hung up
                    self.x.listened()
                return self.stream(cut=fault == "cut")
            body = self.x.answer(self.what, self.place, self.params, self.body)
            if fault == "lost":  # done, and nobody hears of it
                self.seen(0, 0)
                return self.hang_up()
        except Refusal as refusal:
            return self.reply(400, refusal.body)
        except Forbidden as forbidden:
            return self.problem(403, "Forbidden", str(forbidden))
        except KeyError:
            return self.problem(404, "Not Found Error", "there is no such thing")
        if fault == "partial":
            body["errors"] = [{"title": "Authorization Error", "detail": "not yours", "resource_type": "tweet"}]
        if fault == "troubled":
            body = {"errors": [{"title": "Operational Error", "detail": "a shard is down", "resource_type": "tweet"}]}
        data = body.get("data", ())
        posts = len(data) if isinstance(data, list) else 0
        self.reply(201 if self.command == "POST" else 200, body, posts, cut=fault == "cut")

    def stream(self, cut: bool) -> None:
        lines = list(self.x.on_air(self.params))
        self.seen(200, len(lines))
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            self.chunk(json.dumps(line).encode() + b"\r\n")
        for _ in range(int(self.x.hold / 0.02) if self.x.chatter else 0):
            if not self.x.closing.wait(0.02):
                self.chunk(self.x.chatter)
        self.x.closing.wait(0 if self.x.chatter else self.x.hold)
        if cut:
            return self.hang_up()
        self.x.ended += 1
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def too_many(self, fault: str) -> None:
        if fault == "429-cap":
            title, detail = "UsageCapExceeded", "Usage cap exceeded: Monthly product cap"
            body = {"title": title, "detail": detail, "type": f"{PROBLEMS}usage-capped"}
            self.limits = {}
            return self.reply(429, body | {"period": "Monthly", "scope": "Product"})
        if fault == "429-bare":
            self.limits = {}
        self.problem(429, "Too Many Requests", "Too Many Requests")

    def problem(self, status: int, title: str, detail: str) -> None:
        self.reply(status, {"title": title, "detail": detail, "type": "about:blank", "status": status})

    def reply(self, status: int, body: object, posts: int = 0, cut: bool = False) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if self.x.style == "new":
            data = data.replace(PROBLEMS.encode(), PROBLEMS.replace("twitter", "x").encode())
        self.seen(0 if cut else status, posts)
        self.send_response(status)
        for name, value in self.limits.items():
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

    def seen(self, status: int, posts: int) -> None:
        from tests.fake_x import Request

        self.x.seen(Request(self.params, status, posts, self.what, self.authorised))

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Silent: the requests are in FakeX.requests."""


def problem_of(status: int) -> tuple[str, str]:
    known = {
        401: ("Unauthorized", "Unauthorized"),
        402: ("CreditsDepleted", "Your enrolled account does not have any credits to fulfill this request."),
        403: ("Client Forbidden", "When authenticating requests, you must use keys from an app attached to a Project."),
        503: ("Service Unavailable", "Service Unavailable"),
    }
    return known.get(status, ("Error", f"status {status}"))


def create(x: "FakeX", given: Mapping[str, Any]) -> dict[str, Any]:
    """A post of the account that the access token is of."""
    target = given["reply"]["in_reply_to_tweet_id"]
    answered = x._posts.get(int(target))
    if answered is None or answered.id in x._gone:
        raise Forbidden("You attempted to reply to a Tweet that is deleted or not visible to you.")
    user = x.keys[1].split("-")[0]
    name = next((name for name, number in x.accounts.items() if number == user), "acme")
    if x.summoned and not named(name, answered.text):
        raise Forbidden("You are not permitted to reply to this Tweet: its author did not mention you.")
    if any(post.text == given["text"] for post in x._posts.values() if str(post.id) in x.sent):
        raise Forbidden("You are not allowed to create a Tweet with duplicate content.")
    number = x.add(given["text"], author_id=user, reply_to=target)
    x.sent.append(number)
    x.bill["reply with link" if "http" in given["text"] else "reply"] += 1
    return {"data": {"id": number, "text": given["text"], "edit_history_tweet_ids": [number]}}
