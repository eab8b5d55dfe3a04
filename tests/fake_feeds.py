"""Feeds on a loopback socket: RSS, Atom, a search for news, and the App Store with its reviews.

    with FakeFeeds() as feeds:
        feed = feeds.feed("/blog.xml")
        feed.add("Acme is down", "<p>All of it.</p>", at=when)
        FeedOptions(urls=[feeds.url + "/blog.xml"])

    with FakeAppStore() as store:
        store.review(123, "us", "Crashes", "Since the update.", at=when)
        AppStoreOptions(app_id=[123], base_url=store.url)

A feed answers 304 to a request that names its ETag or its Last-Modified, and holds its newest entries only. The search
is shaped as Google News is: at most 100 items, each

    <item><title>Acme recalls kettles - The Times</title><link>https://news.google.com/rss/articles/CBMi…?oc=5</link>
    <guid isPermaLink="false">CBMi…</guid><pubDate>Fri, 20 Nov 2026 08:00:00 GMT</pubDate>
    <description>&lt;a href="…"&gt;Acme recalls kettles&lt;/a&gt;&amp;nbsp;&amp;nbsp;&lt;font&gt;The Times&lt;/font&gt;

The App Store gives ten pages of 50 reviews, newest first, as Atom with fields of its own:

    <entry><id>14341672833</id><title>TES-YES!</title><content type="text">An exceptionally well-written…</content>
    <im:contentType term="Application" label="Application"/><im:voteSum>4</im:voteSum><im:voteCount>6</im:voteCount>
    <im:rating>5</im:rating><updated>2026-07-24T01:46:25-07:00</updated><im:version>1.1.13</im:version>
    <author><name>Jo Pro 1606</name><uri>https://itunes.apple.com/gb/reviews/id740</uri></author>
    <link rel="related" href="https://itunes.apple.com/gb/review?id=6743850634&amp;type=Purple%20Software"/>
    <content type="html">&lt;table…&gt;</content></entry>

A page beyond the last review has no entry. In older answers the first entry is the app itself: im:name, no im:rating.
The name of an app is told by /lookup?id=…&country=…: {"resultCount": 1, "results": [{"trackId": …, "trackName": "…"}]},
and {"resultCount": 0, "results": []} where the store does not have it.
"""

import hashlib
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from xml.sax.saxutils import escape

from tests.fake_site import Answer, FakeSite, Request

PACIFIC = timezone(timedelta(hours=-7))
PAGE, PAGES = 50, 10


@dataclass(frozen=True, slots=True)
class Item:
    """An entry; what is None is not sent."""

    title: str | None
    body: str | None  # HTML
    at: datetime | None
    id: str | None
    link: str | None
    author: str | None = None

    def rss(self) -> str:
        parts = {
            "title": self.title,
            "link": self.link,
            "dc:creator": self.author,
            "pubDate": format_datetime(self.at) if self.at else None,
            "description": self.body,
        }
        guid = f'<guid isPermaLink="false">{escape(self.id)}</guid>' if self.id else ""
        return f"<item>{guid}{''.join(_tag(name, text) for name, text in parts.items())}</item>"

    def atom(self) -> str:
        link = f'<link rel="alternate" href="{escape(self.link)}"/>' if self.link else ""
        author = f"<author>{_tag('name', self.author)}</author>" if self.author else ""
        body = f'<content type="html">{escape(self.body)}</content>' if self.body is not None else ""
        at = self.at.isoformat() if self.at else None
        parts = _tag("id", self.id) + _tag("title", self.title) + _tag("updated", at)
        return f"<entry>{parts}{link}{author}{body}</entry>"


@dataclass(slots=True)
class Feed:
    """One feed. `holds` is how many entries it shows."""

    atom: bool = False
    holds: int = 1_000
    conditional: bool = True
    raw: bytes | None = None  # sent in place of it
    items: list[Item] = field(default_factory=list)

    def add(
        self,
        title: str | None = None,
        body: str | None = None,
        *,
        at: datetime | None = None,
        id: str | None = None,
        link: str | None = "auto",
        author: str | None = None,
    ) -> None:
        number = len(self.items)
        self.items.append(
            Item(title, body, at, id, f"https://example.org/{number}" if link == "auto" else link, author)
        )

    def change(self, number: int, body: str) -> None:
        self.items[number] = replace(self.items[number], body=body)

    def body(self) -> bytes:
        if self.raw is not None:
            return self.raw
        shown = self.items[::-1][: self.holds]
        if self.atom:
            entries = "".join(item.atom() for item in shown)
            text = f'<feed xmlns="http://www.w3.org/2005/Atom"><title>A feed</title>{entries}</feed>'
        else:
            entries = "".join(item.rss() for item in shown)
            names = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
            text = f'<rss version="2.0" {names}><channel><title>A feed</title>{entries}</channel></rss>'
        return b'<?xml version="1.0" encoding="utf-8"?>' + text.encode("utf-8", "replace")


class FakeFeeds(FakeSite):
    """Feeds by their path, and a search for news at /rss/search?q=…"""

    def __init__(self) -> None:
        super().__init__()
        self.feeds: dict[str, Feed] = {}
        self.news: list[tuple[str, str, datetime]] = []  # headline, publisher, time
        self.gone: set[str] = set()

    def feed(self, path: str, *, atom: bool = False, holds: int = 1_000, conditional: bool = True) -> Feed:
        self.feeds[path] = Feed(atom, holds, conditional)
        return self.feeds[path]

    def answer(self, request: Request) -> Answer:
        if request.path in self.gone:
            return Answer(b"gone", 410)
        if request.path == "/rss/search":
            return Answer(self._search(request.params["q"]), headers={"content-type": "application/xml; charset=utf-8"})
        if request.path not in self.feeds:
            return Answer(b"not found", 404)
        feed = self.feeds[request.path]
        body = feed.body()
        if not feed.conditional:
            return Answer(body, headers={"content-type": "text/xml"})
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        headers = {"content-type": "application/rss+xml", "etag": etag, "last-modified": f"version {len(feed.items)}"}
        if request.headers.get("if-none-match") == etag:
            return Answer(b"", 304, headers)
        return Answer(body, headers=headers)

    def _search(self, query: str) -> bytes:
        words = [word.strip('"').casefold() for word in query.split(" OR ")]
        found = [news for news in self.news if any(word in news[0].casefold() for word in words)]
        items = []
        for headline, publisher, at in sorted(found, key=lambda news: news[2], reverse=True)[:100]:
            number = "CBMi" + hashlib.md5(headline.encode()).hexdigest()
            link = f"https://news.google.com/rss/articles/{number}?oc=5"
            said = f'<a href="{link}" target="_blank">{escape(headline)}</a>&nbsp;&nbsp;<font>{publisher}</font>'
            items.append(Item(f"{headline} - {publisher}", said, at, number, link).rss())
        about = "<generator>NFE/5.0</generator><title>news</title><language>en-US</language>"
        return f'<rss version="2.0"><channel>{about}{"".join(items)}</channel></rss>'.encode()


@dataclass(frozen=True, slots=True)
class Review:
    """A review; what is None is not sent."""

    id: int | None
    title: str
    text: str
    at: datetime | None
    author: str = "Jo Pro 1606"
    stars: int = 2
    votes: int = 0

    def entry(self, app: int, country: str) -> str:
        at = self.at.astimezone(PACIFIC).isoformat() if self.at else None
        link = f"https://itunes.apple.com/{country}/review?id={app}&amp;type=Purple%20Software"
        table = escape(f"<table><tr><td>{escape(self.title)}</td><td>{escape(self.text)}</td></tr></table>")
        return (
            f"<entry>{_tag('id', str(self.id) if self.id else None)}{_tag('title', self.title)}"
            f'<content type="text">{escape(self.text)}</content>'
            '<im:contentType term="Application" label="Application"/>'
            f"<im:voteSum>{self.votes}</im:voteSum><im:voteCount>{abs(self.votes)}</im:voteCount>"
            f"<im:rating>{self.stars}</im:rating>{_tag('updated', at)}<im:version>1.1</im:version>"
            f"<author>{_tag('name', self.author)}<uri>https://itunes.apple.com/{country}/reviews/id7</uri></author>"
            f'<link rel="related" href="{link}"/><content type="html">{table}</content></entry>'
        )


class FakeAppStore(FakeSite):
    """Reviews by app and country, and the names of apps."""

    def __init__(self, page: int = PAGE) -> None:
        super().__init__()
        self.page = page
        self.names: dict[int, str] = {123: "Acme: Kettle & Co"}
        self.reviews: dict[tuple[int, str], list[Review]] = {}
        self.empty = False  # as the real one is now and then
        self.older = False  # whether the app itself is the first entry

    def review(self, app: int, country: str, title: str, text: str, *, at: datetime | None, **values: object) -> str:
        known = self.reviews.setdefault((app, country), [])
        number = 14_000_000_000 + sum(map(len, self.reviews.values()))
        known.append(replace(Review(number, title, text, at), **values))
        return str(number)

    def edit(self, app: int, country: str, number: str, **values: object) -> None:
        known = self.reviews[app, country]
        place = next(place for place, review in enumerate(known) if str(review.id) == number)
        known[place] = replace(known[place], **values)

    def pages(self) -> list[str]:
        return [request.path for request in self.requests if request.path != "/lookup"]

    def answer(self, request: Request) -> Answer:
        if request.path == "/lookup":
            number = int(request.params["id"])
            results = [{"trackId": number, "trackName": self.names[number]}] if number in self.names else []
            return Answer.of({"resultCount": len(results), "results": results})
        found = re.fullmatch(r"/([a-z]{2})/rss/customerreviews/page=(\d+)/id=(\d+)/sortby=mostrecent/xml", request.path)
        if not found or not 1 <= int(found[2]) <= PAGES:
            return Answer(b"CustomerReviews RSS page depth is limited to 10", 400)
        country, page, app = found[1], int(found[2]), int(found[3])
        known = sorted(self.reviews.get((app, country), []), key=lambda review: str(review.at), reverse=True)
        shown = [] if self.empty else known[(page - 1) * self.page : page * self.page]
        itself = f"<entry><id>app</id><im:name>{escape(self.names[app])}</im:name><title>app</title></entry>"
        entries = (itself if self.older else "") + "".join(review.entry(app, country) for review in shown)
        names = 'xmlns:im="http://itunes.apple.com/rss" xmlns="http://www.w3.org/2005/Atom"'
        text = f'<feed {names} xml:lang="en"><title>iTunes Store: Customer Reviews</title>{entries}</feed>'
        return Answer(
            b'<?xml version="1.0" encoding="utf-8"?>' + text.encode(),
            headers={"content-type": "text/xml; charset=UTF-8"},
        )


def _tag(name: str, text: str | None) -> str:
    return f"<{name}>{escape(text)}</{name}>" if text is not None else ""
