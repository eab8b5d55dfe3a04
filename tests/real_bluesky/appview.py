"""A small view of a PDS (app.bsky.*): what its firehose has told, as profiles, searches, posts and notifications.

    with AppView() as view:  # its address has to be known before the PDS starts
        view.follow(pds_url)

The PDS asks it in the name of the accounts that ask the PDS. Bluesky's own search is not public: this one knows words
and phrases in any case, `since`, `until` and pages, and sorts as Bluesky does, by the earlier of the time that a post
claims and the time when it was seen. Whoever asks is believed: the signature of the PDS is not checked.
"""

import base64
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.real_bluesky.firehose import Account, Firehose, Record

POST, LIKE, REPOST = "app.bsky.feed.post", "app.bsky.feed.like", "app.bsky.feed.repost"
Params = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Seen:
    """A record and when it was first seen."""

    record: Record
    indexed: datetime

    @property
    def sorted_at(self) -> datetime:
        return min(datetime.fromisoformat(self.record.value["createdAt"]), self.indexed)


@dataclass
class AppView:
    """Answers what the PDS does not know itself. `asked` is every request: method, parameters, status."""

    asked: list[tuple[str, Params, int]] = field(default_factory=list)
    records: dict[str, Seen] = field(default_factory=dict)
    handles: dict[str, str] = field(default_factory=dict)
    inactive: set[str] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __enter__(self) -> Self:
        view = self

        class Handler(_Handler):
            appview = view

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def follow(self, pds: str) -> Firehose:
        """Read the firehose of a PDS from its beginning."""
        return Firehose(pds, self._take)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def calls(self, method: str) -> list[Params]:
        """The parameters of the requests for a method, named by its last part."""
        return [params for name, params, _ in self.asked if name.endswith(method)]

    def answer(self, method: str, viewer: str, params: Params) -> dict[str, Any] | None:
        """Answer a query, None for one that is not known; raises ValueError for parameters that cannot be."""
        answers = {
            "app.bsky.actor.getProfile": self._profile,
            "app.bsky.feed.searchPosts": self._search,
            "app.bsky.feed.getPosts": self._get_posts,
            "app.bsky.notification.listNotifications": self._notifications,
        }
        with self._lock:
            return answers[method](viewer, params) if method in answers else None

    def _take(self, event: Record | Account) -> None:
        with self._lock:
            if isinstance(event, Account):
                if event.handle:
                    self.handles[event.did] = event.handle
                if event.active is not None:
                    (self.inactive.discard if event.active else self.inactive.add)(event.did)
            elif event.value is None:
                self.records.pop(event.uri, None)
            else:
                before = self.records.get(event.uri)
                self.records[event.uri] = Seen(event, before.indexed if before else datetime.now(UTC))

    def _author(self, did: str) -> dict[str, Any]:
        return {"did": did, "handle": self.handles.get(did, "handle.invalid")}

    def _all(self, collection: str) -> Iterator[Seen]:
        for seen in self.records.values():
            if seen.record.collection == collection and seen.record.did not in self.inactive:
                yield seen

    def _profile(self, viewer: str, params: Params) -> dict[str, Any]:
        dids = {handle: did for did, handle in self.handles.items()}
        did = dids.get(params["actor"][0], params["actor"][0])
        if did not in self.handles or did in self.inactive:
            raise ValueError("Profile not found")
        return {**self._author(did), "postsCount": sum(seen.record.did == did for seen in self._all(POST))}

    def _view(self, seen: Seen) -> dict[str, Any]:
        record = seen.record
        counts = {
            "likeCount": sum(_about(each) == record.uri for each in self._all(LIKE)),
            "repostCount": sum(_about(each) == record.uri for each in self._all(REPOST)),
            "replyCount": sum(_parent(each.record.value) == record.uri for each in self._all(POST)),
        }
        return {**self._shown(seen), **counts}

    def _shown(self, seen: Seen) -> dict[str, Any]:
        record = seen.record
        shown = {"uri": record.uri, "cid": record.cid, "author": self._author(record.did), "record": record.value}
        return shown | {"indexedAt": seen.indexed.isoformat(timespec="milliseconds").replace("+00:00", "Z")}

    def _search(self, viewer: str, params: Params) -> dict[str, Any]:
        size, offset = int(params.get("limit", ["25"])[0]), int(params.get("cursor", ["0"])[0])
        if not 1 <= size <= 100 or offset + size > 10_000:
            raise ValueError("limit or cursor")
        since, until = (
            datetime.fromisoformat(params[each][0]) if each in params else None for each in ("since", "until")
        )
        wanted = [_words(part) for part in re.findall(r'"[^"]*"|[^\s"]+', params["q"][0])]
        found = [
            seen
            for seen in sorted(self._all(POST), key=lambda seen: seen.sorted_at, reverse=True)
            if (since is None or seen.sorted_at >= since)
            and (until is None or seen.sorted_at < until)
            and all(f" {words} " in f" {_words(seen.record.value['text'])} " for words in wanted)
        ]
        page = _page([self._view(seen) for seen in found[offset : offset + size]], "posts", offset + size, len(found))
        return page | {"hitsTotal": len(found)}

    def _get_posts(self, viewer: str, params: Params) -> dict[str, Any]:
        uris = params.get("uris", [])
        if not 1 <= len(uris) <= 25:
            raise ValueError("uris")
        posts = {seen.record.uri: seen for seen in self._all(POST)}
        return {"posts": [self._view(posts[uri]) for uri in uris if uri in posts]}

    def _notifications(self, viewer: str, params: Params) -> dict[str, Any]:
        size, offset = int(params.get("limit", ["50"])[0]), int(params.get("cursor", ["0"])[0])
        if not 1 <= size <= 100:
            raise ValueError("limit")
        found = []
        for seen in sorted((*self._all(POST), *self._all(LIKE)), key=lambda seen: seen.indexed, reverse=True):
            reason = _reason(seen.record, viewer)
            if reason and reason in params.get("reasons", [reason]):
                found.append({**self._shown(seen), "reason": reason, "isRead": False})
        return _page(found[offset : offset + size], "notifications", offset + size, len(found))


def _page(items: list[dict[str, Any]], name: str, end: int, total: int) -> dict[str, Any]:
    page: dict[str, Any] = {name: items}
    return page | ({"cursor": str(end)} if end < total else {})


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _about(seen: Seen) -> str:
    subject: str = seen.record.value["subject"]["uri"]
    return subject


def _parent(post: Mapping[str, Any]) -> str:
    uri: str = post.get("reply", {}).get("parent", {}).get("uri", "")
    return uri


def _reason(record: Record, viewer: str) -> str | None:
    """Why an account is told of a record, None where it is not."""
    if record.did == viewer:
        return None
    value, own = record.value, f"at://{viewer}/"
    if record.collection == LIKE:
        return "like" if value["subject"]["uri"].startswith(own) else None
    if _parent(value).startswith(own):
        return "reply"
    if value.get("embed", {}).get("record", {}).get("uri", "").startswith(own):
        return "quote"
    features = [feature for facet in value.get("facets", ()) for feature in facet["features"]]
    return "mention" if any(feature.get("did") == viewer for feature in features) else None


class _Handler(BaseHTTPRequestHandler):
    appview: AppView
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        method, params = url.path.removeprefix("/xrpc/"), parse_qs(url.query)
        try:
            answer = self.appview.answer(method, _issuer(self.headers.get("Authorization")), params)
            status, body = (501, {"error": "MethodNotImplemented"}) if answer is None else (200, answer)
        except (ValueError, KeyError) as error:
            status, body = 400, {"error": "InvalidRequest", "message": str(error)}
        self.appview.asked.append((method, params, status))
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Silent: the requests are in AppView.asked."""


def _issuer(authorization: str | None) -> str:
    """Name the account in whose name the PDS asks: the issuer of its token."""
    claims = (authorization or "").split(".")[1:2]
    if not claims:
        return ""
    told = json.loads(base64.urlsafe_b64decode(claims[0] + "=" * (-len(claims[0]) % 4)))
    return str(told["iss"]).partition("#")[0]
