"""Setting up: init, check and plugins."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import InputError, SentimonError
from monitor import config, plugins
from monitor.cli.options import open_app, with_config
from monitor.sections import SECONDS
from monitor.words import counted

if TYPE_CHECKING:
    from models.query import Query


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path(config.FILE_NAME))
def init(path: Path) -> None:
    """Write a commented sentimon.toml."""
    config.write_template(path)
    click.echo(f"{path} written: name your brands in it, then `sentimon check`")


@click.command()
@with_config
@click.pass_context
def check(ctx: click.Context, config_path: Path | None) -> None:
    """Say for each brand, source, channel and model what would run and what is wrong.

    Nothing is contacted. Exit code 1 when something is wrong.
    """
    app = open_app(config_path)
    settings = app.config
    wrong = 0

    def report(what: str, lines: list[str], problem: str | None = None) -> None:
        nonlocal wrong
        wrong += problem is not None
        click.echo(f"{'WRONG' if problem else 'ok':<6}{what}" + (f": {problem}" if problem else ""))
        for line in lines:
            click.echo(f"      {line}")

    for brand in settings.brands:
        accounts = [f"account on {platform}: {account}" for platform, account in brand.accounts.items()]
        hidden = [f"hidden: {brand.hide}", *_mistakable("hide", brand.hide)] if brand.hide else []
        report(
            f"brand {brand.name} ({'own' if brand.own else 'competitor'})",
            [f"query: {brand.query}", *_mistakable("query", brand.query), *hidden, *accounts],
        )
    for source in settings.sources:
        how = "" if source.collector_kind.pushed else f", every {_span(source.every)}"
        problem, lines = "; ".join(f"missing {what}" for what in source.missing) or None, list[str]()
        if source.preview is not None:
            try:
                lines = list(source.collector_kind.explain(source.preview, settings.brands))
            except InputError as error:
                problem = f"{problem}; {error}" if problem else str(error)
        lines = [*_shown(source.options), *lines]
        report(f"source {source.name} ({source.kind}{how})", lines, problem)
    for channel in settings.channels:
        problem = "; ".join(f"missing {what}" for what in channel.missing) or None
        if channel.options is not None:
            try:
                channel.channel_kind.build(channel.options)
            except InputError as error:
                problem = str(error)
        lines, never = _told(channel, settings)
        report(f"channel {channel.name} ({channel.kind})", lines, problem or never)
    try:
        report(f"model {app.classifier.name}", [f"configured as {settings.model.name}"])
    except SentimonError as error:
        report(f"model {settings.model.name}", [], str(error))
    try:
        with app.store() as store:
            posts, _ = store.mentions.counts()
        report(f"database {settings.database}", [counted(posts, "post")])
    except SentimonError as error:
        report(f"database {settings.database}", [], str(error))
    if not settings.sources:
        click.echo("      no sources: only `sentimon import` brings posts")
    if not settings.channels:
        click.echo("      no channels: alerts are listed by `sentimon alerts`, nobody is told")
    if wrong:
        ctx.exit(1)


def _mistakable(what: str, query: "Query") -> list[str]:
    from models.query import mistakable

    return [f"note: {what}: {note}" for note in mistakable(query.text)]


def _told(channel: config.ChannelConfig, settings: config.Config) -> tuple[list[str], str | None]:
    """Say what a channel is told of, and why nothing where that is so."""
    policy, watched = channel.policy, settings.alerts.rules
    rules = [rule for rule in watched if policy.alerts and (not policy.rules or rule in policy.rules)]
    at_once = [other for other in settings.channels if other.policy.alerts and not other.policy.escalate_after]
    lines = [f"told of: {', '.join(rules)}; from {policy.severity} on"] if rules else []
    if rules and policy.escalate_after:
        lines.append(f"only what nobody has taken for {_span(policy.escalate_after)} after others were told")
    if channel.digest:
        lines.append(f"digest: {channel.digest.every}")
    problem = None
    if not policy.alerts and not channel.digest:
        problem = "is never told anything: alerts = false, and it has no digest"
    elif policy.alerts and not rules and not channel.digest:
        problem = (
            f"is never told anything: of its rules ({', '.join(policy.rules)}) [alerts] watches for none"
            if watched
            else "is never told anything: [alerts] rules is empty, and it has no digest"
        )
    elif rules and policy.escalate_after and not at_once:
        problem = "is never told of an alert: it escalates what others were told, and no channel is told at once"
    return lines, problem


def _span(span: timedelta) -> str:
    """Write a span as the file does, in its largest unit that leaves no rest."""
    seconds = int(span.total_seconds())
    unit = next(unit for unit in reversed(SECONDS) if seconds % SECONDS[unit] == 0)
    return f"{seconds // SECONDS[unit]}{unit}"


def _shown(options: object) -> list[str]:
    """Write the options that hold secrets, as set."""
    from pydantic import BaseModel, SecretStr

    if not isinstance(options, BaseModel):
        return []
    return [f"{name}: set" for name in type(options).model_fields if isinstance(getattr(options, name), SecretStr)]


@click.command("plugins")
def list_plugins() -> None:
    """List the kinds of sources and channels."""
    kinds = plugins.load()
    click.echo("sources: " + ", ".join(sorted(kinds.collectors)))
    click.echo("channels: " + ", ".join(sorted(kinds.channels)))
