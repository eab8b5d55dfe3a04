"""Posts to judge, as lines of a file or of standard input."""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from models.classifier import Post
from models.text import LONGEST

FIRST = 64  # lines judged together at first, so that the first answers come soon
MOST = 4_096  # lines judged together later: posts of like length go faster, and this many always fit in memory
PATIENCE = 1.0  # seconds that lines wait for company


@dataclass(frozen=True, slots=True)
class Line:
    """A line to judge, or why it cannot be."""

    id: Any
    post: Post | None
    error: str | None = None


def read(source: Iterable[bytes], brand: str | None = None) -> Iterator[Line]:
    """Read JSON objects with text and optionally id, brand and language, or plain text; the first line tells which.

    `brand` is what a line is judged for that names none.
    """
    as_json = None
    for number, raw in enumerate(source, 1):
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if as_json is None:
            line = line.removeprefix("\ufeff")
            as_json = _is_object(line) if line.strip() else None
        if not as_json:
            yield Line(number, Post(line[:LONGEST], brand))
        elif line.strip():
            yield _object(number, line, brand)


def windows(
    lines: Iterable[Line], most: int = MOST, clock: Callable[[], float] = time.monotonic
) -> Iterator[list[Line]]:
    """Group lines to be judged together: few at first, then up to `most`, fewer where they come slowly."""
    window: list[Line] = []
    size, since = min(FIRST, most), clock()
    for line in lines:
        window.append(line)
        if len(window) >= size or clock() - since >= PATIENCE:
            yield window
            window, size, since = [], min(size * 4, most), clock()
    if window:
        yield window


def _is_object(line: str) -> bool:
    """Tell JSON lines by the first, which may itself be broken."""
    return re.match(r'\s*\{\s*["}]', line) is not None


def _object(number: int, line: str, brand: str | None) -> Line:
    try:
        row = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return Line(number, None, f"line {number}: not valid JSON")
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        return Line(row.get("id", number) if isinstance(row, dict) else number, None, f"line {number}: no text")
    named, language = row.get("brand"), row.get("language")
    post = Post(
        row["text"][:LONGEST],  # no model reads further, and a window of huge posts must fit in memory
        named if isinstance(named, str) and named else brand,
        language if isinstance(language, str) else None,
    )
    return Line(row.get("id", number), post)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
