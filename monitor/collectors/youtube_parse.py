"""What YouTube sends, read with care: comments, threads and the videos of a search."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, ValidationError

from db.errors import SourceUnavailable
from db.records import Mention, Reach
from monitor.collectors.markup import clean

log = logging.getLogger(__name__)

UNREADABLE = "YouTube's answer cannot be read; the next run tries again"
_VIDEO = re.compile(r"[\w-]{1,64}", re.ASCII)


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("lies outside all calendars") from error


Id = Annotated[str, AfterValidator(clean), Field(min_length=1)]
Time = Annotated[AwareDatetime, AfterValidator(_utc)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
M = TypeVar("M", bound=BaseModel)


class _CommentSnippet(BaseModel):
    text: str = Field(alias="textDisplay")
    author: str | None = Field(None, alias="authorDisplayName")
    likes: Count | None = Field(None, alias="likeCount")
    posted: Time = Field(alias="publishedAt")
    parent: str | None = Field(None, alias="parentId")
    video: str | None = Field(None, alias="videoId")


class Comment(BaseModel):
    """A comment; `snippet.parent` is the comment that it answers."""

    id: Id
    snippet: _CommentSnippet


class _ThreadSnippet(BaseModel):
    top: Comment = Field(alias="topLevelComment")
    video: str | None = Field(None, alias="videoId")
    total: Count = Field(0, alias="totalReplyCount")


class _Replies(BaseModel):
    comments: list[object] = []


class _Thread(BaseModel):
    snippet: _ThreadSnippet
    replies: _Replies = _Replies()


class _VideoId(BaseModel):
    video: Annotated[str, Field(alias="videoId", pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class _VideoSnippet(BaseModel):
    posted: Time = Field(alias="publishedAt")


class _Video(BaseModel):
    id: _VideoId
    snippet: _VideoSnippet


@dataclass(frozen=True, slots=True)
class Thread:
    """A comment with the replies that came along: `came` of `total`, of which `replies` can be read."""

    top: Comment
    video: str | None
    total: int
    came: int
    replies: Sequence[Comment]


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a listing: `sent` posts, as they came, and where the next one is."""

    items: Sequence[object]
    next: str | None
    sent: int


def read_page(answer: object) -> Page:
    """Read the frame of a listing; SourceUnavailable where the answer is none."""
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(items, list):
        raise SourceUnavailable(UNREADABLE)
    token = answer.get("nextPageToken")
    return Page(items, token if isinstance(token, str) and token else None, len(items))


def read_comments(items: Sequence[object]) -> list[Comment]:
    """Read comments: those of a thread, or the answers to ids."""
    return _readable(Comment, items)


def read_threads(items: Sequence[object]) -> list[Thread]:
    """Read threads as they come, newest first."""
    threads = []
    for each in _readable(_Thread, items):
        snippet = each.snippet
        replies = _readable(Comment, each.replies.comments, refuse=False)
        video = snippet.video or snippet.top.snippet.video
        threads.append(Thread(snippet.top, video, snippet.total, len(each.replies.comments), replies))
    return threads


def read_videos(items: Sequence[object]) -> list[tuple[str, datetime]]:
    """Read what a search found: ids of videos and when they were published."""
    return [(each.id.video, each.snippet.posted) for each in _readable(_Video, items)]


def ids_of(items: Sequence[object]) -> set[str]:
    """The ids that an answer holds, those of posts that cannot be read included."""
    return {clean(each["id"]) for each in items if isinstance(each, dict) and isinstance(each.get("id"), str)}


def mention_of(comment: Comment, video: str | None, replies: int | None, now: datetime) -> Mention | None:
    """A mention, or None for a comment without a word. `video` is where it was found, should it not say so itself."""
    snippet = comment.snippet
    text = clean(snippet.text)
    if not text.strip():
        return None
    video = snippet.video or video
    author = clean(snippet.author or "").strip().removeprefix("@")
    where = f"https://www.youtube.com/watch?v={video}&lc={quote(comment.id, safe='')}"
    return Mention(
        source="youtube",
        source_id=comment.id,
        author=author or None,
        text=text,
        created_at=snippet.posted,
        collected_at=now,
        url=where if video and _VIDEO.fullmatch(video) else None,
        in_reply_to=clean(snippet.parent or "") or None,
        reach=Reach(likes=snippet.likes, replies=replies),
    )


def mentions_of(threads: Sequence[Thread], now: datetime) -> list[Mention]:
    """The mentions of threads, each comment before its replies."""
    found = []
    for thread in threads:
        found.append(mention_of(thread.top, thread.video, thread.total, now))
        found += [mention_of(reply, thread.video, None, now) for reply in thread.replies]
    return [each for each in found if each]


def _readable(model: type[M], items: Sequence[Any], refuse: bool = True) -> list[M]:
    """The items that can be read: an odd one must not stop the stream for ever. A page of them is refused."""
    read: list[M] = []
    odd: list[ValidationError] = []
    for item in items:
        try:
            read.append(model.model_validate(item))
        except ValidationError as error:
            odd.append(error)
    if odd and not read and refuse:
        raise SourceUnavailable(UNREADABLE)
    for why in odd:  # told by the fields only: the error's own text quotes the post
        fields = ", ".join(sorted({".".join(map(str, each["loc"])) or "all of it" for each in why.errors()}))
        log.warning("YouTube: a post is left out, it cannot be read: %s", fields)
    return read
