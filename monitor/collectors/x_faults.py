"""What went wrong between X and us, told in one line. Imported where it is needed, since requests is slow to load."""

import ssl
from collections.abc import Iterator
from typing import Any

import requests
import urllib3

from monitor.collectors.x_parse import Unreadable


def body_of(response: requests.Response) -> dict[str, Any]:
    """Return what an answer that is an error says, nothing where that is no JSON object."""
    try:
        body = response.json()
    except (requests.RequestException, ValueError):  # HTML, or cut short: the status says enough
        return {}
    return body if isinstance(body, dict) else {}


def reason_of(body: dict[str, Any]) -> str:
    """X's own words: the message of the first error where there is one, since `detail` is often generic."""
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    message = first.get("message") or first.get("detail") if isinstance(first, dict) else None
    return str(message or body.get("detail") or body.get("title") or "")


def never_sent(error: BaseException) -> bool:
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


def told(error: Exception) -> str:
    """Say what became of a request. It quotes no error text: that could hold whatever was sent."""
    if isinstance(error, Unreadable):
        return f"could not be read: {error}"
    if isinstance(error, requests.JSONDecodeError) or not isinstance(error, requests.RequestException):
        return "could not be read: its answer is not JSON"
    return f"did not answer ({type(error).__name__})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what is behind it: requests and urllib3 keep that in args and `reason`."""
    while error is not None:
        yield error
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        error = inner if isinstance(inner, BaseException) and inner is not error else None
