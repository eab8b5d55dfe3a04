"""Verdicts by the file: `sentimon verdicts export`, `import` and `sample`."""

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from db.errors import InputError
from db.filters import Filter
from db.labels import GUIDE
from db.records import Verdict
from db.store import Store
from monitor.app import utc_now
from monitor.cli import output
from monitor.cli.label import sample as draw
from monitor.cli.label import user_name
from monitor.cli.options import Words, open_app, settle, with_config
from monitor.words import counted

PROBLEMS_SHOWN = 20

with_brand = click.option("--brand", type=Words(), help="Only this brand.")


@click.group()
def verdicts() -> None:
    """Take people's verdicts out, bring them in, or draw posts to judge elsewhere.

    A file ending in .csv is for spreadsheets, any other holds JSON lines; - is standard input or output. Columns: id,
    source, source_id, brand, text, sentiment, stage, reply, pillar, touchpoint, about, random, reviewer, at.
    `sentimon label` asks at the terminal.
    """


@verdicts.command("sample")
@click.argument("count", type=click.IntRange(1, 100_000))
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default=Path("-"))
@with_brand
@with_config
def sample_posts(count: int, file: Path, brand: str | None, config_path: Path | None) -> None:
    """Draw COUNT posts at random, to be judged in FILE.

    They are rated posts that nobody has judged yet, with the model's labels; where it is unsure, there is none. Correct
    the labels, write no under about where the post is not about the brand, delete the rows that you have not
    looked at, and take the rest back in with `sentimon verdicts import FILE`.
    """
    from monitor.cli import verdict_files

    app = open_app(config_path)
    with app.store() as store:
        drawn = draw(app, store, count, brand)
    rows = (verdict_files.row(match, {q: score.label(q) for q in GUIDE}) for match, score in drawn)
    _write(rows, file, new=True)
    if str(file) != "-":
        click.echo(f"{counted(len(drawn), 'post')} to judge in {file}; then: sentimon verdicts import {file}")


@verdicts.command("export")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default=Path("-"))
@click.option("--random", "random_only", is_flag=True, help="Only what was said of posts as drawn at random.")
@with_brand
@with_config
def export_verdicts(file: Path, random_only: bool, brand: str | None, config_path: Path | None) -> None:
    """Write what people say of each post: to each question the newest answer.

    A post has a row for every verdict of which an answer counts. What was said elsewhere of a post drawn at random has
    one of its own, with no under random: it measures nothing. `sentimon evaluate FILE` and `sentimon verdicts import
    FILE` read it.
    """
    from monitor.cli import verdict_files

    app = open_app(config_path)
    with app.store() as store:
        chosen = settle(Filter(brands=(brand,)), app, store).brands[0] if brand else None
        found = store.verdicts.all(random_only, chosen)
        count = _write((verdict_files.row(match, verdict.labels, verdict) for match, verdict in found), file)
    if str(file) != "-":
        click.echo(f"{counted(count, 'verdict')} written to {file}")


@verdicts.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--reviewer", type=Words(), help="Whose verdicts these are where no row says so.  [default: yours]")
@with_config
def import_verdicts(file: Path, reviewer: str | None, config_path: Path | None) -> None:
    """Take in the verdicts of FILE, all or none.

    None where one of its rows cannot be used. Rows find their posts by source, source_id and brand; about is yes and
    random no where a row does not say. Verdicts that are known already change nothing.
    """
    app = open_app(config_path)
    with app.store() as store:
        given = _read(store, file, reviewer or user_name(), utc_now())  # may wait for a pipe, so others can write yet
        with store.transaction():
            new = store.verdicts.give(given)
    click.echo(f"{counted(new, 'verdict')} new, {len(given) - new} unchanged")


def _read(store: Store, file: Path, reviewer: str, now: datetime) -> list[Verdict]:
    from monitor.cli import verdict_files

    given, problems = list[Verdict](), list[str]()
    for number, found in verdict_files.read(file):
        if isinstance(found, str):
            problems.append(f"line {number}: {found}")
            continue
        match = store.mentions.named(found.source, found.source_id, found.brand)
        if match is None:
            problems.append(f"line {number}: no post {found.source_id!r} of {found.source} under {found.brand}")
            continue
        try:
            given.append(found.verdict(match, reviewer, now))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    for problem in problems[:PROBLEMS_SHOWN]:
        click.echo(output.printable(f"sentimon: {file}: {problem}"), err=True)
    if problems:
        raise InputError(f"{file}: nothing imported, {len(problems)} of its rows cannot be used; mend or delete them")
    if not given:
        raise InputError(f"{file}: holds no verdicts")
    return given


def _write(rows: Iterable[Mapping[str, Any]], file: Path, new: bool = False) -> int:
    """Write to standard output or a file; a `new` one is never written over another."""
    from monitor.cli import verdict_files

    if str(file) == "-":
        return verdict_files.write(rows, file, sys.stdout)
    try:
        with file.open("x" if new else "w", encoding="utf-8", newline="") as target:
            return verdict_files.write(rows, file, target)
    except FileExistsError as error:
        raise InputError(f"{file}: is there already and may hold corrections; name another") from error
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}; name another") from error
