"""Stores that stay open between requests: to open one takes longer than most of what it is asked."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from db.memory import Memories
from db.store import Store

MOST = 8  # that wait to be used again; where more are needed at once, they are closed afterwards

File = tuple[int, int]  # device and number


class Pool:
    """Lends stores of one file, to one thread at a time each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[tuple[Store, File]] = []
        self._memories: tuple[File, Memories] = ((0, 0), Memories())
        self._lock = Lock()
        self._closed = False
        self._watch: tuple[Store, File] | None = None
        self._watches = 0

    def version(self) -> tuple[int, int]:
        """Return what changes with everything that is stored, by whomever: what was worked out before is still right
        where it is the same."""
        with self._lock:
            if self._watch is None or self._watch[1] != _file(self._path) or not self._watch[0].is_as_opened():
                self._end_watch()
                self._watch = self._opened()  # which stores nothing itself
                self._watches += 1
            return self._watches, self._watch[0].version()

    @contextmanager
    def lend(self) -> Iterator[Store]:
        """Lend a store, the one that was used last; opened anew where there is none, or the file is another one.

        Raises DatabaseError as `Store` does. One that something went wrong with is not lent again.
        """
        store, file = self._take() or self._opened()
        sound = False
        try:
            yield store
            sound = True
        finally:
            if not (sound and self._keep(store, file)):
                store.close()

    def close(self) -> None:
        """Close those that are not lent now; the others are closed when they come back."""
        with self._lock:
            self._closed = True
            self._end_watch()
        self._drop(lambda _: True)

    def _take(self) -> tuple[Store, File] | None:
        now = _file(self._path)
        self._drop(lambda file: file != now)
        while True:
            with self._lock:
                if not self._idle:
                    return None
                store, file = self._idle.pop()
            if store.is_as_opened():
                return store, file
            store.close()

    def _keep(self, store: Store, file: File) -> bool:
        with self._lock:
            kept = not self._closed and len(self._idle) < MOST
            if kept:
                self._idle.append((store, file))
        return kept

    def _opened(self) -> tuple[Store, File]:
        """Open a store, which remembers what the others of this file do."""
        known, memories = self._memories
        if known != _file(self._path):
            memories = Memories()
        store = Store(self._path, lent=True, memories=memories)
        file = _file(self._path)  # it may have been made just now
        self._memories = (file, memories)
        return store, file

    def _end_watch(self) -> None:
        if self._watch:
            self._watch[0].close()
            self._watch = None

    def _drop(self, gone: Callable[[File], bool]) -> None:
        with self._lock:
            dropped = [store for store, file in self._idle if gone(file)]
            self._idle = [(store, file) for store, file in self._idle if not gone(file)]
        for store in dropped:
            store.close()


def _file(path: Path) -> File:
    """Name the file that has this path now; no file at all is another one too."""
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0)
    return found.st_dev, found.st_ino
