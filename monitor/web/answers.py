"""What was worked out of the database, kept until something is stored: ten people who look at one page ask once.

What is asked again and again is worked out anew as soon as something was stored, before anybody asks.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from math import inf
from threading import Event, Lock, RLock, get_ident
from typing import Any, TypeVar, cast

from db.errors import SentimonError
from db.store import Store
from monitor.web.pool import Pool

MOST = 100  # answers; those that were asked for first go first
LATELY = 60.0  # seconds, within which a question was asked twice
LOOKED = 0.1  # seconds from one look whether something was stored to the next
GIVEN_WAY = 0.01  # seconds from one look whether somebody waits to the next

logger = logging.getLogger(__name__)

Found = TypeVar("Found")


@dataclass(slots=True)
class _Answer:
    """One answer: who comes while it is being worked out waits for it."""

    lock: Lock = field(default_factory=Lock)
    known: bool = False
    found: Any = None


@dataclass(slots=True)
class _Asked:
    """How a question is answered, when it was asked last and the time before, and how long the answer took (s)."""

    find: Callable[[Store], Any]
    at: float = -inf
    before: float = -inf
    took: float = 0.0


class Answers:
    """Remembers answers of one version of the database, which changes with everything that anybody stores.

    In `turns` they are found one after another, so that a page that has nothing to find waits for one of them at the
    most: Python does one thing at a time, and ten answers at once would take ten times as long each. SQLite does
    several: what takes its time alone needs no turns.
    """

    def __init__(self, pool: Pool, version: Callable[[], Hashable] | None = None, turns: bool = True) -> None:
        """Take `version` from who knows better than the pool what the answers depend on."""
        self._pool = pool
        self._version = version or pool.version
        self._turn = RLock() if turns else None  # an answer may ask for others
        self._lock = Lock()
        self._waiting = 0
        self._known: dict[Hashable, _Answer] = {}
        self._of: Hashable = None
        self._asked: dict[Hashable, _Asked] = {}
        self._fresh: Hashable = None  # of which version all that is asked again and again is known
        self._freshener: int | None = None  # the thread that finds things again

    def of(self, question: Hashable, find: Callable[[Store], Found]) -> Found:
        """Return what `find` does, from memory where the same question was asked since anything was last stored.

        The question holds all that the answer depends on beside the database: whose eyes it is for, and the time as
        far as it matters. `find` may be called again later. What it raises is not remembered.
        """
        if get_ident() == self._freshener:  # part of another answer, for which nobody has asked just now
            return cast("Found", self._find(question, _Asked(find)))
        with self._lock:
            asked = self._asked.pop(question, None) or _Asked(find)
            asked.find, asked.before, asked.at = find, asked.at, time.monotonic()
            self._asked[question] = asked
            _shorten(self._asked)
            self._waiting += 1
        try:
            return cast("Found", self._find(question, asked))
        finally:
            with self._lock:
                self._waiting -= 1

    def keep_fresh(self, over: Event) -> None:
        """Find again what is asked again and again whenever something was stored, until it is `over`.

        What is quickly found comes first, and who waits for an answer before all.
        """
        self._freshener = get_ident()
        while not over.wait(LOOKED):
            since = time.monotonic() - LATELY
            with self._lock:
                lately = {question: asked for question, asked in self._asked.items() if asked.before > since}
            try:
                version = self._version() if lately else self._fresh
                if version != self._fresh:
                    for question in sorted(lately, key=lambda question: lately[question].took):
                        while self._waiting and not over.wait(GIVEN_WAY):
                            pass
                        if over.is_set():
                            return
                        self._find(question, lately[question])
                    self._fresh = version
            except (SentimonError, sqlite3.Error) as error:
                logger.debug("an answer is not found again: %s", error)  # whoever asks is told

    def _find(self, question: Hashable, asked: _Asked) -> Any:
        version = self._version()  # before anything is read: what is stored meanwhile ends the answer afterwards
        with self._lock:
            if version != self._of:
                self._known, self._of = {}, version
            answer = self._known.setdefault(question, _Answer())
            _shorten(self._known)
        if answer.known:
            return answer.found
        with self._turn or answer.lock:
            if not answer.known:
                began = time.monotonic()
                try:
                    with self._pool.lend() as store:
                        answer.found = asked.find(store)
                except BaseException:
                    with self._lock:
                        self._asked.pop(question, None)  # it is not found again before somebody asks
                    raise
                answer.known = True
                asked.took = time.monotonic() - began
        return answer.found


def _shorten(found: dict[Hashable, Any]) -> None:
    if len(found) > MOST:
        del found[next(iter(found))]
