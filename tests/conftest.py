"""What every test gets."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_rig import configure
from tests.support import Keywords


@pytest.fixture(autouse=True)
def _levels_of_loggers() -> Iterator[None]:
    """Commands quieten client libraries for the whole process; the next test starts afresh."""
    named = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    before = [(logger, logger.level) for logger in (logging.root, *named)]
    yield
    new = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    for logger in new:
        logger.setLevel(logging.NOTSET)
    for logger, level in before:
        logger.setLevel(level)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a configuration, and a model that looks for words."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    monkeypatch.setattr("models.classifier.load", lambda *_, **__: Keywords())
    configure(tmp_path)
    return tmp_path
