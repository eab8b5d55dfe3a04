"""Questions: trends, alerts, queue, mentions and status."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from db.cases import Asked
from db.desk import STATES
from db.labels import PILLARS, REPLIES, SENTIMENTS, TOUCHPOINTS
from db.trends import KEYS
from monitor import shapes
from monitor.cli import output
from monitor.cli.options import Moment, Words, make_filter, open_app, settle, with_config, with_filter, with_json
from monitor.words import counted

MOST = 2**31  # rows; no number that the database cannot take


@click.command()
@click.option("--by", "keys", multiple=True, type=click.Choice(KEYS), help="Group by; may be repeated.  [default: day]")
@click.option(
    "--copies/--no-copies", default=True, help="Count posts that pass on or copy another one.  [default: yes]"
)
@with_filter
@with_json
@with_config
def trends(keys: tuple[str, ...], copies: bool, as_json: bool, config_path: Path | None, **options: Any) -> None:
    """Show how people feel about each brand over time.

    Net sentiment is (positive - negative) / (positive + negative + neutral). Times are UTC. With --no-copies, of posts
    that say nearly the same within a week only the first counts.
    """
    chosen = make_filter(options)
    app = open_app(config_path)
    with app.store() as store:
        found = store.trends.by(keys or ("day",), settle(chosen, app, store), copies)
        waiting = store.mentions.pending_count()
    if as_json:
        output.print_json([shapes.trend_json(trend) for trend in found])
    elif not found:
        click.echo(
            "No scored posts here." + (f" {waiting} wait: `sentimon run --once` scores them." if waiting else "")
        )
    else:
        extra = list(found[0].keys)
        times = ["time"] if found[0].bucket else []
        counts = ["mentions", "negative", "neutral", "positive", "not rated", "net sentiment"]
        rows = [
            [
                *([trend.bucket.replace("T", " ").removesuffix(":00Z")] if trend.bucket else []),
                trend.brand,
                *trend.keys.values(),
                trend.mentions,
                trend.negative,
                trend.neutral,
                trend.positive,
                trend.not_rated,
                "-" if trend.net_sentiment is None else f"{trend.net_sentiment:+.2f}",
            ]
            for trend in found
        ]
        output.print_table("", [*times, "brand", *extra, *counts], rows, right=counts)


@click.command()
@with_filter
@click.option(
    "--state", "states", multiple=True, type=click.Choice(STATES), help="Only in this state; may be repeated."
)
@click.option("--mine", metavar="NAME", help="Only what somebody has, or was given.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many.")
@with_json
@with_config
def queue(
    states: tuple[str, ...], mine: str | None, limit: int, as_json: bool, config_path: Path | None, **options: Any
) -> None:
    """List the posts that wait for an answer, the most urgent first.

    Without --state: those that nobody has answered, dismissed or snoozed. Urgent: by level, then by what is due first,
    then by how surely a post is negative, times how far it carries (followers, reposts, likes).
    """
    from monitor.app import utc_now

    chosen = make_filter(options)
    app = open_app(config_path)
    with app.store() as store:
        chosen = settle(chosen, app, store)
        asked = Asked(
            brands=chosen.brands,
            sources=chosen.sources,
            stages=chosen.stages,
            since=chosen.since,
            until=chosen.until,
            states=states,
            assignee=mine,
        )
        cases = store.cases.queue(asked, utc_now(), min(limit, MOST))
        total = store.cases.total(asked, utc_now())
    if as_json:
        output.print_json([shapes.case_json(case) for case in cases])
        return
    if not cases:
        click.echo("No such posts." if states or mine else "Nothing waits for an answer.")
        return
    rows = [
        [
            output.utc(case.match.mention.created_at),
            case.level,
            output.utc(case.due) if case.due else "-",
            case.assignee or "-",
            case.match.brand,
            case.match.mention.source,
            case.match.mention.author or "-",
            case.match.stage or "-",
            output.shorten(case.match.mention.shown, 160),
            case.match.mention.url or "",
        ]
        for case in cases
    ]
    columns = ["posted (UTC)", "level", "due (UTC)", "assignee", "brand", "source", "author", "stage", "post", "link"]
    title = f"{len(cases)} of {counted(total, 'post')}{'' if states else ' to answer'}, the most urgent first"
    output.print_table(title, columns, rows)


@click.command()
@click.argument("text", required=False, type=Words())
@with_filter
@click.option("--sentiment", "sentiments", multiple=True, type=click.Choice(SENTIMENTS), help="Only this sentiment.")
@click.option("--reply", "replies", multiple=True, type=click.Choice(REPLIES), help="Only posts to answer, or not to.")
@click.option("--pillar", "pillars", multiple=True, type=click.Choice(PILLARS), help="Only posts about this.")
@click.option(
    "--touchpoint",
    "touchpoints",
    multiple=True,
    type=click.Choice(TOUCHPOINTS),
    help="Only posts of those who met the brand here.",
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many, the newest first.")
@with_json
@with_config
def mentions(
    text: str | None,
    sentiments: tuple[str, ...],
    replies: tuple[str, ...],
    pillars: tuple[str, ...],
    touchpoints: tuple[str, ...],
    limit: int,
    as_json: bool,
    config_path: Path | None,
    **options: Any,
) -> None:
    """Find stored posts by their words.

    They hold all the words of TEXT, in any order; "in quotes" as a phrase.
    """
    from dataclasses import replace

    chosen = replace(
        make_filter(options), sentiments=sentiments, replies=replies, pillars=pillars, touchpoints=touchpoints
    )
    app = open_app(config_path)
    with app.store() as store:
        found = store.mentions.find(text, settle(chosen, app, store), min(limit, MOST))
    if as_json:
        output.print_json([shapes.match_json(match) for match in found])
        return
    if not found:
        click.echo("No posts found.")
        return
    rows = [
        [
            output.utc(match.mention.created_at),
            match.brand,
            match.mention.source,
            match.mention.author or "-",
            match.sentiment or ("waits" if match.model is None else "not rated"),
            match.stage or "-",
            output.shorten(match.mention.shown, 200),
        ]
        for match in found
    ]
    output.print_table("", ["posted (UTC)", "brand", "source", "author", "sentiment", "stage", "post"], rows)


@click.command()
@click.option("--coverage", is_flag=True, help="Show how far each hour was read on each source instead.")
@click.option("--since", type=Moment(), default="24h", help="With --coverage: from this time on.  [default: 24h]")
@with_json
@with_config
def status(coverage: bool, since: datetime, as_json: bool, config_path: Path | None) -> None:
    """Show sources, backlog, last errors and next runs."""
    from monitor.app import utc_now
    from monitor.coverage import coverage_lines, take_coverage
    from monitor.status import status_lines, take_status

    app = open_app(config_path)
    with app.store() as store:
        if coverage:
            taken = take_coverage(app.config, store, since, utc_now())
            lines = coverage_lines(taken)
        else:
            taken = take_status(app.config, store, utc_now())
            lines = status_lines(taken)
    if as_json:
        output.print_json(taken)
    else:
        for line in lines:
            click.echo(output.printable(line))
