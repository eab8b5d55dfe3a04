"""The first look at a name: what sources that need no key have on it now, read by the real job into a store.

Every source is read in a thread of its own, and all have the same time; one that is not done by then is left alone,
and what it had brought counts.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import UnionType
from typing import Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from db.errors import InputError, SentimonError, SourceUnavailable
from db.records import Batch, Gap, Position
from db.store import Store
from jobs.collect import Source, collect
from jobs.collector import Collector, Meter
from models.brand import Brand, naming
from monitor.plugins import CollectorKind, Kinds

DEADLINE = 45.0  # seconds that all sources have
SLICE = 0.5  # seconds of a wait: a signal that another thread takes, or that comes just before a wait, ends none
NEXT_RUN = "; the next run tries again"  # what collectors say, and what does not hold here
CUT = "only the latest posts were asked for"


@dataclass(frozen=True, slots=True)
class Reading:
    """How reading a source went: `problem` says in one line why it could not be read, or not to the end."""

    kind: str
    problem: str | None = None
    answered: bool = True  # it was read, as far as the problem allowed


class FirstLook:
    """Reads every source that needs no key. Make it, do something else meanwhile, and ask for the readings."""

    def __init__(
        self, kinds: Kinds, brand: Brand, path: Path, limit: int, now: datetime, deadline: float = DEADLINE
    ) -> None:
        """Start reading into the store at `path`, which must be there already; `limit` posts a source at most."""
        self._ends = time.monotonic() + deadline
        self._deadline = deadline
        self._stop = threading.Event()
        self._done: queue.SimpleQueue[Reading] = queue.SimpleQueue()
        self.kinds = [name for name, kind in sorted(kinds.collectors.items()) if kind.first_look]
        for name in self.kinds:
            kind = kinds.collectors[name]
            work = (kind, brand, path, limit, now, self._stop, self._done.put)
            # A daemon, so that a platform that does not answer cannot hold up the end.
            threading.Thread(target=_read, args=work, name=f"first look: {name}", daemon=True).start()

    def readings(self) -> list[Reading]:
        """Wait for the sources, and name those that are not done in time; in the order of `kinds`."""
        done: dict[str, Reading] = {}
        try:
            while len(done) < len(self.kinds):
                left = max(self._ends - time.monotonic(), 0)
                try:
                    reading = self._done.get(timeout=min(left, SLICE))
                except queue.Empty:
                    if left > SLICE:
                        continue
                    late = f"was not done within {self._deadline:g} seconds"
                    done = {name: Reading(name, late, answered=False) for name in self.kinds} | done
                else:
                    done[reading.kind] = reading
        finally:
            self.stop()
        return [done[name] for name in self.kinds]

    def stop(self) -> None:
        """Store nothing more."""
        self._stop.set()


def _read(
    kind: CollectorKind,
    brand: Brand,
    path: Path,
    limit: int,
    now: datetime,
    stop: threading.Event,
    tell: Callable[[Reading], None],
) -> None:
    """Read one source, and tell how it went whatever happens."""
    try:
        made = kind.build(_options(kind, brand.name), [brand])
        with Store(path) as store:
            outcome = collect(store, Source(kind.kind, kind.kind, _Latest(made, brand, limit, stop), ""), [brand], now)
        problem = outcome.error or outcome.note
        problem = problem and problem.replace(NEXT_RUN, "")
        tell(Reading(kind.kind, problem, answered=problem is None or bool(outcome.counts.get("fetched"))))
    except SentimonError as error:
        tell(Reading(kind.kind, str(error), answered=False))
    except Exception as bug:  # its text may hold anything, and the other sources are of use without this one
        tell(Reading(kind.kind, f"a bug ended it ({type(bug).__name__}); please report it", answered=False))


def _options(kind: CollectorKind, name: str) -> BaseModel:
    if kind.first_look is None:
        raise InputError(f"{kind.kind} has no first look")
    try:
        return kind.options.model_validate(kind.first_look(name))
    except ValidationError as error:
        first = error.errors(include_context=False, include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"it cannot be asked for this name ({where}: {first['msg']})") from None


@dataclass(slots=True)
class _Latest:
    """A collector that ends after so many posts that name the brand, or when it is told to.

    What lies before them is told as a gap, so that a store that is kept says what it does not have.
    """

    collector: Collector
    brand: Brand
    left: int
    stop: threading.Event

    def streams(self) -> Sequence[str]:
        return self.collector.streams()

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        if self.left <= 0:
            yield Batch((), gap=Gap(None, now, CUT, "capped"))
            return
        names = naming([self.brand])
        for batch in self.collector.collect(stream, position, meter, now):
            if self.stop.is_set():
                raise SourceUnavailable("it took too long")
            found = [mention for mention in batch.mentions if names(mention)]
            if len(found) > self.left or (len(found) == self.left and batch.cursor is None):
                found = sorted(found, key=lambda mention: mention.created_at, reverse=True)[: self.left]
                self.left = 0
                gap = Gap(None, found[-1].created_at, CUT, "capped")
                yield replace(batch, mentions=found, cursor=None, resume=None, gap=gap)
                return
            self.left -= len(found)
            yield replace(batch, mentions=found)


def wants_key(kind: CollectorKind) -> bool:
    """Whether nothing can be read of a kind without a secret; what is brought to it is not read."""
    return not kind.pushed and any(
        info.is_required() and _is_secret(info.annotation) for info in kind.options.model_fields.values()
    )


def _is_secret(annotation: object) -> bool:
    if get_origin(annotation) in (Union, UnionType):
        return any(map(_is_secret, get_args(annotation)))
    return annotation is SecretStr
