"""What is read of a Mastodon post, and the mention that it becomes."""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, Field, ValidationError

from db.errors import SourceUnavailable
from db.records import Mention, Reach
from models.query import Node
from models.tokens import wild
from monitor.collectors.dialects import words_of
from monitor.collectors.markup import clean, text_of

log = logging.getLogger(__name__)

OPEN = frozenset({"public", "unlisted"})  # the visibilities that are stored
LARGEST = 2**63 - 1  # the largest whole number of the database
LATE = timedelta(hours=1)  # posts can reach a server, and its search, some time after they were made
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LANGUAGE = re.compile(r"([a-z]{2,3})(?:[-_].*)?", re.DOTALL)
_LOCAL = re.compile(r"/(?:[^/]+/)*(?:statuses|@[^/]+)/([0-9A-Za-z]+)(?:/activity)?")


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error


def _count(value: object) -> int | None:
    """Some servers hide counts behind -1 or null."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST else None


Count = Annotated[int | None, BeforeValidator(_count)]
Id = Annotated[str, Field(min_length=1, max_length=100)]


def _accounts(listed: object) -> list[str]:
    """The accounts that a post mentions, as far as they can be read: the post is worth reading without."""
    named = [each.get("acct") for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [account for account in named if isinstance(account, str) and account]


class _Account(BaseModel):
    acct: Annotated[str, Field(min_length=1)]
    followers_count: Count = None


class Status(BaseModel, coerce_numbers_to_str=True):
    """A post as the server sends it; `id` is the server's own, `uri` the same on every server."""

    id: Id
    uri: Annotated[str, Field(min_length=1)]
    created_at: Annotated[AwareDatetime, AfterValidator(_utc)]
    account: _Account
    visibility: str
    url: str | None = None
    content: str | None = None
    spoiler_text: str | None = None
    language: str | None = None
    in_reply_to_id: str | None = None
    favourites_count: Count = None
    reblogs_count: Count = None
    replies_count: Count = None
    mentions: Annotated[list[str], BeforeValidator(_accounts)] = []
    reblog: "Status | None" = None


class _Notification(BaseModel, coerce_numbers_to_str=True):
    id: Id
    type: str
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a listing: the id by which one pages, and the post, None for a notification without one."""

    id: str
    status: Status | None


def item_of(entry: object, notification: bool) -> Item:
    """Read one entry of a listing, or raise ValidationError."""
    if notification:
        told = _Notification.model_validate(entry)
        return Item(told.id, told.status if told.type == "mention" else None)
    status = Status.model_validate(entry)
    return Item(status.id, status)


def items_of(listed: Sequence[object], notifications: bool, host: str) -> list[Item]:
    """Return what of a page can be read. One odd post must not stop the stream for ever; a page of them is refused."""
    found: list[Item] = []
    odd: Counter[str] = Counter()
    for entry in listed:
        try:
            found.append(item_of(entry, notifications))
        except ValidationError as error:
            odd[fields_of(error)] += 1
    tell_odd(odd, host)
    if odd and not found:
        raise SourceUnavailable(f"{host} sent no post that can be read; the next run tries again")
    return found


def fields_of(error: ValidationError) -> str:
    """Name the fields that cannot be read; the error's own text quotes the post."""
    return ", ".join(sorted({".".join(map(str, each["loc"])) or "all of it" for each in error.errors()})[:5])


def tell_odd(odd: Counter[str], host: str) -> None:
    """Log how many posts were left out, by the fields that cannot be read."""
    for fields, count in odd.items():
        log.warning("%s: %d posts are left out, they cannot be read: %s", host, count, fields)


def mentions_of(items: Sequence[Item], instance: str, now: datetime) -> list[Mention]:
    """Make mentions of the posts that everybody may read."""
    known = {item.status.id: item.status.uri for item in items if item.status}
    found = (_mention(item.status, known, instance, now) for item in items if item.status)
    return [mention for mention in found if mention is not None]


def _mention(status: Status, known: Mapping[str, str], instance: str, now: datetime) -> Mention | None:
    """A boost has its own author and time, and says what the original says; likes and so on belong to the original."""
    said = status.reblog or status
    if not {status.visibility, said.visibility} <= OPEN:
        return None
    warning = " ".join(clean(said.spoiler_text or "").split())
    parent = said.in_reply_to_id if status.reblog is None else None
    followers = status.account.followers_count
    reach = Reach(followers, said.favourites_count, said.reblogs_count, said.replies_count)
    return Mention(
        source="mastodon",
        source_id=clean(status.uri),
        author=_full(clean(status.account.acct), instance),
        text="\n".join(part for part in (warning, text_of(said.content or "")) if part),
        created_at=status.created_at,
        collected_at=now,
        url=_web(status.url) or (_web(said.url) if status.reblog else None),
        language=_language(said.language),
        # The server names the post that is answered by its own id only.
        in_reply_to=(known.get(parent) or f"{instance}/api/v1/statuses/{clean(parent)}") if parent else None,
        reach=Reach(followers) if status.reblog else reach,
        repost_of=clean(status.reblog.uri) if status.reblog else None,
        addressed=[_full(clean(account), instance) for account in said.mentions],
    )


def _full(account: str, instance: str) -> str:
    return account if "@" in account else f"{account}@{urlsplit(instance).netloc}"


def _web(url: str | None) -> str | None:
    return clean(url) if url and url.startswith(("https://", "http://")) else None


def _language(code: str | None) -> str | None:
    match = _LANGUAGE.fullmatch((code or "").lower())
    return match[1] if match else None


def local_id(uri: str, instance: str) -> str | None:
    """Read the server's own id out of the address of one of its posts; None for those of other servers."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    match = _LOCAL.fullmatch(parts.path)
    return match[1] if match and parts.netloc.lower() == urlsplit(instance).netloc.lower() else None


def hashtags(node: Node) -> Iterator[str]:
    """Name the hashtags that a query asks for, without #."""
    return (text[1:].lower() for text in words_of(node) if text.startswith("#") and not wild(text))


def order(id: str) -> tuple[int, str]:
    """Sort ids by time: they grow as numbers do on Mastodon, and are of one length elsewhere."""
    return len(id), id


def id_at(time: datetime) -> str:
    """The lowest id that Mastodon gives to a post of that time: milliseconds and 16 bits."""
    return str(((time - _EPOCH) // timedelta(milliseconds=1)) << 16)


def time_of(id: str) -> datetime | None:
    """When Mastodon gave out an id; None for ids that cannot be Mastodon's."""
    milliseconds = int(id) >> 16 if id.isascii() and id.isdecimal() and len(id) < 20 else 0
    try:
        made = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
    return made if made.year >= 2010 else None


def all_before(found: Sequence[Item], since: datetime) -> bool:
    """Whether all that follows is older. A post that came late has the id of its coming: then the ids must say so."""
    times = [item.status.created_at for item in found if item.status]
    if not times or max(times) >= since:
        return False
    made = time_of(min((item.id for item in found), key=order)) if tells_time(found) else None
    return made is None or made < since


def tells_time(found: Sequence[Item]) -> bool:
    """Whether the ids hold the time, as Mastodon's do: nearly all posts get theirs when they are made."""
    made = [(time_of(item.id), item.status.created_at) for item in found if item.status]
    return any(time is not None and abs(time - created) < LATE for time, created in made)
