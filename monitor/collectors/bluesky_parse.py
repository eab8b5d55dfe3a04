"""From records of Bluesky's network to mentions."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from db.errors import SourceUnavailable
from db.records import Mention, Reach
from monitor.collectors.markup import clean

log = logging.getLogger(__name__)

COLLECTION = "app.bsky.feed.post"
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # authors claim any time: one before this is a mistake

_DID = r"did:[a-z]+:[A-Za-z0-9._:%-]{1,256}"
_RKEY = r"[A-Za-z0-9._:~-]{1,512}"
_URI = re.compile(rf"at://({_DID})/{re.escape(COLLECTION)}/({_RKEY})")

Did = Annotated[str, Field(pattern=f"^{_DID}$")]
Rkey = Annotated[str, Field(pattern=f"^{_RKEY}$")]
T = TypeVar("T")


def uri_of(did: str, rkey: str) -> str:
    """The id of a post: at://DID/app.bsky.feed.post/RKEY."""
    return f"at://{did}/{COLLECTION}/{rkey}"


def is_post(uri: str) -> bool:
    """Whether this is the id of a post."""
    return _URI.fullmatch(uri) is not None


def _or_none(value: object, read: ValidatorFunctionWrapHandler) -> datetime | None:
    """A time that cannot be read is unknown: programs of all kinds write records."""
    try:
        time: datetime | None = read(value)
        return time and time.astimezone(UTC)  # null is no time either
    except (ValidationError, OverflowError):
        return None


class _Parent(BaseModel):
    uri: str


class _Reply(BaseModel):
    parent: _Parent


class _Record(BaseModel):
    """What is read of a post. Titles of links and quoted posts are not its text."""

    text: str
    created_at: Annotated[AwareDatetime | None, WrapValidator(_or_none)] = Field(None, alias="createdAt")
    langs: list[str] | None = None
    reply: _Reply | None = None

    def language(self) -> str | None:
        first = self.langs[0].split("-")[0].lower() if self.langs else ""
        return first if re.fullmatch("[a-z]{2}", first) else None


class _View(BaseModel):
    """A post as the API shows it; a notification has no counts."""

    uri: str
    record: object
    indexed_at: AwareDatetime = Field(alias="indexedAt")
    likes: int | None = Field(None, alias="likeCount")
    reposts: int | None = Field(None, alias="repostCount")
    replies: int | None = Field(None, alias="replyCount")


def read_record(
    did: str, rkey: str, record: object, seen: datetime, now: datetime, reach: Reach | None = None
) -> Mention:
    """Make a mention of a record that the network saw at `seen`; raises ValidationError for an odd one.

    A post counts from the time that its author claims, unless that is later than it was seen: so Bluesky sorts them.
    """
    read = _Record.model_validate(record)
    claimed = read.created_at
    posted = min(claimed, seen) if claimed and claimed >= EARLIEST else seen
    parent = read.reply.parent.uri if read.reply else None
    return Mention(
        source="bluesky",
        source_id=uri_of(did, rkey),
        author=did,
        text=clean(read.text),
        created_at=min(posted.astimezone(UTC), now),
        collected_at=now,
        url=f"https://bsky.app/profile/{did}/post/{rkey}",
        language=read.language(),
        in_reply_to=parent if parent and is_post(parent) else None,
        reach=reach or Reach(),
    )


def read_view(view: object, now: datetime) -> tuple[Mention, datetime] | None:
    """Make a mention of a post that the API shows, with the time when it was indexed.

    None for what is no post (lists can hold others); raises ValidationError for an odd one.
    """
    read = _View.model_validate(view)
    found = _URI.fullmatch(read.uri)
    if found is None:
        return None
    reach = Reach(likes=read.likes, reposts=read.reposts, replies=read.replies)
    return read_record(found[1], found[2], read.record, read.indexed_at, now, reach), read.indexed_at


def read_all(items: Iterable[Any], read: Callable[[Any], T | None]) -> list[T]:
    """Read what can be read. One odd post must not stop a stream for ever; a page of nothing else is refused."""
    found: list[T] = []
    odd = Counter[str]()
    for item in items:
        try:
            one = read(item)
        except ValidationError as error:
            odd[fields_of(error)] += 1
        else:
            found += [] if one is None else [one]
    tell_odd(odd)
    if odd and not found:
        raise SourceUnavailable("Bluesky sent no post that can be read; the next run tries again")
    return found


def fields_of(error: ValidationError) -> str:
    """Name the fields that cannot be read; the error's own text quotes the post."""
    return ", ".join(sorted({".".join(map(str, each["loc"][:3])) or "all of it" for each in error.errors()})[:5])


def tell_odd(odd: Counter[str]) -> None:
    """Log how many posts were left out, by the fields that cannot be read."""
    for fields, count in odd.items():
        log.warning("Bluesky: %d posts are left out, they cannot be read: %s", count, fields)
