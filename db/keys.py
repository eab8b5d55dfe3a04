"""Keys that never leave the file: the table keys."""

import secrets

from sqlite_utils import Database


class Keys:
    """A key is 32 random bytes, made when it is first needed."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of(self, name: str) -> bytes:
        """Return the key of that name, made where there is none; runs in the caller's transaction."""
        self._db.execute("INSERT OR IGNORE INTO keys (name, value) VALUES (?, ?)", (name, secrets.token_bytes(32)))
        (value,) = self._db.execute("SELECT value FROM keys WHERE name = ?", (name,)).fetchone()
        return bytes(value)

    def made(self, name: str) -> bytes | None:
        """Return the key of that name, None where it was never needed; writes nothing."""
        row = self._db.execute("SELECT value FROM keys WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row else None
