"""What a page's form brings: read with limits, and cleaned of what nobody types."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from fastapi import Request
from fastapi.responses import PlainTextResponse, Response
from starlette.requests import ClientDisconnect

LARGEST = 20_000  # bytes: a note of 1,000 characters of four bytes, each written as %F0, is 12,000
TYPE = "application/x-www-form-urlencoded"

# Control characters, and those that turn the direction of what is written after them.
_UNTYPED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]+"
)


class Refused(Exception):
    """A form that cannot be read."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status

    @property
    def answer(self) -> Response:
        """Say so."""
        return PlainTextResponse(f"{self}\n", self.status)


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form, of each the last value; Refused where there is none or it is too large."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != TYPE:
        raise Refused(415, f"This takes a form: Content-Type must be {TYPE}.")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > LARGEST:
                raise Refused(413, "The form is too large.")
    except ClientDisconnect:  # nobody is left to answer
        raise Refused(400, "The request broke off.") from None
    found = parse_qs(body.decode("utf-8", "replace"), errors="replace")
    return {name: values[-1] for name, values in found.items()}


def line(text: str, most: int) -> str:
    """Make what somebody typed one line of at most `most` characters, as it looks."""
    return " ".join(_UNTYPED.sub(" ", text).split())[:most].strip()
