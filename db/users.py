"""Those who may log in: the table users."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from db.desk import User
from db.errors import InputError
from db.times import from_text, from_text_or_none, to_text, to_text_or_none

_COLUMNS = "id, name, role, brands, created_at, disabled_at, subject, password IS NOT NULL"


class Users:
    """A user is never removed, since what they did names them; who leaves is disabled."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def any(self) -> bool:
        """Whether there is a user at all, disabled ones included."""
        return self._db.execute("SELECT 1 FROM users LIMIT 1").fetchone() is not None

    def every(self) -> list[User]:
        """Return all users, by name."""
        return [_user(row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM users ORDER BY name").fetchall()]

    def get(self, user_id: int) -> User | None:
        """Return one of them."""
        return self._one("id = ?", user_id)

    def named(self, name: str) -> User | None:
        """Return the one of that name, whatever its capitals."""
        return self._one("name = ?", name)

    def of_subject(self, subject: str) -> User | None:
        """Return the one whom a provider of OpenID Connect calls so."""
        return self._one("subject = ?", subject)

    def password(self, user_id: int) -> str | None:
        """Return the hash of somebody's password, None where they have none."""
        row = self._db.execute("SELECT password FROM users WHERE id = ?", (user_id,)).fetchone()
        return None if row is None else row[0]

    def add(self, user: User, password: str | None, now: datetime) -> User:
        """Keep a new user (id 0) with the hash of a password; runs in the caller's transaction.

        Raises InputError where the name, or the subject, is taken.
        """
        try:
            cursor = self._db.execute(
                "INSERT INTO users (name, password, subject, role, brands, created_at) VALUES (?, ?, ?, ?, ?, ?)",
                (user.name, password, user.subject, user.role, _brands(user.brands), to_text(now)),
            )
        except sqlite3.IntegrityError as error:
            raise InputError(f"there is a user {user.name} already; take another name") from error
        return replace(user, id=int(cursor.lastrowid or 0), created_at=now, has_password=password is not None)

    def save(self, user: User) -> None:
        """Write role, brands and whether they are disabled; runs in the caller's transaction."""
        self._db.execute(
            "UPDATE users SET role = ?, brands = ?, disabled_at = ? WHERE id = ?",
            (user.role, _brands(user.brands), to_text_or_none(user.disabled_at), user.id),
        )

    def link(self, user_id: int, subject: str) -> None:
        """Write how a provider of OpenID Connect calls somebody; runs in the caller's transaction."""
        self._db.execute("UPDATE users SET subject = ? WHERE id = ?", (subject, user_id))

    def set_password(self, user_id: int, password: str | None) -> None:
        """Write the hash of a password; runs in the caller's transaction."""
        self._db.execute("UPDATE users SET password = ? WHERE id = ?", (password, user_id))

    def _one(self, clause: str, value: object) -> User | None:
        row = self._db.execute(f"SELECT {_COLUMNS} FROM users WHERE {clause}", (value,)).fetchone()
        return _user(row) if row else None


def _brands(brands: Sequence[str] | None) -> str | None:
    return None if brands is None else json.dumps(list(brands), ensure_ascii=False)


def _user(row: Sequence[Any]) -> User:
    brands = None if row[3] is None else tuple(json.loads(row[3]))
    return User(row[0], row[1], row[2], brands, from_text(row[4]), from_text_or_none(row[5]), row[6], bool(row[7]))
