"""Posts in and out: import and export."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import click

from db.errors import InputError
from db.records import Mention
from monitor.cli import output
from monitor.cli.options import make_filter, open_app, with_config, with_filter

REASONS_SHOWN = 5


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--brand", help="Count rows that name no brand under this one.")
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl"]), help="[default: told from the file]")
@click.option("--rejects", type=click.Path(path_type=Path), help="Where bad rows go.  [default: FILE.rejects.jsonl]")
@with_config
@click.pass_context
def import_file(
    ctx: click.Context, file: Path, brand: str | None, kind: str | None, rejects: Path | None, config_path: Path | None
) -> None:
    """Store the posts of a CSV or JSON lines file.

    Rows have id, source, author, created_at (ISO 8601) and text; optionally url, brand, in_reply_to, followers, likes,
    reposts, replies and language. Good rows are kept, bad ones are reported by line; importing twice adds nothing.
    """
    from jobs.ingest import ingest
    from monitor.app import utc_now
    from monitor.collectors.file import Row, guess_format, read

    app = open_app(config_path)
    name = "rejects.jsonl" if str(file) == "-" else f"{file}.rejects.jsonl"
    with ExitStack() as stack:
        store = stack.enter_context(app.store())
        lines, size = _open(file, stack)
        counted = _Counted(lines, stack, size)
        format = kind or guess_format(str(file), counted.peek())
        rejected = _Rejects(rejects or Path(name), stack)

        def posts() -> Iterator[tuple[Mention, str | None]]:
            for row in read(counted, format, utc_now()):  # type: ignore[arg-type]
                if isinstance(row, Row):
                    yield row.mention, row.brand or brand
                else:
                    rejected.add(row.line, row.reason, row.raw)

        added = ingest(store, posts(), app.config.brands)
        waiting = store.mentions.pending_count()
    good = added.stored + added.known
    click.echo(f"{added.stored} posts added, {added.known} known already, {rejected.count} rows rejected")
    if rejected.count:
        for reason in rejected.shown:
            click.echo(f"sentimon: {file}: {reason}", err=True)
        click.echo(f"sentimon: {file}: {rejected.count} rows rejected, written to {rejected.path}", err=True)
    if waiting:
        click.echo(f"{waiting} wait for a score: `sentimon run --once` scores them")
    if rejected.count and not good:
        ctx.exit(1)


def _open(file: Path, stack: ExitStack) -> tuple[BinaryIO, int | None]:
    if str(file) == "-":
        return sys.stdin.buffer, None
    try:
        return stack.enter_context(file.open("rb")), file.stat().st_size
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error


class _Counted:
    """Lines of a file, with a progress bar on a terminal."""

    def __init__(self, lines: BinaryIO, stack: ExitStack, size: int | None) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._buffered = io.BufferedReader(lines) if isinstance(lines, io.RawIOBase) else lines
        console = Console(stderr=True)
        self._progress = stack.enter_context(Progress(console=console, disable=not console.is_terminal, transient=True))
        self._task = self._progress.add_task("importing", total=size)

    def peek(self) -> bytes:
        """Look at the first bytes."""
        return bytes(self._buffered.peek(512)[:512]) if isinstance(self._buffered, io.BufferedReader) else b""

    def readline(self, size: int = -1) -> bytes:
        """Read a line."""
        line = self._buffered.readline(size)
        self._progress.advance(self._task, len(line))
        return line


class _Rejects:
    """Bad rows, written down as they come; the file is made by the first."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        self.count = 0
        self.shown: list[str] = []
        self._stack = stack
        self._file: Any = None

    def add(self, line: int, reason: str, raw: str) -> None:
        """Write one down."""
        if self._file is None:
            try:
                self._file = self._stack.enter_context(self.path.open("w", encoding="utf-8"))
            except OSError as error:
                raise InputError(
                    f"{self.path}: cannot take the bad rows: {error.strerror}; name another place with --rejects"
                ) from error
        self.count += 1
        if len(self.shown) < REASONS_SHOWN:
            self.shown.append(f"line {line}: {reason}")
        self._file.write(json.dumps({"line": line, "reason": reason, "row": raw}, ensure_ascii=False) + "\n")


@click.command()
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--output", "path", type=click.Path(path_type=Path), help="A file.  [default: standard output]")
@with_filter
@with_config
def export(kind: str, path: Path | None, config_path: Path | None, **options: Any) -> None:
    """Write the stored posts with their labels as CSV or JSON lines.

    In CSV, a text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    chosen = make_filter(options)
    with ExitStack() as stack:
        store = stack.enter_context(open_app(config_path).store())
        try:
            target: Any = stack.enter_context(path.open("w", encoding="utf-8", newline="")) if path else sys.stdout
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from error
        rows = (output.match_json(match) for match in store.mentions.every(chosen))
        if kind == "jsonl":
            for row in rows:
                target.write(json.dumps(row, ensure_ascii=False) + "\n")
            return
        writer: Any = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(target, fieldnames=list(row))
                writer.writeheader()
            writer.writerow({key: _defused(value) for key, value in row.items()})


def _defused(value: Any) -> Any:
    """Keep a spreadsheet from running what a stranger wrote."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
