"""How commands print: a table for people, JSON for programs."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import click

from db.errors import InputError
from monitor.shapes import measures
from monitor.words import counted

if TYPE_CHECKING:
    from models.evaluate import Report
    from models.measure import Measured


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(to_json(value, indent=2))


def print_lines(values: Iterable[Mapping[str, Any]]) -> None:
    """Print lines of JSON, and see that they leave before more is computed."""
    click.echo("\n".join(map(to_json, values)))


def standard_input() -> BinaryIO:
    """Return it, where there is one: a service manager may give none."""
    if sys.stdin is None:
        raise InputError("standard input is closed; name a file, or send something to -")
    return sys.stdin.buffer


def to_json(value: Any, indent: int | None = None) -> str:
    """Write JSON as readable as standard output can show it."""
    return json.dumps(value, ensure_ascii=(sys.stdout.encoding or "").lower() != "utf-8", indent=indent)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()
) -> None:
    """Print a table as wide as the terminal; text from outside is shown as it is, never read as markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    # Without a terminal there is no width to keep to: a pipe or a log gets whole lines.
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(table)


def print_report(measured: "Measured") -> None:
    """Print how well a model did, and on each source where that was measured."""
    report = measured.report
    title = f"{measured.question}, {measured.model}"
    rows: list[list[object]] = [
        [c.label, f"{c.precision:.3f}", f"{c.recall:.3f}", f"{c.f1:.3f}", c.support] for c in report.labels if c.support
    ]
    numbers = ["precision", "recall", "F1", "posts"]
    print_table(
        f"{title}: {counted(report.posts, 'post')}, {report.coverage:.1%} rated", ["label", *numbers], rows, numbers
    )
    for name, measure in measures(report).items():
        click.echo(f"{name:<28}{measure.value:.3f}  (95 %: {measure.low:.3f} to {measure.high:.3f})")
    if report.unsure:
        click.echo(f"{'unsure':<28}{report.unsure:.1%} of those rated; the figures above take the likeliest label")
    click.echo()
    if measured.sources:
        _print_sources(title, measured.sources)


def _print_sources(title: str, sources: Mapping[str, "Report"]) -> None:
    names = list(dict.fromkeys(name for report in sources.values() for name in measures(report)))
    rows: list[list[object]] = []
    for source, report in sources.items():
        found = measures(report)
        shown = [f"{m.value:.3f} ({m.low:.3f} to {m.high:.3f})" if (m := found.get(name)) else "-" for name in names]
        rows.append([source or "(no source)", report.posts, f"{report.coverage:.1%}", *shown])
    numbers = ["posts", "rated", *names]
    print_table(f"{title}, by source", ["source", *numbers], rows, numbers)
    click.echo()


def is_terminal(stream: TextIO | None) -> bool:
    """Say whether a person looks at what is written here; a stream may be closed."""
    return stream is not None and stream.isatty()


@contextmanager
def progress(what: str, total: int | None, watched: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Draw a bar on a terminal's standard error: tell what this gives how many posts are done, and how much of `total`.

    `total` is in whatever is counted, None where it is not known.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[posts]:,} posts, {task.fields[rate]:,.0f} a second"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not (watched and is_terminal(sys.stderr)),
        transient=True,
        redirect_stdout=False,  # it may be a file
    ) as bar:
        bar.add_task(what, total=total, posts=0, rate=0.0)
        task = bar.tasks[0]

        def show(posts: int, done: int) -> None:
            bar.update(task.id, completed=done, posts=posts, rate=posts / max(task.elapsed or 0, 0.001))

        yield show


@contextmanager
def working() -> Iterator[Callable[[str | None], None]]:
    """Show on a terminal what is being done: call what this gives with a name, and with None before printing."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        yield lambda name: None
        return
    status = console.status("")

    def show(name: str | None) -> None:
        if name is None:
            status.stop()
        else:
            status.update(f"{printable(name)} …")
            status.start()

    try:
        yield show
    finally:
        status.stop()


def printable(text: str) -> str:
    """Take out control characters, with which a post could rewrite the terminal."""
    return "".join(ch if ch.isprintable() else " " for ch in text)


def shorten(text: str, longest: int = 100) -> str:
    """Write a text on one line, cut where it is long."""
    text = printable(" ".join(text.split()))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def utc(time: datetime | None) -> str:
    """Write a time to the minute, in UTC as all of them."""
    return "-" if time is None else f"{time:%Y-%m-%d %H:%M}"
