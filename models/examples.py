"""Labelled posts in files: what a model is trained on and measured by."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from db.errors import InputError
from db.labels import LABELS

SHARES = r"\d+(?: \d+)+"  # 12 80 8
EMPTY = (None, "")  # what is no label; 0 is one, in files that number theirs


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled post.

    `labels` and `probabilities` have an entry for each head that the post is labelled for: a label, or a teacher's
    probabilities in the order of `db.labels.LABELS`. `source` says where the post is from.
    """

    text: str
    brand: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    probabilities: Mapping[str, Sequence[float]] = field(default_factory=dict)
    source: str = ""


def read_examples(
    path: Path, head: str = "sentiment", rename: Mapping[str, str] | None = None, columns: Sequence[str] = ()
) -> list[Example]:
    """Read JSON lines, a CSV file, or a TSV file: text, optionally brand (or target), and labels.

    A column is called as its head is (sentiment, stage, reply, …); `label` stands for `head`. Labels joined by commas
    share the post; numbers with blanks between them are a teacher's percentages, in the order of `db.labels.LABELS`.
    `rename` turns a file's labels into ours ("" drops the post). `columns` names the columns of a file without a
    header.
    """
    kind = path.suffix.lower()
    rows = _separated(path, "\t" if kind == ".tsv" else ",", columns) if kind in (".csv", ".tsv") else _json_lines(path)
    with _readable(path):
        found = [_labelled(path, number, row, head, rename or {}) for number, row in rows]
    return [example for example in found if example]


def read_labels(path: Path, data: Path) -> list[Example]:
    """Read a CSV file of labels whose posts lie elsewhere.

    Its column source names a file under `data`, less its ending: JSON lines, in which source_id is an id, or a text
    file, in which it is the number of a line. All have the source "read".
    """
    found = []
    texts: dict[str, dict[str, str]] = {}
    with _readable(path):
        for number, row in _separated(path, ",", ()):
            source, name = row.get("source"), row.get("source_id")
            if not source or not name:
                raise InputError(f"{path}:{number}: source or source_id is missing")
            if source not in texts:
                texts[source] = read_texts(data / source)
            if name not in texts[source]:
                raise InputError(f"{path}:{number}: {data / source} holds no post {name}")
            row = {**row, "text": texts[source][name], "source": "read"}
            found.append(_labelled(path, number, row, "sentiment", {}))
    return [example for example in found if example]


def read_texts(path: Path) -> dict[str, str]:
    """Read the texts of a file of posts, named less its ending: JSON lines by id, or a text file by line number."""
    try:
        if (lines := path.with_suffix(".txt")).exists():
            return {str(number): line.strip() for number, line in enumerate(lines.open(encoding="utf-8"), 1)}
        return {str(row["id"]): row["text"] for _, row in _json_lines(path.with_suffix(".jsonl"))}
    except OSError as error:
        raise InputError(f"{path}: no such posts: {error.strerror}") from error
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not all of its lines are posts with id and text: {error}") from error


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in one line why a file cannot be read."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _labelled(path: Path, number: int, row: Any, head: str, rename: Mapping[str, str]) -> Example | None:
    """Read a row; InputError says where it is and what is wrong with it."""
    try:
        return _example(row, head, rename)
    except ValueError as error:
        raise InputError(f"{path}:{number}: not a labelled post: {error}") from error


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line)
            except UnicodeDecodeError:
                raise
            except (ValueError, RecursionError):
                yield number, None


def _separated(path: Path, separator: str, columns: Sequence[str]) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(
            lines,
            columns or None,
            delimiter=separator,
            quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL,
        )
        for row in rows:
            yield rows.line_num, row


def _example(row: Any, head: str, rename: Mapping[str, str]) -> Example | None:
    if not isinstance(row, Mapping):
        raise ValueError("expected a JSON object with text and label")
    text, brand = row.get("text"), row.get("brand") or row.get("target") or None
    if not isinstance(text, str):
        raise ValueError("text is missing")
    if brand is not None and not isinstance(brand, str):
        raise ValueError("brand is no text")
    labels: dict[str, str] = {}
    probabilities: dict[str, Sequence[float]] = {}
    for name, known in LABELS.items():
        given = row.get(name)
        if given in EMPTY and name == head:
            given = row.get("label")
        if given in EMPTY:
            continue
        if shares := re.fullmatch(SHARES, str(given)):
            probabilities[name] = _shares(shares[0], known)
            continue
        found = [rename.get(one, one) for one in str(given).split(",")]
        if "" in found:
            return None
        for label in found:
            if label not in known:
                called = "label" if name == head else name
                raise ValueError(f"{called} {label!r} is unknown; expected {', '.join(known)}")
        if len(set(found)) == 1:
            labels[name] = found[0]
        else:
            probabilities[name] = [found.count(label) / len(found) for label in known]
    source = row.get("source")
    return Example(text, brand, labels, probabilities, source if isinstance(source, str) else "")


def _shares(given: str, known: Sequence[str]) -> list[float]:
    found = [int(one) for one in given.split()]
    if len(found) != len(known) or not sum(found):
        raise ValueError(f"{given!r} are not the percentages of {', '.join(known)}")
    return [one / sum(found) for one in found]
