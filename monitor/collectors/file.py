"""Posts from a file: CSV or JSON lines, read line by line in constant memory."""

import csv
import json
import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel

from db.errors import InputError, SourceUnavailable
from db.records import Batch, Mention, Position, Reach
from jobs.collector import Meter
from monitor.plugins import Brand, CollectorKind, RegisterCollector, hookimpl

log = logging.getLogger(__name__)

REQUIRED = ("id", "source", "author", "created_at", "text")
OPTIONAL = ("url", "brand", "in_reply_to", "followers", "likes", "reposts", "replies", "language")
BATCH = 500
SETTLED = timedelta(minutes=1)  # a file that changed since may still be being written
LONGEST_LINE = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_SOURCE = re.compile(r"[a-z0-9_.-]{1,40}")
_URL = re.compile(r"https?://[^\s/]\S*", re.IGNORECASE)
_COUNT = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)(?:\.0*)?", re.ASCII)
_WHOLE = re.compile(r"(\d+)\.0+", re.ASCII)  # what a spreadsheet or data frame makes of an id beside an empty cell
_ROUNDED = re.compile(r"\d(?:\.\d+)?[eE]\+?\d+", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST_COUNT = 2**63 - 1
_LARGEST_EXACT_FLOAT = 2**53


@dataclass(frozen=True, slots=True)
class Row:
    """A line that was read; `line` is where it starts in the file."""

    line: int
    mention: Mention
    brand: str | None


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that was not, and why."""

    line: int
    reason: str
    raw: str


class _Bad(Exception):
    """Why a row cannot be taken."""


def guess_format(path: str, first_bytes: bytes) -> str:
    """Tell "csv" from "jsonl" by the file's ending or, failing that, by how it begins."""
    if first_bytes.startswith(b"\x1f\x8b"):
        raise InputError(f"{path} is compressed: unpack it first, for example zcat {path} | sentimon import -")
    if first_bytes.startswith(b"PK\x03\x04"):
        raise InputError(f"{path} is a spreadsheet or an archive: save it as CSV (UTF-8)")
    if first_bytes.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path} is in UTF-16: save it as UTF-8")
    ending = os.path.splitext(path)[1].lower()
    if ending in (".csv", ".tsv"):
        return "csv"
    if ending in (".jsonl", ".json", ".ndjson"):
        return "jsonl"
    return "jsonl" if first_bytes.removeprefix(_BOM).lstrip()[:1] in (b"{", b"[") else "csv"


def read(
    lines: Iterable[bytes] | BinaryIO, format: str, now: datetime, platform: str | None = None
) -> Iterator[Row | Reject]:
    """Read posts; a line that cannot be taken becomes a Reject and the next one is read.

    `platform` is that of posts that name no source; without it, each has to.
    """
    if format == "csv":
        return _csv(_lines(lines), now, platform)
    if format == "jsonl":
        return _jsonl(_lines(lines), now, platform)
    raise InputError(f"format {format!r} is not known: use csv or jsonl")


def _lines(lines: Iterable[bytes] | BinaryIO) -> Iterator[bytes]:
    """Cut endless lines, so that a gigabyte without a line end costs no gigabyte; what is cut is then no valid row."""
    readline = getattr(lines, "readline", None)
    if readline is None:
        yield from lines
        return
    while line := readline(LONGEST_LINE):
        yield line
        while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            line = readline(LONGEST_LINE)


def _jsonl(lines: Iterable[bytes], now: datetime, platform: str | None) -> Iterator[Row | Reject]:
    decode = json.JSONDecoder(parse_constant=_no_constant).decode
    first = True
    for number, raw in enumerate(lines, 1):
        line = (raw.removeprefix(_BOM) if number == 1 else raw).replace(b"\0", b"").strip()
        if not line:
            continue
        if first and line.startswith(b"["):
            raise InputError("this is one JSON array, not JSON lines: turn it into lines with jq -c '.[]' FILE")
        first = False
        try:
            try:
                data = decode(line.decode())
            except UnicodeDecodeError as error:
                raise _Bad("is not valid UTF-8") from error
            except (ValueError, RecursionError) as error:
                raise _Bad("is not valid JSON") from error
            if not isinstance(data, dict):
                raise _Bad("is not a JSON object")
            yield _row(number, data, now, platform)
        except _Bad as why:
            yield Reject(number, str(why), _shown(line))


def _csv(lines: Iterable[bytes], now: datetime, platform: str | None) -> Iterator[Row | Reject]:
    taken: list[bytes] = []  # the physical lines of the row being read

    def decoded() -> Iterator[str]:
        for number, line in enumerate(lines):
            line = (line.removeprefix(_BOM) if number == 0 else line).replace(b"\0", b"")
            taken.append(line)
            yield line.decode("utf-8", "surrogateescape")  # a bad byte must cost its own row only

    text = decoded()
    header = next(text, "")
    if not header:
        raise InputError("the file is empty: even the line that names the columns is missing")
    delimiter = max(",;\t", key=header.count)
    try:
        names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
    except csv.Error as error:
        raise InputError(f"the first line is not valid CSV: {error}") from error
    missing = [name for name in _required(platform) if name not in names]
    if missing:
        raise InputError(
            f"the first line must name the columns: {', '.join(missing)} missing"
            f" (wanted: {', '.join(REQUIRED)}; optional: {', '.join(OPTIONAL)})"
        )
    twice = sorted({name for name in (*REQUIRED, *OPTIONAL) if names.count(name) > 1})
    if twice:
        raise InputError(f"the first line names a column twice: {', '.join(twice)}")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    taken.clear()
    while True:
        number = reader.line_num + 2  # where the next row starts; the header is line 1
        try:
            try:
                cells = next(reader)
            except csv.Error as error:
                raise _Bad(f"is not valid CSV: {error}") from error
            if cells and len(cells) != len(names):
                raise _Bad(f"has {len(cells)} columns where the first line names {len(names)}")
            if any(not cell.isascii() and _SURROGATE.search(cell) for cell in cells):
                raise _Bad("is not valid UTF-8")
            if cells:
                yield _row(number, dict(zip(names, cells, strict=True)), now, platform)
        except StopIteration:
            return
        except _Bad as why:
            yield Reject(number, str(why), _shown(b"".join(taken)))
        taken.clear()


def _required(platform: str | None) -> Sequence[str]:
    return REQUIRED if platform is None else [name for name in REQUIRED if name != "source"]


def _row(number: int, data: Mapping[str, object], now: datetime, platform: str | None) -> Row:
    for name in _required(platform):
        if name not in data:
            raise _Bad(f"{name} is missing")
    source = (_string(data, "source") or platform or _wanted(data, "source")).lower()
    if not _SOURCE.fullmatch(source):
        raise _Bad(f"source {_quoted(source)} must be 1 to 40 of a-z, 0-9, _, . and -")
    text = data["text"]
    if not isinstance(text, str) or not text.strip():
        raise _Bad("text is empty" if text is None or isinstance(text, str) else "text is not a string")
    url = _string(data, "url")
    language = (_string(data, "language") or "").lower().replace("_", "-").split("-")[0]
    mention = Mention(
        source=source,
        source_id=_id(data, "id") or _wanted(data, "id"),
        author=_string(data, "author"),
        text=_clean(text),
        created_at=_time(_wanted(data, "created_at"), now),
        collected_at=now,
        url=url if url and _URL.fullmatch(url) else None,
        language=language if len(language) == 2 and language.isascii() and language.isalpha() else None,
        in_reply_to=_id(data, "in_reply_to"),
        reach=Reach(
            followers=_count(data, "followers"),
            likes=_count(data, "likes"),
            reposts=_count(data, "reposts"),
            replies=_count(data, "replies"),
        ),
    )
    return Row(number, mention, _string(data, "brand"))


def _string(data: Mapping[str, object], name: str) -> str | None:
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _Bad(f"{name} is not a string")
    return _clean(str(value)).strip() or None


def _wanted(data: Mapping[str, object], name: str) -> str:
    value = _string(data, name)
    if value is None:
        raise _Bad(f"{name} is empty")
    return value


def _id(data: Mapping[str, object], name: str) -> str | None:
    value = data.get(name)
    if isinstance(value, float) and value.is_integer() and 0 <= value < _LARGEST_EXACT_FLOAT:
        return str(int(value))
    text = _string(data, name)
    if text and (isinstance(value, float) or _ROUNDED.fullmatch(text)):
        raise _Bad(f"{name} {_quoted(text)} has lost digits: store ids as text")
    whole = _WHOLE.fullmatch(text or "")
    return whole[1] if whole else text


def _count(data: Mapping[str, object], name: str) -> int | None:
    value = data.get(name)
    if value is None or value == "":
        return None
    text = str(value).strip()
    if not text:
        return None
    match = None if isinstance(value, bool) else _COUNT.fullmatch(text)
    number = int(match[1].replace(",", "")) if match and len(match[1]) < 30 else -1
    if not 0 <= number <= _LARGEST_COUNT:
        raise _Bad(f"{name} {_quoted(text)} is not a number of 0 or more")
    return number


def _time(text: str, now: datetime) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _Bad(f"created_at {_quoted(text)} is not a time like 2026-01-31T12:00:00Z") from error
    if time - now > timedelta(days=1):
        raise _Bad(f"created_at {_quoted(text)} lies in the future")
    return time


def _clean(text: str) -> str:
    """Remove what no database stores: NUL, and halves of characters that JSON can spell."""
    if "\0" in text:
        text = text.replace("\0", "")
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")


def _shown(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r\n")


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


class FileOptions(BaseModel, extra="forbid"):
    """The options of a source of kind "file"."""

    path: Path  # relative to the configuration


class _WholeLines:
    """The lines of a file, without half a line at the end of one that is still being written."""

    def __init__(self, file: BinaryIO, now: datetime) -> None:
        self._file, self._now = file, now
        self.unfinished = False

    def __iter__(self) -> Iterator[bytes]:
        for line in _lines(self._file):
            if line.endswith(b"\n") or len(line) == LONGEST_LINE or self._settled():
                yield line
            else:
                self.unfinished = True

    def _settled(self) -> bool:
        return os.fstat(self._file.fileno()).st_mtime < (self._now - SETTLED).timestamp()


class FileCollector:
    """Reads the whole file whenever it has changed; what is known already is not stored again."""

    def __init__(self, path: str) -> None:
        self._path = path

    def streams(self) -> Sequence[str]:
        return ("file",)

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        try:
            if not stat.S_ISREG(os.stat(self._path).st_mode):
                raise SourceUnavailable(f"{self._path} is not a file")
            with open(self._path, "rb") as file:
                status = os.fstat(file.fileno())
                version = f"{status.st_mtime_ns}:{status.st_size}"
                if version == position.cursor:
                    yield Batch((), cursor=version)
                else:
                    yield from self._batches(file, version, now)
        except OSError as error:
            raise SourceUnavailable(f"{self._path} cannot be read: {error.strerror or error}") from error
        except InputError as error:
            raise SourceUnavailable(f"{self._path}: {error}") from error

    def _batches(self, file: BinaryIO, version: str, now: datetime) -> Iterator[Batch]:
        format = guess_format(self._path, file.read(512))
        file.seek(0)
        mentions: list[Mention] = []
        seen = rejected = 0
        lines = _WholeLines(file, now)
        for row in read(lines, format, now):
            seen += 1
            if isinstance(row, Row):
                mentions.append(row.mention)
            else:
                rejected += 1
                if rejected == 1:
                    log.warning("%s line %d left out: %s", self._path, row.line, row.reason)
            if seen == BATCH:
                yield Batch(tuple(mentions), fetched=seen)
                mentions, seen = [], 0
        if rejected > 1:
            log.warning("%s: %d lines left out in all; sentimon import lists them", self._path, rejected)
        # Unfinished, the file is read again at the next run, even if it is complete by now and changes no more.
        yield Batch(tuple(mentions), cursor=None if lines.unfinished else version, fetched=seen)


def _build(options: FileOptions, brands: Sequence[Brand]) -> FileCollector:
    return FileCollector(str(options.path))


def _explain(options: FileOptions, brands: Sequence[Brand]) -> Sequence[str]:
    """Say what is read, and of a file that is not there that it is not: nobody else would before the first run."""
    try:
        found = stat.S_ISREG(os.stat(options.path).st_mode) and os.access(options.path, os.R_OK)
    except OSError as error:
        raise InputError(f"{options.path}: {(error.strerror or str(error)).lower()}; correct `path`") from None
    if not found:
        raise InputError(f"{options.path}: is not a file that can be read; correct `path`")
    return (f"file: all of {options.path} whenever it changes, matched here",)


@hookimpl
def register_collectors(register: RegisterCollector) -> None:
    register(CollectorKind("file", FileOptions, _build, _explain))
