"""From what Algolia and Hacker News answer to mentions."""

import html
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from db.errors import SourceUnavailable
from db.records import Checked, Mention, Reach
from monitor.collectors.markup import line_of, text_of

log = logging.getLogger(__name__)

PLATFORM = "hackernews"
FAR = 253_402_300_799  # the last second of the year 9999

Seconds = Annotated[int, Field(ge=0, le=FAR)]
Id = Annotated[int, Field(ge=0, lt=2**63)]


class _Hit(BaseModel):
    """What is read of a hit; Algolia names more, and sends null for what a kind of post does not have."""

    id: Annotated[str, Field(alias="objectID", pattern=r"^[0-9]{1,20}$")]
    posted: Annotated[Seconds, Field(alias="created_at_i")]
    author: str | None = None
    title: str | None = None
    story_text: str | None = None
    comment_text: str | None = None
    parent_id: Id | None = None
    points: int | None = None
    num_comments: int | None = None


class _Answer(BaseModel):
    hits: list[Any]
    found: Annotated[int, Field(alias="nbHits", ge=0)]


class _Item(BaseModel):
    """What is read of an item of the official API."""

    posted: Annotated[Seconds, Field(alias="time")]
    author: Annotated[str | None, Field(alias="by")] = None
    title: str | None = None
    text: str | None = None
    parent: Id | None = None
    score: int | None = None
    descendants: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to a search: `oldest` is when its oldest hit was made, None where it has none.

    `fetched` counts the hits, `found` those that Algolia knows of.
    """

    mentions: Sequence[Mention]
    oldest: int | None
    fetched: int
    found: int


def read_page(answer: object, now: datetime) -> Page:
    """Read a page of hits. One that cannot be read is left out; a page of nothing else is SourceUnavailable."""
    try:
        page = _Answer.model_validate(answer)
    except ValidationError as error:
        raise SourceUnavailable("Hacker News sent no page of hits; the next run tries again") from error
    hits: list[_Hit] = []
    for one in page.hits:
        try:
            hits.append(_Hit.model_validate(one))
        except ValidationError as error:
            log.warning("Hacker News: a post is left out, it cannot be read: %s", _fields(error))
    if page.hits and not hits:
        raise SourceUnavailable("Hacker News sent nothing but posts that cannot be read; the next run tries again")
    mentions = tuple(mention for hit in hits if (mention := _mention(hit, now)))
    return Page(mentions, min((hit.posted for hit in hits), default=None), len(page.hits), page.found)


def read_items(answers: Mapping[str, object], now: datetime) -> Checked:
    """Read items of the official API, by their id. One that cannot be read is neither gone nor seen.

    Raises SourceUnavailable where that is so of all.
    """
    gone, seen = [], []
    for number, answer in answers.items():
        fields = answer if isinstance(answer, dict) else {}
        if answer is None or fields.get("deleted") is True or fields.get("dead") is True:
            gone.append(number)  # most of its other fields are missing
            continue
        try:
            seen.append(_item(number, _Item.model_validate(answer), now))
        except ValidationError as error:
            log.warning("Hacker News: a post cannot be checked, it cannot be read: %s", _fields(error))
    if answers and not gone and not seen:
        raise SourceUnavailable("Hacker News sent nothing but posts that cannot be read; the next run tries again")
    return Checked(gone, seen)


def _mention(hit: _Hit, now: datetime) -> Mention | None:
    """A mention, or None for what was deleted and for what says nothing."""
    text = _text(hit.title, hit.comment_text or hit.story_text)
    reach = _reach(hit.points, hit.num_comments)
    return _made(hit.id, hit.posted, hit.author, text, hit.parent_id, reach, now) if text else None


def _item(number: str, item: _Item, now: datetime) -> Mention:
    reach = _reach(item.score, item.descendants)
    return _made(number, item.posted, item.author, _text(item.title, item.text), item.parent, reach, now)


def _made(
    number: str, posted: int, author: str | None, text: str, parent: int | None, reach: Reach, now: datetime
) -> Mention:
    return Mention(
        source=PLATFORM,
        source_id=number,
        author=line_of(author or "") or None,
        text=text,
        created_at=datetime.fromtimestamp(posted, UTC),
        collected_at=now,
        url=f"https://news.ycombinator.com/item?id={number}",
        in_reply_to=str(parent) if parent is not None else None,
        reach=reach,
    )


def _text(title: str | None, body: str | None) -> str:
    # A title is no HTML, so that Vec<T> stays; but older ones were sent with entities.
    parts = (line_of(html.unescape(title or "")), text_of(body or ""))
    return "\n\n".join(part for part in parts if part)


def _reach(points: int | None, replies: int | None) -> Reach:
    return Reach(likes=_count(points), replies=_count(replies))


def _count(number: int | None) -> int | None:
    """A number that a database takes, none of them below 0."""
    return None if number is None else min(max(number, 0), 2**31)


def _fields(error: ValidationError) -> str:
    """Name the fields only: the error's own text quotes the post."""
    return ", ".join(sorted({".".join(map(str, each["loc"])) or "all of it" for each in error.errors()}))
