"""Sending a reply once: how far a request came, and which faults prove that nothing was sent.

Imported by the function that needs it, since requests is slow to load.
"""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests

from db.errors import CollectorError, NotAuthorised, RateLimited, ReplyRefused
from monitor.collectors.adapter import Timely
from monitor.collectors.x_faults import never_sent

SOON = timedelta(minutes=1)  # until what did not leave for want of a connection is tried again


class SecondTry(requests.RequestException):
    """A client library wanted to send a reply again by itself."""


class Once(Timely):
    """Lets a POST to one path through once, and knows whether it can have left.

    A proxy may have put another path before it.
    """

    def __init__(self, path: str, timeout: float, head_only: bool = False) -> None:
        self._path = path
        self.left = False  # whether the platform can have got it
        self._tried = False
        super().__init__(timeout, head_only)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        if request.method != "POST" or not _path_of(request).endswith(self._path):
            return super().send(request, *args, **options)
        if self._tried:
            raise SecondTry("a reply is sent once")
        self._tried = self.left = True
        try:
            return super().send(request, *args, **options)
        except requests.RequestException as error:
            self.left = not never_sent(error)
            raise


def _path_of(request: requests.PreparedRequest) -> str:
    return urlsplit(request.url or "").path.rstrip("/")


def later(what: str, now: datetime) -> RateLimited:
    """Say that nothing was sent, and that it is tried again soon."""
    return RateLimited(f"{what}; nothing was sent, it is tried again soon", now + SOON)


def not_sent(error: CollectorError, now: datetime) -> Exception:
    """What an error means that came before anything was sent: a person must act, or it is tried again."""
    if isinstance(error, RateLimited):
        return error
    if isinstance(error, NotAuthorised):
        return ReplyRefused(str(error))
    return later(str(error).removesuffix("; the next run tries again"), now)
