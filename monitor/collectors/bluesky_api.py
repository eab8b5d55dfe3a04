"""Bluesky's API in the name of one account, by atproto's client: one session, and each fault as one of our errors."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pydantic import AliasChoices, BaseModel, Field, SecretStr, ValidationError

from db.errors import CollectorError, NotAuthorised, RateLimited, SourceUnavailable
from db.records import Mention
from monitor.collectors.bluesky_parse import COLLECTION, read_all, read_view
from monitor.collectors.deadline import PATIENCE, Deadline, Opened
from monitor.collectors.fetch import AGENT, LONGEST_WAIT, wait_until

if TYPE_CHECKING:
    from atproto import Client, Request, Session

PAGE = 100  # the most that a list gives at once
REASONS = ["mention", "reply", "quote"]  # the notifications that are posts about the account
_ENDED = frozenset({"ExpiredToken", "InvalidToken"})


class NoRecord(SourceUnavailable):
    """There is no such record."""


class _Page(BaseModel):
    items: list[Any] = Field(validation_alias=AliasChoices("posts", "notifications"))
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Posts, each with the time when it was indexed, the newest first; and what asks for the next page.

    `shown` are the ids of all that the API sent, those that cannot be read included.
    """

    posts: Sequence[tuple[Mention, datetime]]
    fetched: int
    shown: Collection[str]
    cursor: str | None


class Account:
    """Requests in the name of one account. It logs in at the first, and keeps the session while the process runs.

    It keeps connections only while somebody is inside it (`with account:`), for a run or a reply; several can be.
    """

    def __init__(self, url: str, handle: str, password: SecretStr, timeout: float) -> None:
        self._url, self._handle, self._password, self._timeout = url, handle, password, timeout
        self._client: Client | None = None
        self.did: str | None = None  # once it has logged in
        self._lock = Lock()  # a source can be read and checked at once; both log in only once
        self._inside = 0
        self._requests: list[Request] = []  # all that can have connections; one whose session ended may be in use
        self._not_before: datetime | None = None

    def __enter__(self) -> Self:
        with self._lock:
            self._inside += 1
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Let the last one out close all connections. Another client, with the same session, opens its own."""
        with self._lock:
            self._inside -= 1
            if self._inside:
                return
            for request in self._requests:
                request.close()
            self._client = self._client.clone() if self._client else None
            self._requests = [self._client.request] if self._client else []

    def search(
        self, query: str, since: datetime | None, until: datetime | None, cursor: str | None, now: datetime
    ) -> Page:
        """Search posts from `since` until before `until`. Raises as a collector does."""
        from atproto import models

        params = models.AppBskyFeedSearchPosts.Params(
            q=query, sort="latest", limit=PAGE, since=_text(since), until=_text(until), cursor=cursor
        )
        return self._page("app.bsky.feed.searchPosts", params, now)

    def notifications(self, cursor: str | None, now: datetime) -> Page:
        """List posts that mention, answer or quote the account. Raises as a collector does."""
        from atproto import models

        params = models.AppBskyNotificationListNotifications.Params(reasons=REASONS, limit=PAGE, cursor=cursor)
        return self._page("app.bsky.notification.listNotifications", params, now)

    def posts(self, uris: Sequence[str], now: datetime) -> Page:
        """Show up to 25 posts by their ids; those that are gone are left out. Raises as a collector does."""
        from atproto import models

        return self._page("app.bsky.feed.getPosts", models.AppBskyFeedGetPosts.Params(uris=list(uris)), now)

    def shown(self, uri: str, now: datetime) -> Mapping[str, Any] | None:
        """Return a post as the API shows it, None where it does not. Raises as a collector does."""
        from atproto import models

        answer = self._ask("app.bsky.feed.getPosts", models.AppBskyFeedGetPosts.Params(uris=[uri]), now)
        posts = answer.get("posts") if isinstance(answer, dict) else None
        if not isinstance(posts, list):
            raise SourceUnavailable("Bluesky's answer is no list of posts; the next run tries again")
        return next((post for post in posts if isinstance(post, dict) and post.get("uri") == uri), None)

    def own_record(self, rkey: str, now: datetime) -> Mapping[str, Any] | None:
        """Return the record of a post of the account's own, None where it has none. Raises as a collector does."""
        from atproto import models

        self.log_in(now)
        params = models.ComAtprotoRepoGetRecord.Params(repo=self.did or "", collection=COLLECTION, rkey=rkey)
        try:
            answer = self._ask("com.atproto.repo.getRecord", params, now)
        except NoRecord:
            return None
        value = answer.get("value") if isinstance(answer, dict) else None
        if not isinstance(value, dict):
            raise SourceUnavailable("Bluesky's answer is no record; the next run tries again")
        return value

    def log_in(self, now: datetime) -> "Client":
        """Return the client, logged in. Raises as a collector does."""
        if self._not_before and now < self._not_before:
            raise RateLimited(
                f"Bluesky allows no further request before {self._not_before:%Y-%m-%d %H:%M:%S} UTC", self._not_before
            )
        return self._logged_in(now)[0]

    def fault(self, error: Exception, now: datetime) -> CollectorError:
        """Say in one line what an error of the client means, and forget a session that has ended."""
        if session_ended(error):
            self._client = None
        return self._fault(error, now)

    def _page(self, method: str, params: Any, now: datetime) -> Page:
        answer = self._ask(method, params, now)
        try:
            page = _Page.model_validate(answer)
        except ValidationError:
            raise SourceUnavailable("Bluesky's answer is no list of posts; the next run tries again") from None
        shown = {str(item.get("uri")) for item in page.items if isinstance(item, dict)}
        posts = read_all(page.items, lambda item: read_view(item, now))
        return Page(posts, len(page.items), shown, page.cursor or None)

    def _ask(self, method: str, params: Any, now: datetime) -> object:
        """Send a query. Its parsed JSON is returned as it is: atproto's models refuse a page for one odd post."""
        import httpx
        from atproto_core.exceptions import AtProtocolError

        if self._not_before and now < self._not_before:
            raise RateLimited(
                f"Bluesky allows no further request before {self._not_before:%Y-%m-%d %H:%M:%S} UTC", self._not_before
            )
        for again in (True, False):
            client, is_new = self._logged_in(now)
            try:
                answer = client.invoke_query(method, params=params, output_encoding="application/json")
            except (AtProtocolError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                if again and not is_new and session_ended(error):
                    self._client = None
                    continue
                if _code(error) == "RecordNotFound":
                    raise NoRecord("Bluesky has no such record") from None
                raise self._fault(error, now) from None
            if answer.headers.get("ratelimit-remaining") == "0":
                self._not_before = _renewed(answer.headers, now)
            return answer.content
        raise SourceUnavailable("Bluesky ends every session at once; the next run tries again")

    def _logged_in(self, now: datetime) -> "tuple[Client, bool]":
        """Return the client, and whether it has just logged in. A password may be used only 300 times a day."""
        import httpx
        from atproto import Client
        from atproto_core.exceptions import AtProtocolError

        with self._lock:
            if self._client:
                return self._client, False
            client = Client(base_url=self._url, request=_request(self._timeout))
            self._requests.append(client.request)
            client.on_session_change(self._note_session)
            try:
                # Without the profile: nothing here needs it, and servers without an AppView do not have it.
                client.login(self._handle, self._password.get_secret_value(), fetch_bsky_profile=False)
            except (AtProtocolError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                if _status(error) in (400, 401, 403):
                    raise NotAuthorised(
                        "Bluesky refuses the account: check `handle`, and make a new app password for `app_password`"
                    ) from None
                raise self._fault(error, now) from None
            self._client = client
            return client, True

    def _note_session(self, event: object, session: "Session") -> None:
        self.did = session.did

    def _fault(self, error: Exception, now: datetime) -> CollectorError:
        """One line that says what to do. It quotes no text of the error: that could hold an address or a secret."""
        status = _status(error)
        if status is None:
            return SourceUnavailable(
                f"Bluesky did not answer, or not in JSON ({type(error).__name__}); the next run tries again"
            )
        if status == 429:
            self._not_before = _renewed(_headers(error), now)
            return RateLimited(f"Bluesky asks to wait until {self._not_before:%H:%M:%S} UTC (429)", self._not_before)
        if status in (401, 403):
            return NotAuthorised(f"Bluesky forbids the account to do this ({status}); check it in Bluesky's settings")
        return SourceUnavailable(f"Bluesky answered {status}{_named(error)}; the next run tries again")


def _request(timeout: float) -> "Request":
    import httpx
    from atproto import Request
    from atproto_client.request import Response

    opened, late = Opened(), f"no whole answer in {PATIENCE * timeout:g} seconds"

    class Lenient(Request):  # type: ignore[misc]
        """Reads JSON as Python does: atproto's parser refuses a page for half a character in one post.

        Each answer has a deadline. What the client asks beside it fails with it: the server is in trouble.
        """

        def _send_request(self, method: str, url: str, **given: Any) -> httpx.Response:
            with Deadline(PATIENCE * timeout) as deadline:
                deadline.watch(opened.sockets)
                try:
                    answer: httpx.Response = super()._send_request(
                        method, url, extensions={"trace": opened.note}, **given
                    )
                except Exception as error:
                    if deadline.over:
                        raise httpx.ReadTimeout(late) from error
                    raise
            if deadline.over:  # shut in the middle, an answer without a length looks whole
                raise httpx.ReadTimeout(late)
            return answer

        def get(self, *args: Any, **kwargs: Any) -> Response:
            answer = self._send_request("GET", *args, **kwargs)
            try:
                content = json.loads(answer.content)
            except RecursionError as error:
                raise ValueError("nested too deep") from error
            return Response(True, answer.status_code, content, {k.lower(): v for k, v in answer.headers.items()})

    request = Lenient(timeout=timeout, verify=httpx.create_ssl_context())  # clones share it: to make one takes long
    request.add_additional_header("User-Agent", AGENT)
    return request


def _text(time: datetime | None) -> str | None:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if time else None


def _status(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else None


def _headers(error: Exception) -> Mapping[str, str]:
    headers: Mapping[str, str] = getattr(getattr(error, "response", None), "headers", {})
    return headers


def _code(error: Exception) -> str:
    """The name that the API gives to a fault, empty where it gives none."""
    name = getattr(getattr(getattr(error, "response", None), "content", None), "error", "")
    return name if isinstance(name, str) and re.fullmatch("[A-Za-z]{1,40}", name) else ""


def _named(error: Exception) -> str:
    code = _code(error)
    return f" ({code})" if code else ""


def session_ended(error: Exception) -> bool:
    return _status(error) == 401 or (_status(error) == 400 and _code(error) in _ENDED)


def _renewed(headers: Mapping[str, str], now: datetime) -> datetime:
    """Read when requests are allowed again."""
    try:
        again = datetime.fromtimestamp(int(headers.get("ratelimit-reset", "")), UTC)
    except (ValueError, OverflowError, OSError):
        return wait_until(headers, now)
    return again if now < again <= now + LONGEST_WAIT else wait_until(headers, now)
