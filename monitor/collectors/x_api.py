"""Requests to X through tweepy: each inside the budget, with a timeout, and each fault as one of our errors.

Imported by the function that needs it, since tweepy is slow to load.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import requests
import tweepy
from requests.utils import get_environ_proxies

from db.errors import BudgetSpent, CollectorError, NotAuthorised, RateLimited, SourceUnavailable
from jobs.collector import Meter
from jobs.meter import next_month
from monitor.collectors.adapter import Timely
from monitor.collectors.x_faults import body_of, never_sent, reason_of, told
from monitor.collectors.x_limits import WAIT, Limits, renewed
from monitor.collectors.x_options import XOptions
from monitor.collectors.x_parse import Found, Page, Unreadable, read_found, read_page, read_total, read_user

Answer = TypeVar("Answer")

HOST = "https://api.twitter.com"  # fixed in tweepy
FEWEST, MOST = 10, 100  # what X takes for max_results
FEWEST_MENTIONS = 5
OPTIONAL = {  # what a plan may lack, and the option that does without
    "timelines of mentions": "mentions = false",
    "accounts": "mentions = false",
    "streams": "stream = false",
    "stream rules": "stream = false",
    "compliance jobs": 'compliance = "lookup"',
}
FIELDS = ["created_at", "author_id", "lang", "public_metrics", "referenced_tweets", "note_tweet"]


class Transport(Timely):
    """Adds what tweepy lacks: a timeout on every request, and a base URL.

    The bearer token is put in here as well, because tweepy writes the headers that it knows of to the debug log.
    """

    def __init__(self, url: str, token: str, timeout: float | tuple[float, float]) -> None:
        self._url, self._token = url.rstrip("/"), token
        super().__init__(timeout)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        if self._url != HOST:
            asked = urlsplit(request.url or "")
            request.url = f"{self._url}{asked.path}" + (f"?{asked.query}" if asked.query else "")
            options["proxies"] = get_environ_proxies(request.url)  # those given were chosen for the other host
        request.headers["Authorization"] = f"Bearer {self._token}"
        return super().send(request, *args, **options)


class IdTooOld(SourceUnavailable):
    """X's search takes only a since_id and an until_id of the last seven days."""


class Api:
    """X for one run. Every method that asks raises as `Collector.collect` does."""

    def __init__(self, options: XOptions, limits: Limits, meter: Meter, now: datetime) -> None:
        self._options, self._limits, self._meter, self._now = options, limits, meter, now
        self._token = options.bearer_token.get_secret_value()
        self._asked = ""  # what kind of request is under way
        self._client = tweepy.Client("set by Transport", wait_on_rate_limit=False, return_type=dict)
        self.guard(self._client.session, options.timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._client.session.close()

    def guard(self, session: requests.Session, timeout: float | tuple[float, float]) -> None:
        """Let a session of tweepy's reach X in our way, and raise our errors."""
        session.mount(HOST, Transport(self._options.api_url, self._token, timeout))
        # tweepy stumbles over some error bodies (no object, "errors": null), and requests would follow redirects
        # past our Transport: refuse before they see the response.
        session.hooks["response"].append(self._refuse)

    def search(
        self,
        query: str,
        since_id: int | None = None,
        until_id: int | None = None,
        start_time: datetime | None = None,
        next_token: str | None = None,
        end_time: datetime | None = None,
    ) -> Page:
        """One page of recent search, newest posts first. It is paid for: reserved before, settled after."""
        price = self._options.price_per_post
        size = self.affordable(price, FEWEST)
        return self.paid(
            "searches",
            size * price,
            lambda: self._client.search_recent_tweets(
                query,
                max_results=size,
                since_id=since_id,
                until_id=until_id,
                start_time=start_time,
                end_time=end_time,
                next_token=next_token,
                tweet_fields=FIELDS,
            ),
            read_page,
            lambda page: page.fetched * price,
        )

    def mentions(self, user_id: str, **span: int | datetime | str | None) -> Page:
        """One page of the posts that mention an account, newest first, as `search` is.

        `span` is since_id, until_id, start_time, end_time and pagination_token.
        """
        price = self._options.price_per_owned_post
        size = self.affordable(price, FEWEST_MENTIONS)
        return self.paid(
            "timelines of mentions",
            size * price,
            lambda: self._client.get_users_mentions(user_id, max_results=size, tweet_fields=FIELDS, **span),
            read_page,
            lambda page: page.fetched * price,
        )

    def user_id(self, name: str) -> str | None:
        """Look up an account's id by its name; None where there is no such account."""
        price = self._options.price_per_user
        return self.paid(
            "accounts",
            price,
            lambda: self._client.get_user(username=name),
            read_user,
            lambda found: price if found else Decimal(0),
        )

    def count(self, query: str, start_time: datetime, end_time: datetime | None) -> int:
        """Count the posts that a search would bring. The request is paid for, the posts are not."""
        price = self._options.price_per_count
        return self.paid(
            "counts",
            price,
            lambda: self._client.get_recent_tweets_count(
                query, start_time=start_time, end_time=end_time, granularity="day"
            ),
            read_total,
            lambda _: price,
        )

    def posts(self, ids: Sequence[str]) -> Found:
        """Look up posts by their ids, a hundred at most."""
        price = self._options.price_per_post
        return self.paid(
            "lookups",
            len(ids) * price,
            lambda: self._client.get_tweets(list(ids), tweet_fields=FIELDS),
            lambda answer: read_found(answer, ids),
            lambda found: found.page.fetched * price,
        )

    def job(self, job_id: str | None = None) -> Mapping[str, Any]:
        """Return a compliance job, a new one for posts where no id is given. It is free."""
        return self.asked(
            "compliance jobs",
            lambda: (
                self._client.create_compliance_job("tweets")
                if job_id is None
                else self._client.get_compliance_job(job_id)
            ),
            _read_job,
        )

    def paid(
        self,
        what: str,
        most: Decimal,
        call: Callable[[], object],
        read: Callable[[object], Answer],
        cost: Callable[[Answer], Decimal],
    ) -> Answer:
        """Make a request that may cost `most`; `what` names the rate limit that it counts towards."""
        self._meter.reserve(most)
        try:
            answer = self.asked(what, call, read)
        except CollectorError as error:
            if not _may_be_billed(error):  # else the reservation stands
                self._meter.settle(Decimal(0))
            raise
        self._meter.settle(cost(answer))
        return answer

    def asked(self, what: str, call: Callable[[], object], read: Callable[[object], Answer]) -> Answer:
        """Make a request that is free."""
        self._limits.check(what, self._now)
        self._asked = what
        try:
            return read(call())
        except (requests.RequestException, tweepy.TweepyException, ValueError) as error:
            raise SourceUnavailable(f"X {self.clean(told(error))}; the next run tries again") from error

    def affordable(self, price: Decimal, fewest: int) -> int:
        """Return how many posts to ask for: a page, or what is left of the budget buys; raises BudgetSpent."""
        left = self._meter.left()
        if left is None or not price:
            return MOST
        size = min(MOST, int(left // price))
        if size < fewest:
            again = next_month(self._now)
            raise BudgetSpent(
                f"X: {left} left of this month's budget does not buy {fewest} posts at {price}; "
                f"raise monthly_budget or wait until {again:%Y-%m-%d}",
                again,
            )
        return size

    def clean(self, text: str) -> str:
        """One line, not too long, and without the token should X repeat it."""
        return " ".join(text.replace(self._token, "***").split())[:300]

    def _refuse(self, response: requests.Response, **_: object) -> None:
        """Raise what a status other than success means; note what is left of the rate limit."""
        status = response.status_code
        self._limits.note(self._asked, response.headers, self._now)
        if 200 <= status < 300:
            return
        body = body_of(response)
        reason = self.clean(reason_of(body) or response.reason or "no reason given")
        if status == 403 and self._asked in OPTIONAL:  # an error of one stream alone: the searches go on
            raise SourceUnavailable(
                f"X does not give this token {self._asked} (403): {reason}; ask for them in X's developer console, "
                f"or set `{OPTIONAL[self._asked]}`"
            )
        if status in (401, 403):
            raise NotAuthorised(f"X refuses the bearer token ({status}): {reason}; check it in X's developer console")
        if status == 402:
            raise NotAuthorised(f"X: credits are used up (402): {reason}; buy credits in X's developer console")
        if status == 429 and "UsageCapExceeded" in str(body):
            again = next_month(self._now)
            raise RateLimited(f"X: the month's cap is used up until {again:%Y-%m-%d} (429): {reason}", again)
        if status == 429:
            again = renewed(response.headers, self._now) or self._now + WAIT
            raise RateLimited(f"X asks to wait until {again:%Y-%m-%d %H:%M:%S} UTC (429): {reason}", again)
        if status == 400 and any(name in str(body) for name in ("since_id", "until_id")):
            raise IdTooOld(f"X refuses the since_id or until_id (400): {reason}")
        if status == 400 and self._asked == "searches":
            raise SourceUnavailable(f"X refuses the search (400): {reason}; change the brand's query")
        if status == 400:
            raise SourceUnavailable(f"X refuses a request for {self._asked} (400): {reason}; the next run tries again")
        raise SourceUnavailable(f"X answered {status}: {reason}; the next run tries again")


def _may_be_billed(error: CollectorError) -> bool:
    """Whether X may have answered with posts: it did not tell a status, and was reached."""
    cause = error.__cause__
    return isinstance(cause, Exception) and not never_sent(cause)


def _read_job(answer: object) -> Mapping[str, Any]:
    job = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(job, dict) or not isinstance(job.get("id"), str) or not isinstance(job.get("status"), str):
        raise Unreadable("its answer holds no compliance job")
    return job
