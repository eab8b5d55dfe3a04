"""How a reply reaches X: a base URL and a timeout, which tweepy lacks, and no second try."""

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies

from monitor.collectors.once import Once

HOST = "https://api.twitter.com"  # fixed in tweepy, and what its signatures are of


class UserTransport(Once):
    """Sends what tweepy has signed to `url`."""

    def __init__(self, url: str, path: str, timeout: float) -> None:
        self._url = url.rstrip("/")
        super().__init__(urlsplit(self._url).path + path, timeout)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        if self._url != HOST:
            asked = urlsplit(request.url or "")
            request.url = f"{self._url}{asked.path}" + (f"?{asked.query}" if asked.query else "")
            options["proxies"] = get_environ_proxies(request.url)  # those given were chosen for the other host
        return super().send(request, *args, **options)
