"""Requests to platforms without a client library of their own: one session, and each fault as one of our errors."""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from db.errors import RateLimited, SourceUnavailable, StreamRefused
from monitor.collectors.deadline import PATIENCE, Deadline, Opened

if TYPE_CHECKING:
    import ssl

    import httpx

AGENT = "sentimon/0.1 (self-hosted brand monitor)"
WAIT = timedelta(minutes=15)  # where a platform asks to wait and does not say how long
LONGEST_WAIT = timedelta(days=1)
LARGEST = 20_000_000  # bytes of an answer: more is no page of posts


class Limit(Deadline):
    """How much an answer may be, and how long it may take; parts of it could come without end."""

    def __init__(self, name: str, timeout: float) -> None:
        super().__init__(PATIENCE * timeout)
        self._name = name

    def check(self, size: int = 0) -> None:
        """Raise SourceUnavailable where it has grown to more bytes than that, or has taken longer."""
        if size > LARGEST:
            raise SourceUnavailable(f"{self._name} sent more than {LARGEST // 1_000_000} MB at once")
        if self.over:
            raise SourceUnavailable(
                f"{self._name} did not send all of its answer in {self.seconds:g} seconds; the next run tries again"
            )


class Fetcher:
    """GET requests for one run. `name` is how messages call the platform.

    `busy` are the statuses by which it asks to wait.
    """

    def __init__(self, name: str, timeout: float, now: datetime, busy: Collection[int] = (429,)) -> None:
        import httpx

        self._name, self._timeout, self._now, self._busy = name, timeout, now, busy
        self._opened = Opened()
        self._client = httpx.Client(
            timeout=timeout,
            follow_redirects=True,
            headers={"User-Agent": AGENT},
            verify=_certificates(),
            event_hooks={"response": [_unread_if_redirected]},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._client.close()

    def get(
        self, url: str, params: Mapping[str, str | int] | None = None, headers: Mapping[str, str] | None = None
    ) -> "httpx.Response":
        """Return an answer with status 200, or 304 where `headers` asked for one.

        Raises RateLimited, StreamRefused or SourceUnavailable.
        """
        import httpx

        traced = {"trace": self._opened.note}
        try:
            with Limit(self._name, self._timeout) as limit:
                limit.watch(self._opened.sockets)
                with self._client.stream("GET", url, params=params, headers=headers, extensions=traced) as answer:
                    body = bytearray()
                    for part in answer.iter_bytes():
                        body += part
                        limit.check(len(body))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            limit.check()
            raise SourceUnavailable(
                f"{self._name} did not answer ({type(error).__name__}); the next run tries again"
            ) from error
        limit.check()  # shut in the middle, an answer without a length looks whole
        status = answer.status_code
        if status in self._busy:
            again = wait_until(answer.headers, self._now)
            raise RateLimited(f"{self._name} asks to wait until {again:%Y-%m-%d %H:%M:%S} UTC ({status})", again)
        if status in (401, 403):
            raise StreamRefused(f"{self._name} refuses to be read ({status}); check the address and the credentials")
        if status == 404:
            raise StreamRefused(f"{self._name} has nothing at this address (404); correct the source's options")
        if status == 410:
            raise StreamRefused(f"{self._name} is gone for good (410); take it out of the source's options")
        if status not in (200, 304):
            raise SourceUnavailable(f"{self._name} answered {status}; the next run tries again")
        return httpx.Response(status, headers=_plain(answer.headers), content=bytes(body), request=answer.request)

    def json(self, url: str, params: Mapping[str, str | int] | None = None) -> Any:
        """Return the JSON of an answer; raises as `get` does."""
        answer = self.get(url, params)
        try:
            return answer.json()
        except (ValueError, RecursionError) as error:  # no JSON, or lists in lists without end
            raise SourceUnavailable(f"{self._name} sent no JSON; the next run tries again") from error


def wait_until(headers: Mapping[str, str], now: datetime) -> datetime:
    """Read when a platform may be asked again: Retry-After in seconds or as a date; absurd values become WAIT."""
    said = headers.get("retry-after", "")
    try:
        again = now + timedelta(seconds=int(said))
    except (ValueError, OverflowError):
        try:
            date = parsedate_to_datetime(said)  # without a zone where it says -0000
            again = (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            again = now
    return again if now < again <= now + LONGEST_WAIT else now + WAIT


@cache
def _certificates() -> "ssl.SSLContext":
    """Reading them takes longer than most requests."""
    import httpx

    return httpx.create_ssl_context()


def _unread_if_redirected(answer: "httpx.Response") -> None:
    """What only says where to go is not read."""
    import httpx

    if answer.has_redirect_location:
        stream = cast(httpx.SyncByteStream, answer.stream)

        class Unread(httpx.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                return iter(())

            def close(self) -> None:
                stream.close()

        answer.stream = Unread()


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a body that was unpacked already."""
    return {
        name: value for name, value in headers.items() if name.lower() not in ("content-encoding", "content-length")
    }
