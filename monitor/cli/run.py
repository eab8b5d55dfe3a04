"""Going live: run, serve and resume."""

import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.errors import InputError, SentimonError
from monitor.app import App, utc_now
from monitor.cli import output
from monitor.cli.options import open_app, with_config
from monitor.status import PIPELINE

if TYPE_CHECKING:
    from monitor.web.server import Server


@click.command()
@click.option("--once", is_flag=True, help="Run every job once, in order, and end.")
@click.option("--job", "only", multiple=True, type=click.Choice(PIPELINE), help="Only this job; may be repeated.")
@click.option("--serve/--no-serve", "serving", default=True, help="Serve the pages too.  [default: yes]")
@click.option("--port", type=click.IntRange(0, 65535), help="Serve on this port.")
@with_config
@click.pass_context
def run(
    ctx: click.Context, once: bool, only: tuple[str, ...], serving: bool, port: int | None, config_path: Path | None
) -> None:
    """Collect, score, watch and notify on schedule until stopped.

    SIGTERM or Ctrl-C end it within ten seconds; nothing is lost, whatever it was doing. With --once the exit code is 1
    when a job failed.
    """
    from jobs.schedule import describe, run_all, run_until

    _log()
    app = open_app(config_path, strict=True)
    with alone(app.config.database):
        stop = threading.Event()
        jobs = [job for job in app.jobs(stop.is_set) if not only or job.name in only]
        app.outlets  # noqa: B018  a channel that cannot be made is told now, not when it is needed
        if once:
            runs = []
            with output.working() as show:
                for done in run_all(jobs, app.config.database, utc_now, show):
                    show(None)
                    runs.append(done)
                    click.echo(output.printable(describe(done)), err=done.error is not None)
            if any(done.error for done in runs):
                ctx.exit(1)
            return
        app.store().close()  # a database that cannot be used is told before anything starts
        server: Server | None = None

        def end(*_: object) -> None:
            stop.set()
            if server:
                server.leave()  # now: requests in flight and jobs at work end side by side

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        server = start_server(app, port) if serving else None
        click.echo(f"{len(jobs)} jobs on schedule; Ctrl-C stops" + (f"; pages on {server.url}" if server else ""))
        ended = run_until(stop, jobs, app.config.database, utc_now)
        if server:
            server.stop()
    click.echo("stopped" if ended else "stopped; a request was cut off, it is made again at the next start")
    if not ended:
        sys.stdout.flush()
        os._exit(0)  # a thread still waits for a platform's answer, and nothing of it would be lost


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Serve on this port.")
@with_config
def serve(port: int | None, config_path: Path | None) -> None:
    """Serve the pages: the desk, the trends, alerts and the status."""
    app = open_app(config_path)
    app.store().close()
    wait_for_end(start_server(app, port))


@click.command()
@click.argument("source")
@with_config
def resume(source: str, config_path: Path | None) -> None:
    """Read a paused source again, or let a channel that did not work be tried again."""
    app = open_app(config_path)
    names = [configured.name for configured in app.config.sources]
    channels = [configured.name for configured in app.config.channels]
    if source not in names + channels:
        there = ", ".join(names + channels) or "none"
        raise InputError(f"no source or channel {source!r}; there are: {there}")
    with app.store() as store:
        if source in names:
            store.sources.resume(source)
            click.echo(f"{source} is read again at its next turn")
        if source in channels:
            with store.transaction():
                store.deliveries.enable(source)
            click.echo(f"{source} is told of alerts again")


def wait_for_end(server: "Server") -> None:
    """Stay up until SIGTERM or Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    click.echo(f"Serving on {server.url}, Ctrl-C ends")
    stop.wait()
    click.echo("stopping: what is being answered gets a moment")
    server.stop()
    click.echo("stopped")


def start_server(app: App, port: int | None) -> "Server":
    """Serve the pages, on another port than the configured one if told so."""
    from monitor.accounts import check_door
    from monitor.web.server import Server

    config = app.config
    if port is not None:
        config = replace(config, web=config.web.model_copy(update={"port": port}))
    with app.store() as store:
        warning = check_door(config.web, store.users.any())
    if warning:
        click.echo(output.printable(f"sentimon: {warning}"), err=True)
    server = Server(config)
    server.start()
    return server


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # Client libraries write requests, and some of them tokens, at debug level: never below warning here.
    for name in ("apprise", "apscheduler", "httpx", "praw", "prawcore", "tweepy", "transformers", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)


class AtWork(SentimonError):
    """Another `sentimon run` holds the database."""


class alone:
    """Hold the lock that keeps two schedulers off one database: they would read, and pay, twice."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._file: Any = None

    def __enter__(self) -> None:
        import fcntl

        try:
            self._file = self._path.open("a")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AtWork(f"{self._path}: `sentimon run` is at work on this database already; stop it first") from error
        except OSError as error:
            raise SentimonError(
                f"{self._path}: cannot be written: {error.strerror}; check the folder of the database"
            ) from error

    def __exit__(self, *_: object) -> None:
        self._file.close()
