"""Who is logged in on which device, and who tried in vain: the tables sessions and attempts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from db.desk import Session
from db.times import from_text, to_text

_COLUMNS = "key, user_id, created_at, seen_at, ends_at, device"


class Sessions:
    """Keys are hashes of what cookies hold. Every change runs in the caller's transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, session: Session) -> None:
        """Keep a new session."""
        self._db.execute(
            f"INSERT INTO sessions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
            (
                session.key,
                session.user_id,
                to_text(session.created_at),
                to_text(session.seen_at),
                to_text(session.ends_at),
                session.device,
            ),
        )

    def get(self, key: str) -> Session | None:
        """Return a session, whether it is over or not."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM sessions WHERE key = ?", (key,)).fetchone()
        return _session(row) if row else None

    def of_user(self, user_id: int) -> list[Session]:
        """Return somebody's sessions, the last used first."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM sessions WHERE user_id = ? ORDER BY seen_at DESC, key", (user_id,)
        ).fetchall()
        return [_session(row) for row in rows]

    def seen(self, key: str, now: datetime) -> None:
        """Write down that a session was used."""
        self._db.execute("UPDATE sessions SET seen_at = ? WHERE key = ?", (to_text(now), key))

    def end(self, user_id: int, key: str) -> bool:
        """End one of somebody's sessions; False where they have none of that key."""
        return self._db.execute("DELETE FROM sessions WHERE key = ? AND user_id = ?", (key, user_id)).rowcount > 0

    def end_all(self, user_id: int, but: str = "") -> int:
        """End somebody's sessions, all but one; return how many."""
        return self._db.execute("DELETE FROM sessions WHERE user_id = ? AND key != ?", (user_id, but)).rowcount

    def tidy(self, idle_since: datetime, now: datetime) -> None:
        """Remove sessions that are over, by age or because nobody used them since."""
        self._db.execute("DELETE FROM sessions WHERE ends_at <= ? OR seen_at <= ?", (to_text(now), to_text(idle_since)))

    def fail(self, name: str, address: str, now: datetime) -> None:
        """Write down that somebody tried to log in, and could not."""
        self._db.execute("INSERT INTO attempts (name, address, at) VALUES (?, ?, ?)", (name, address, to_text(now)))

    def failed(self, since: datetime) -> list[tuple[str, str, datetime]]:
        """Return (name, address, time) of attempts since then, oldest first."""
        rows = self._db.execute(
            "SELECT name, address, at FROM attempts WHERE at > ? ORDER BY at, id", (to_text(since),)
        ).fetchall()
        return [(name, address, from_text(at)) for name, address, at in rows]

    def forgive(self, name: str, address: str, before: datetime) -> None:
        """Forget what this person did wrong from this address, and what is too old to count."""
        self._db.execute(
            "DELETE FROM attempts WHERE (name = ? AND address = ?) OR at <= ?", (name, address, to_text(before))
        )


def _session(row: Sequence[Any]) -> Session:
    return Session(row[0], row[1], from_text(row[2]), from_text(row[3]), from_text(row[4]), row[5])
