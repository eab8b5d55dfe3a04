"""Score: what the model says of posts from anywhere, a line each."""

import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import click

from db.errors import InputError
from db.records import Score
from monitor.cli import output
from monitor.cli.lines import MOST, Line, as_they_come, is_header, raw_lines, read, windows
from monitor.cli.model import open_classifier
from monitor.cli.options import Words, with_config


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default=Path("-"))
@click.option("--brand", "brands", multiple=True, type=Words(), help="Judge lines that name no brand for this one.")
@with_config
@click.pass_context
def score(ctx: click.Context, file: Path, brands: tuple[str, ...], config_path: Path | None) -> None:
    """Judge posts from a file or standard input, one JSON line each.

    The answers come in the order of the lines. Lines are JSON objects with text and optionally id, brand and language,
    or plain text; the first line tells which.
    """
    if len(brands) > 1:
        raise click.UsageError("--brand is given more than once, and a post is judged for one: run it once for each")
    failed = posts = 0
    shown = "standard input" if str(file) == "-" else str(file)
    with ExitStack() as stack:
        source = _open(file, stack)
        typed = source.isatty()
        classifier = open_classifier(config_path)
        # Answers on a terminal show by themselves how far it is, and a bar would be drawn among them.
        watched = not typed and not output.is_terminal(sys.stdout)
        show = stack.enter_context(output.progress("scoring", _size(source), watched))
        for window in windows(_read(source, shown, *brands), 1 if typed else MOST):
            scores = iter(classifier.score([line.post for line in window if line.post]))
            output.print_lines(_answers(window, scores))
            for line in window:
                if line.error:
                    failed += 1
                    click.echo(f"sentimon: {shown}: {line.error}", err=True)
            posts += len(window)
            show(posts, source.tell() if source.seekable() else 0)
    if failed:
        ctx.exit(1)


def _open(file: Path, stack: ExitStack) -> BinaryIO:
    if str(file) == "-":
        return output.standard_input()
    try:
        return stack.enter_context(file.open("rb"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error


def _read(source: BinaryIO, shown: str, brand: str | None = None) -> Iterator[Line | None]:
    """Read lines, and say of what was hardly meant as lines of text; None where none has come for a moment."""

    def looked_at(source: BinaryIO) -> Iterator[bytes]:
        for number, line in enumerate(raw_lines(source)):
            if number == 0 and is_header(line):
                note = "looks like CSV, and each line is rated as text; `sentimon import` reads CSV"
                click.echo(f"sentimon: {shown}: {note}", err=True)
            yield line

    try:
        if source.seekable():
            yield from read(looked_at(source), brand)
        else:  # a pipe may stay open for hours without a line
            yield from as_they_come(source, lambda own: read(looked_at(own), brand))
    except InputError as error:
        raise InputError(f"{shown}: {error}") from error


def _size(source: BinaryIO) -> int | None:
    """Measure what is to be read, in bytes; None where that cannot be known."""
    if not source.seekable():
        return None
    here = source.tell()
    end = source.seek(0, io.SEEK_END)
    source.seek(here)
    return end or None  # a device without an end says that it ends at once


def _answers(window: list[Line], scores: Iterator[Score]) -> Iterator[dict[str, Any]]:
    for line in window:
        yield {"id": line.id, **(score_json(next(scores)) if line.post else {"error": line.error})}


def score_json(score: Score) -> dict[str, Any]:
    """Write a judgement for programs; what the model does not say is null."""
    return {
        "sentiment": score.label("sentiment"),
        "probabilities": dict(score.probabilities("sentiment")) or None,
        "stage": score.label("stage"),
        "stage_probabilities": dict(score.probabilities("stage")) or None,
        "reply": score.label("reply"),
        "reply_probability": score.probabilities("reply").get("yes"),
        "pillar": score.label("pillar"),
        "touchpoint": score.label("touchpoint"),
        "emotion": score.label("emotion"),
        "offensive": score.label("offensive"),
        "language": score.language,
        "rated": score.rated,
        "model": score.model,
    }
