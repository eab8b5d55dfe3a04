"""Evaluate: how well the model does on labelled posts."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import InputError
from db.labels import LABELS
from db.records import Score
from models.classifier import Classifier, Post
from monitor import shapes
from monitor.cli import output
from monitor.cli.model import open_classifier
from monitor.cli.options import open_app, with_config, with_json
from monitor.cli.own import examples_at_random
from monitor.words import counted

if TYPE_CHECKING:
    from models.examples import Example

WINDOW = 1_024  # posts judged between two steps of the progress bar


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--db", "own", is_flag=True, help="Measure on the verdicts on stored posts that were drawn at random.")
@click.option(
    "--head",
    type=click.Choice(list(LABELS)),
    help="Measure this question only; a column label answers it.  [default: all; label answers sentiment]",
)
@click.option("--no-brand", is_flag=True, help="Judge each post as a whole, whatever brand it names.")
@click.option("--by", type=click.Choice(["source"]), help="Measure each of these by itself too.")
@click.option("--limit", type=click.IntRange(1), help="Only the first posts.")
@with_json
@with_config
def evaluate(
    file: Path | None,
    own: bool,
    head: str | None,
    no_brand: bool,
    by: str | None,
    limit: int | None,
    as_json: bool,
    config_path: Path | None,
) -> None:
    """Measure the model on labelled posts, beside VADER.

    FILE holds JSON lines, CSV or TSV with text, optionally brand and source, and a column for each question that the
    posts are labelled for: sentiment, stage, reply, pillar, touchpoint, emotion, offensive, or label for --head.
    Intervals are 95 % bootstrap intervals. A post that the model does not rate counts as missed. With --db in place of
    FILE, the model in force is measured on the team's own posts and on each of their sources: those that `sentimon
    label` or `sentimon verdicts sample` drew, less what the model has learned from.
    """
    from models.measure import measure

    if own and file:
        raise click.UsageError("a file of labelled posts and --db were both given; choose one of them")
    if not own and not file:
        raise click.UsageError("name a file of labelled posts, or --db for the verdicts on stored posts")
    examples = _read(file, head or "sentiment") if file else examples_at_random(open_app(config_path))
    where = str(file) if file else "the verdicts on posts drawn at random"
    if head:
        examples = _only(head, examples, where)
    examples = examples[:limit]
    if not any(example.labels for example in examples):
        raise InputError(f"{where}: no label on the first {counted(len(examples), 'post')}; raise --limit")
    found = measure(examples, _scored(open_classifier(config_path), examples, not no_brand), own or by == "source")
    if as_json:
        output.print_json([shapes.report_json(one) for one in found])
    else:
        for one in found:
            output.print_report(one)


def _read(file: Path, head: str) -> list["Example"]:
    from models.examples import read_examples

    examples = read_examples(file, head)
    if not examples:
        raise InputError(f"{file}: holds no labelled posts")
    if not any(example.labels for example in examples):
        raise InputError(f"{file}: none of its posts has a label; call a column label or {_columns()}")
    return examples


def _only(head: str, examples: list["Example"], where: str) -> list["Example"]:
    """Keep the posts that are labelled for one question, with that label alone."""
    found = [replace(each, labels={head: each.labels[head]}) for each in examples if head in each.labels]
    if not found:
        there = ", ".join(each for each in LABELS if any(each in example.labels for example in examples))
        raise InputError(f"{where}: no label for {head}; choose with --head from what there is: {there or 'nothing'}")
    return found


def _scored(classifier: Classifier, examples: list["Example"], with_brand: bool) -> list[Score]:
    posts = [Post(example.text, example.brand if with_brand else None) for example in examples]
    scores: list[Score] = []
    with output.progress("scoring", len(posts)) as show:
        for start in range(0, len(posts), WINDOW):
            scores += classifier.score(posts[start : start + WINDOW])
            show(len(scores), len(scores))
    return scores


def _columns() -> str:
    *first, last = LABELS
    return f"{', '.join(first)} or {last}"
