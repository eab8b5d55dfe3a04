"""Requests to a Mastodon server by Mastodon.py: one client for a run, and each fault as one of our errors."""

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from db.errors import CollectorError, NotAuthorised, RateLimited, SourceUnavailable
from monitor.collectors.fetch import AGENT, LONGEST_WAIT, Limit, wait_until

if TYPE_CHECKING:
    import mastodon
    import requests

    from monitor.collectors.once import Once

log = logging.getLogger(__name__)

PAGE = 40  # the most posts that Mastodon sends at once
LONG_AGO = datetime.min.replace(tzinfo=UTC)
STREAMS = "/api/v1/streaming/"
REFUSED = timedelta(hours=1)  # that a server is left alone which does not stream
PART = 65_536  # bytes
VERSION = "4.3.0"  # told to the client, which would ask the server for its own before the first search


@dataclass(slots=True)
class Limits:
    """How many requests the server still answers, and until when; shared by all runs of a source."""

    left: int | None = None  # None where it does not say
    renewed_at: datetime = LONG_AGO


@dataclass(frozen=True, slots=True)
class Refusal:
    """A server that does not stream: its status, None where it does not answer, and when it may be asked again."""

    status: int | None
    again: datetime


class _Last(threading.local):
    """The last answer, of each thread. Mastodon.py's errors have no status, and it makes lists of other things."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.is_list = False
        self.refused: SourceUnavailable | None = None  # why it was not read to its end
        self.opened: Callable[[requests.Response], None] | None = None  # is given the answer that is a stream

    @property
    def is_json(self) -> bool:
        return "json" in self.headers.get("content-type", "")


class Api:
    """A client for one run. It asks once and never sleeps; every method raises as `Collector.collect` does.

    `keep` is how many requests it leaves to others.
    """

    def __init__(
        self, instance: str, token: str | None, timeout: float, limits: Limits, now: datetime, keep: int = 0
    ) -> None:
        self._host, self._token = urlsplit(instance).netloc, token
        self._instance, self._timeout = instance, timeout
        self._limits, self._now, self._keep = limits, now, keep
        self._last = _Last()
        self._session = _session(self._last, instance, timeout)
        self._client = _client(instance, token, timeout, self._session)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._session.close()

    def page(self, what: str, **ids: str) -> list[object]:
        """Return a page of posts (of notifications for "mentions"), newest first.

        `what` is "tag:NAME", "local", "federated" or "mentions". `min_id` asks for those just above an id, `max_id` for
        those just below it.
        """
        client = self._client
        options: dict[str, Any] = {"limit": PAGE, **ids}
        if what == "mentions":
            answer = self._ask(lambda: client.notifications(types=["mention"], **options))
        elif what.startswith("tag:"):
            answer = self._ask(lambda: client.timeline_hashtag(what.removeprefix("tag:"), **options))
        else:
            answer = self._ask(lambda: client.timeline_public(local=what == "local", **options))
        if not isinstance(answer, list) or not self._last.is_list:
            raise self._unreadable()
        return list(answer)

    def search(self, query: str, offset: int) -> list[object]:
        """Return a page of the posts that the server's full-text search finds, newest first."""
        client = self._client
        answer = self._ask(
            lambda: client.search_v2(query, resolve=False, result_type="statuses", limit=PAGE, offset=offset)
        )
        posts = answer.get("statuses") if isinstance(answer, dict) else None
        if not isinstance(posts, list):
            raise self._unreadable()
        return list(posts)

    def status(self, id: str) -> object | None:
        """Return a post by its id on this server, None where the server says that there is none."""
        try:
            return self._ask(lambda: self._client.status(id))
        except CollectorError:
            # A 404 in HTML is not Mastodon's word on the post: the server may be gone, or something stands before it.
            if self._last.status in (404, 410) and self._last.is_json:
                return None
            raise

    def fetched(self, uri: str) -> object | None:
        """Return a post of any server by its address, which this server fetches where it does not know it; or None."""
        answer = self._ask(lambda: self._client.search_v2(uri, resolve=True, result_type="statuses", limit=1))
        posts = answer.get("statuses") if isinstance(answer, dict) else None
        if not isinstance(posts, list):
            raise self._unreadable()
        return next((post for post in posts if isinstance(post, dict) and post.get("uri") == uri), None)

    def account(self) -> Mapping[str, Any]:
        """Return the account whose token this is."""
        answer = self._ask(self._client.account_verify_credentials)
        if not isinstance(answer, dict) or not answer.get("id"):
            raise self._unreadable()
        return answer

    def answers(self, id: str) -> list[Mapping[str, Any]]:
        """Return what was answered to a post, and to the answers."""
        answer = self._ask(lambda: self._client.status_context(id))
        posts = answer.get("descendants") if isinstance(answer, dict) else None
        if not isinstance(posts, list):
            raise self._unreadable()
        return [post for post in posts if isinstance(post, dict)]

    def reply(self, id: str, text: str, visibility: str, key: str) -> object:
        """Answer a post; the server takes the same key for the same reply."""
        return self._ask(
            lambda: self._client.status_post(text, in_reply_to_id=id, visibility=visibility, idempotency_key=key)
        )

    def send_once(self, path: str) -> "Once":
        """From now on let a POST to a path through once; what is returned knows whether it can have left."""
        from monitor.collectors.once import Once

        once = Once(path, self._timeout, head_only=True)
        self._session.mount(self._instance, once)
        return once

    @property
    def status_of_last(self) -> int | None:
        """The status of the last answer, None where there was none."""
        return self._last.status

    def find_streams(self) -> None:
        """Ask where the server's streams are, once for all of them; raises as the others do."""
        with contextlib.suppress(NotAuthorised):  # some do not say: then they are looked for at the instance
            self._ask(self._client.instance_v1)

    def listen(
        self,
        what: str,
        listener: "mastodon.StreamListener",
        opened: "Callable[[requests.Response], None]",
        quiet: float,
    ) -> Refusal | None:
        """Hand the listener what comes on a stream until it ends, however it ends; return why the server refuses it.

        `what` is "tag:NAME", "local" or "federated". `opened` is given the answer once there is one. It ends when
        nothing came for `quiet` seconds, too. Several threads can listen at once.
        """
        client, last = self._client, self._last
        last.status, last.headers, last.opened = None, {}, opened
        try:
            if what.startswith("tag:"):
                client.stream_hashtag(what.removeprefix("tag:"), listener, timeout=quiet)
            else:
                client.stream_public(listener, timeout=quiet, local=what == "local")
        except _faults() as error:
            log.debug("%s: %s is not listened to any more: %s", self._host, what, type(error).__name__)
        finally:
            last.opened = None
        if last.status == 200:
            return None
        if last.status is None:
            return Refusal(None, self._now)
        if last.status == 429:
            return Refusal(429, _again(last.headers, self._now))
        return Refusal(last.status, self._now + (REFUSED if last.status < 500 else timedelta(0)))

    def _ask(self, call: Callable[[], object]) -> object:
        limits = self._limits
        if limits.left is not None and limits.left <= self._keep and self._now < limits.renewed_at:
            raise self._limited(limits.renewed_at)
        self._last.status, self._last.headers, self._last.is_list, self._last.refused = None, {}, False, None
        limit = Limit(self._host, self._timeout)
        try:
            with limit:
                answer = call()
        except _faults() as error:
            limit.check()
            raise self._fault() from error
        finally:
            if limit.over:  # shut in the middle, an answer can look whole, and has no status
                self._last.status = None
            self._note_limits()
        limit.check()
        return answer

    def _note_limits(self) -> None:
        left = self._last.headers.get("x-ratelimit-remaining", "")
        if self._last.status == 429:
            left = "0"
        self._limits.left = int(left) if left.isascii() and left.isdecimal() else None
        self._limits.renewed_at = _again(self._last.headers, self._now)

    def _fault(self) -> CollectorError:
        """One line that says what to do. It quotes no error text: that could hold whatever the server sent."""
        status, host = self._last.status, self._host
        if status is None:
            return self._last.refused or SourceUnavailable(f"{host} did not answer; the next run tries again")
        if status == 429:
            return self._limited(_again(self._last.headers, self._now))
        if status in (401, 403) and self._token:
            return NotAuthorised(
                f"{host} refuses the access token ({status}): it must be valid, and allowed to read statuses, "
                "notifications and, with `search`, search"
            )
        if status in (401, 403, 422) and not self._token:
            return NotAuthorised(f"{host} shows this to its members only ({status}); add an `access_token`")
        if status in (404, 410):
            return NotAuthorised(f"{host} does not answer as Mastodon does ({status}); check `instance`")
        if status >= 500:
            return SourceUnavailable(f"{host} is in trouble ({status}); the next run tries again")
        if status >= 400:
            return SourceUnavailable(f"{host} refuses the request ({status}); the next run tries again")
        return self._unreadable()

    def _limited(self, until: datetime) -> RateLimited:
        return RateLimited(f"{self._host} allows no further request before {until:%Y-%m-%d %H:%M:%S} UTC", until)

    def _unreadable(self) -> SourceUnavailable:
        return SourceUnavailable(f"{self._host} sent an answer that cannot be read; the next run tries again")


def _faults() -> tuple[type[Exception], ...]:
    """What Mastodon.py raises; beside its own errors those that escape it where an answer has another shape."""
    import mastodon
    import requests
    import urllib3

    own = (mastodon.MastodonError, requests.RequestException, urllib3.exceptions.HTTPError)
    return (*own, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError)


def _again(headers: dict[str, str], now: datetime) -> datetime:
    """Read when the limit is lifted: a time on Mastodon, seconds since 1970 on others, else what Retry-After says."""
    reset = headers.get("x-ratelimit-reset", "")
    try:
        again = datetime.fromtimestamp(int(reset), UTC) if reset.isdecimal() else datetime.fromisoformat(reset)
        again = again.astimezone(UTC) if again.tzinfo else again.replace(tzinfo=UTC)
    except (OSError, OverflowError, ValueError):
        again = now
    return again if now < again <= now + LONGEST_WAIT else wait_until(headers, now)


def _session(last: _Last, instance: str, timeout: float) -> "requests.Session":
    import requests

    from monitor.collectors.adapter import Timely

    size = Limit(urlsplit(instance).netloc, timeout)  # of the time, whoever asks has one

    def note(response: requests.Response, *args: Any, **kwargs: Any) -> None:
        streams = urlsplit(response.url).path.startswith(STREAMS)
        if last.opened and streams and response.status_code == 200:
            last.status = 200
            last.opened(response)  # and read as it comes
            return
        try:
            body = _body(response, size)  # an answer cut short has no status
        except SourceUnavailable as error:
            last.refused = error  # the client would hide it
            raise
        response.raw = BytesIO(body)  # from which the client reads
        last.is_list = body.lstrip().startswith(b"[")
        last.status = response.status_code if streams or not last.opened else None
        last.headers = {name.lower(): value for name, value in response.headers.items()}
        # Mastodon.py works out the limit by its own clock, and fails where it cannot.
        response.headers.pop("x-ratelimit-reset", None)

    session = requests.Session()
    session.max_redirects = 5
    for scheme in ("https://", "http://"):
        session.mount(scheme, Timely(timeout, head_only=True))
    if instance.startswith("https://"):
        del session.adapters["http://"]  # the server names where its streams are: the token goes nowhere in the clear
    session.hooks["response"].append(note)
    return session


def _body(response: "requests.Response", limit: Limit) -> bytes:
    """Read an answer in such parts as come; by itself requests waits until a part is full."""
    body = bytearray()
    while part := response.raw.read1(PART, decode_content=True):
        body += part
        try:
            limit.check(len(body))
        except SourceUnavailable:
            response.close()
            raise
    return bytes(body)


def _client(instance: str, token: str | None, timeout: float, session: "requests.Session") -> "mastodon.Mastodon":
    import mastodon

    class Client(mastodon.Mastodon):
        def timeline_is_available(self, *args: Any, **kwargs: Any) -> bool:
            """Say yes: the client would ask for the server's settings before each timeline, and hide their faults."""
            return True

    client = Client(
        api_base_url=instance,
        ratelimit_method="throw",
        request_timeout=timeout,
        mastodon_version=VERSION,
        version_check_mode="created",  # without it the version is not looked at
        session=session,
        user_agent=AGENT,
    )
    client.access_token = token  # not given above: the client looks for a file of that name
    return client
