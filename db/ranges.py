"""Which counts answer a question about a span: whole weeks and days where they suffice, hours at its edges."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlite_utils import Database

from db.times import floor, monday, to_text

_HOUR, _DAY, _WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
_Span = tuple[str, timedelta, Callable[[datetime], datetime]]  # its name, its length, where the one of a time begins
_SPANS: Sequence[_Span] = (
    ("1w", _WEEK, monday),
    ("1d", _DAY, lambda time: floor(time, _DAY)),
    ("1h", _HOUR, lambda time: floor(time, _HOUR)),
)
BUCKET = {
    "hour": "substr(start, 1, 13) || ':00:00Z'",
    "day": "substr(start, 1, 10)",
    "week": "date(start, '-6 days', 'weekday 1')",  # its Monday
}


def ranges(since: datetime, until: datetime, step: str | None) -> list[tuple[str, str, str]]:
    """Return span ("1h", "1d", "1w"), start and end of the counts to add up, in order; both times are whole hours.

    They are of the longest spans that can tell the steps apart, with shorter ones at the edges.
    """
    parts = _parts(since, until, _SPANS[{"hour": 2, "day": 1}.get(step or "", 0) :])
    return [(span, to_text(start), to_text(end)) for span, start, end in parts if start < end]


def known_brands(db: Database) -> tuple[str, ...]:
    """Name the brands that a post names."""
    return tuple(sorted({brand for brand, _ in json.loads(cells(db, (), ()))}))


def open_end(db: Database, table: str, until: datetime) -> datetime:
    """Return the end of a time's week, where a table of counts has nothing from that time on, else the time.

    Up to now is asked for most often: so today is one day, and this week one week, and not hour by hour.
    """
    later = db.execute(f"SELECT 1 FROM {table} WHERE span = '1h' AND start >= ? LIMIT 1", (to_text(until),)).fetchone()
    return until if later else monday(until) + _WEEK


def _parts(since: datetime, until: datetime, spans: Sequence[_Span]) -> list[tuple[str, datetime, datetime]]:
    (span, length, begin), *shorter = spans
    first, last = begin(since + length - timedelta(seconds=1)), begin(until)
    if not shorter or first >= last:
        return _parts(since, until, shorter) if shorter else [(span, since, until)]
    return [*_parts(since, first, shorter), (span, first, last), *_parts(last, until, shorter)]


def cells(db: Database, brands: Sequence[str], sources: Sequence[str]) -> str:
    """Return each brand and source that has a post, of these (none: all), as JSON.

    With both named a question to a table of counts reads one stretch of its index for each, however long the past is.
    """
    known = db.execute("SELECT brand, source FROM totals WHERE brand != '' AND posts > 0").fetchall()
    return json.dumps(
        [
            (brand, source)
            for brand, source in known
            if (not brands or brand in brands) and (not sources or source in sources)
        ]
    )
