"""Which counts answer a question about a span: whole days where they suffice, hours at its edges."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlite_utils import Database

from db.times import floor, to_text

_DAY = timedelta(days=1)
BUCKET = {
    "hour": "substr(start, 1, 13) || ':00:00Z'",
    "day": "substr(start, 1, 10)",
    "week": "date(start, '-6 days', 'weekday 1')",  # its Monday
}


def ranges(since: datetime, until: datetime, step: str | None) -> list[tuple[str, str, str]]:
    """Return span ("1h", "1d"), start and end of the counts to add up; both times are whole hours."""
    first, last = floor(since + _DAY - timedelta(seconds=1), _DAY), floor(until, _DAY)
    if step == "hour" or first >= last:
        found = [("1h", since, until)]
    else:
        found = [("1h", since, first), ("1d", first, last), ("1h", last, until)]
    return [(span, to_text(start), to_text(end)) for span, start, end in found if start < end]


def cells(db: Database, table: str, brands: Sequence[str], sources: Sequence[str]) -> str:
    """Return each brand and source that a table of counts knows, of these (none: all), as JSON.

    With both named a question reads one stretch of the index for each, however long the past is; they are found from
    one entry of it to the next.
    """
    days = f"FROM {table} WHERE span = '1d' AND"
    known = db.execute(
        f"""WITH RECURSIVE brands (brand) AS (
            SELECT min(brand) {days} brand > ''
            UNION ALL SELECT (SELECT min(brand) {days} brand > brands.brand) FROM brands WHERE brand IS NOT NULL
        ), cells (brand, source) AS (
            SELECT brand, (SELECT min(source) {days} brand = brands.brand) FROM brands WHERE brand IS NOT NULL
            UNION ALL SELECT brand, (SELECT min(source) {days} brand = cells.brand AND source > cells.source)
                FROM cells WHERE source IS NOT NULL
        ) SELECT brand, source FROM cells WHERE source IS NOT NULL ORDER BY brand, source"""
    ).fetchall()
    return json.dumps(
        [
            (brand, source)
            for brand, source in known
            if (not brands or brand in brands) and (not sources or source in sources)
        ]
    )
