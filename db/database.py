"""Opening the SQLite file: settings, schema, and transactions that take the write lock up front."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from db.errors import DatabaseError
from db.migrations import migrations

PATIENCE = 30.0  # seconds that a writer waits for another one


def open_database(path: Path) -> Database:
    """Open or create the file and bring its schema up to date.

    Raises DatabaseError when the file is no database, cannot be written, or was made by a newer sentimon.
    """
    try:
        connection = sqlite3.connect(path, timeout=PATIENCE)
    except sqlite3.Error as error:
        raise DatabaseError(
            f"{path}: cannot open the database ({error}); check the folder and its permissions"
        ) from error
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        db = Database(connection)
        _refuse_newer(db, path)
        if migrations.pending(db):
            with write_lock(db):
                migrations.apply(db)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DatabaseError(f"{path}: cannot use this database ({error})") from error
    except DatabaseError:
        connection.close()
        raise
    return db


@contextmanager
def write_lock(db: Database) -> Iterator[None]:
    """Run a transaction that holds the write lock from its first instruction.

    A plain BEGIN takes the lock at the first write: two that have read before then fail at once, however long they
    would wait.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.rollback()
        raise
    db.commit()


def _refuse_newer(db: Database, path: Path) -> None:
    unknown = {step.name for step in migrations.applied(db)} - {step.name for step in migrations._migrations}
    if unknown:
        raise DatabaseError(
            f"{path}: made by a newer version of sentimon (it has {max(unknown)}); upgrade sentimon or use another file"
        )
