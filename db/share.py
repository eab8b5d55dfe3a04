"""A copy of the database for people who ask their own questions in SQL: without what gives power or names strangers."""

import os
import sqlite3
from pathlib import Path

from sqlite_utils import Database

from db.database import FROM_OUTSIDE, open_database
from db.errors import InputError

# Logins, keys and what stands for people who asked to be forgotten.
SECRET = ("users", "sessions", "attempts", "tokens", "keys", "forgotten")
# What the jobs remember for themselves: nobody's question, and half of the file.
INTERNAL = (
    "disabled",  # holds what a channel's settings were, hashed
    "care",
    "cursors",
    "embeddings",
    "pasts",
    "shingles",
    "quotas",
    "tides",
    "totals",
    "unwatched",
    "views",
    "_sqlite_migrations",
)
LEFT_OUT = (*SECRET, *INTERNAL)
SECRET_COLUMNS = (("sources", "options"),)

_NO_ROOM = (*FROM_OUTSIDE, sqlite3.SQLITE_CANTOPEN)


def share(path: Path, to: Path) -> None:
    """Write a copy of the database `path` to the file `to`, which appears whole, or not at all.

    The tables of LEFT_OUT are not in it, nor SECRET_COLUMNS, nor any trace of them in its free pages. Jobs may be at
    work meanwhile: the copy is as things stood at one moment. Raises InputError where `to` cannot be written, is the
    database itself, or is there already and is not such a copy.
    """
    _refuse(path, to)
    draft = to.with_name(f".{to.name}.{os.getpid()}.tmp")
    try:
        source = open_database(path)
        try:
            source.execute("VACUUM INTO ?", (str(draft),))
        finally:
            source.close()
        _strip(draft)
        os.replace(draft, to)
    except (OSError, sqlite3.OperationalError) as error:
        if isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF not in _NO_ROOM:
            raise
        raise InputError(f"{to}: cannot be written ({error}); name another file, or make room") from error
    finally:
        draft.unlink(missing_ok=True)


def _refuse(path: Path, to: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: there is no database yet; `sentimon run` or `sentimon import` makes it")
    if not to.exists():
        return
    if to.samefile(path):
        raise InputError(f"{to}: is the database itself; name another file for the copy")
    try:
        tables = set(Database(to).table_names()) if to.is_file() else set()
    except sqlite3.DatabaseError:
        tables = set()
    if "matches" not in tables or tables & set(LEFT_OUT):
        raise InputError(f"{to}: is there already, and is no copy made by this command; name another file")


def _strip(draft: Path) -> None:
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        connection.execute("PRAGMA foreign_keys = OFF")
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (trigger,) in triggers:  # nobody writes to a copy
            connection.execute(f"DROP TRIGGER {trigger}")
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in LEFT_OUT:
            if table in there:
                connection.execute(f"DROP TABLE {table}")
        for table, column in SECRET_COLUMNS:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("VACUUM")  # what was dropped still lies in free pages until then
    finally:
        connection.close()
