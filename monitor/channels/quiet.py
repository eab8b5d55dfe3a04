"""Keeps what client libraries log while a channel sends out of our log: whole addresses are, tokens and all."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TALKATIVE = (
    "apprise",
    "httpcore.connection",
    "httpcore.http11",
    "httpx",
    "oauthlib.oauth1.rfc5849",
    "oauthlib.oauth1.rfc5849.signature",
    "requests_oauthlib.oauth1_auth",
    "requests_oauthlib.oauth2_session",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.util.retry",
)
_heard: ContextVar[list[logging.LogRecord] | None] = ContextVar("heard", default=None)


class _Silent(logging.Filter):
    """Collectors use the same libraries at the same time: only what belongs to a channel is kept back."""

    def filter(self, record: logging.LogRecord) -> bool:
        heard = _heard.get()
        if heard is None:
            return True
        heard.append(record)
        return False


_SILENT = _Silent()


@contextmanager
def quiet() -> Iterator[list[logging.LogRecord]]:
    """Keep back what is logged meanwhile, in threads that start with a copy of this context too. Gives a list of it."""
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_SILENT)  # once, however often it is added
    heard: list[logging.LogRecord] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)
