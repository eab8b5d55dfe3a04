"""`sentimon alerts`: what was found, who sees to it, what the team says of it, and when nobody is to be told."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from db.errors import DeliveryFailed, InputError
from db.filters import Filter
from db.records import RULES, WORDS, Alert, Feedback, Match, Silence
from db.store import Store
from jobs.hold import stories
from monitor import shapes
from monitor.app import utc_now
from monitor.cli import output
from monitor.cli.backtest import backtest
from monitor.cli.label import user_name
from monitor.cli.listing import LISTING
from monitor.cli.options import Words, make_filter, open_app, settle, with_config, with_filter, with_json

with_name = click.option("--by", "who", type=Words(), help="Who says so.  [default: your user name]")
INHIBITED = "inhibited:"  # as jobs/hold.py says of an alert that is part of another
NUMBER = click.IntRange(1, 2**31)  # of an alert or a silence: no number that the database cannot take
LONGEST = timedelta(days=90)  # of a silence: what is forgotten must not stay silent for ever


@click.group(cls=LISTING, default="list", default_if_no_args=True)
def alerts() -> None:
    """List alerts, take them, judge them, silence them, and try rules on the past."""


alerts.add_command(backtest)


@alerts.command("list")
@with_filter
@click.option("--rule", "rules", multiple=True, type=click.Choice(RULES), help="Only alerts of this rule.")
@click.option("--all", "parts", is_flag=True, help="Also those that are part of another alert.")
@with_json
@with_config
def list_alerts(rules: tuple[str, ...], parts: bool, as_json: bool, config_path: Path | None, **options: Any) -> None:
    """List alerts: what was seen, what was expected, and why it matters."""
    chosen = make_filter(options)
    app = open_app(config_path)
    with app.store() as store:
        chosen = settle(chosen, app, store)
        every = store.alerts.find(chosen)
        found = [
            (alert, store.mentions.of_alert(alert.id))
            for alert in (every if parts else stories(every))
            if not rules or alert.rule in rules
        ]
        said = store.alerts.said()
    if chosen.sources or chosen.stages:
        found = [(alert, posts) for alert, posts in found if any(_among(post, chosen) for post in posts)]
    if as_json:
        output.print_json([shapes.alert_json(alert, posts, feedback=said.get(alert.id)) for alert, posts in found])
        return
    if not found:
        click.echo("No alerts.")
    for alert, posts in found:
        _print(alert, posts, said.get(alert.id))


def _print(alert: Alert, posts: Sequence[Match], feedback: Feedback | None) -> None:
    until = f"over at {output.utc(alert.ends)}" if alert.ends else "going on"
    click.secho(output.printable(f"{alert.severity.upper()}  {alert.summary}"), bold=True)
    chance = f"; probability by chance {alert.probability:.1g}" if alert.probability else ""
    click.echo(f"  alert {alert.id}, since {output.utc(alert.starts)} UTC, {until}{chance}")
    if alert.in_common:
        click.echo(output.printable(f"  in common: {', '.join(alert.in_common)}"))
    for line in (
        f"taken by {alert.taken_by}" if alert.taken_by else None,
        f"nobody is told now: {alert.held}" if alert.held else None,
        f"{feedback.who} says: {feedback.word}{f', {feedback.note}' if feedback.note else ''}" if feedback else None,
    ):
        if line:
            click.echo(output.printable(f"  {line}"))
    if alert.rule == "negative spike":
        brand = output.printable(shlex.quote(alert.brand))
        click.echo(f"  {len(posts)} negative posts in all: sentimon queue --brand {brand}")
    for post in posts[:3]:
        click.echo(f"    {post.mention.source}: {output.shorten(post.mention.shown)}")


def _among(post: Match, chosen: Filter) -> bool:
    return (not chosen.sources or post.mention.source in chosen.sources) and (
        not chosen.stages or post.stage in chosen.stages
    )


@alerts.command()
@click.argument("alert_id", metavar="ALERT", type=NUMBER)
@click.option("--release", is_flag=True, help="Release it again.")
@with_name
@with_config
def take(alert_id: int, release: bool, who: str | None, config_path: Path | None) -> None:
    """See to an alert: it does not escalate, nor is it repeated."""
    app = open_app(config_path)
    with app.store() as store, store.transaction():
        alert = _known(store, alert_id)
        who = who or user_name()
        if alert.taken_by not in (None, who) and not release:
            raise InputError(f"alert {alert_id} is taken by {alert.taken_by}; to take it over, --release it first")
        store.alerts.take(alert_id, None if release else who, utc_now())
    click.echo(output.printable(f"alert {alert_id} is {'taken by nobody' if release else f'taken by {who}'}"))


@alerts.command()
@click.argument("alert_id", metavar="ALERT", type=NUMBER)
@click.argument("word", type=click.Choice(WORDS))
@click.option("--note", default="", type=Words(), help="Why.")
@with_name
@with_config
def mark(alert_id: int, word: str, note: str, who: str | None, config_path: Path | None) -> None:
    """Say what an alert was: useful, noise, or known already. `sentimon alerts precision` learns from it."""
    app = open_app(config_path)
    with app.store() as store:
        _known(store, alert_id)
        with store.transaction():
            store.alerts.say(Feedback(alert_id, who or user_name(), utc_now(), word, note))
    click.echo(f"alert {alert_id} is {word}")


@alerts.command("precision")
@with_json
@with_config
def show_precision(as_json: bool, config_path: Path | None) -> None:
    """Show how often each rule was right, by what the team said, and which threshold that speaks for.

    Useful / (useful + noise), with its 95 % interval; what was known already counts as neither. A threshold is offered,
    not taken: write it into sentimon.toml.
    """
    from models.feedback import precision, suggest

    app = open_app(config_path)
    with app.store() as store:
        said = store.alerts.said()
        found = [
            alert
            for alert in store.alerts.find(Filter())
            if alert.id in said or not (alert.held or "").startswith(INHIBITED)
        ]
    words = {alert.id: said[alert.id].word if alert.id in said else None for alert in found}
    rules = [precision(rule, [words[alert.id] for alert in found if alert.rule == rule]) for rule in RULES]
    offered = {}
    for brand in app.config.brands:
        judged = [
            (alert.score, words[alert.id] or "")
            for alert in found
            if alert.rule == "negative spike" and alert.brand == brand.name and not alert.scope
        ]
        threshold = app.config.sensitivities[brand.name].threshold
        better = suggest(judged, threshold)
        if better is not None:
            offered[brand.name] = (threshold, better)
    if as_json:
        rows = [
            {"rule": p.rule, "alerts": p.alerts, "useful": p.useful, "noise": p.noise, "known": p.known}
            | {"precision": p.value, "low": p.low, "high": p.high}
            for p in rules
        ]
        suggested = {brand: {"threshold": now, "offered": better} for brand, (now, better) in offered.items()}
        output.print_json({"rules": rows, "thresholds": suggested})
        return
    columns = ["rule", "alerts", "useful", "noise", "known", "precision", "95 % interval"]
    table = [
        [
            p.rule,
            p.alerts,
            p.useful,
            p.noise,
            p.known,
            "-" if p.value is None else f"{p.value:.0%}",
            "-" if p.low is None or p.high is None else f"{p.low:.0%} to {p.high:.0%}",
        ]
        for p in rules
    ]
    output.print_table("", columns, table, right=columns[1:])
    for brand_name, (now, better) in offered.items():
        click.echo(
            output.printable(
                f"{brand_name}: what was said speaks for threshold = {better:g} in its [[brands]] entry (now {now:g}); "
                f"see `sentimon alerts backtest --brand {shlex.quote(brand_name)}`"
            )
        )


@alerts.command()
@click.option("--for", "span", default="8h", show_default=True, type=Words(), help="How long: 30m, 8h, 3d.")
@click.option("--alert", "alert_id", type=NUMBER, help="Alerts of the same cause as this one.")
@click.option("--brand", type=Words(), help="Alerts on this brand.")
@click.option("--rule", type=click.Choice(RULES), help="Alerts of this rule.")
@click.option("--comment", default="", type=Words(), help="Why.")
@with_name
@with_config
def silence(
    span: str,
    alert_id: int | None,
    brand: str | None,
    rule: str | None,
    comment: str,
    who: str | None,
    config_path: Path | None,
) -> None:
    """Tell nobody of some alerts for a while. They are found and listed all the same."""
    if alert_id is None and brand is None and rule is None:
        raise click.UsageError("name --alert, --brand or --rule: a silence over everything hides what matters")
    if alert_id is not None and (brand or rule):
        raise click.UsageError("--alert says which brand and rule; name it alone")
    app, now = open_app(config_path), utc_now()
    with app.store() as store:
        made = Silence(0, now, now + _length(span), who or user_name(), comment, brand, rule)
        if alert_id is not None:
            alert = _known(store, alert_id)
            made = replace(made, brand=alert.brand, rule=alert.rule, scope=alert.scope)
        elif brand is not None:
            (known,) = settle(Filter(brands=(brand,)), app, store).brands
            made = replace(made, brand=known)
        with store.transaction():
            made = store.silences.add(made)
    click.echo(output.printable(f"silence {made.id}: {_described(made)}"))


@alerts.command()
@with_json
@with_config
def silences(as_json: bool, config_path: Path | None) -> None:
    """List the silences that hold."""
    app = open_app(config_path)
    with app.store() as store:
        found = store.silences.ending_after(utc_now())
    if as_json:
        output.print_json([shapes.silence_json(silence) for silence in found])
    elif not found:
        click.echo("Nothing is silenced.")
    else:
        for each in found:
            click.echo(output.printable(f"silence {each.id}: {_described(each)}"))


@alerts.command()
@click.argument("silence_id", metavar="SILENCE", type=NUMBER)
@with_config
def unsilence(silence_id: int, config_path: Path | None) -> None:
    """End a silence now."""
    app = open_app(config_path)
    with app.store() as store, store.transaction():
        ended = store.silences.end(silence_id, utc_now())
    if not ended:
        raise InputError(f"no silence {silence_id} holds; `sentimon alerts silences` lists those that do")
    click.echo(f"silence {silence_id} is ended")


@alerts.command()
@click.argument("channel", type=Words())
@with_config
def test(channel: str, config_path: Path | None) -> None:
    """Send a test message to CHANNEL, as alerts are sent. Nothing is stored."""
    from jobs.compose import trial
    from monitor.outlets import make_outlet

    app = open_app(config_path)
    made = make_outlet(app.config, channel)
    try:
        made.channel.send(trial(utc_now()))
    except DeliveryFailed as failure:
        raise DeliveryFailed(f"{channel}: {failure}") from failure
    click.echo(output.printable(f"{channel} has taken the test message"))


def _known(store: Store, alert_id: int) -> Alert:
    alert = store.alerts.get(alert_id)
    if alert is None:
        raise InputError(f"no alert {alert_id}; `sentimon alerts` lists them with their numbers")
    return alert


def _length(span: str) -> timedelta:
    from monitor.sections import SECONDS

    number, unit = span.strip()[:-1], span.strip()[-1:]
    if not (number.isascii() and number.isdigit() and len(number) < 6 and unit in SECONDS):
        raise click.UsageError(f"--for {span!r} is not a span; write 30m, 8h or 3d")
    length = timedelta(seconds=int(number) * SECONDS[unit])
    if not timedelta(0) < length <= LONGEST:
        raise click.UsageError(f"--for must be at most {LONGEST.days}d, and more than nothing")
    return length


def _described(silence: Silence) -> str:
    what = " ".join(part for part in (silence.brand, silence.rule, silence.scope) if part)
    comment = f": {silence.comment}" if silence.comment else ""
    return f"{what} until {_moment(silence.ends)}, by {silence.author}{comment}"


def _moment(time: datetime) -> str:
    return f"{output.utc(time)} UTC"
