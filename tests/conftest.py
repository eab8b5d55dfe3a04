"""What every test gets."""

import logging
from collections.abc import Iterator

import pytest


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
