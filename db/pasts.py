"""What detectors remember of each series at the start of a day: the table pasts.

It can be made again from the counts at any time; it is kept so that a look need not read weeks of them.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlite_utils import Database

from db.times import from_text, to_text


class Pasts:
    """A state is bytes, as models/state.py packs it. A series is a brand and a slice, "" for all of the brand."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def before(self, detector: str, brand: str, day: datetime) -> tuple[datetime, Mapping[str, bytes]] | None:
        """Return the newest day at or before `day` of which states are kept, and the state of each slice then."""
        (newest,) = self._db.execute(
            "SELECT max(day) FROM pasts WHERE detector = ? AND brand = ? AND day <= ?", (detector, brand, to_text(day))
        ).fetchone()
        if newest is None:
            return None
        rows = self._db.execute(
            "SELECT slice, state FROM pasts WHERE detector = ? AND brand = ? AND day = ?", (detector, brand, newest)
        ).fetchall()
        return from_text(newest), dict(rows)

    def save(self, detector: str, brand: str, day: datetime, states: Mapping[str, bytes]) -> None:
        """Keep the states of a day in place of those that were kept of it; runs in the caller's transaction."""
        self.drop(detector, brand, [day])
        self._db.conn.executemany(
            "INSERT INTO pasts (detector, brand, slice, day, state) VALUES (?, ?, ?, ?, ?)",
            [(detector, brand, name, to_text(day), state) for name, state in states.items()],
        )

    def days(self, detector: str, brand: str) -> list[datetime]:
        """Return the days of which states are kept, the newest first."""
        rows = self._db.execute(
            "SELECT DISTINCT day FROM pasts WHERE detector = ? AND brand = ? ORDER BY day DESC", (detector, brand)
        ).fetchall()
        return [from_text(day) for (day,) in rows]

    def drop(self, detector: str, brand: str, days: list[datetime]) -> None:
        """Forget the states of some days; runs in the caller's transaction."""
        self._db.conn.executemany(
            "DELETE FROM pasts WHERE detector = ? AND brand = ? AND day = ?",
            [(detector, brand, to_text(day)) for day in days],
        )

    def rest_on(self, brand: str, since: datetime) -> bool:
        """Say whether any state of a brand rests on counts since a time."""
        sql = "SELECT 1 FROM pasts WHERE brand = ? AND day > ? LIMIT 1"
        return self._db.execute(sql, (brand, to_text(since))).fetchone() is not None

    def spoil(self, brand: str, since: datetime) -> None:
        """Forget the states that rest on counts which have changed; runs in the caller's transaction."""
        self._db.execute("DELETE FROM pasts WHERE brand = ? AND day > ?", (brand, to_text(since)))
