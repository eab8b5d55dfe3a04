"""RSS and Atom by feedparser: what is read of the entries of a feed, whatever they hold."""

import calendar
import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from db.errors import SourceUnavailable
from monitor.collectors.markup import clean, line_of, lines_of, text_of

if TYPE_CHECKING:
    import httpx

FIRST_YEAR = 1980  # a date before it tells nothing: some programs write 1970, or the year 1
LONGEST_LINK = 2_000


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a feed; None and "" for what it does not have. `fields` has all of it, as feedparser names it."""

    id: str
    link: str | None
    title: str
    body: str
    author: str | None
    posted: datetime | None
    fields: Mapping[str, Any]


def read_entries(name: str, answer: "httpx.Response") -> Sequence[Entry]:
    """Read the entries of a feed, as they come; `name` is how messages call it.

    Raises SourceUnavailable for what is no feed, and for a feed that is cut off before its first entry.
    """
    import feedparser

    headers = {"content-type": answer.headers.get("content-type", "")}
    try:
        # From a stream: feedparser takes bytes for the name of a file, and opens it. What it would clean of dangerous
        # markup is read as text only.
        feed = feedparser.parse(
            io.BytesIO(answer.content), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
        )
    except Exception as error:  # whatever a stranger's feed does to the parser, the other feeds are read
        raise SourceUnavailable(f"{name} cannot be read ({type(error).__name__})") from error
    entries = feed.get("entries") or []
    if not entries and not feed.get("version"):
        raise SourceUnavailable(f"{name} is no RSS or Atom feed; check its address in a browser")
    if not entries and feed.get("bozo"):
        raise SourceUnavailable(f"{name} is cut off, or no XML; the next run tries again")
    # It is not told the address: it would write it before short ids too, and they change when a feed moves.
    return [_entry(each, str(answer.url)) for each in entries]


def composed(title: str, body: str) -> str:
    """Put a title before a text, unless the text begins with it, or says no more."""
    first, rest = _words(title), _words(body)
    if title.endswith(("…", "...")):
        first = first[:-1]  # the last word may be cut
    if not body or (rest and first[: len(rest)] == rest):
        return title
    if not title or (first and rest[: len(first)] == first):
        return body
    return f"{title}\n\n{body}"


def _entry(fields: dict[str, Any], address: str) -> Entry:
    # dict.get: feedparser's own falls back on other fields, with a warning.
    contents = dict.get(fields, "content") or [dict.get(fields, "summary_detail") or {}]
    detail = dict.get(fields, "author_detail") or {}
    return Entry(
        id=line_of(dict.get(fields, "id") or ""),
        link=_link(fields, address),
        title=line_of(_text(dict.get(fields, "title_detail") or {})),
        body=_text(contents[0]),
        author=line_of(detail.get("name") or dict.get(fields, "author") or "") or None,
        posted=_posted(fields),
        fields=fields,
    )


def _text(detail: Mapping[str, Any]) -> str:
    value = detail.get("value") or ""
    # Plain text is sent with entities all the same; a "<" in it is none of a tag.
    return lines_of(html.unescape(value)) if detail.get("type") == "text/plain" else text_of(value)


def _link(fields: dict[str, Any], address: str) -> str | None:
    # Not feedparser's own choice, which is the id where there is no link, though that be a number.
    links = {each.get("rel"): each.get("href") for each in reversed(dict.get(fields, "links") or [])}
    said = links.get("alternate") or links.get("related")
    given = dict.get(fields, "id") or ""
    if not said and given.startswith(("https://", "http://")):
        said = given
    try:
        link = urljoin(address, clean(said.strip())) if said else ""
    except ValueError:  # as of a bracket that is no IPv6 address
        return None
    return link if len(link) <= LONGEST_LINK and re.fullmatch(r"https?://[!-~]+", link) else None


def _posted(fields: dict[str, Any]) -> datetime | None:
    for name in ("published_parsed", "updated_parsed", "created_parsed"):
        told = dict.get(fields, name)
        if told and told[0] >= FIRST_YEAR:
            try:
                return datetime.fromtimestamp(calendar.timegm(told), UTC)
            except (ValueError, OverflowError):
                continue
    return None


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
