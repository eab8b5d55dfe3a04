"""Posts to judge, as lines of a file or of standard input."""

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Thread
from typing import Any, BinaryIO

from db.errors import InputError
from models.classifier import Post
from models.text import LONGEST

FIRST = 64  # lines judged together at first, so that the first answers come soon
MOST = 4_096  # lines judged together later: posts of like length go faster, and this many always fit in memory
PATIENCE = 1.0  # seconds that lines wait for company
PAUSE = 0.1  # seconds without a line after which somebody looks whether others have waited long enough
AHEAD = 1_024  # lines read while others are judged: more would fill the memory where they come fast
LONGEST_LINE = 16 * 1024 * 1024  # bytes: no post is so long, and a line without an end must fit in memory

_NO_TEXT = (b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"PK\x03\x04")  # how UTF-16, gzip, spreadsheets and archives begin
_HEADER = re.compile(r'"?\w+"?(?:[,;\t]"?\w+"?)*')


@dataclass(frozen=True, slots=True)
class Line:
    """A line to judge, or why it cannot be."""

    id: Any
    post: Post | None
    error: str | None = None


def raw_lines(source: BinaryIO) -> Iterator[bytes]:
    """Read lines, of one that is longer than LONGEST_LINE only the beginning, which `read` refuses."""
    while line := source.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = source.readline(LONGEST_LINE + 1)


def as_they_come(source: BinaryIO, reading: Callable[[BinaryIO], Iterator[Line]]) -> Iterator[Line | None]:
    """Let `reading` go through a pipe in a thread; None says that nothing has come for a moment.

    What goes wrong in the thread is raised here. It ends with the process, whatever it waits for: it has a descriptor
    and a buffer of its own, since whoever closes `source` would wait for the next line.
    """
    come: Queue[Line | BaseException | None] = Queue(AHEAD)

    def read_on(own: BinaryIO) -> None:
        try:
            with own:
                for line in reading(own):
                    come.put(line)
            come.put(None)  # the end
        except BaseException as error:  # as it is: the one who waits for lines hears of it
            come.put(error)

    Thread(target=read_on, args=(os.fdopen(os.dup(source.fileno()), "rb"),), daemon=True).start()
    while True:
        try:
            line = come.get(timeout=PAUSE)
        except Empty:
            yield None
            continue
        if line is None:
            return
        if isinstance(line, BaseException):
            raise line
        yield line


def read(source: Iterable[bytes], brand: str | None = None) -> Iterator[Line]:
    """Read JSON objects with text and optionally id, brand and language, or plain text; the first line tells which.

    `brand` is what a line is judged for that names none. InputError where the first line shows that it is neither.
    """
    as_json = None
    for number, raw in enumerate(source, 1):
        if number == 1 and raw.startswith(_NO_TEXT):
            raise InputError("is no UTF-8 text: unpack it, or save it as UTF-8, before it is judged")
        if b"\0" in raw:
            if as_json is None:
                raise InputError("is no UTF-8 text, it holds NUL bytes: save it as UTF-8 before it is judged")
            yield Line(number, None, f"line {number}: no UTF-8 text, it holds NUL bytes")
            continue
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if as_json is None:
            line = line.removeprefix("\ufeff")
            _refuse_array(line, number)
            as_json = _is_object(line) if line.strip() else None
        if len(raw) > LONGEST_LINE:
            yield Line(number, None, f"line {number}: longer than {LONGEST_LINE // 1024**2} MiB, which no post is")
        elif not as_json:
            yield Line(number, Post(line[:LONGEST], brand))
        elif line.strip():
            yield _object(number, line, brand)


def windows(
    lines: Iterable[Line | None], most: int = MOST, clock: Callable[[], float] = time.monotonic
) -> Iterator[list[Line]]:
    """Group lines to be judged together: few at first, then up to `most`, fewer where they come slowly.

    None among the lines says that nothing has come for a moment: lines that wait for company may have waited enough.
    """
    window: list[Line] = []
    size, since = min(FIRST, most), clock()
    for line in lines:
        if line is not None:
            window.append(line)
        if window and (len(window) >= size or clock() - since >= PATIENCE):
            yield window
            window, size, since = [], min(size * 4, most), clock()
    if window:
        yield window


def is_header(line: bytes) -> bool:
    """Whether a first line names columns of CSV, text among them: it can be read as text, and is hardly meant so."""
    typed = line.decode("utf-8-sig", "replace").strip()
    return _HEADER.fullmatch(typed) is not None and "text" in re.findall(r"\w+", typed.lower())


def _refuse_array(line: str, number: int) -> None:
    """Refuse an array, on one line or on many, and an object over several lines: read as text they make no sense."""
    alone = line.strip()
    if alone in ("[", "{") or re.match(r'\[\s*\{\s*["}]', alone) or _is_list(alone):
        how = "jq -c ." if alone == "{" else "jq -c '.[]'"
        raise InputError(f"line {number}: JSON goes one object a line; `{how} FILE` writes it so")


def _is_list(line: str) -> bool:
    try:
        return line.startswith("[") and isinstance(json.loads(line), list)
    except (ValueError, RecursionError):
        return False


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
    if named is not None and not isinstance(named, str):
        return Line(row.get("id", number), None, f"line {number}: brand is no string; for two brands write two lines")
    post = Post(
        row["text"][:LONGEST],  # no model reads further, and a window of huge posts must fit in memory
        named or brand,
        language if isinstance(language, str) else None,
    )
    return Line(row.get("id", number), post)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
