"""A small Hacker News on a loopback socket: Algolia's search_by_date and the official item API.

    with FakeHackerNews() as news:
        story = news.story("Acme is down", at=when)
        news.comment("<i>Same</i> here", parent=story, at=when)
        HackerNewsOptions(api_url=news.search_url, item_url=news.item_url)

The shapes are those of the real ones. A hit of Algolia:

    {"objectID": "8952", "author": "dhouston", "created_at": "2007-04-04T19:16:40Z", "created_at_i": 1175714200,
     "title": "My YC app: Dropbox", "url": "http://www.getdropbox.com/u/2/screencast.html", "points": 111,
     "num_comments": 71, "story_id": 8863, "story_text": null, "comment_text": null, "parent_id": null,
     "_tags": ["story", "author_dhouston", "story_8952"], "_highlightResult": {…}}

around it {"hits": […], "nbHits": 5562, "page": 0, "nbPages": 10, "hitsPerPage": 100, "exhaustiveNbHits": true, …}.
Comments have comment_text, parent_id and story_title, and null for points. Texts are HTML: <p> between paragraphs
without an end, &#x27; and &#x2F; for ' and /. The newest come first. A search gives 1,000 hits in all its pages, after
that "you can only fetch the 1000 hits for this query". Words must all be there; the last may be the beginning of one.
An item of the official API is {"id", "type", "by", "time", "text" or "title", "parent", "score", "descendants"}, with
"deleted" or "dead" true where it is, and null for a number that was never used.
"""

import html
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tests.fake_site import Answer, FakeSite, Request

CAP = 1_000
PARAMETERS = {"query", "tags", "numericFilters", "hitsPerPage", "page", "typoTolerance", "advancedSyntax"}
PARAMETERS |= {"restrictSearchableAttributes"}
SEARCHED = ("title", "story_text", "comment_text", "url", "author")


@dataclass(frozen=True, slots=True)
class Item:
    """A story or a comment."""

    id: int
    at: datetime
    author: str
    title: str | None = None
    text: str | None = None  # HTML
    parent: int | None = None
    points: int = 1
    comments: int = 0
    gone: str | None = None  # "deleted", "dead" or "missing", on the official API
    indexed: bool = True  # whether Algolia shows it yet
    more: dict[str, Any] = field(default_factory=dict)  # overrides what is sent

    def hit(self) -> dict[str, Any]:
        story = self.parent is None
        return {
            "objectID": str(self.id),
            "author": self.author,
            "created_at": self.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "created_at_i": int(self.at.timestamp()),
            "title": self.title,
            "url": None,
            "points": self.points if story else None,
            "num_comments": self.comments if story else None,
            "story_id": self.id if story else self.parent,
            "story_title": None if story else "A story",
            "story_text": self.text if story else None,
            "comment_text": None if story else self.text,
            "parent_id": self.parent,
            "_tags": ["story" if story else "comment", f"author_{self.author}"],
            "_highlightResult": {"author": {"value": self.author, "matchLevel": "none", "matchedWords": []}},
        } | self.more

    def item(self) -> dict[str, Any] | None:
        kind = "story" if self.parent is None else "comment"
        common = {"id": self.id, "type": kind, "time": int(self.at.timestamp())}
        if self.gone == "missing":
            return None
        if self.gone == "deleted":
            return common | {"deleted": True, "parent": self.parent}
        own = {"title": self.title, "text": self.text, "parent": self.parent, "by": self.author}
        own |= {"score": self.points, "descendants": self.comments} if kind == "story" else {}
        dead = {"dead": True} if self.gone == "dead" else {}
        return common | {key: value for key, value in own.items() if value is not None} | dead | self.more


class FakeHackerNews(FakeSite):
    """The state, and the server around it (tests/fake_site.py has its faults)."""

    def __init__(self, cap: int = CAP) -> None:
        super().__init__()
        self.cap = cap
        self.items: dict[int, Item] = {}
        self.search_url = f"{self.url}/api/v1/search_by_date"
        self.item_url = f"{self.url}/v0/item"

    def story(self, title: str, text: str | None = None, *, at: datetime, **values: Any) -> str:
        return self._add(at, title=title, text=text, **values)

    def comment(self, text: str, *, parent: str = "1", at: datetime, **values: Any) -> str:
        return self._add(at, text=text, parent=int(parent), **values)

    def change(self, number: str, **values: Any) -> None:
        self.items[int(number)] = replace(self.items[int(number)], **values)

    def searches(self) -> list[Request]:
        return [request for request in self.requests if request.path.startswith("/api/")]

    def _add(self, at: datetime, author: str = "ann", **values: Any) -> str:
        number = 40_000_000 + len(self.items)
        self.items[number] = Item(number, at, author, **values)
        return str(number)

    def answer(self, request: Request) -> Answer:
        if found := re.fullmatch(r"/v0/item/(\d+)\.json", request.path):
            item = self.items.get(int(found[1]))
            return Answer.of(item.item() if item else None)
        if request.path != "/api/v1/search_by_date":
            return Answer.of({"message": "Not Found", "status": 404}, 404)
        if unknown := request.params.keys() - PARAMETERS:
            return Answer.of({"message": f"Unknown parameter: {min(unknown)}", "status": 400}, 400)
        return self._search(request.params)

    def _search(self, params: Any) -> Answer:
        size = min(int(params.get("hitsPerPage", 20)), self.cap)
        page = int(params.get("page", 0))
        tags = params.get("tags", "").strip("()").split(",")
        attributes = params.get("restrictSearchableAttributes", ",".join(SEARCHED)).split(",")
        hits = [
            hit
            for item in sorted(self.items.values(), key=lambda item: (item.at, item.id), reverse=True)
            if item.indexed and {*tags} & {*(hit := item.hit())["_tags"]}
            if _within(params.get("numericFilters", ""), int(item.at.timestamp()))
            if _holds(params.get("query", ""), [str(hit.get(name) or "") for name in attributes])
        ]
        pages = -(-min(len(hits), self.cap) // size)
        about = {"page": page, "hitsPerPage": size, "exhaustiveNbHits": True, "query": params.get("query", "")}
        if page * size >= self.cap:
            told = f"you can only fetch the {self.cap} hits for this query"
            return Answer.of({"hits": [], "nbHits": 0, "nbPages": 0, "message": told} | about)
        return Answer.of({"hits": hits[page * size : (page + 1) * size], "nbHits": len(hits), "nbPages": pages} | about)


def _within(filters: str, posted: int) -> bool:
    checks = {">": posted.__gt__, ">=": posted.__ge__, "<": posted.__lt__, "<=": posted.__le__, "=": posted.__eq__}
    for one in filter(None, filters.split(",")):
        found = re.fullmatch(r"created_at_i(>=|<=|>|<|=)(-?\d+)", one)
        if not found:
            raise ValueError(f"{one!r} is no filter")
        if not checks[found[1]](int(found[2])):
            return False
    return True


def _holds(query: str, texts: list[str]) -> bool:
    """Whether each word of the query is one of the texts'; the markup of a text is cut into words too."""
    words = [word for text in texts for word in _words(text)]
    *whole, last = _words(query) or [""]
    return all(word in words for word in whole) and any(word.startswith(last) for word in words)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[+#$]", text.casefold())


def as_comment(*paragraphs: str) -> str:
    """Write a text as Hacker News does."""
    return "<p>".join(html.escape(each).replace("/", "&#x2F;") for each in paragraphs)


def utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
