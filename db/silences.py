"""Silences: alerts that nobody is told of for a while."""

from dataclasses import replace
from datetime import datetime

from sqlite_utils import Database

from db.records import Silence
from db.times import from_text, to_text


class Silences:
    """The table silences. Silences that are over stay: they say why nobody was told."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, silence: Silence) -> Silence:
        """Keep a new silence (id 0); runs in the caller's transaction."""
        cursor = self._db.execute(
            "INSERT INTO silences (starts, ends, author, comment, brand, rule, scope) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                to_text(silence.starts),
                to_text(silence.ends),
                silence.author,
                silence.comment,
                silence.brand,
                silence.rule,
                silence.scope,
            ),
        )
        return replace(silence, id=int(cursor.lastrowid or 0))

    def end(self, silence_id: int, now: datetime) -> bool:
        """End a silence now; False where there is none that still holds. Runs in the caller's transaction."""
        ended = self._db.execute(
            "UPDATE silences SET ends = max(?, starts) WHERE id = ? AND ends > ?",
            (to_text(now), silence_id, to_text(now)),
        )
        return ended.rowcount > 0

    def ending_after(self, now: datetime) -> list[Silence]:
        """Return those that hold now or will, the first to end first."""
        rows = self._db.execute(
            """SELECT id, starts, ends, author, comment, brand, rule, scope FROM silences
            WHERE ends > ? ORDER BY ends, id""",
            (to_text(now),),
        ).fetchall()
        return [Silence(row[0], from_text(row[1]), from_text(row[2]), *row[3:]) for row in rows]
