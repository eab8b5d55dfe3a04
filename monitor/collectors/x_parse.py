"""What X sends, read into records. X is renaming its fields (tweet -> post), so each is looked up by both names."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from db.records import Mention, Reach

SNOWFLAKE_EPOCH_MS = 1288834974657
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}  # the three that X escapes, and no others
_OLD_LANGUAGES = {"in": "id", "iw": "he", "ji": "yi"}  # withdrawn codes that X still sends
_RETWEETS = {"retweeted", "reposted"}

Post = Mapping[str, Any]


class Unreadable(ValueError):
    """The answer is not in a form that can be read."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of search results."""

    posts: Sequence[Post]
    next_token: str | None
    errors: Sequence[str]  # titles of partial errors
    fetched: int  # posts sent, and so billed

    @property
    def ids(self) -> Sequence[int]:
        return [int(post["id"]) for post in self.posts]


def time_of(post_id: int) -> datetime:
    """When a post was made: its id says so."""
    return _UNIX_EPOCH + timedelta(milliseconds=(post_id >> 22) + SNOWFLAKE_EPOCH_MS)


def read_page(answer: object) -> Page:
    """Check the shape of an answer; raise Unreadable when it is not a search result."""
    if not isinstance(answer, dict):
        raise Unreadable("its answer is not a JSON object")
    errors = [_title(error) for error in answer.get("errors") or ()]
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


def read_mentions(page: Page, now: datetime) -> Iterator[Mention]:
    """The mentions of a page. Retweets are left out: they repeat what somebody else wrote."""
    for post in page.posts:
        references = _references(post)
        if not any(kind in _RETWEETS for kind, _ in references):
            yield _mention(post, references, now)


def _mention(post: Post, references: Sequence[tuple[str, str]], now: datetime) -> Mention:
    long_post = _either(post, "note_tweet", "note_post")
    text = long_post.get("text") if isinstance(long_post, dict) else None
    author = post.get("author_id")
    metrics = post.get("public_metrics")
    metrics = metrics if isinstance(metrics, dict) else {}
    return Mention(
        source="x",
        source_id=str(post["id"]),
        author=str(author) if author else None,
        text=_unescape(text or post["text"]),
        created_at=_created_at(post),
        collected_at=now,
        url=f"https://x.com/i/web/status/{post['id']}",
        language=_language(post.get("lang")),
        in_reply_to=next((target for kind, target in references if kind == "replied_to"), None),
        reach=Reach(
            likes=metrics.get("like_count"),
            reposts=_either(metrics, "retweet_count", "repost_count"),
            replies=metrics.get("reply_count"),
        ),
    )


def _is_post(post: object) -> bool:
    return isinstance(post, dict) and str(post.get("id", "")).isdecimal() and isinstance(post.get("text"), str)


def _either(fields: Mapping[str, Any], old: str, new: str) -> Any:
    value = fields.get(old)
    return fields.get(new) if value is None else value


def _references(post: Post) -> Sequence[tuple[str, str]]:
    references = _either(post, "referenced_tweets", "referenced_posts")
    if not isinstance(references, list):
        return []
    return [(str(each.get("type")), str(each.get("id"))) for each in references if isinstance(each, dict)]


def _created_at(post: Post) -> datetime:
    try:
        time = datetime.fromisoformat(str(post["created_at"]))
    except (KeyError, ValueError):
        return time_of(int(post["id"]))  # not sent, or in another form: the id says the same
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _language(code: object) -> str | None:
    """ISO 639-1, or None for X's own codes (und, qme, zxx, …)."""
    if not isinstance(code, str):
        return None
    short = code.partition("-")[0].lower()
    return _OLD_LANGUAGES.get(short, short) if len(short) == 2 else None


def _unescape(text: str) -> str:
    return re.sub("&(?:amp|lt|gt);", lambda found: _ENTITIES[found.group()], text)


def _title(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    return str(error.get("title") or error.get("message") or error.get("detail") or "error without a title")
