"""Requests to Reddit in the name of an account. Not by praw: it sends a comment again that was cut off on its way.

Imported by the function that needs it, since requests is slow to load.
"""

from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import requests

from db.errors import NotAuthorised, RateLimited, SourceUnavailable
from monitor.collectors.fetch import wait_until
from monitor.collectors.once import Once

if TYPE_CHECKING:
    from monitor.collectors.reddit import RedditOptions

TOKEN = "/api/v1/access_token"


class Account:
    """Logs in with the first request; raises as `Collector.collect` does. `status` is that of the last answer."""

    def __init__(self, options: "RedditOptions", now: datetime, once: str) -> None:
        """`once` is the path to which one POST is let through; `sent` knows whether it can have left."""
        self._options, self._now = options, now
        self._token = ""
        self.status: int | None = None
        self.sent = Once(once, options.timeout)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = options.user_agent
        # For every address: as requests spells `oauth_url`, it need not begin as it is written there.
        self._session.mount("https://", self.sent)
        self._session.mount("http://", self.sent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._session.close()

    def ask(
        self,
        method: str,
        path: str,
        data: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> object:
        """Return the JSON of an answer."""
        if not self._token:
            self._log_in()
        bearer = {"Authorization": f"bearer {self._token}"}
        return self._answer(method, self._options.oauth_url + path, data=data, params=params, headers=bearer)

    def _log_in(self) -> None:
        options = self._options
        if options.refresh_token:
            form = {"grant_type": "refresh_token", "refresh_token": options.refresh_token.get_secret_value()}
        else:
            password = options.password.get_secret_value() if options.password else ""
            form = {"grant_type": "password", "username": options.username or "", "password": password}
        app = (options.client_id.get_secret_value(), options.client_secret.get_secret_value())
        basic = requests.auth.HTTPBasicAuth(*app)
        try:
            answer = self._answer("POST", options.reddit_url + TOKEN, data=form, auth=basic)
        except NotAuthorised:
            answer = None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token.isascii():
            raise NotAuthorised(
                "Reddit refuses the account: check `username` and `password`, or `refresh_token`, and that the app is "
                "the account's own"
            )
        self._token = token

    def _answer(self, method: str, url: str, **given: Any) -> object:
        """Without redirects, and with no credentials but ours: a .netrc would put its own in their place."""
        self.status = None
        given.setdefault("auth", lambda request: request)
        try:
            answer = self._session.request(method, url, timeout=self._options.timeout, allow_redirects=False, **given)
        except requests.RequestException as error:
            raise SourceUnavailable(f"Reddit did not answer ({type(error).__name__})") from None
        status = self.status = answer.status_code
        if status == 429:
            again = wait_until({name.lower(): value for name, value in answer.headers.items()}, self._now)
            raise RateLimited(f"Reddit asks to wait until {again:%Y-%m-%d %H:%M} UTC (429)", again)
        if 400 <= status < 500:
            raise NotAuthorised(f"Reddit refuses the request ({status})")
        if status != 200:
            raise SourceUnavailable(f"Reddit answered {status}")
        try:
            found: object = answer.json()
        except ValueError:
            raise SourceUnavailable("Reddit's answer cannot be read") from None
        return found
