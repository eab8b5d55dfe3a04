"""Looking before collecting: what a query would find, and applying changed queries to posts that are stored."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.errors import ConfigError, InputError
from monitor import config, plugins
from monitor.app import App, utc_now
from monitor.cli import output
from monitor.cli.options import Moment, Words, open_app, with_config, with_json
from monitor.words import counted

if TYPE_CHECKING:
    from jobs.rematch import Rematched
    from models.query import Query

BEYOND = (
    "Counted are stored posts, which name the brands that you have: a query that reaches further finds more. What a "
    "platform sends beyond the query is billed too."
)


@click.group()
def query() -> None:
    """Try a query before anything is collected with it, or apply changed queries to stored posts."""


@query.command("test")
@click.argument("text", metavar="QUERY", type=Words())
@click.option("--hide", metavar="QUERY", type=Words(), help="Say which posts this `hide` query would hide.")
@click.option("--since", type=Moment(), help="Look only through stored posts from this time on: 7d, 2026-11-21, …")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(0, 10_000), help="How many posts to show.")
@with_json
@with_config
def test_query(
    text: str, hide: str | None, since: datetime | None, limit: int, as_json: bool, config_path: Path | None
) -> None:
    """Show what a query would ask of each source, what that would cost, and which stored posts it matches.

    Nothing is contacted and nothing is changed. Without a configuration, or sources in it, kinds of sources are shown
    as they are by default. What a query leaves out with NOT is never stored; what --hide matches is stored and counted
    nowhere.
    """
    from monitor.query_look import configured, take_query, unconfigured

    parsed, hiding = _parsed("query", text), None if hide is None else _parsed("hide", hide)
    app = _app_or_none(config_path)
    places = configured(app.config) if app else []
    if app and not places:
        why = f"{app.config.path.name} has no sources: those that need no key, as they are by default"
    else:
        why = "" if app else f"no {config.FILE_NAME} here: sources as they are by default"
    places = places or unconfigured(plugins.load(), parsed, keyless=app is not None)
    store = app.store() if app and app.config.database.exists() else None
    try:
        taken = take_query(parsed, hiding, places, store, since, limit, utc_now())
    finally:
        if store:
            store.close()
    if as_json:
        output.print_json(taken)
        return
    _say(f"query  {taken['query']}")
    if hiding:
        _say(f"hide   {taken['hide']}")
    click.echo("\nWhat would be asked" + (f" ({why})" if why else ""))
    for source in taken["sources"]:
        _tell_source(source)
    if taken["posts"]["stored"]:
        click.echo(f"\n{BEYOND}")
    _tell_posts(taken["posts"])


@query.command("apply")
@click.option("--dry-run", is_flag=True, help="Only say what it would do.")
@with_json
@with_config
def apply_queries(dry_run: bool, as_json: bool, config_path: Path | None) -> None:
    """Apply the brands' queries, hide queries and own accounts as they are now to all stored posts.

    Posts that name a brand now are matched to it, and scored by the next `sentimon run`; posts are hidden and shown as
    `hide` says, but where a person has judged them. A post that no longer matches a brand keeps its match. It can be
    stopped and run again, and used while `sentimon run` is at work.
    """
    from jobs.rematch import rematch

    app = open_app(config_path)
    brands = app.config.brands
    with app.store() as store:
        with output.progress("matching", store.rematching.count()) as show:
            done = rematch(store, brands, dry_run, lambda posts: show(posts, posts))
        waiting = store.mentions.pending_count()
    if as_json:
        output.print_json(_rematched_json(done, dry_run))
        return
    _tell_rematched(done, dry_run)
    if waiting and not dry_run:
        click.echo(f"{waiting:,} wait for a score: `sentimon run --once --job score`")


def _parsed(what: str, text: str) -> "Query":
    from models.query import mistakable, parse

    try:
        parsed = parse(text)
    except InputError as error:
        raise InputError(f"{what}: {str(error).removeprefix('query: ')}") from None
    for note in mistakable(text):
        click.echo(f"sentimon: {what}: {note}", err=True)
    return parsed


def _app_or_none(path: Path | None) -> App | None:
    """Open what is configured; None where nothing is, and nobody said that something should be."""
    named = path or click.get_current_context().find_root().params.get("config_path")
    try:
        config.find(named)
    except ConfigError as error:
        if named or config.VARIABLE in str(error):
            raise
        return None
    return open_app(path)


def _say(line: str) -> None:
    click.echo(output.printable(line))


def _tell_source(source: dict[str, Any]) -> None:
    kind = "" if source["kind"] == source["name"] else f" ({source['kind']})"
    _say(f"  {source['name']}{kind}")
    if source["error"]:
        _say(f"    cannot be asked: {source['error']}")
        return
    if source["missing"]:
        _say(f"    missing: {source['missing']}")
    for line in source["streams"]:
        _say(f"    {line}")
    _say(f"    {_estimate(source)}")


def _estimate(source: dict[str, Any]) -> str:
    """What would be fetched in a month, and at what price."""
    if source["brought"]:
        return "free: posts are brought to it"
    free = float(source["price_per_post"] or 0) == 0
    price = "free" if free else f"${source['price_per_post']} a post"
    matching, stored = source["matching_last_7_days"], source["stored_last_7_days"]
    if matching:
        cost = "" if free else f", about ${source['cost_a_month']}"
        return (
            f"{price}: about {counted(source['posts_a_month'], 'post')}{cost} a month "
            f"(from the {counted(matching, 'stored post')} of the last 7 days that match)"
        )
    why = (
        f"of its {counted(stored, 'stored post')} of the last 7 days none matches"
        if stored
        else "none are stored of the last 7 days"
    )
    way = (
        "`sentimon try` reads its latest posts"
        if source["first_look"]
        else "give the query to a brand, and read once with `sentimon run --once --job collect`"
    )
    cap = "" if free else " under a small monthly_budget"
    return f"{price}: cannot tell how many posts, {why}; to find out, {way}{cap}"


def _tell_posts(posts: dict[str, Any]) -> None:
    if not posts["stored"]:
        click.echo("\nNo stored posts to look through.")
        return
    hidden = f", {posts['hidden']:,} of them hidden" if posts["hidden"] else ""
    click.echo(f"\n{posts['matching']:,} of {counted(posts['stored'], 'stored post')} match{hidden}")
    for source, found in posts["by_source"].items():
        hidden = f", {found['hidden']:,} hidden" if found["hidden"] else ""
        _say(f"  {source}: {found['matching']:,}{hidden}")
    rows = [
        [
            post["created_at"][:16].replace("T", " "),
            post["source"],
            post["author"] or "-",
            "hidden" if post["hidden"] else "",
            output.shorten(post["text"], 160),
        ]
        for post in posts["newest"]
    ]
    if rows:
        output.print_table("\nThe newest", ["posted (UTC)", "source", "author", "", "post"], rows)


def _tell_rematched(done: "Rematched", dry_run: bool) -> None:
    columns = ["gained", "hidden", "shown again", "no longer match, kept"]
    tallies = [*done.brands.items(), ("posts in all", done.changed)]
    rows = [[name, tally.gained, tally.hidden, tally.shown, tally.kept] for name, tally in tallies]
    title = counted(done.posts, "stored post") + (": what would be done" if dry_run else "")
    output.print_table(title, ["brand", *columns], rows, right=columns)


def _rematched_json(done: "Rematched", dry_run: bool) -> dict[str, Any]:
    tallies = {name: _tally_json(tally) for name, tally in done.brands.items()}
    return {"dry_run": dry_run, "posts": done.posts, **_tally_json(done.changed), "brands": tallies}


def _tally_json(tally: Any) -> dict[str, int]:
    return {"gained": tally.gained, "hidden": tally.hidden, "shown": tally.shown, "kept": tally.kept}
