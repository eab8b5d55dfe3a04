"""Options that many commands share."""

import difflib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from db.errors import InputError
from db.filters import Filter
from db.labels import COUNTED_STAGES
from db.store import Store
from db.times import FIVE_MINUTES, floor
from monitor import config, plugins
from monitor.app import App, utc_now

F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def with_config(command: F) -> F:
    """Add --config."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        help="The configuration to use.  [default: $SENTIMON_CONFIG, else sentimon.toml]",
    )(command)


def open_app(config_path: Path | None, strict: bool = False) -> App:
    """Read the configuration. Strict: every secret must be there."""
    path = config_path or click.get_current_context().find_root().params.get("config_path")
    return App(config.load(config.find(path), plugins.load(), strict=strict))


class Moment(click.ParamType[datetime]):
    """A time: 2026-11-21, 2026-11-21T13:00, or back from now: 90m, 24h, 7d, 2w."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it, as UTC where it has no zone, down to the five minutes that counts have."""
        if isinstance(value, datetime):
            return value
        back = re.fullmatch(r"(\d{1,6})([mhdw])", value.strip())
        try:
            time = utc_now() - int(back[1]) * _UNITS[back[2]] if back else datetime.fromisoformat(value.strip())
            return floor(time if time.tzinfo else time.replace(tzinfo=UTC), FIVE_MINUTES)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time; write 2026-11-21, 2026-11-21T13:00, 90m, 24h, 7d or 2w", param, ctx)


class Words(click.ParamType[str]):
    """Text for the database, which takes no bytes that the command line could not decode."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check it."""
        text = str(value)
        if any("\ud800" <= ch <= "\udfff" for ch in text):
            self.fail(f"{text!a} is not UTF-8", param, ctx)
        return text


def with_filter(command: F) -> F:
    """Add --since, --until, --brand, --source and --stage."""
    for option in (
        click.option(
            "--stage", "stages", multiple=True, type=click.Choice(COUNTED_STAGES), help="Only this journey stage."
        ),
        click.option("--source", "sources", multiple=True, type=Words(), help="Only this source."),
        click.option("--brand", "brands", multiple=True, type=Words(), help="Only this brand."),
        click.option("--until", type=Moment(), help="Only before this time."),
        click.option("--since", type=Moment(), help="Only from this time on: 2026-11-21, 24h, 7d, …"),
    ):
        command = option(command)
    return command


def make_filter(options: dict[str, Any]) -> Filter:
    """Take the options of with_filter out of a command's."""
    chosen = Filter(
        since=options.pop("since"),
        until=options.pop("until"),
        brands=options.pop("brands"),
        sources=options.pop("sources"),
        stages=options.pop("stages"),
    )
    if chosen.since and chosen.until and chosen.since >= chosen.until:
        raise click.UsageError("--since must be before --until")
    return chosen


def settle(chosen: Filter, app: App, store: Store) -> Filter:
    """Write brands and sources as they are stored, whatever their case, and refuse those that nobody knows."""
    brands, sources = set[str](), set[str]()
    if chosen.brands:
        brands = {brand.name for brand in app.config.brands} | set(store.mentions.brands())
    if chosen.sources:
        sources = {source.kind for source in app.config.sources} | set(store.mentions.counts_by_source())
    return replace(
        chosen,
        brands=tuple(_known(name, brands, "brand") for name in chosen.brands),
        sources=tuple(_known(name, sources, "source") for name in chosen.sources),
    )


def _known(name: str, names: set[str], what: str) -> str:
    folded = {each.casefold(): each for each in sorted(names)}
    if name in names or name.casefold() in folded:
        return name if name in names else folded[name.casefold()]
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    there = f"did you mean {folded[near[0]]}?" if near else f"there are: {', '.join(sorted(names)) or 'none yet'}"
    raise InputError(f"no {what} {name!r}; {there}")


with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
