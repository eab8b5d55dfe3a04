"""`sentimon alerts backtest`: what alerts would have done on the past, before a sensitivity is saved."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.errors import InputError
from db.filters import Filter
from db.records import NO_BRAND
from db.times import FIVE_MINUTES, floor
from monitor.app import App, utc_now
from monitor.cli import output
from monitor.cli.options import Moment, Words, open_app, settle, with_config, with_json

if TYPE_CHECKING:
    from models.backtest import Row
    from monitor.cli.counts_file import CountsFile

SINCE = "30d"
ROWS_TOGETHER = 1_000  # that are printed at once


@click.command()
@click.option("--brand", type=Words(), help="Replay the stored posts on this brand.")
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Replay a series of counts: CSV with the columns timestamp, mentions (or value) and, if there, negative; "
    "- is standard input.",
)
@click.option(
    "--since", type=Moment(), help=f"Show alerts from this time on; all before is learnt from.  [default: {SINCE}]"
)
@click.option("--until", type=Moment(), help="Show alerts before this time.  [default: now]")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 300, min_open=True),
    help="List the alerts at this threshold of negative spikes.  [default: the brand's; 4 for a file]",
)
@click.option(
    "--minimum",
    type=click.IntRange(1),
    help="Fewer negative posts than this are never a spike.  [default: the brand's; 5 for a file]",
)
@with_json
@with_config
def backtest(
    brand: str | None,
    csv_path: Path | None,
    since: datetime | None,
    until: datetime | None,
    threshold: float | None,
    minimum: int | None,
    as_json: bool,
    config_path: Path | None,
) -> None:
    """Show which alerts each threshold would have sent in the past.

    Beside them stand the simple rules of others, as they are usually set. Nothing is stored. With --csv and --json, one
    JSON line for each row: timestamp, score, severity, alert (true where a notification would go out), kind, reason.
    """
    if (brand is None) == (csv_path is None):
        raise click.UsageError("name --brand or --csv, one of them")
    if threshold is not None and math.isnan(threshold):
        raise click.UsageError("--threshold must be a number")
    if brand is not None:
        _backtest_brand(brand, since, until, threshold, minimum, as_json, config_path)
    elif since or until:
        raise click.UsageError("--since and --until go with --brand; a file is replayed whole")
    elif csv_path is not None:
        _backtest_file(csv_path, threshold, minimum, as_json)


def _backtest_file(path: Path, threshold: float | None, minimum: int | None, as_json: bool) -> None:
    from jobs.rules import Sensitivity
    from models import backtest as model
    from monitor.cli import counts_file
    from monitor.cli.backtest_report import of_series

    given = counts_file.read(path)
    usual = Sensitivity()
    if given.negatives is None and (threshold or minimum):
        click.echo(f"sentimon: {given.name} has no column negative: --threshold and --minimum change nothing", err=True)
    threshold, minimum = threshold or usual.threshold, minimum or usual.minimum
    with counts_file.naming(given.name):
        if as_json:
            rows = model.backtest(given.times, given.mentions, given.negatives, threshold, minimum)
        else:
            series = model.looked(given.times, given.mentions, given.negatives, minimum)
    if not as_json:
        of_series(given.name, series, threshold, minimum)
        return
    lines = list(_lines(given, rows))
    for first in range(0, len(lines), ROWS_TOGETHER):
        output.print_lines(lines[first : first + ROWS_TOGETHER])


def _lines(given: "CountsFile", rows: "Sequence[Row]") -> Iterator[Mapping[str, Any]]:
    for written, row in zip(given.written, rows, strict=True):
        yield {
            "timestamp": written,
            "score": row.score,
            "severity": row.severity,
            "alert": row.alert,
            "kind": row.kind,
            "reason": row.reason,
        }


def _backtest_brand(
    name: str,
    since: datetime | None,
    until: datetime | None,
    threshold: float | None,
    minimum: int | None,
    as_json: bool,
    config_path: Path | None,
) -> None:
    from jobs.past import LONGEST_REPLAY
    from jobs.reading import reading
    from jobs.replay import replay
    from monitor.cli import backtest_report

    app, now = open_app(config_path), utc_now()
    until = min(until or now, floor(now, FIVE_MINUTES))
    since = since or Moment().convert(SINCE, None, None)
    if since >= until:
        raise click.UsageError("--since must be before --until, and in the past")
    if until - since > LONGEST_REPLAY:
        raise click.UsageError(f"--since must be at most {LONGEST_REPLAY.days}d before --until")
    with app.store() as store:
        (brand,) = settle(Filter(brands=(name,)), app, store).brands
        if brand == NO_BRAND:
            raise InputError("posts without a brand raise no alerts; name a brand")
        watching = app.watching
        own = watching.sensitivity_to(brand)
        asked = backtest_report.Asked(
            brand,
            since,
            until,
            threshold or own.threshold,
            minimum or own.minimum,
            own,
            _remarks(app, brand),
            app.config.path.name if any(each.name == brand for each in app.config.brands) else None,
        )
        found = replay(
            store, brand, since, until, lambda start: reading(store, watching.platforms, start, now), asked.minimum
        )
        raised = store.alerts.find(Filter(since, until, brands=(brand,)))
        said = store.alerts.said()
    backtest_report.of_brand(asked, found, raised, said, as_json)


def _remarks(app: App, brand: str) -> list[str]:
    """Why not all of what is shown would be told."""
    remarks = []
    if brand in app.watching.competitors and not app.config.alerts.competitors:
        remarks.append(f"{brand} is a competitor: its alerts are listed and told to nobody")
    off = [rule for rule in ("negative spike", "volume spike") if rule not in app.watching.names]
    return [*remarks, *(f"{rule}s are not looked for: they are not among the rules of [alerts]" for rule in off)]
