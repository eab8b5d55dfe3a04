"""How commands print: a table for people, JSON for programs."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from db.errors import InputError
from monitor.shapes import measures

if TYPE_CHECKING:
    from models.evaluate import Report


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(to_json(value, indent=2))


def print_line(value: Mapping[str, Any]) -> None:
    """Print one line of JSON."""
    click.echo(to_json(value))


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


def print_report(task: str, model: str, report: "Report") -> None:
    """Print how well a model did."""
    rows: list[list[object]] = [
        [c.label, f"{c.precision:.3f}", f"{c.recall:.3f}", f"{c.f1:.3f}", c.support] for c in report.labels if c.support
    ]
    numbers = ["precision", "recall", "F1", "posts"]
    print_table(
        f"{task}, {model}: {report.posts} posts, {report.coverage:.1%} rated", ["label", *numbers], rows, numbers
    )
    for name, measure in measures(report).items():
        click.echo(f"{name:<13}{measure.value:.3f}  (95 %: {measure.low:.3f} to {measure.high:.3f})")
    click.echo()


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
