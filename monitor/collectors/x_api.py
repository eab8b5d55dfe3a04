"""Requests to X through tweepy: each inside the budget, with a timeout, and each fault as one of our errors.

Imported by the function that needs it, since tweepy is slow to load.
"""

import logging
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests
import tweepy
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from db.errors import BudgetSpent, CollectorError, NotAuthorised, RateLimited, SourceUnavailable
from jobs.collector import Meter
from jobs.meter import next_month
from monitor.collectors.x_parse import Page, Unreadable, read_page

log = logging.getLogger(__name__)

HOST = "https://api.twitter.com"  # fixed in tweepy
FEWEST, MOST = 10, 100  # what X takes for max_results
FIELDS = ["created_at", "author_id", "lang", "public_metrics", "referenced_tweets", "note_tweet"]
WAIT = timedelta(minutes=15)  # X's rate limits are per quarter of an hour


class Transport(HTTPAdapter):
    """Adds what tweepy lacks: a timeout on every request, and a base URL.

    The bearer token is put in here as well, because tweepy writes the headers that it knows of to the debug log.
    """

    def __init__(self, url: str, token: str, timeout: float) -> None:
        self._url, self._token, self._timeout = url.rstrip("/"), token, timeout
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        if self._url != HOST:
            asked = urlsplit(request.url or "")
            request.url = f"{self._url}{asked.path}" + (f"?{asked.query}" if asked.query else "")
            options["proxies"] = get_environ_proxies(request.url)  # those given were chosen for the other host
        request.headers["Authorization"] = f"Bearer {self._token}"
        options["timeout"] = self._timeout
        return super().send(request, *args, **options)


class IdTooOld(SourceUnavailable):
    """X takes only a since_id and an until_id of the last seven days."""


class Api:
    """X's recent search for one run."""

    def __init__(self, url: str, token: str, timeout: float, price: Decimal, meter: Meter, now: datetime) -> None:
        self._token, self._price, self._meter, self._now = token, price, meter, now
        self._client = tweepy.Client("set by Transport", wait_on_rate_limit=False, return_type=dict)
        self._client.session.mount(HOST, Transport(url, token, timeout))
        # tweepy stumbles over some error bodies (no object, "errors": null), and requests would follow redirects
        # past our Transport: refuse before they see the response.
        self._client.session.hooks["response"].append(self._refuse)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._client.session.close()

    def search(
        self,
        query: str,
        since_id: int | None = None,
        until_id: int | None = None,
        start_time: datetime | None = None,
        next_token: str | None = None,
    ) -> Page:
        """One page, newest posts first. It is paid for: reserved before, settled after."""
        size = self._affordable()
        self._meter.reserve(size * self._price)
        try:
            answer = self._client.search_recent_tweets(
                query,
                max_results=size,
                since_id=since_id,
                until_id=until_id,
                start_time=start_time,
                next_token=next_token,
                tweet_fields=FIELDS,
            )
            page = read_page(answer)
        except CollectorError:
            self._meter.settle(Decimal(0))  # X answered with a status, not with posts
            raise
        except (requests.RequestException, tweepy.TweepyException, ValueError) as error:
            if _never_sent(error):
                self._meter.settle(Decimal(0))
            # Otherwise X may have answered and billed, so the reservation stands.
            raise SourceUnavailable(f"X {self._clean(_told(error))}; the next run tries again") from error
        self._meter.settle(page.fetched * self._price)
        return page

    def _affordable(self) -> int:
        left = self._meter.left()
        if left is None or not self._price:
            return MOST
        size = min(MOST, int(left // self._price))
        if size < FEWEST:
            again = next_month(self._now)
            raise BudgetSpent(
                f"X: {left} left of this month's budget does not buy {FEWEST} posts at {self._price}; "
                f"raise monthly_budget or wait until {again:%Y-%m-%d}",
                again,
            )
        return size

    def _refuse(self, response: requests.Response, **_: object) -> None:
        """Raise what a status other than success means."""
        status = response.status_code
        if 200 <= status < 300:
            return
        body = _body(response)
        reason = self._clean(_reason(body) or response.reason or "no reason given")
        if status in (401, 403):
            raise NotAuthorised(f"X refuses the bearer token ({status}): {reason}; check it in X's developer console")
        if status == 402:
            raise NotAuthorised(f"X: credits are used up (402): {reason}; buy credits in X's developer console")
        if status == 429 and "UsageCapExceeded" in str(body):
            again = next_month(self._now)
            raise RateLimited(f"X: the month's cap is used up until {again:%Y-%m-%d} (429): {reason}", again)
        if status == 429:
            again = _reset(response, self._now)
            raise RateLimited(f"X asks to wait until {again:%Y-%m-%d %H:%M:%S} UTC (429): {reason}", again)
        if status == 400 and any(name in str(body) for name in ("since_id", "until_id")):
            raise IdTooOld(f"X refuses the since_id or until_id (400): {reason}")
        if status == 400:
            raise SourceUnavailable(f"X refuses the search (400): {reason}; change the brand's query")
        raise SourceUnavailable(f"X answered {status}: {reason}; the next run tries again")

    def _clean(self, text: str) -> str:
        """One line, not too long, and without the token should X repeat it."""
        return " ".join(text.replace(self._token, "***").split())[:300]


def _reset(response: requests.Response, now: datetime) -> datetime:
    """When the rate limit ends; a time that is missing, past or absurd becomes a quarter of an hour from now."""
    try:
        reset = datetime.fromtimestamp(int(response.headers["x-rate-limit-reset"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return now + WAIT
    return reset if now < reset <= now + timedelta(days=1) else now + WAIT


def _body(response: requests.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except (requests.RequestException, ValueError):  # HTML, or cut short: the status says enough
        return {}
    return body if isinstance(body, dict) else {}


def _reason(body: dict[str, Any]) -> str:
    """X's own words: the message of the first error where there is one, since `detail` is often generic."""
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    message = first.get("message") or first.get("detail") if isinstance(first, dict) else None
    return str(message or body.get("detail") or body.get("title") or "")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what is behind it: requests and urllib3 keep that in args and `reason`."""
    while error is not None:
        yield error
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        error = inner if isinstance(inner, BaseException) and inner is not error else None


def _never_sent(error: BaseException) -> bool:
    """Whether no connection was made. Else a night without network would use up the month's budget."""
    unmade = (
        requests.ConnectTimeout,
        requests.exceptions.InvalidURL,
        requests.exceptions.ProxyError,
        urllib3.exceptions.NewConnectionError,  # a name that is not found is one as well
    )
    return any(
        isinstance(cause, unmade) or (isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError))
        for cause in _causes(error)
    )


def _told(error: Exception) -> str:
    if isinstance(error, Unreadable):
        return f"could not be read: {error}"
    if isinstance(error, requests.JSONDecodeError) or not isinstance(error, requests.RequestException):
        return "could not be read: its answer is not JSON"
    return f"did not answer ({type(error).__name__})"
