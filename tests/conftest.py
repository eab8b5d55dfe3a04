"""What every test gets."""

import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlite_utils import Database

import db.store
from db.database import open_database
from tests.cli_rig import configure
from tests.support import Keywords


def _loggers() -> Iterator[logging.Logger]:
    yield logging.root
    yield from (each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="write the pictures of docs/tour.md anew")


@pytest.fixture(autouse=True)
def _levels_of_loggers() -> Iterator[None]:
    """Commands quieten client libraries for the whole process; the next test starts afresh."""
    before = {logger: logger.level for logger in _loggers()}
    yield
    for logger in list(_loggers()):
        level = before.get(logger, logging.NOTSET)
        if logger.level != level:  # setting one clears what hundreds of others remember
            logger.setLevel(level)


@pytest.fixture(scope="session", autouse=True)
def _schema_is_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new database is a copy of one that the migrations made: they take 70 ms, and thousands of tests start with one.

    What is copied is opened, checked and migrated like any file. A test of how a file is made asks for `from_nothing`.
    """
    folder = tmp_path_factory.mktemp("schema")
    open_database(folder / "made.db").close()
    connection = sqlite3.connect(folder / "made.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()

    def opened(path: Path, lent: bool = False) -> Database:
        if not path.exists():
            with suppress(OSError):  # where no file can be made, the real function says so
                copy = Path(shutil.copyfile(folder / "made.db", path.with_name(f".{path.name}.{os.urandom(4).hex()}")))
                try:
                    os.link(copy, path)  # fails where another was faster
                finally:
                    copy.unlink()
        return open_database(path, lent)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db.store, "open_database", opened)
        yield


@pytest.fixture
def from_nothing(_schema_is_made_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new database is made by the migrations, as it is outside of tests."""
    monkeypatch.setattr(db.store, "open_database", open_database)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a configuration, and a model that looks for words."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    monkeypatch.setattr("models.classifier.load", lambda *_, **__: Keywords())
    configure(tmp_path)
    return tmp_path
