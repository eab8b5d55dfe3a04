"""Replies on X, by its API v2 in the name of an account (OAuth 1.0a): one request, paid for, never repeated.

X lets self-serve apps answer only posts whose authors mentioned the account, or quoted it. Which posts quote it is not
known here, so that those are answered on X itself.
"""

import html
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from db.errors import InputError, RateLimited, ReplyRefused, SourceUnavailable
from db.records import Mention
from jobs.collector import Meter
from jobs.replier import Replied
from models.brand import Brand
from monitor.collectors.lengths import LINK, has_link, weighted
from monitor.collectors.x_options import XOptions

LONGEST = 280  # as X counts
PATH = "/2/tweets"
LOOKED_AT = 100  # latest posts of the own account
KEYS = ("api_key", "api_secret", "access_token", "access_token_secret")
NOT_MENTIONED = (
    "X lets apps answer only posts that mention the account, and this one does not mention {accounts}. "
    "Open it on X and answer there."
)


class XReplier:
    """Answers posts that mention one of our accounts; see jobs.replier.Replier and Looker."""

    platform = "x"
    longest = LONGEST

    def __init__(self, options: XOptions, accounts: Sequence[str]) -> None:
        self._options, self._accounts = options, accounts

    def length(self, text: str, mention: Mention) -> int:
        return weighted(text)

    def why_not(self, mention: Mention) -> str | None:
        if not re.fullmatch("[0-9]{1,19}", mention.source_id):
            return "This is no post of X's."
        if mention.repost_of:
            return "This only passes on another post. Open that one on X and answer there."
        told = {account.removeprefix("@").casefold() for account in mention.addressed}
        named = {name.casefold() for name in re.findall(r"(?<!\w)@(\w{1,15})(?!\w)", mention.text)}
        if (told | named) & set(self._accounts):
            return None
        return NOT_MENTIONED.format(accounts=" or ".join(f"@{account}" for account in self._accounts))

    def reply(self, mention: Mention, text: str, key: str, meter: Meter, now: datetime) -> Replied:
        """Post it. What X refuses costs nothing; where nobody knows, the money counts as spent."""
        options = self._options
        price = options.price_per_reply_with_link if has_link(text) else options.price_per_reply
        meter.reserve(price)
        try:
            answer = self._post(mention, text, now)
        except (ReplyRefused, RateLimited):
            meter.settle(Decimal(0))
            raise
        data = answer.get("data") if isinstance(answer, dict) else None
        number = str(data.get("id", "")) if isinstance(data, dict) else ""
        if not number.isdecimal():
            raise SourceUnavailable("X's answer names no post")
        meter.settle(price)
        return Replied(number, _address(number))

    def found(self, mention: Mention, text: str, key: str, meter: Meter, now: datetime) -> Replied | None:
        """Look for it among the account's latest posts, which X charges as owned reads."""
        import requests
        import tweepy

        number = (self._options.access_token.get_secret_value() if self._options.access_token else "").split("-")[0]
        if not number.isdecimal():
            return None
        price = self._options.price_per_owned_post
        meter.reserve(LOOKED_AT * price)
        client, _ = self._client()
        try:
            answer: Any = client.get_users_tweets(
                number, max_results=LOOKED_AT, tweet_fields=["referenced_tweets", "note_tweet"], user_auth=True
            )
        except (requests.RequestException, tweepy.TweepyException, ValueError, TypeError, AttributeError):
            raise SourceUnavailable("X does not show the account's own posts; look there yourself") from None
        finally:
            client.session.close()
        posts = answer.get("data") if isinstance(answer, dict) else None
        posts = [post for post in posts if isinstance(post, dict)] if isinstance(posts, list) else []
        meter.settle(len(posts) * price)
        for post in posts:
            known = str(post.get("id", ""))
            if known.isdecimal() and _answers(post, mention.source_id) and _said(_text(post)) == _said(text):
                return Replied(known, _address(known))
        return None

    def _post(self, mention: Mention, text: str, now: datetime) -> object:
        import requests
        import tweepy

        from monitor.collectors.once import later
        from monitor.collectors.x_faults import body_of, reason_of
        from monitor.collectors.x_limits import WAIT, renewed

        client, transport = self._client()
        try:
            answer: object = client.create_tweet(text=text, in_reply_to_tweet_id=mention.source_id, user_auth=True)
            return answer
        except tweepy.HTTPException as error:
            response = error.response
        except (requests.RequestException, tweepy.TweepyException, ValueError, TypeError, AttributeError) as error:
            if transport.left:
                raise SourceUnavailable(f"X did not answer ({type(error).__name__})") from None
            raise later(f"X cannot be reached ({type(error).__name__})", now) from None
        finally:
            client.session.close()
        status = response.status_code
        reason = self._clean(reason_of(body_of(response)) or response.reason or "no reason given")
        if status == 429:
            again = renewed(response.headers, now) or now + WAIT
            raise RateLimited(f"X asks to wait until {again:%Y-%m-%d %H:%M} UTC (429): {reason}", again)
        if status == 401:
            raise ReplyRefused(f"X refuses the account's keys (401): {reason}; make new ones in X's developer console")
        if status == 402:
            raise ReplyRefused(f"X: credits are used up (402): {reason}; buy credits in X's developer console")
        if 400 <= status < 500:
            raise ReplyRefused(f"X refuses the reply ({status}): {reason}; open the post on X and answer there")
        raise SourceUnavailable(f"X answered {status}: {reason}")

    def _client(self) -> "tuple[Any, Any]":
        import tweepy

        from monitor.collectors.x_send import HOST, UserTransport

        secrets = (getattr(self._options, name) for name in KEYS)
        names = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
        client = tweepy.Client(
            wait_on_rate_limit=False,
            return_type=dict,
            **{name: secret.get_secret_value() for name, secret in zip(names, secrets, strict=True) if secret},
        )
        transport = UserTransport(self._options.api_url, PATH, self._options.timeout)
        client.session.mount(HOST, transport)
        client.session.max_redirects = 0  # a redirect would be followed past our transport
        return client, transport

    def _clean(self, text: str) -> str:
        """One line, not too long, and without a secret should X repeat it."""
        for name in KEYS:
            if secret := getattr(self._options, name):
                text = text.replace(secret.get_secret_value(), "***")
        return " ".join(text.split())[:300]


def make(options: XOptions, brands: Sequence[Brand]) -> XReplier | None:
    """Make what answers, None where the source does not."""
    if not options.replies:
        return None
    own = {brand.accounts.get("x", "").removeprefix("@").casefold() for brand in brands if brand.own} - {""}
    if not own:
        raise InputError('`replies` needs the account that answers: give a brand of yours `accounts = { x = "name" }`')
    return XReplier(options, sorted(own))


def _address(number: str) -> str:
    return f"https://x.com/i/web/status/{number}"


def _answers(post: dict[str, Any], source_id: str) -> bool:
    listed = post.get("referenced_tweets") or post.get("referenced_posts")
    references = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return any(each.get("type") == "replied_to" and str(each.get("id")) == source_id for each in references)


def _text(post: dict[str, Any]) -> str:
    whole = post.get("note_tweet") or post.get("note_post")
    text = whole.get("text") if isinstance(whole, dict) else post.get("text")
    return html.unescape(text) if isinstance(text, str) else ""


def _said(text: str) -> str:
    """The words, without the accounts that X puts before a reply, and without links, which X rewrites."""
    return " ".join(re.sub(r"^(?:@\w+\s+)+", "", re.sub(LINK, "", text).strip()).split())
