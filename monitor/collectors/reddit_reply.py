"""Replies on Reddit, in the name of an account."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from db.errors import CollectorError, NotAuthorised, RateLimited, ReplyRefused, SourceUnavailable
from db.records import Mention
from jobs.collector import Meter
from jobs.replier import Replied

if TYPE_CHECKING:
    from monitor.collectors.reddit import RedditOptions

LONGEST = 10_000
COMMENT = "/api/comment"
LOOKED_AT = 100  # latest comments of the account
SHORTEST, LONGEST_WAIT = timedelta(minutes=1), timedelta(days=1)  # that Reddit may ask a new account to wait


class RedditReplier:
    """Answers submissions and comments; see jobs.replier.Replier and Looker."""

    platform = "reddit"
    longest = LONGEST

    def __init__(self, options: "RedditOptions") -> None:
        self._options = options

    def length(self, text: str, mention: Mention) -> int:
        return len(text)

    def why_not(self, mention: Mention) -> str | None:
        return None if mention.source_id.startswith(("t1_", "t3_")) else "This is no post of Reddit's."

    def reply(self, mention: Mention, text: str, key: str, meter: Meter, now: datetime) -> Replied:
        """Comment beneath the post."""
        from monitor.collectors.once import not_sent
        from monitor.collectors.reddit_account import Account

        with Account(self._options, now, COMMENT) as account:
            try:
                answer = account.ask(
                    "POST", COMMENT, data={"api_type": "json", "thing_id": mention.source_id, "text": text}
                )
            except CollectorError as error:
                if not account.sent.left:
                    raise not_sent(error, now) from None
                if isinstance(error, NotAuthorised):
                    raise ReplyRefused(
                        f"Reddit refuses the reply ({account.status}): the account may be banned there, or the thread "
                        "locked; open it on Reddit and answer there"
                    ) from None
                raise
        return _read(answer, now)

    def found(self, mention: Mention, text: str, key: str, meter: Meter, now: datetime) -> Replied | None:
        """Look for it among the account's latest comments."""
        from monitor.collectors.reddit_account import Account

        with Account(self._options, now, COMMENT) as account:
            name = self._options.username or str(_of(account.ask("GET", "/api/v1/me"), "name") or "")
            params: dict[str, str | int] = {"limit": LOOKED_AT, "raw_json": 1}
            answer = account.ask("GET", f"/user/{name}/comments", params=params)
        for data in _things(_of(answer, "data", "children")):
            if data.get("parent_id") == mention.source_id and str(data.get("body", "")).strip() == text.strip():
                return _replied(data)
        return None


def _read(answer: object, now: datetime) -> Replied:
    """Reddit refuses with status 200 and a list of errors."""
    errors = _of(answer, "json", "errors")
    if isinstance(errors, list) and errors:
        first = errors[0] if isinstance(errors[0], list) else [errors[0]]
        code, words = str(first[0])[:40], " ".join(str(first[1] if len(first) > 1 else "").split())[:200]
        if code == "RATELIMIT":
            asked = _of(answer, "json", "ratelimit")
            seconds = asked if isinstance(asked, int | float) and asked == asked else 600
            wait = min(max(timedelta(seconds=min(seconds, 86_400)), SHORTEST), LONGEST_WAIT)
            raise RateLimited(f"Reddit asks the account to wait: {words}", now + wait)
        raise ReplyRefused(f"Reddit refuses the reply ({code}): {words}")
    for data in _things(_of(answer, "json", "data", "things")):
        if isinstance(data.get("name"), str):
            return _replied(data)
    raise SourceUnavailable("Reddit's answer names no comment")


def _replied(data: Mapping[str, Any]) -> Replied:
    link = data.get("permalink")
    url = f"https://www.reddit.com{link}" if isinstance(link, str) and link.startswith("/") else None
    return Replied(str(data.get("name")), url)


def _things(listed: object) -> list[Mapping[str, Any]]:
    found = [each.get("data") for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [data for data in found if isinstance(data, dict)]


def _of(answer: object, *names: str) -> object:
    for name in names:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer
