"""RSS and Atom feeds: addresses, and searches that answer with a feed, read only when they have changed."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Self
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BaseModel, Field, model_validator

from db.errors import InputError, SourceUnavailable
from db.records import Batch, Gap, Mention, Position
from jobs.collector import Collector, Meter
from monitor.collectors.addresses import feed_address
from monitor.collectors.dialects import feed_query
from monitor.collectors.feed_entries import Entry, composed, read_entries
from monitor.collectors.fetch import Fetcher
from monitor.plugins import Brand, CollectorKind, RegisterCollector, hookimpl

log = logging.getLogger(__name__)

PLATFORM = "feed"
GOOGLE_NEWS = "https://news.google.com/rss/search?q={query}&hl=en-US&gl=US&ceid=US:en"
AT_ONCE = 100  # entries in a batch
MOST_SEEN = 1_000  # entries that a cursor remembers
LONGEST_ID = 500
LONGEST_TAG = 500


def _template(url: str) -> str:
    if url.count("{query}") != 1 or "{" in urlsplit(url).netloc:
        raise ValueError(
            "write {query} where the search words go, as in https://example.org/search?q={query}&format=rss"
        )
    return feed_address(url)


class FeedOptions(BaseModel, extra="forbid"):
    """The options of a source of kind "feed"."""

    urls: list[Annotated[str, AfterValidator(feed_address)]] = []
    search: list[Annotated[str, AfterValidator(_template)]] = []
    timeout: Annotated[float, Field(gt=0, le=300)] = 15  # seconds

    @model_validator(mode="after")
    def _any(self) -> Self:
        if not self.urls and not self.search:
            raise ValueError("give `urls` of feeds, or `search` with addresses that hold {query}")
        return self


@dataclass(frozen=True, slots=True)
class Mark:
    """The cursor: what the feed said of its version, its newest entry, and hashes of entries seen and their texts."""

    url: str
    etag: str | None = None
    modified: str | None = None
    newest: datetime | None = None
    seen: Mapping[str, str] = field(default_factory=dict)

    def headers(self) -> dict[str, str]:
        """What asks for the feed only if it has changed."""
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in asked.items() if value}

    def to_json(self) -> str:
        newest = self.newest.isoformat() if self.newest else None
        return json.dumps([self.url, self.etag, self.modified, newest, dict(self.seen)])

    @classmethod
    def from_json(cls, text: str) -> Self:
        url, etag, modified, newest, seen = json.loads(text)
        return cls(url, etag, modified, datetime.fromisoformat(newest) if newest else None, seen)


class FeedCollector:
    """Reads each feed whole, and hands on the entries that are new or say something else than before."""

    def __init__(self, options: FeedOptions, feeds: Mapping[str, str]) -> None:
        self._options, self._feeds = options, feeds

    def streams(self) -> Sequence[str]:
        return list(self._feeds)

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        """Ask for the feed if it has changed since the cursor."""
        if stream not in self._feeds:
            raise InputError(f"the source has no stream {stream!r}")
        url = self._feeds[stream]
        name = f"the feed {_shown(url)}"
        before = Mark.from_json(position.cursor) if position.cursor else None
        if before and before.url != url:  # the brand's query is another by now: nothing holds of the old search
            before = None
        with Fetcher(name, self._options.timeout, now) as fetcher:
            answer = fetcher.get(url, headers=before.headers() if before else {})
        if answer.status_code == 304:
            if before is None:
                raise SourceUnavailable(f"{name} says that it has not changed, though it was never read")
            yield Batch((), cursor=before.to_json())
            return

        entries = read_entries(name, answer)
        found = _mentions(entries, urlsplit(url).hostname or "", now)
        seen = {_hash(mention.source_id): _hash(mention.text) for mention in found}
        known = before.seen if before else {}
        new = [mention for mention in found if known.get(_hash(mention.source_id)) != _hash(mention.text)]
        times = [mention.created_at for mention in found]
        gap = None
        if before and before.newest:
            if times and min(times) > before.newest and not seen.keys() & known.keys():
                reason = f"{name} holds {len(times)} entries, all new: some may have dropped out of it"
                gap = Gap(before.newest, min(times), reason)
            times.append(before.newest)
        remembered = [*seen.items(), *((key, text) for key, text in known.items() if key not in seen)][:MOST_SEEN]
        etag, modified = _tag(answer.headers.get("etag")), _tag(answer.headers.get("last-modified"))
        mark = Mark(url, etag, modified, max(times, default=None), dict(remembered))
        left = len(entries)
        while len(new) > AT_ONCE:
            some, new = new[:AT_ONCE], new[AT_ONCE:]
            left -= len(some)
            yield Batch(some, fetched=len(some))
        yield Batch(new, cursor=mark.to_json(), fetched=left, gap=gap)


def _mentions(entries: Sequence[Entry], host: str, now: datetime) -> Sequence[Mention]:
    """The mentions of a feed; of entries with the same id the first counts."""
    found: dict[str, Mention] = {}
    for entry in entries:
        mention = _mention(entry, host, now)
        if mention is not None:
            found.setdefault(mention.source_id, mention)
    return list(found.values())


def _mention(entry: Entry, host: str, now: datetime) -> Mention | None:
    """A mention, or None for an entry that says nothing."""
    text = composed(entry.title, entry.body)
    if not text:
        return None
    return Mention(
        source=PLATFORM,
        source_id=_id(entry, text, host),
        author=entry.author,
        text=text,
        created_at=min(entry.posted or now, now),
        collected_at=now,
        url=entry.link,
    )


def _id(entry: Entry, text: str, host: str) -> str:
    """An id that no entry of another feed has: addresses are unique, other ids only within their site."""
    given = entry.id or entry.link or _hash(text, 32)
    if not given.startswith(("https://", "http://")):
        given = f"{host}:{given}"
    return given if len(given) <= LONGEST_ID else f"{host}:{_hash(given, 32)}"


def _hash(text: str, size: int = 6) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def _tag(header: str | None) -> str | None:
    """A header to send back, if it is fit to be sent."""
    return header if header and len(header) <= LONGEST_TAG and header.isascii() and header.isprintable() else None


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}"[:100]


def _search(brand: Brand, template: str) -> str:
    return f"search:{brand.name}:{template}"


def _feeds(options: FeedOptions, brands: Sequence[Brand]) -> dict[str, str]:
    feeds = {url: url for url in options.urls}
    for template in options.search:
        for brand in brands:
            words = quote(feed_query(brand.query), safe="")
            feeds[_search(brand, template)] = template.replace("{query}", words)
    return feeds


def build(options: FeedOptions, brands: Sequence[Brand]) -> Collector:
    return FeedCollector(options, _feeds(options, brands))


def explain(options: FeedOptions, brands: Sequence[Brand]) -> Sequence[str]:
    feeds = _feeds(options, brands)
    brand_of = {_search(brand, template): brand.name for template in options.search for brand in brands}
    return [
        f"search:{brand_of[stream]}: {url}" if stream in brand_of else f"{url}: all of it"
        for stream, url in feeds.items()
    ]


def first_look(name: str) -> Mapping[str, object]:
    return {"search": [GOOGLE_NEWS]}


@hookimpl
def register_collectors(register: RegisterCollector) -> None:
    register(CollectorKind("feed", FeedOptions, build, explain, first_look))
