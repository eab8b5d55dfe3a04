"""What every test gets."""

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import db.store
from db.database import open_database
from db.store import Store
from tests.cli_rig import configure
from tests.once import share
from tests.support import Keywords

# The processes of a run share the processors out; threads of torch that wait for each other would take them away.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # noqa: TID251


def _loggers() -> Iterator[logging.Logger]:
    yield logging.root
    yield from (each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="write the pictures of docs/tour.md anew")


@pytest.fixture(scope="session")
def _levels_at_first() -> Mapping[logging.Logger, int]:
    return {logger: logger.level for logger in _loggers()}


@pytest.fixture(autouse=True)
def _levels_of_loggers(_levels_at_first: Mapping[logging.Logger, int]) -> Iterator[None]:
    """Commands quieten client libraries for the whole process; each test starts afresh, also after what its file set
    up for all of its tests."""
    _restore(_levels_at_first)
    yield
    _restore(_levels_at_first)


def _restore(levels: Mapping[logging.Logger, int]) -> None:
    for logger in list(_loggers()):
        level = levels.get(logger, logging.NOTSET)
        if logger.level != level:  # setting one clears what hundreds of others remember
            logger.setLevel(level)


@pytest.fixture(scope="session", autouse=True)
def _what_is_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new database is a copy, and more (see tests/once.py): a test of how a file is made asks for `from_nothing`."""
    with pytest.MonkeyPatch.context() as patch:
        share(patch, tmp_path_factory.mktemp("once"))
        yield


@pytest.fixture
def from_nothing(_what_is_made_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new database is made by the migrations, as it is outside of tests."""
    monkeypatch.setattr(db.store, "open_database", open_database)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty database."""
    with Store(tmp_path / "sentimon.db") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a configuration, and a model that looks for words."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    monkeypatch.setattr("models.classifier.load", lambda *_, **__: Keywords())
    configure(tmp_path)
    return tmp_path
