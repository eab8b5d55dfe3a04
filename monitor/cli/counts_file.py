"""Counts from a file: CSV with the columns timestamp, mentions (or value) and, if there, negative."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TextIO

from db.errors import InputError
from monitor.cli import output

EXPECTED = "timestamp, mentions (or value) and, if there, negative"
MOST_ROWS = 2_000_000
LARGEST = 1e9  # posts in a row: more is a mistake
SHOWN = 40  # characters of what is wrong


@dataclass(frozen=True, slots=True)
class CountsFile:
    """One regular series, as it is written; NaN where a cell is empty. Rows are numbered from 1, after the header."""

    name: str
    written: Sequence[str]  # the timestamps
    times: Sequence[datetime]
    mentions: Sequence[float]
    negatives: Sequence[float] | None  # None where there is no such column


@dataclass(frozen=True, slots=True)
class _Columns:
    width: int
    timestamp: int
    mentions: int
    negative: int | None


def read(path: Path) -> CountsFile:
    """Read a file, `-` is standard input. InputError says which row cannot be read, and what is expected."""
    piped = output.standard_input() if str(path) == "-" else None
    name = "standard input" if piped else str(path)
    with naming(name):
        try:
            with _opened(path, piped) as text:
                return _read(name, text)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InputError("is not text in UTF-8; save it as CSV (UTF-8)") from error
        except csv.Error as error:
            raise InputError(f"is not CSV: {error}") from error


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Say of an InputError which file it is about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


@contextmanager
def _opened(path: Path, piped: BinaryIO | None) -> Iterator[TextIO]:
    if piped is None:
        with path.open(encoding="utf-8-sig", newline="") as text:
            yield text
        return
    wrapped = io.TextIOWrapper(piped, encoding="utf-8-sig", newline="")
    try:
        yield wrapped
    finally:
        wrapped.detach()  # it is not ours to close


def _read(name: str, text: TextIO) -> CountsFile:
    lines = csv.reader(text)
    columns = _columns(next(lines, None))
    written, times, mentions, negatives = list[str](), list[datetime](), list[float](), list[float]()
    for number, cells in enumerate((cells for cells in lines if cells), 1):  # empty lines count for nothing
        if number > MOST_ROWS:
            raise InputError(f"more than {MOST_ROWS:,} rows; cut the file")
        if len(cells) != columns.width:
            raise InputError(f"row {number}: {len(cells)} cells, where the first line names {columns.width} columns")
        written.append(cells[columns.timestamp])
        times.append(_time(cells[columns.timestamp], number))
        mentions.append(_count(cells[columns.mentions], number, "mentions"))
        if columns.negative is not None:
            negatives.append(_count(cells[columns.negative], number, "negative"))
    return CountsFile(name, written, times, mentions, None if columns.negative is None else negatives)


def _columns(header: Sequence[str] | None) -> _Columns:
    if not header:
        raise InputError(f"is empty; expected is a first line that names the columns: {EXPECTED}")
    names = [name.strip().casefold() for name in header]
    if len(names) == 1 and any(sign in names[0] for sign in ";\t"):
        raise InputError(f"columns are separated by semicolons or tabs; expected are commas: {EXPECTED}")
    for each in ("timestamp", "mentions", "value", "negative"):
        if names.count(each) > 1:
            raise InputError(f"the first line names the column {each} twice")
    value = next((each for each in ("mentions", "value") if each in names), None)
    if "timestamp" not in names or value is None:
        missing = "timestamp" if "timestamp" not in names else "mentions or value"
        raise InputError(
            f"no column {missing} in the first line ({_shown(', '.join(header))}); expected are {EXPECTED}"
        )
    negative = names.index("negative") if "negative" in names else None
    return _Columns(len(names), names.index("timestamp"), names.index(value), negative)


def _time(text: str, row: int) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(
            f"row {row}: timestamp {_shown(text)!r} is not a time; write 2026-11-21 13:05:00 or 2026-11-21T13:05Z"
        ) from None


def _count(text: str, row: int, column: str) -> float:
    if not text.strip():
        return math.nan
    try:
        value = float(text.replace("_", "x"))  # Python reads 1_000, nobody else does
    except ValueError:
        raise InputError(f"row {row}: {column} {_shown(text)!r} is not a number") from None
    if value > LARGEST:
        raise InputError(f"row {row}: {column} {_shown(text)} is more than anybody posts")
    return value


def _shown(text: str) -> str:
    return output.shorten(text, SHOWN)
