"""Verdicts in files: JSON lines, or CSV for spreadsheets, read as a spreadsheet leaves it."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator, model_validator

from db.errors import InputError
from db.labels import GUIDE, LABELS
from db.records import NO_BRAND, Match, Verdict
from db.times import to_text
from monitor.cli import output
from monitor.cli.posts import defused

COLUMNS = ("id", "source", "source_id", "brand", "text", *GUIDE, "about", "random", "reviewer", "at")
LONGEST_NUMBER = 15  # digits that a spreadsheet keeps


class Row(BaseModel):
    """A line of a file: what somebody said of which post. What is empty is not said."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    source: str
    source_id: str
    brand: str = NO_BRAND
    sentiment: str | None = None
    stage: str | None = None
    reply: str | None = None
    pillar: str | None = None
    touchpoint: str | None = None
    about: bool = True
    random: bool = False
    reviewer: str | None = None
    at: datetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_is_empty(cls, values: dict[str, Any]) -> dict[str, Any]:
        stripped = {key: one.strip() if isinstance(one, str) else one for key, one in values.items() if key}
        return {key: one for key, one in stripped.items() if one is not None and one != ""}

    @field_validator(*GUIDE)
    @classmethod
    def _is_a_label(cls, label: str, info: ValidationInfo) -> str:
        known = LABELS[str(info.field_name)]
        if label.casefold() not in known:
            raise ValueError(f"{label!r} is no label; choose from {', '.join(known)}")
        return label.casefold()

    @field_validator("at")
    @classmethod
    def _is_in_utc(cls, at: datetime) -> datetime:
        try:
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except OverflowError as error:
            raise ValueError(f"{at.isoformat()} lies too far back or ahead") from error

    @model_validator(mode="after")
    def _says_something(self) -> "Row":
        after_all = self.at and "about" in self.model_fields_set  # somebody has said that it is about the brand
        if self.about and not self.labels and not after_all:
            raise ValueError(f"no answer to any of {', '.join(GUIDE)}")
        return self

    @property
    def labels(self) -> dict[str, str]:
        """The answers, by question."""
        given = {question: getattr(self, question) for question in GUIDE}
        return {question: label for question, label in given.items() if label and self.about}

    def verdict(self, match: Match, reviewer: str, now: datetime) -> Verdict:
        """Make it a verdict on a match; ValueError if it says that it was given later than now."""
        if self.at and self.at - now > timedelta(days=1):
            raise ValueError(f"at: {to_text(self.at)} lies in the future")
        return Verdict(
            match.id, self.reviewer or reviewer, self.at or now, self.labels, random=self.random, about=self.about
        )


def row(match: Match, labels: Mapping[str, str | None], verdict: Verdict | None = None) -> dict[str, Any]:
    """Write a match for a file, with labels, and with the verdict on it unless it is still to be given."""
    return {
        "id": match.id,
        "source": match.mention.source,
        "source_id": match.mention.source_id,
        "brand": None if match.brand == NO_BRAND else match.brand,
        "text": match.mention.text,
        **{question: label if (label := labels.get(question)) in LABELS[question] else None for question in GUIDE},
        "about": verdict.about if verdict else True,
        "random": verdict.random if verdict else True,
        "reviewer": verdict.reviewer if verdict else None,
        "at": to_text(verdict.at) if verdict else None,
    }


def write(rows: Iterable[Mapping[str, Any]], path: Path, target: TextIO) -> int:
    """Write rows as CSV where the path says so, else as JSON lines; return how many."""
    count = 0
    writer = csv.DictWriter(target, COLUMNS) if path.suffix.lower() == ".csv" else None
    if writer:
        writer.writeheader()
    for one in rows:
        count += 1
        if writer:
            writer.writerow({key: _cell(key, value) for key, value in one.items()})
        else:
            # Standard output may show less than a file can hold.
            target.write((output.to_json(one) if str(path) == "-" else json.dumps(one, ensure_ascii=False)) + "\n")
    return count


def read(path: Path) -> Iterator[tuple[int, Row | str]]:
    """Read rows with their line numbers; in place of one that cannot be used, why."""
    for number, values in _values(path):
        if not isinstance(values, dict):
            yield number, "no JSON object"
            continue
        try:
            yield number, Row.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = f"{first['loc'][0]}: " if first["loc"] else ""
            yield number, where + str(first.get("ctx", {}).get("error", first["msg"]))


def _values(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        raw = output.standard_input().read() if str(path) == "-" else path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8; save it as JSON lines, or as CSV in UTF-8") from error
    if path.suffix.lower() == ".csv":
        yield from _csv(path, text)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, None


def _csv(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    first = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    try:
        missing = [name for name in ("source", "source_id") if name not in (rows.fieldnames or ())]
        if missing:
            raise InputError(f"{path}: the first line must name the columns; {', '.join(missing)} missing")
        for values in rows:
            yield rows.line_num, {name: _value(name, cell) for name, cell in values.items()}
    except csv.Error as error:
        raise InputError(f"{path}:{rows.line_num}: not valid CSV: {error}") from error


def _cell(name: str, value: Any) -> Any:
    """Keep a spreadsheet from running what a stranger wrote, and from rounding an id."""
    if name == "source_id" and str(value).isdigit() and len(str(value)) > LONGEST_NUMBER:
        return f"'{value}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return defused(value)


def _value(name: str, cell: Any) -> Any:
    """Read what `_cell` wrote: take away the apostrophe that it put in front."""
    bare = cell.removeprefix("'") if isinstance(cell, str) else cell
    return bare if _cell(name, bare) == cell else cell
