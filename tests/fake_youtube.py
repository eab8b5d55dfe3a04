"""A small YouTube Data API on a loopback socket: threads, replies, comments by id, search, its quota and its faults.

    with FakeYouTube() as youtube:
        comment = youtube.comment("Acme is great", at=when)
        youtube.reply(comment, "It is not", at=later)
        youtube.faults.extend(["503", "drop"])

The shapes are those of commentThreads.list, comments.list and search.list with part=snippet (and replies). A thread
carries some of its replies, a page token names where the next page begins, so that new comments shift nothing; what a
request costs is counted as Google counts it.
"""

import base64
import contextlib
import html
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from db.times import to_text
from tests.loopback import LoopbackHandler, LoopbackServer

KEY = "AIzaFakeKeyThatMustNotBeTold"
CHANNEL = "UC" + "a" * 22
VIDEO = "acmevideo01"
CARRIED = 5  # replies that come with a thread
COSTS = {"commentThreads": 1, "comments": 1, "search": 100}
KNOWN = {
    "commentThreads": "part allThreadsRelatedToChannelId videoId order textFormat maxResults pageToken alt key",
    "comments": "part id parentId textFormat maxResults pageToken alt key",
    "search": "part type order q maxResults publishedAfter pageToken alt key",
}


@dataclass(slots=True)
class Video:
    id: str
    channel: str
    title: str
    at: datetime
    comments: bool = True


@dataclass(slots=True)
class Comment:
    """A comment, of the top level where it has no parent. `more` overrides what is sent of its snippet."""

    id: str
    video: str
    text: str
    at: datetime
    author: str = "@ann"
    parent: str | None = None
    likes: int = 0
    updated: datetime | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def resource(self, plain: bool, with_video: bool = True) -> dict[str, Any]:
        text = self.text if plain else html.escape(self.text).replace("\n", "<br>")
        snippet = {
            "channelId": CHANNEL,
            "textDisplay": text,
            "textOriginal": self.text,
            "authorDisplayName": self.author,
            "authorProfileImageUrl": "https://yt3.example/photo.jpg",
            "authorChannelUrl": f"http://www.youtube.com/{self.author}",
            "authorChannelId": {"value": "UC" + "x" * 22},
            "canRate": True,
            "viewerRating": "none",
            "likeCount": self.likes,
            "publishedAt": to_text(self.at),
            "updatedAt": to_text(self.updated or self.at),
        }
        if with_video:
            snippet["videoId"] = self.video
        if self.parent:
            snippet["parentId"] = self.parent
        return {"kind": "youtube#comment", "etag": "e", "id": self.id, "snippet": snippet | self.more}


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the request log."""

    resource: str
    params: dict[str, str]
    answer: str  # the status, or the fault


class FakeYouTube:
    """The state, and the server around it. Faults are used up in order, one a request.

    Faults: any status ("503"), "429" ("429:7" adds Retry-After), "quota" and "quota-new" (the day's, in the old form
    and the new), "rate" (that of a minute), "blocked" (the key may not), "drop", "slow", "html", "html-503", "json"
    (valid, but no listing), "empty" (an empty list with a next page), "other" (an error whose body is odd), "ok"
    (none). `spoilt` has those of single videos, which stay.
    """

    def __init__(self) -> None:
        self.videos = {VIDEO: Video(VIDEO, CHANNEL, "Our Acme", datetime.fromisoformat("2025-01-01T00:00:00Z"))}
        self.items: dict[str, Comment] = {}
        self.odd: list[Any] = []  # sent at the beginning of every page of threads
        self.faults: deque[str] = deque()
        self.spoilt: dict[str, str] = {}
        self.requests: list[Request] = []
        self.quota = 10_000  # units left of this day
        self.used = 0
        self.tokens_expired = False
        self._made = 0
        self.strict_ids = False  # one id that is unknown refuses them all
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.youtube = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FakeYouTube":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def video(self, id: str, title: str, *, at: datetime, channel: str = CHANNEL, comments: bool = True) -> str:
        self.videos[id] = Video(id, channel, title, at, comments)
        return id

    def comment(self, text: str, *, at: datetime, video: str = VIDEO, **values: Any) -> str:
        with self.lock:
            self._made += 1  # an id is never given again, whatever is deleted
            id = values.pop("id", None) or f"Ug{self._made:022d}AA"
            self.items[id] = Comment(id, video, text, at, **values)
        return id

    def reply(self, to: str, text: str, *, at: datetime, **values: Any) -> str:
        with self.lock:
            self._made += 1
            id = f"{to}.{self._made:022d}"
            self.items[id] = Comment(id, self.items[to].video, text, at, parent=to, **values)
        return id

    def edit(self, id: str, text: str, at: datetime) -> None:
        self.items[id].text, self.items[id].updated = text, at

    def delete(self, id: str) -> None:
        """A comment, and with it its replies."""
        with self.lock:
            self.items = {key: item for key, item in self.items.items() if id not in (key, item.parent)}

    def take_down(self, video: str) -> None:
        """A video, and with it its comments."""
        with self.lock:
            self.items = {key: item for key, item in self.items.items() if item.video != video}
            del self.videos[video]

    def asked(self, resource: str) -> list[Request]:
        return [request for request in self.requests if request.resource == resource]

    def threads(self, wanted: Callable[[Video], bool]) -> list[Comment]:
        with self.lock:
            return [each for each in self.items.values() if not each.parent and wanted(self.videos[each.video])]

    def replies(self, parent: str) -> list[Comment]:
        with self.lock:
            return [each for each in self.items.values() if each.parent == parent]


class _Refusal(Exception):
    def __init__(self, status: int, *reasons: str, details: Sequence[dict[str, Any]] = (), message: str = "") -> None:
        errors = [{"message": message or reason, "domain": "youtube", "reason": reason} for reason in reasons]
        self.status = status
        self.body = {
            "error": {"code": status, "message": message or "refused", "errors": errors, "details": [*details]}
        }


class _Server(LoopbackServer):
    youtube: FakeYouTube


class _Handler(LoopbackHandler):
    server: _Server

    def do_GET(self) -> None:
        youtube = self.server.youtube
        url = urlsplit(self.path)
        given = parse_qs(url.query, keep_blank_values=True)
        self.params = {name: values[-1] for name, values in given.items()}
        self.resource = url.path.removeprefix("/youtube/v3/")
        if self.resource not in COSTS:
            return self._answer(404, b"<html>Not Found</html>", {"content-type": "text/html"})
        cost = COSTS[self.resource]
        try:
            if self.params.get("key") != KEY:
                info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
                says = "API key not valid. Please pass a valid API key."
                raise _Refusal(400, "badRequest", details=[info], message=says)
            fault = youtube.faults.popleft() if youtube.faults else youtube.spoilt.get(self.params.get("videoId", ""))
            if fault and fault != "ok":
                return self._fault(fault)
            if youtube.used + cost > youtube.quota:
                raise _Refusal(403, "quotaExceeded")
            youtube.used += cost
            if unknown := set(given) - set(KNOWN[self.resource].split()):
                raise _Refusal(400, "unknownParameter", message=str(unknown))
            listed = {"commentThreads": self._threads, "comments": self._comments, "search": self._search}
            self._json(200, listed[self.resource]())
        except _Refusal as refusal:
            self._json(refusal.status, refusal.body)

    def _threads(self) -> dict[str, Any]:
        youtube, params = self.server.youtube, self.params
        if (channel := params.get("allThreadsRelatedToChannelId")) is not None:
            if channel not in {video.channel for video in youtube.videos.values()}:
                raise _Refusal(404, "channelNotFound")
            found = youtube.threads(lambda video: video.channel == channel and video.comments)
        else:
            video = youtube.videos.get(params["videoId"])
            if video is None:
                raise _Refusal(404, "videoNotFound")
            if not video.comments:
                raise _Refusal(403, "commentsDisabled")
            found = youtube.threads(lambda each: each.id == video.id)
        page, token = self._page(found, 100)
        plain = params.get("textFormat") == "plainText"
        items = [self._thread(each, plain) for each in page]
        return self._listing("commentThread", [*youtube.odd, *items], token)

    def _thread(self, top: Comment, plain: bool) -> dict[str, Any]:
        replies = self.server.youtube.replies(top.id)
        thread = {
            "kind": "youtube#commentThread",
            "etag": "e",
            "id": top.id,
            "snippet": {
                "channelId": CHANNEL,
                "videoId": top.video,
                "topLevelComment": top.resource(plain),
                "canReply": True,
                "totalReplyCount": len(replies),
                "isPublic": True,
            },
        }
        if replies:
            thread["replies"] = {"comments": [each.resource(plain) for each in replies[:CARRIED]]}
        return thread

    def _comments(self) -> dict[str, Any]:
        youtube, params = self.server.youtube, self.params
        plain = params.get("textFormat") == "plainText"
        if (parent := params.get("parentId")) is not None:
            if parent not in youtube.items:
                raise _Refusal(404, "commentNotFound")
            page, token = self._page(youtube.replies(parent), 100)
        else:
            ids = params["id"].split(",")
            page, token = [youtube.items[id] for id in ids if id in youtube.items], None
            if youtube.strict_ids and len(page) < len(ids):
                raise _Refusal(404, "commentNotFound")
        return self._listing("comment", [each.resource(plain, with_video=False) for each in page], token)

    def _search(self) -> dict[str, Any]:
        params = self.params
        after = datetime.fromisoformat(params["publishedAfter"])
        words = [word.strip('"').lower() for word in params["q"].split("|")]
        videos = [
            video
            for video in self.server.youtube.videos.values()
            if video.at >= after and any(word in video.title.lower() for word in words)
        ]
        page, token = self._page(videos, 50)
        items = [
            {
                "kind": "youtube#searchResult",
                "etag": "e",
                "id": {"kind": "youtube#video", "videoId": video.id},
                "snippet": {"publishedAt": to_text(video.at), "channelId": video.channel, "title": video.title},
            }
            for video in page
        ]
        return self._listing("searchResult", items, token)

    def _page(self, found: Sequence[Any], most: int) -> tuple[list[Any], str | None]:
        """Newest first. A token names the last item before the page."""
        items = sorted(found, key=lambda item: (item.at, item.id), reverse=True)
        limit = int(self.params.get("maxResults", 20))
        if not 1 <= limit <= most:
            raise _Refusal(400, "invalidParameter")
        if token := self.params.get("pageToken"):
            if self.server.youtube.tokens_expired:
                raise _Refusal(400, "invalidPageToken")
            at, id = json.loads(base64.urlsafe_b64decode(token))
            items = [item for item in items if (to_text(item.at), item.id) < (at, id)]
        page = items[:limit]
        if len(items) <= limit:
            return page, None
        return page, _token(to_text(page[-1].at), page[-1].id)

    def _listing(self, what: str, items: Sequence[Any], token: str | None) -> dict[str, Any]:
        answer = {"kind": f"youtube#{what}ListResponse", "etag": "e", "items": [*items]}
        answer["pageInfo"] = {"totalResults": len(items), "resultsPerPage": len(items)}
        return answer | ({"nextPageToken": token} if token else {})

    def _fault(self, fault: str) -> None:
        name, _, wait = fault.partition(":")
        if name == "drop":
            self._log(fault)
            # Lingering for no time sends a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
        elif name == "slow":
            self._log(fault)
            self.close_connection = True
            self.server.youtube.closing.wait(5)
        elif name in ("html", "html-503", "html-403"):
            status = int(name.partition("-")[2] or 200)
            self._answer(status, b"<html>Sorry\xff</html>", {"content-type": "text/html"})
        elif name == "json":
            self._json(200, ["no listing"])
        elif name == "empty":
            self._json(200, self._listing("commentThread", [], _token("9999", "")))
        elif name == "other":
            self._json(403, {"error": "denied"})
        elif name == "quota":
            raise _Refusal(403, "quotaExceeded")
        elif name == "quota-new":
            limit = {"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quota_limit": "defaultPerDayPerProject"}}
            raise _Refusal(429, "rateLimitExceeded", details=[limit])
        elif name == "rate":
            limit = {"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quota_limit": "defaultPerMinutePerProject"}}
            raise _Refusal(403, "rateLimitExceeded", details=[limit])
        elif name == "blocked":
            raise _Refusal(403, "forbidden", details=[{"reason": "API_KEY_SERVICE_BLOCKED"}])
        elif name == "redirect":
            self._answer(302, b"", {"location": f"{self.server.youtube.url}/elsewhere"})
        else:
            self._json(int(name), {"error": {"code": int(name)}}, {"retry-after": wait} if wait else {})

    def _json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = {"content-type": "application/json; charset=UTF-8"}
        self._answer(status, json.dumps(body).encode(), {**content, **(headers or {})})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._log(str(status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
            self.wfile.flush()

    def _log(self, answer: str) -> None:
        """Before anything is sent, so that who has the answer finds it in the log."""
        self.server.youtube.requests.append(Request(self.resource, self.params, answer))


def _token(at: str, id: str) -> str:
    """Where a page begins: after this item."""
    return base64.urlsafe_b64encode(json.dumps([at, id]).encode()).decode()
