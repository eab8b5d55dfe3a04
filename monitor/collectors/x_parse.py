"""What X sends, read into records. X is renaming its fields (tweet -> post), so each is looked up by both names."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from db.records import Mention, Reach
from monitor.collectors.markup import clean

SNOWFLAKE_EPOCH_MS = 1288834974657
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}  # the three that X escapes, and no others
_OLD_LANGUAGES = {"in": "id", "iw": "he", "ji": "yi"}  # withdrawn codes that X still sends
_RETWEETS = {"retweeted", "reposted"}
_ID = re.compile("[0-9]{1,19}")
_MOST = 2**63  # a number that a database can hold is smaller
_GONE = ("not found", "authorization", "not authorized", "forbidden")  # how the errors are called that stand for a post

Post = Mapping[str, Any]


class Unreadable(ValueError):
    """The answer is not in a form that can be read."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of posts, newest first."""

    posts: Sequence[Post]
    next_token: str | None
    errors: Sequence[str]  # titles of partial errors
    fetched: int  # posts sent, and so billed

    @property
    def ids(self) -> Sequence[int]:
        return [int(post["id"]) for post in self.posts]

    def newest(self, until: datetime) -> int | None:
        """Return the highest id of the posts that were made up to a time."""
        return max((int(post["id"]) for post in self.posts if created_at(post) <= until), default=None)


@dataclass(frozen=True, slots=True)
class Found:
    """What X says of posts that it was asked for by their ids."""

    page: Page
    gone: Sequence[str]  # deleted, protected, suspended


def time_of(post_id: int) -> datetime:
    """When a post was made: its id says so."""
    return _UNIX_EPOCH + timedelta(milliseconds=(post_id >> 22) + SNOWFLAKE_EPOCH_MS)


def read_page(answer: object) -> Page:
    """Check the shape of an answer; raise Unreadable when it is not a page of posts."""
    if not isinstance(answer, dict):
        raise Unreadable("its answer is not a JSON object")
    errors = [_title(error) for error in _errors(answer)]
    meta, data = answer.get("meta"), answer.get("data")
    if not isinstance(meta, dict) and data is None:
        # Without meta it is no search result: taking it for an empty one would move the cursor over unread posts.
        raise Unreadable("; ".join(errors) or "its answer holds neither data nor meta")
    data = data or []
    posts = [post for post in data if _is_post(post)] if isinstance(data, list) else []
    if data and not posts:
        raise Unreadable("its posts are not in the form expected")
    if len(posts) < len(data):  # one odd post must not stop the stream for ever
        errors.append(f"{len(data) - len(posts)} posts without id or text")
    token = meta.get("next_token") if isinstance(meta, dict) else None
    return Page(posts, str(token) if token else None, errors, len(data))


def read_found(answer: object, ids: Sequence[str]) -> Found:
    """Read which of the posts that were asked for are still shown; raise Unreadable where the answer does not tell.

    A post is gone where X says so, or says nothing of it. An error of another kind says nothing of the post.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("data", []), list):
        raise Unreadable("its answer is not a list of posts")
    if "data" not in answer and not _errors(answer):
        raise Unreadable("its answer holds neither data nor errors")
    sent = answer.get("data") or []
    known = {str(post.get("id")) for post in sent if isinstance(post, dict)}
    odd: list[str] = []
    for error in _errors(answer):
        title = _title(error)
        if not any(words in title.casefold() for words in _GONE):
            odd.append(title)
            known |= {_named(error)} - {""} or set(ids)  # of which posts it speaks is not said: nothing is known
    posts = [post for post in sent if _is_post(post)]
    return Found(Page(posts, None, odd, len(sent)), [each for each in ids if each not in known])


def read_total(answer: object) -> int:
    """Read how many posts were counted."""
    meta = answer.get("meta") if isinstance(answer, dict) else None
    total = _number(_either(meta, "total_tweet_count", "total_post_count")) if isinstance(meta, dict) else None
    if total is None:
        raise Unreadable("its answer holds no count")
    return total


def read_user(answer: object) -> str | None:
    """Read an account's id; None where X knows no such account."""
    if not isinstance(answer, dict):
        raise Unreadable("its answer is not a JSON object")
    user = answer.get("data")
    if isinstance(user, dict) and (found := _id(user.get("id"))):
        return found
    if user is not None or not _errors(answer):
        raise Unreadable("its answer holds no account")
    return None


def read_mentions(page: Page, now: datetime) -> Iterator[Mention]:
    """Read the posts of a page. A post that was edited keeps the id of its first version, by which it is known."""
    for post in page.posts:
        yield _mention(post, now)


def versions(post: Post) -> Sequence[str]:
    """Return the ids of a post's versions, from the first to the newest; its own where it was never edited."""
    listed = _either(post, "edit_history_tweet_ids", "edit_history_post_ids")
    found = [_id(each) for each in listed] if isinstance(listed, list) else []
    return sorted((each for each in found if each), key=int) or [str(post["id"])]


def created_at(post: Post) -> datetime:
    """Read when a post was made."""
    try:
        time = datetime.fromisoformat(str(post["created_at"]))
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return time_of(int(post["id"]))  # not sent, or in another form: the id says the same


def _mention(post: Post, now: datetime) -> Mention:
    references = _references(post)
    long_post = _either(post, "note_tweet", "note_post")
    text = long_post.get("text") if isinstance(long_post, dict) else None
    metrics = post.get("public_metrics")
    metrics = metrics if isinstance(metrics, dict) else {}
    return Mention(
        source="x",
        source_id=versions(post)[0],
        author=_id(post.get("author_id")),
        text=clean(_unescape(text if isinstance(text, str) and text else post["text"])),
        created_at=created_at(post),
        collected_at=now,
        url=f"https://x.com/i/web/status/{post['id']}",
        language=_language(post.get("lang")),
        in_reply_to=next((target for kind, target in references if kind == "replied_to"), None),
        reach=Reach(
            likes=_number(metrics.get("like_count")),
            reposts=_number(_either(metrics, "retweet_count", "repost_count")),
            replies=_number(metrics.get("reply_count")),
        ),
        repost_of=next((target for kind, target in references if kind in _RETWEETS), None),
    )


def _is_post(post: object) -> bool:
    return isinstance(post, dict) and _id(post.get("id")) is not None and isinstance(post.get("text"), str)


def _id(value: object) -> str | None:
    """An id as text, None for what is none."""
    text = str(value) if isinstance(value, str | int) else ""
    return text if _ID.fullmatch(text) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else None


def _either(fields: Mapping[str, Any], old: str, new: str) -> Any:
    value = fields.get(old)
    return fields.get(new) if value is None else value


def _references(post: Post) -> Sequence[tuple[str, str]]:
    references = _either(post, "referenced_tweets", "referenced_posts")
    if not isinstance(references, list):
        return []
    found = [(str(each.get("type")), _id(each.get("id"))) for each in references if isinstance(each, dict)]
    return [(kind, target) for kind, target in found if target]


def _language(code: object) -> str | None:
    """ISO 639-1, or None for X's own codes (und, qme, zxx, …)."""
    if not isinstance(code, str):
        return None
    short = code.partition("-")[0].lower()
    return _OLD_LANGUAGES.get(short, short) if re.fullmatch("[a-z]{2}", short) else None


def _unescape(text: str) -> str:
    return re.sub("&(?:amp|lt|gt);", lambda found: _ENTITIES[found.group()], text)


def _errors(answer: Mapping[str, Any]) -> Iterable[object]:
    errors = answer.get("errors")
    return errors if isinstance(errors, list) else []


def _named(error: object) -> str:
    """The id of the post that an error speaks of, "" where it names none."""
    named = (error.get("resource_id") or error.get("value")) if isinstance(error, dict) else None
    return _id(named) or ""


def _title(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)[:200]
    return str(error.get("title") or error.get("message") or error.get("detail") or "error without a title")[:200]
