"""Labelled posts in files: what a model is trained on and measured by."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.errors import InputError
from db.labels import SENTIMENTS, STAGES

UNLABELLED = -100  # the label that torch's cross entropy leaves out


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled post, its labels as indices into SENTIMENTS and STAGES or UNLABELLED."""

    text: str
    brand: str | None
    sentiment: int
    stage: int


def read_examples(path: Path) -> list[Example]:
    """Read JSON lines, or a CSV file with a header: text, label or sentiment, optionally brand and stage."""
    examples = []
    try:
        for number, row in _csv(path) if path.suffix.lower() == ".csv" else _json_lines(path):
            try:
                examples.append(_example(row))
            except ValueError as error:
                raise InputError(f"{path}:{number}: not a labelled post: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    return examples


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


def _csv(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        for row in rows:
            yield rows.line_num, row


def _example(row: Any) -> Example:
    if not isinstance(row, Mapping):
        raise ValueError("expected a JSON object with text and label")
    text, brand = row.get("text"), row.get("brand") or None
    if not isinstance(text, str):
        raise ValueError("text is missing")
    if brand is not None and not isinstance(brand, str):
        raise ValueError("brand is no text")
    sentiment = _index(row.get("sentiment") or row.get("label"), "label", SENTIMENTS)
    return Example(text, brand, sentiment, _index(row.get("stage"), "stage", STAGES))


def _index(label: Any, what: str, known: tuple[str, ...]) -> int:
    if not label:
        return UNLABELLED
    if label not in known:
        raise ValueError(f"{what} {label!r} is unknown; expected {', '.join(known)}")
    return known.index(label)
