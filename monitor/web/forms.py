"""What a page's form brings: read with limits, and cleaned of what nobody types."""

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import parse_qs

from fastapi import Request
from starlette.requests import ClientDisconnect

DIGITS = 15  # of a number that the database can take
LARGEST = 20_000  # bytes: a note of 1,000 characters of four bytes, each written as %F0, is 12,000
LARGEST_OF_OURS = 400_000  # of those who are logged in: a long reply, or a hundred cases at once
TYPE = "application/x-www-form-urlencoded"

# Control characters, and those that turn the direction of what is written after them.
_UNTYPED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]+"
)


class LoginNeeded(Exception):
    """Nobody is logged in."""


class Refused(Exception):
    """A request that is not served, and why in a sentence; `wait` are seconds after which it may be tried again."""

    def __init__(self, status: int, why: str, wait: int | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.wait = wait


class Form(Mapping[str, str]):
    """The fields of a form: of each the last value, by `all` every one."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields

    def all(self, name: str) -> list[str]:
        """Return every value of a field, in the order of the form."""
        return list(self._fields.get(name, ()))

    def __getitem__(self, name: str) -> str:
        return self._fields[name][-1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


async def read_form(request: Request, largest: int = LARGEST) -> Form:
    """Return the fields of a form, checked for nothing; Refused where there is none or it is too large."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != TYPE:
        raise Refused(415, f"This takes a form: Content-Type must be {TYPE}.")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > largest:
                raise Refused(413, "The form is too large.")
    except ClientDisconnect:  # nobody is left to answer
        raise Refused(400, "The request broke off.") from None
    return Form(parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, errors="replace"))


def number_of(value: str) -> int | None:
    """Read a number of an address or a form, None where it is none, or more than the database can take."""
    return int(value) if value.isascii() and value.isdigit() and len(value) <= DIGITS else None


def line(text: str, most: int) -> str:
    """Make what somebody typed one line of at most `most` characters, as it looks."""
    return " ".join(_UNTYPED.sub(" ", text).split())[:most].strip()
