"""The process of the soak that does the work: the jobs of sentimon as `sentimon run` makes them, told the time.

It is forked from a server without threads, and dies by SIGKILL just before the statement of SQL that it is told: what
a run leaves behind is in the database, so every moment between two statements is one at which it can be killed.
"""

import logging
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from db.records import JobRun, SourceState
from db.store import Store
from jobs.schedule import due, run_job
from monitor.config import Config
from monitor.plugins import BUILT_IN

JOBS = ("collect", "backfill", "group", "recheck", "prune")
PRELOAD = ["__main__", "benchmarks.soak_worker", "monitor.app", "monitor.collectors.x_api", "praw", "prawcore.sessions"]
PRELOAD += ["mastodon", "atproto", "datasketch", "httpx", "feedparser", "websockets.sync.client"]
PRELOAD += ["monitor.collectors.youtube_api", "monitor.web.server", "monitor.web.app", "uvicorn", *BUILT_IN]
TIMEOUT = 30.0  # seconds until a process that was killed has ended


@dataclass(frozen=True, slots=True)
class Order:
    """One step: every job that is due at `now`; `resume` names sources that a person lets go on."""

    now: datetime
    jobs: Sequence[str] = JOBS
    resume: Sequence[str] = ()
    dies_at: int | None = None  # before which statement, counted from the first of the step
    anew: bool = False  # with collectors that remember nothing


@dataclass(frozen=True, slots=True)
class Call:
    """Posts are going to be brought; the answer is the address of the pages."""

    now: datetime
    dies_at: int | None = None  # before which statement, or before the answer that follows the last one


@dataclass(frozen=True, slots=True)
class Report:
    """How a step went."""

    runs: Sequence[JobRun]
    states: Sequence[SourceState]


class Worker:
    """A process that keeps its collectors until it is killed; the next order then starts another."""

    def __init__(self, config: str, folder: Path) -> None:
        self._config, self._folder = config, folder
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._process: Any = None
        self.kills = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.end()

    def configure(self, config: str) -> None:
        """Change sentimon.toml, and start again."""
        self.end()
        self._config = config

    def send(self, order: Order | Call) -> None:
        """Hand over an order."""
        if self._process is None:
            self._ours, theirs = self._context.Pipe()
            self._process = self._context.Process(target=serve, args=(theirs, self._config, self._folder), daemon=True)
            self._process.start()
            theirs.close()
        self._ours.send(order)

    def report(self) -> Report | None:
        """Wait until the order is done; None where the process died of it, as it was told."""
        try:
            told = self._ours.recv()
        except (EOFError, ConnectionResetError):
            self.died()
            return None
        if not isinstance(told, Report):
            raise SystemExit(f"soak: {told}")
        return told

    def call(self, call: Call) -> str:
        """Return the address to which posts can be brought now."""
        self.send(call)
        return str(self._ours.recv())

    def died(self) -> None:
        """The process has ended: see that it did as it was told."""
        self._process.join(TIMEOUT)
        if self._process.exitcode != -signal.SIGKILL:
            raise SystemExit(f"soak: the worker ended with {self._process.exitcode}; see {self._folder}")
        self._process, self.kills = None, self.kills + 1

    def end(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def serve(pipe: Connection, config: str, folder: Path) -> None:
    """Do one order after the other."""
    import prawcore.sessions

    from monitor import plugins
    from monitor.app import App
    from monitor.config import load_text

    logging.basicConfig(filename=folder / "soak.log", level=logging.WARNING, format="%(asctime)s %(message)s")
    # prawcore sleeps for seconds before it asks again; here it asks again at once.
    prawcore.sessions.FiniteRetryStrategy.sleep = lambda self: None
    settings = load_text(config, folder / "sentimon.toml", plugins.load(False), {})
    app = App(settings)
    every = {source.name: source.every for source in settings.sources}
    jobs = app.jobs()
    pruned = ""
    pages = Pages(settings)
    while True:
        order = pipe.recv()
        if isinstance(order, Call):
            pipe.send(pages.open(order))
            continue
        pages.close()
        if order.anew:
            app = App(settings)
            jobs = app.jobs()
        with Store(app.config.database) as store, dying(store, order.dies_at):
            for name in order.resume:
                with store.transaction():
                    store.sources.resume(name)
            waiting, runs = due(store, every, order.now), []
            for job in jobs:
                if job.name not in order.jobs or (job.source and job.source not in waiting):
                    continue
                if job.name == "prune":
                    if pruned == order.now.date().isoformat():
                        continue
                    pruned = order.now.date().isoformat()
                try:
                    runs.append(run_job(job, store, lambda now=order.now: now))
                except Exception:
                    logging.exception("%s %s at %s", job.name, job.source, order.now)
                    pipe.send(f"a bug in {job.name} {job.source} at {order.now}:\n{traceback.format_exc()}")
                    return
            report = Report(runs, store.sources.states())
        pipe.send(report)


class Pages:
    """The pages, as `sentimon run` serves them, told the time; a request can be the death of the process."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._server: Any = None
        self._left: int | None = None

    def open(self, call: Call) -> str:
        """Serve, from the first time on; return the address."""
        from monitor.web import app, inbound
        from monitor.web.server import Server

        self._now, self._left = call.now, call.dies_at
        if self._server is None:
            app.utc_now = lambda: self._now
            inbound.Store = lambda path: Mortal(path, self._count)  # type: ignore[assignment,misc]
            self._server = Server(self._config)
            self._server.start()
        return str(self._server.url)

    def close(self) -> None:
        """Nothing dies of requests any more."""
        self._left = None

    def _count(self, _: str) -> None:
        self._left = None if self._left is None else self._left - 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal(Store):
    """A store that tells of every statement, and when all is stored."""

    def __init__(self, path: Path, told: Callable[[str], None]) -> None:
        super().__init__(path)
        self._told = told
        self._db.conn.set_trace_callback(told)

    def close(self) -> None:
        super().close()
        self._told("and now the answer")


@contextmanager
def dying(store: Store, statement: int | None) -> Iterator[None]:
    """Kill this process just before a statement."""
    left = statement

    def count(_: str) -> None:
        nonlocal left
        left = None if left is None else left - 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    store._db.conn.set_trace_callback(count if statement else None)
    yield
    store._db.conn.set_trace_callback(None)
