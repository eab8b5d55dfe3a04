"""Opening the SQLite file: settings, schema, and transactions that take the write lock up front."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from db.errors import DatabaseError
from db.migrations import migrations

PATIENCE = 30.0  # seconds that a writer waits for another one
TRIES = 10
FROM_OUTSIDE = (  # what is no bug of ours
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
)


def open_database(path: Path, lent: bool = False) -> Database:
    """Open or create the file and bring its schema up to date.

    Where it is `lent`, one thread after the other may use it, but no two at once.
    Raises DatabaseError when the file is no database, cannot be written, or was made by a newer sentimon.
    """
    try:
        connection = sqlite3.connect(path, timeout=PATIENCE, check_same_thread=not lent)
    except sqlite3.Error as error:
        raise DatabaseError(
            f"{path}: cannot open the database ({error}); check the folder and its permissions"
        ) from error
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        db = Database(connection)
        _refuse_others(db, path)  # before anything in the file changes
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
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


def schema_version(db: Database) -> int | None:
    """Return the number that every change of the schema changes, whoever makes it; None where it cannot be read."""
    try:
        return int(db.execute("PRAGMA schema_version").fetchone()[0])
    except sqlite3.DatabaseError:
        return None


@contextmanager
def write_lock(db: Database, durable: bool = False) -> Iterator[None]:
    """Run a transaction that holds the write lock from its first instruction.

    A plain BEGIN takes the lock at the first write: two that have read before then fail at once, however long they
    would wait. Raises DatabaseError when the disk is full, or another writer never lets go. What was stored survives
    the end of the process; the failure of the power only where it is to be `durable`.
    """
    try:
        if durable:
            db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            db.commit()
        except BaseException:
            db.rollback()
            raise
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in FROM_OUTSIDE:
            raise
        raise DatabaseError(
            f"the database cannot be written ({error}); check the disk and what else uses the file"
        ) from error
    finally:
        if durable:
            db.execute("PRAGMA synchronous = NORMAL")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work side by side; the file remembers it.

    While somebody else writes to a new file, this statement fails at once instead of waiting as all others do.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or not tries_left:
                raise
        connection.execute("BEGIN IMMEDIATE")  # this one waits
        connection.rollback()


def _refuse_others(db: Database, path: Path) -> None:
    """Keep away from the files of newer versions and of other programs."""
    applied = {step.name for step in migrations.applied(db)}
    if not applied and set(db.table_names()) - {migrations.migrations_table}:
        raise DatabaseError(f"{path}: is the database of another program; name another file")
    unknown = applied - {step.name for step in migrations._migrations}
    if unknown:
        raise DatabaseError(
            f"{path}: made by a newer version of sentimon (it has {max(unknown)}); upgrade sentimon or use another file"
        )
