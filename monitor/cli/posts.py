"""Posts in and out: import and export."""

import csv
import difflib
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import click

from db.errors import InputError
from db.records import NO_BRAND, Mention
from monitor import shapes
from monitor.cli import output
from monitor.cli.options import Words, make_filter, open_app, settle, with_config, with_filter
from monitor.shapes import defused as defused
from monitor.words import counted

REASONS_SHOWN = 5
NEW_SHOWN = 20  # brands that are not in the configuration


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--brand", type=Words(), help="Count rows that name no brand under this one.")
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
    from monitor.collectors.file import Reject, Row, guess_format, read

    app = open_app(config_path)
    name = "rejects.jsonl" if str(file) == "-" else f"{file}.rejects.jsonl"
    with ExitStack() as stack:
        store = stack.enter_context(app.store())
        lines, size = _open(file, stack)
        numbered = _Counted(lines, stack, size)
        shown = "standard input" if str(file) == "-" else str(file)
        format = kind or guess_format(shown, numbered.peek())
        rejected = _Rejects(rejects or Path(name), stack)

        def rows() -> Iterator[Row | Reject]:
            try:
                yield from read(numbered, format, utc_now())  # type: ignore[arg-type]
            except InputError as error:
                raise InputError(f"{shown}: {error}") from error
            except OSError as error:
                raise InputError(f"{shown}: cannot be read to its end: {error.strerror}; import it again") from error

        named = dict.fromkeys([brand])  # what the option and the rows name, in the order in which it comes

        def posts() -> Iterator[tuple[Mention, str | None]]:
            for row in rows():
                if isinstance(row, Row):
                    named.setdefault(row.brand or brand)
                    yield row.mention, row.brand or brand
                else:
                    rejected.add(row.line, row.reason, row.raw)

        added = ingest(store, posts(), app.config.brands)
        names = [each.name for each in app.config.brands]
        waiting = store.mentions.pending_count()
    good = added.stored + added.known
    click.echo(
        f"{counted(added.stored, 'post')} added, {added.known} known already, {counted(rejected.count, 'row')} rejected"
    )
    if added.known and added.matched > added.stored:
        more = added.matched - added.stored
        were = "was known is" if more == 1 else "were known are"
        click.echo(f"{more} that {were} now counted for another brand as well")
    if rejected.count:
        for reason in rejected.shown:
            click.echo(f"sentimon: {file}: {reason}", err=True)
        click.echo(f"sentimon: {file}: {counted(rejected.count, 'row')} rejected, written to {rejected.path}", err=True)
    _tell_new(named, names, app.config.path.name)
    if waiting:
        click.echo(f"{waiting} wait for a score: `sentimon run --once` scores them")
    if rejected.count and not good:
        ctx.exit(1)


def _tell_new(named: Iterable[str | None], configured: Sequence[str], where: str) -> None:
    """Say once of each brand that it is new: a typing mistake makes one, too."""
    known = {name.casefold() for name in (*configured, NO_BRAND)}
    new = [name for name in named if name and name.casefold() not in known]
    for name in new[:NEW_SHOWN]:
        near = difflib.get_close_matches(name, configured, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        click.echo(f"sentimon: {where} has no brand {name!r}: counted under that name{hint}", err=True)
    if len(new) > NEW_SHOWN:
        click.echo(f"sentimon: {where} lacks {len(new) - NEW_SHOWN:,} more brands of these rows", err=True)


def _open(file: Path, stack: ExitStack) -> tuple[BinaryIO, int | None]:
    if str(file) == "-":
        return output.standard_input(), None
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
@click.option(
    "--format", "kind", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True, help="What to write."
)
@click.option("--output", "path", type=click.Path(path_type=Path), help="A file.  [default: standard output]")
@with_filter
@with_config
def export(kind: str, path: Path | None, config_path: Path | None, **options: Any) -> None:
    """Write the stored posts with their labels as CSV or JSON lines.

    In CSV, a text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    chosen = make_filter(options)
    app = open_app(config_path)
    with app.store() as store:
        chosen = settle(chosen, app, store)
        rows = (shapes.match_json(match) for match in store.mentions.every(chosen))
        write = _write_jsonl if kind == "jsonl" else _write_csv
        if path is None:
            write(rows, sys.stdout)
            return
        try:
            with path.open("w", encoding="utf-8", newline="") as file:
                write(rows, file)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}; name another with --output") from error


def _write_jsonl(rows: Iterable[Mapping[str, Any]], target: TextIO) -> None:
    for row in rows:
        target.write((output.to_json(row) if target is sys.stdout else json.dumps(row, ensure_ascii=False)) + "\n")


def _write_csv(rows: Iterable[Mapping[str, Any]], target: TextIO) -> None:
    writer = csv.DictWriter(target, fieldnames=shapes.MATCH_KEYS)
    writer.writeheader()
    for row in rows:
        writer.writerow({key: defused(value) for key, value in row.items()})
