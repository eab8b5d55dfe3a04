"""Keys to the programming interface: the table tokens."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlite_utils import Database

from db.desk import Token
from db.times import from_text, from_text_or_none, to_text, to_text_or_none

_COLUMNS = "id, user_id, name, scopes, created_at, ends_at, used_at"


class Tokens:
    """Only the hash of a token is kept. Every change runs in the caller's transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, token: Token, key: str) -> Token:
        """Keep a new token (id 0) whose hash is `key`."""
        cursor = self._db.execute(
            "INSERT INTO tokens (user_id, name, key, scopes, created_at, ends_at) VALUES (?, ?, ?, ?, ?, ?)",
            (
                token.user_id,
                token.name,
                key,
                " ".join(token.scopes),
                to_text(token.created_at),
                to_text_or_none(token.ends_at),
            ),
        )
        return replace(token, id=int(cursor.lastrowid or 0))

    def of_key(self, key: str) -> Token | None:
        """Return the token of this hash, whether it is over or not."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM tokens WHERE key = ?", (key,)).fetchone()
        return _token(row) if row else None

    def of_user(self, user_id: int) -> list[Token]:
        """Return somebody's tokens, the newest first."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM tokens WHERE user_id = ? ORDER BY id DESC", (user_id,)
        ).fetchall()
        return [_token(row) for row in rows]

    def every(self) -> list[Token]:
        """Return all tokens, the newest first."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM tokens ORDER BY id DESC").fetchall()
        return [_token(row) for row in rows]

    def used(self, token_id: int, now: datetime) -> None:
        """Write down that a token was used."""
        self._db.execute("UPDATE tokens SET used_at = ? WHERE id = ?", (to_text(now), token_id))

    def revoke(self, token_id: int, user_id: int | None = None) -> bool:
        """Remove a token, where `user_id` is given only one of theirs; False where there is none."""
        gone = self._db.execute(
            "DELETE FROM tokens WHERE id = ? AND (? IS NULL OR user_id = ?)", (token_id, user_id, user_id)
        )
        return gone.rowcount > 0


def hashed(key: str) -> str:
    """Write what is kept of a cookie or a token; they are random enough for a plain hash."""
    return sha256(key.encode(errors="replace")).hexdigest()


def _token(row: Sequence[Any]) -> Token:
    return Token(
        row[0],
        row[1],
        row[2],
        tuple(row[3].split()),
        from_text(row[4]),
        from_text_or_none(row[5]),
        from_text_or_none(row[6]),
    )
