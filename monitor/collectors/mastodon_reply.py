"""Replies on Mastodon, in the name of the source's account: sent with an Idempotency-Key.

A server takes a second post with the same key, within the hour, for the first. People are notified because their
address stands before the text, as every client of Mastodon writes it.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from db.errors import CollectorError, NotAuthorised, RateLimited, ReplyRefused, SourceUnavailable
from db.records import Mention
from jobs.collector import Meter
from jobs.replier import Replied
from monitor.collectors.lengths import shortened
from monitor.collectors.markup import text_of
from monitor.collectors.mastodon_api import Api, Limits
from monitor.collectors.mastodon_parse import local_id

POSTS = "/api/v1/statuses"
VISIBILITIES = ("public", "unlisted", "private", "direct")
TRIES_AGAIN = "; the next run tries again"


class MastodonReplier:
    """Answers posts; see jobs.replier.Replier and Looker. `longest` is what the server takes, 500 on most."""

    platform = "mastodon"

    def __init__(self, instance: str, token: str, timeout: float, longest: int) -> None:
        self._instance, self._token, self._timeout = instance, token, timeout
        self._host = urlsplit(instance).netloc
        self._limits = Limits()
        self.longest = longest

    def length(self, text: str, mention: Mention) -> int:
        return shortened(_addressed(text, mention))

    def why_not(self, mention: Mention) -> str | None:
        if mention.repost_of:
            return "This only passes on another post. Open that one and answer there."
        return None if _is_address(mention.source_id) else "This is no post of Mastodon's."

    def reply(self, mention: Mention, text: str, key: str, meter: Meter, now: datetime) -> Replied:
        """Find the post on the account's server, which may have to fetch it, then post beneath it."""
        from monitor.collectors.once import later, not_sent

        with self._api(now) as api:
            try:
                parent = self._parent(api, mention)
            except CollectorError as error:
                raise not_sent(error, now) from None
            if parent is None:
                raise ReplyRefused(f"{self._host} does not show the post: it was deleted, or that server is not known")
            sent = api.send_once(POSTS)
            try:
                answer = api.reply(str(parent["id"]), _addressed(text, mention), _visibility(parent), key)
            except (RateLimited, SourceUnavailable, NotAuthorised) as error:
                if not sent.left:
                    raise later(f"{self._host} cannot be reached", now) from None
                status = api.status_of_last
                if isinstance(error, RateLimited):
                    raise
                if status is not None and 400 <= status < 500:
                    raise ReplyRefused(f"{self._host} refuses the reply ({status}){_why(status)}") from None
                raise SourceUnavailable(str(error).removesuffix(TRIES_AGAIN)) from None
        found = _replied(answer)
        if found is None:
            raise SourceUnavailable(f"{self._host} sent an answer that cannot be read")
        return found

    def found(self, mention: Mention, text: str, key: str, meter: Meter, now: datetime) -> Replied | None:
        """Look for it among the answers to the post, by the account and the words."""
        with self._api(now) as api:
            parent = self._parent(api, mention)
            me = api.account() if parent else None
            answers = api.answers(str(parent["id"])) if parent and me else []
        for each in answers:
            account = each.get("account")
            mine = isinstance(account, Mapping) and me is not None and str(account.get("id")) == str(me.get("id"))
            beneath = parent is not None and str(each.get("in_reply_to_id")) == str(parent["id"])
            if mine and beneath and _said(text_of(str(each.get("content") or ""))) == _said(text):
                return _replied(each)
        return None

    def _parent(self, api: Api, mention: Mention) -> Mapping[str, Any] | None:
        own = local_id(mention.source_id, self._instance)
        found = api.status(own) if own else api.fetched(mention.source_id)
        return found if isinstance(found, Mapping) and found.get("id") else None

    def _api(self, now: datetime) -> Api:
        return Api(self._instance, self._token, self._timeout, self._limits, now, 0)


def _is_address(uri: str) -> bool:
    return uri.startswith(("https://", "http://"))


def _addressed(text: str, mention: Mention) -> str:
    """Put the author's address before a text in which it does not stand."""
    author = (mention.author or "").removeprefix("@")
    if not re.fullmatch(r"[\w.-]+(@[\w.:-]+)?", author) or re.search(rf"@{re.escape(author)}(?![\w@])", text, re.I):
        return text
    return f"@{author} {text}"


def _visibility(parent: Mapping[str, Any]) -> str:
    """As the post has it: what was said to few is not answered before all."""
    visibility = parent.get("visibility")
    return visibility if isinstance(visibility, str) and visibility in VISIBILITIES else "unlisted"


def _replied(answer: object) -> Replied | None:
    if not isinstance(answer, Mapping) or not answer.get("id") or not answer.get("uri"):
        return None
    url = answer.get("url")
    return Replied(str(answer["uri"]), url if isinstance(url, str) and _is_address(url) else None)


def _said(text: str) -> str:
    """The words, without the addresses before them."""
    return " ".join(re.sub(r"^(?:@[\w.@:-]+\s+)+", "", text.strip()).split())


def _why(status: int) -> str:
    if status in (401, 403):
        return ": the access token must be valid, and allowed to write statuses (write:statuses)"
    return ": the post may be gone, or its author may not want answers" if status in (404, 410) else ""
