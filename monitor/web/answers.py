"""What was worked out of the database, kept until something is stored: ten people who look at one page ask once."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

MOST = 100  # answers; those that were kept first go first

Found = TypeVar("Found")


@dataclass(slots=True)
class _Answer:
    """One answer: who comes while it is being worked out waits for it."""

    lock: Lock = field(default_factory=Lock)
    known: bool = False
    found: Any = None


class Answers:
    """Remembers answers of one `version` of the database, which changes with everything that anybody stores."""

    def __init__(self, version: Callable[[], Hashable]) -> None:
        self._version = version
        self._lock = Lock()
        self._known: dict[Hashable, _Answer] = {}
        self._of: Hashable = None

    def of(self, question: Hashable, find: Callable[[], Found]) -> Found:
        """Return what `find` does, from memory where the same question was asked since anything was last stored.

        The question holds all that the answer depends on beside the database: whose eyes it is for, and the time as
        far as it matters. What `find` raises is not remembered.
        """
        version = self._version()  # before anything is read: what is stored meanwhile ends the answer, and not later
        with self._lock:
            if version != self._of:
                self._known, self._of = {}, version
            answer = self._known.setdefault(question, _Answer())
            if len(self._known) > MOST:
                del self._known[next(iter(self._known))]
        with answer.lock:
            if not answer.known:
                answer.found, answer.known = find(), True
        found: Found = answer.found
        return found
