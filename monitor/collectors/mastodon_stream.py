"""Listening to several streams of a Mastodon server at once, for a while.

A connection and a thread for each, as the server has it. Imported by the function that needs it, since Mastodon.py is
slow to load.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue
from time import monotonic
from types import TracebackType
from typing import Any, Literal, Self

import mastodon
import requests

from monitor.collectors.mastodon_api import Api, Refusal

Event = tuple[Literal["new", "edit", "delete"], object]  # and the post, of a deletion the server's id
LISTENER = "listening to "  # how its threads are called
LAST_WORDS = 1  # seconds that a connection has to end


class Hush(ValueError):
    """Ends a connection that goes on sending when nobody listens any more."""


class _AsItComes:
    """An answer that is handed over as it comes. Mastodon.py asks for it byte by byte: for 1,000 posts of 4.7 KB
    that took 14 seconds of computing instead of 5."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response

    def iter_content(self, chunk_size: int) -> Iterator[bytes]:
        in_parts = getattr(self._response.raw, "chunked", False)  # else nothing comes before the end
        return self._response.iter_content(None if in_parts else chunk_size)


class Ear(mastodon.StreamListener):
    """Listens to one stream, and hands on what it hears."""

    def __init__(self, heard: "SimpleQueue[Event | None]") -> None:
        self._heard = heard
        self._response: requests.Response | None = None
        self._closed = threading.Event()

    def opened(self, response: requests.Response) -> None:
        self._response = response
        if self._closed.is_set():
            response.close()

    def close(self) -> None:
        """Hang up, whatever the thread that listens is doing."""
        self._closed.set()
        if self._response is not None:
            with contextlib.suppress(OSError, RuntimeError, ValueError):  # it has ended by itself
                self._response.raw.shutdown()

    def handle_stream(self, response: Any) -> None:
        super().handle_stream(_AsItComes(response))  # type: ignore[no-untyped-call]

    def on_update(self, status: Any) -> None:
        self._heard.put(("new", status))

    def on_status_update(self, status: Any) -> None:
        self._heard.put(("edit", status))

    def on_delete(self, status_id: Any) -> None:
        self._heard.put(("delete", str(status_id)))

    def on_any_event(self, name: str, data: object = None, for_stream: object = None) -> None:
        self._go_on()

    def handle_heartbeat(self) -> None:
        self._go_on()

    def _go_on(self) -> None:
        if self._closed.is_set():
            raise Hush


class Listening:
    """Listens to each of `streams`, which are named as in `Api.listen`, for `seconds` at most.

    `refused` has the streams that the server does not give.
    """

    def __init__(self, api: Api, streams: Sequence[str], seconds: float) -> None:
        self.refused: dict[str, Refusal] = {}
        self._api, self._seconds = api, seconds
        self._heard: SimpleQueue[Event | None] = SimpleQueue()  # None is the last that a thread says
        self._ears = {what: Ear(self._heard) for what in streams}
        self._threads = [
            threading.Thread(target=self._hear, args=each, name=f"{LISTENER}{each[0]}", daemon=True)
            for each in self._ears.items()
        ]

    def __enter__(self) -> Self:
        self._deadline = monotonic() + self._seconds
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._hang_up()

    def events(self) -> Iterator[Event]:
        """Yield what comes, in the order of coming, until the time is up or all streams have ended."""
        open_streams = len(self._ears)
        while open_streams and (left := self._deadline - monotonic()) > 0:
            try:
                event = self._heard.get(timeout=left)
            except Empty:
                break
            if event is None:
                open_streams -= 1
            else:
                yield event
        self._hang_up()  # before the rest is told: a flood would have no end
        while not self._heard.empty():
            if (event := self._heard.get()) is not None:
                yield event

    def _hear(self, what: str, ear: Ear) -> None:
        try:
            refusal = self._api.listen(what, ear, ear.opened, self._seconds)
            if refusal:
                self.refused[what] = refusal
        finally:
            self._heard.put(None)

    def _hang_up(self) -> None:
        for ear in self._ears.values():
            ear.close()
        end = monotonic() + LAST_WORDS
        for thread in self._threads:
            thread.join(max(0, end - monotonic()))
