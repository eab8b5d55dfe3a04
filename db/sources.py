"""What is remembered of sources between runs: cursors, waits, coverage and money."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from sqlite_utils import Database

from db.coverage import Extent, Unread, extent, hours, note_hours, streams_in, unread
from db.records import Coverage, Hour, Position, SourceState
from db.times import from_text, from_text_or_none, to_text, to_text_or_none

_MILLIONTH = Decimal("0.000001")
_BRANDS = "(brands)"  # under which it is remembered since when each brand is looked for


class Sources:
    """The tables sources, cursors, coverage and spending."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def state(self, name: str) -> SourceState | None:
        """Return what is remembered of one source."""
        return next((state for state in self.states() if state.name == name), None)

    def states(self) -> list[SourceState]:
        """Return what is remembered of all sources."""
        return [_state(row) for row in self._db.query("SELECT * FROM sources ORDER BY name")]

    def first_tried(self, name: str) -> datetime | None:
        """Return when a source was first tried to be read."""
        (at,) = self._db.execute("SELECT min(started_at) FROM coverage WHERE source = ?", (name,)).fetchone()
        return from_text_or_none(at)

    def succeeded(self, name: str, now: datetime) -> None:
        """A run read the source."""
        self._db.execute(
            """UPDATE sources SET last_run_at = ?1, last_ok_at = ?1, last_error = NULL, not_before = NULL, paused = NULL
            WHERE name = ?2""",
            (to_text(now), name),
        )

    def failed(self, name: str, now: datetime, error: str) -> None:
        """A run could not read the source; the next one tries again."""
        self._db.execute(
            "UPDATE sources SET last_run_at = ?, last_error = ? WHERE name = ?", (to_text(now), error, name)
        )

    def wait(self, name: str, now: datetime, error: str, not_before: datetime) -> None:
        """The platform asks to wait."""
        self._db.execute(
            "UPDATE sources SET last_run_at = ?, last_error = ?, not_before = ? WHERE name = ?",
            (to_text(now), error, to_text(not_before), name),
        )

    def pause(self, name: str, now: datetime, error: str) -> None:
        """The platform refuses: the source waits for a person, who changes its options or resumes it."""
        self._db.execute(
            "UPDATE sources SET last_run_at = ?, last_error = ?, paused = ? WHERE name = ?",
            (to_text(now), error, error, name),
        )

    def resume(self, name: str) -> None:
        """A person says that the source is to be read again, now."""
        self._db.execute("UPDATE sources SET paused = NULL, not_before = NULL WHERE name = ?", (name,))

    def configured(self, name: str, kind: str, options: str) -> None:
        """Make the source known; when its options (told by their fingerprint) have changed, nothing holds it back."""
        self._db.execute(
            """INSERT INTO sources (name, kind, options) VALUES (?1, ?2, ?3)
            ON CONFLICT (name) DO UPDATE SET kind = ?2, options = ?3, paused = NULL, not_before = NULL
            WHERE options IS NOT ?3""",
            (name, kind, options),
        )

    def known(self, name: str, kind: str) -> None:
        """Write down that there is a source, before it was first read; runs in the caller's transaction."""
        self._db.execute("INSERT INTO sources (name, kind) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", (name, kind))

    def position(self, source: str, stream: str) -> Position:
        """Return where reading stands."""
        row = self._db.execute(
            "SELECT cursor, resume FROM cursors WHERE source = ? AND stream = ?", (source, stream)
        ).fetchone()
        return Position(*row) if row else Position()

    def move(self, source: str, stream: str, position: Position) -> None:
        """Remember where reading stands; runs in the transaction that stores what was read."""
        self._db.execute(
            """INSERT INTO cursors (source, stream, cursor, resume) VALUES (?, ?, ?, ?)
            ON CONFLICT (source, stream) DO UPDATE SET cursor = excluded.cursor, resume = excluded.resume""",
            (source, stream, position.cursor, position.resume),
        )

    def cover(self, coverage: Coverage) -> None:
        """Write down what a run of one stream read, or why it did not; runs in the caller's transaction."""
        self._db.execute(
            """INSERT INTO coverage
                (source, stream, started_at, since, until, state, reason, fetched, stored, cost, cause)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                coverage.source,
                coverage.stream,
                to_text(coverage.started_at),
                to_text_or_none(coverage.since),
                to_text_or_none(coverage.until),
                coverage.state,
                coverage.reason,
                coverage.fetched,
                coverage.stored,
                str(coverage.cost),
                coverage.cause,
            ),
        )
        if coverage.until is not None:
            note_hours(self._db, coverage.source, coverage.stream, coverage.since, coverage.until)

    def covered_until(self, source: str) -> Mapping[str, datetime]:
        """Return for each stream up to when live runs have read it completely; spans of the past do not count."""
        sql = """SELECT until FROM coverage WHERE source = ? AND stream = ? AND state = 'complete'
            AND until >= started_at ORDER BY until DESC LIMIT 1"""
        found = {stream: self._db.execute(sql, (source, stream)).fetchone() for stream in streams_in(self._db, source)}
        return {stream: from_text(row[0]) for stream, row in found.items() if row}

    def unread(self, source: str) -> list[Unread]:
        """Tell of the streams that live runs try in vain to read to their end: see db.coverage."""
        return unread(self._db, source)

    def watch(self, source: str, brands: Collection[str], now: datetime) -> None:
        """Remember since when a source's posts are matched with each of the brands, and forget others; runs in the
        caller's transaction."""
        known = self._watched(source)
        wanted = {brand: known.get(brand, to_text(now)) for brand in sorted(brands)}
        if wanted != known:
            self.move(source, _BRANDS, Position(json.dumps(wanted)))

    def read_for(self, source: str, stream: str, brand: str | None) -> list[tuple[datetime, datetime]]:
        """Return the spans of a stream that were read wholly, in order; with a brand, since it is matched."""
        since = "" if brand is None else self._watched(source).get(brand)
        if since is None:
            return []
        rows = self._db.execute(
            """SELECT since, until FROM coverage WHERE source = ? AND stream = ? AND state = 'complete'
            AND since IS NOT NULL AND started_at >= ? ORDER BY since""",
            (source, stream, since),
        ).fetchall()
        joined: list[tuple[str, str]] = []
        for start, end in rows:
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return [(from_text(start), from_text(end)) for start, end in joined]

    def _watched(self, source: str) -> dict[str, str]:
        cursor = self.position(source, _BRANDS).cursor
        found: dict[str, str] = json.loads(cursor) if cursor else {}
        return found

    def first_read(self, source: str, stream: str) -> datetime | None:
        """Return when a live run first read a stream completely."""
        (first,) = self._db.execute(
            """SELECT min(until) FROM coverage
            WHERE source = ? AND stream = ? AND state = 'complete' AND until >= started_at""",
            (source, stream),
        ).fetchone()
        return from_text_or_none(first)

    def extent(self, source: str, since: datetime, until: datetime, now: datetime, by_hour: bool = False) -> Extent:
        """Tell what `hours` tells, added up by day (or hour) where it was read wholly: for spans of months."""
        return extent(self._db, source, since, until, now, by_hour)

    def hours(self, source: str, since: datetime, until: datetime, now: datetime) -> list[Hour]:
        """Return how far each hour was read: see db.coverage."""
        return hours(self._db, source, since, until, now)

    def gaps(self, limit: int) -> list[Coverage]:
        """Return the latest spans that were not read, and not made up for since.

        What lies before the first reading was not lost, and is not among them.
        """
        rows = self._db.query(
            """SELECT * FROM coverage AS gap WHERE state != 'complete' AND NOT (since IS NULL AND cause IS 'capped')
            AND NOT EXISTS (
                SELECT 1 FROM coverage AS later
                WHERE later.source = gap.source AND later.stream = gap.stream AND later.id > gap.id
                AND later.state = 'complete' AND later.until >= gap.until
                AND (later.since IS NULL OR later.since <= gap.since)
            ) ORDER BY id DESC LIMIT ?""",
            [limit],
        )
        return [_coverage(row) for row in rows]

    def told_gaps(self, source: str) -> list[Coverage]:
        """Return the spans for which the platform did not give all posts, and that were not read since, oldest first.

        What was not read for another reason, as an error, the next live run makes up for.
        """
        sql = """SELECT * FROM coverage AS gap WHERE source = ? AND stream = ? AND state = 'missing'
            AND cause IN ('saturated', 'capped') AND since IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM coverage AS later
                WHERE later.source = gap.source AND later.stream = gap.stream AND later.id > gap.id
                AND later.state = 'complete' AND later.until >= gap.until AND later.since <= gap.since
            )"""
        found = [row for stream in streams_in(self._db, source) for row in self._db.query(sql, [source, stream])]
        return [_coverage(row) for row in sorted(found, key=lambda row: int(row["id"]))]

    def live_cost(self, source: str, since: datetime) -> tuple[datetime | None, Decimal]:
        """Return since when live runs have read a source, from a time on at most, and what they have cost since."""
        first, cost = self._db.execute(
            "SELECT min(started_at), sum(CAST(cost AS REAL)) FROM coverage WHERE source = ? AND started_at >= ?",
            (source, to_text(since)),
        ).fetchone()
        return from_text_or_none(first), Decimal(str(round(cost or 0, 6)))

    def forget_coverage(self, before: datetime) -> int:
        """Delete what was written down of runs before a time, and of hours before it; return how many rows."""
        runs = self._db.execute("DELETE FROM coverage WHERE started_at < ?", (to_text(before),)).rowcount
        return runs + self._db.execute("DELETE FROM coverage_hours WHERE hour < ?", (to_text(before),)).rowcount

    def spent(self, source: str, month: str) -> Decimal:
        """Return what was spent in a month (YYYY-MM), open reservations included."""
        row = self._db.execute(
            "SELECT settled + reserved FROM spending WHERE source = ? AND month = ?", (source, month)
        ).fetchone()
        return (row[0] if row else 0) * _MILLIONTH

    def spent_by_all(self, month: str) -> Decimal:
        """Return what all sources together spent in a month, open reservations included."""
        row = self._db.execute("SELECT sum(settled + reserved) FROM spending WHERE month = ?", (month,)).fetchone()
        return (row[0] or 0) * _MILLIONTH

    def metered(self, month: str) -> Mapping[str, tuple[int, int, Decimal]]:
        """Return (calls, posts, money) of each source in a month."""
        rows = self._db.execute(
            "SELECT source, calls, posts, settled + reserved FROM spending WHERE month = ?", (month,)
        ).fetchall()
        return {source: (calls, posts, money * _MILLIONTH) for source, calls, posts, money in rows}

    def called(self, source: str, month: str, posts: int) -> None:
        """Count a call and the posts that it brought; runs in the transaction that stores them."""
        self._db.execute(
            """INSERT INTO spending (source, month, calls, posts) VALUES (?1, ?2, 1, ?3)
            ON CONFLICT (source, month) DO UPDATE SET calls = calls + 1, posts = posts + ?3""",
            (source, month, posts),
        )

    def use(self, source: str, period: str, units: int, limit: int) -> bool:
        """Take units out of a source's ration for a period; False, and nothing taken, where fewer are left."""
        row = self._db.execute("SELECT used FROM quotas WHERE source = ? AND period = ?", (source, period)).fetchone()
        if (row[0] if row else 0) + units > limit:
            return False
        self._db.execute(
            """INSERT INTO quotas (source, period, used) VALUES (?1, ?2, ?3)
            ON CONFLICT (source, period) DO UPDATE SET used = used + ?3""",
            (source, period, units),
        )
        return True

    def reserve(self, source: str, month: str, amount: Decimal) -> None:
        """Count a request as spent before it is made."""
        self._db.execute(
            """INSERT INTO spending (source, month, reserved) VALUES (?, ?, ?)
            ON CONFLICT (source, month) DO UPDATE SET reserved = reserved + excluded.reserved""",
            (source, month, _millionths(amount)),
        )

    def settle(self, source: str, month: str, reserved: Decimal, actual: Decimal) -> None:
        """Replace a reservation by what the request cost."""
        self._db.execute(
            "UPDATE spending SET reserved = reserved - ?, settled = settled + ? WHERE source = ? AND month = ?",
            (_millionths(reserved), _millionths(actual), source, month),
        )


def _millionths(amount: Decimal) -> int:
    """Round up: what is left out of many small prices would add up to more than the budget."""
    return int((amount / _MILLIONTH).to_integral_value(ROUND_CEILING))


def _state(row: Mapping[str, Any]) -> SourceState:
    return SourceState(
        row["name"],
        row["kind"],
        from_text_or_none(row["not_before"]),
        row["paused"],
        from_text_or_none(row["last_run_at"]),
        from_text_or_none(row["last_ok_at"]),
        row["last_error"],
    )


def _coverage(row: Mapping[str, Any]) -> Coverage:
    return Coverage(
        row["source"],
        row["stream"],
        from_text(row["started_at"]),
        from_text_or_none(row["since"]),
        from_text_or_none(row["until"]),
        row["state"],
        row["reason"],
        row["fetched"],
        row["stored"],
        Decimal(row["cost"]),
        row["cause"],
    )
