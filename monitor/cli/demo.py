"""The demo: a bundled feed goes through the real pipeline, from an empty folder to an alert and a list of posts."""

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path

import click

from db.errors import InputError
from db.filters import Filter
from db.store import Store
from db.times import to_text
from db.trends import Trend
from jobs.hold import stories
from monitor import config, plugins
from monitor.app import App, utc_now
from monitor.cli import output
from monitor.words import counted

KEPT = resources.files("monitor") / "demo"
DATABASE = "demo.db"
LOCK = f"{DATABASE}.lock"
FILES = {config.FILE_NAME, "feed.jsonl", DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"}
PAGES = {  # seven days, as the feed is too short for the usual 28 to have a period before
    "/?days=7": "how people feel, what changed and why",
    "/journey?days=7": "where the customer journey breaks",
    "/desk": "the posts to answer",
    "/alerts": "what is out of the ordinary",
}
ANSWERS_SHOWN = 8


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("sentimon-demo"), show_default=True, help="Where."
)
@click.option("--serve/--no-serve", "serving", default=True, help="Stay up and serve the pages.  [default: yes]")
@click.option("--port", type=click.IntRange(0, 65535), help="Serve on this port.  [default: 8420]")
def demo(folder: Path, serving: bool, port: int | None) -> None:
    """See the whole pipeline at work on a bundled feed: no account, no key.

    The posts and brands are invented by the project. Each start begins afresh.
    """
    from jobs.schedule import describe, run_all
    from monitor.cli.run import alone, start_server, wait_for_end

    _clear(folder)
    with alone(folder / DATABASE):  # before anything is thrown away: another demo may be at work here
        app = _prepare(folder, utc_now())
        server = start_server(app, port) if serving else None  # a port that is taken is told before the work begins
        click.echo("Two weeks of invented posts about two own brands and two competitors:\n")
        with output.working() as show:
            for run in run_all(app.jobs(), app.config.database, utc_now, _telling(app, show)):
                show(None)
                click.echo(f"  {describe(run)}")
        with app.store() as store:
            _tell(store)
        if server:
            click.echo("\nLook around in a browser:\n")
            for address, shows in PAGES.items():
                click.echo(f"  {server.url + address:36} {shows}")
        click.echo("\nOr from another terminal:\n")
        click.echo(f"  export {config.VARIABLE}={shlex.quote(str(folder / config.FILE_NAME))}")
        for question in ("trends --by week", "alerts", "queue --source reddit", "mentions refund", "status"):
            click.echo(f"  {_command()} {question}")
        if server:
            wait_for_end(server)


def _telling(app: App, show: Callable[[str | None], None]) -> Callable[[str], None]:
    """Show which job begins; where nobody sees that, as in a log, say it of the one that takes a minute."""

    def starting(job: str) -> None:
        show(job)
        if job == "score" and not output.is_terminal(sys.stdout):
            with app.store() as store:
                click.echo(f"  scoring {counted(store.mentions.pending_count(), 'mention')} …")

    return starting


def _clear(folder: Path) -> None:
    """Make the folder, and refuse one that holds anything but an earlier demo: nobody's own files are overwritten."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = {path.name for path in folder.iterdir()} - {LOCK}
        strange = sorted(found - FILES)
        if found and not strange and not _is_demo(folder / config.FILE_NAME):
            strange = [config.FILE_NAME if config.FILE_NAME in found else min(found)]
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}; name another folder with --folder") from error
    if strange:
        raise InputError(f"{folder}: holds other files ({strange[0]}); name a folder for the demo with --folder")


def _is_demo(path: Path) -> bool:
    return path.is_file() and path.read_bytes() == (KEPT / config.FILE_NAME).read_bytes()


def _prepare(folder: Path, now: datetime) -> App:
    """Write configuration and feed, the feed's posts dated back from now."""
    try:
        for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
            (folder / name).unlink(missing_ok=True)
        (folder / config.FILE_NAME).write_bytes((KEPT / config.FILE_NAME).read_bytes())
        with (folder / "feed.jsonl").open("w", encoding="utf-8") as feed:
            for line in (KEPT / "posts.jsonl").read_text(encoding="utf-8").splitlines():
                post = json.loads(line)
                post["created_at"] = to_text(now - timedelta(minutes=post.pop("ago")))
                feed.write(json.dumps(post, ensure_ascii=False) + "\n")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}; name another folder with --folder") from error
    return App(config.load(folder / config.FILE_NAME, plugins.load()))


def _tell(store: Store) -> None:
    everything = Filter()
    brands = store.trends.by(("brand",), everything)
    columns = ["brand", "mentions", "negative", "neutral", "positive", "not rated", "net sentiment"]
    output.print_table("\nHow people feel", columns, [_row(brand) for brand in brands], right=columns[1:])
    for alert in stories(store.alerts.find(everything)):
        click.secho(output.printable(f"{alert.severity.upper()}  {alert.summary}"), bold=True)
        click.echo(f"  in common: {', '.join(alert.in_common)}")
        until = f"over at {output.utc(alert.ends)}" if alert.ends else "going on"
        click.echo(f"  since {output.utc(alert.starts)} UTC, {until}")
    cases = store.cases.waiting(everything, ANSWERS_SHOWN)
    rows = [
        [c.match.mention.source, c.match.mention.author, c.match.stage, output.shorten(c.match.mention.text, 110)]
        for c in cases
    ]
    title = f"\n{len(cases)} of {counted(store.cases.count(), 'post')} to answer, the most urgent first"
    output.print_table(title, ["source", "author", "stage", "post"], rows)


def _command() -> str:
    """How to call this program: by its name where the shell finds it, else by its path."""
    called = Path(sys.argv[0])
    return "sentimon" if shutil.which("sentimon") or called.name != "sentimon" else shlex.quote(str(called))


def _row(trend: Trend) -> list[object]:
    net = "-" if trend.net_sentiment is None else f"{trend.net_sentiment:+.2f}"
    return [trend.brand, trend.mentions, trend.negative, trend.neutral, trend.positive, trend.not_rated, net]
