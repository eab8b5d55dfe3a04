"""Try: the latest public posts on a name, read and judged on the spot."""

import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from db.errors import InputError
from db.filters import Filter
from db.records import Match
from db.store import Store
from db.times import to_text
from db.trends import Trend
from monitor import config, plugins, shapes
from monitor.app import utc_now
from monitor.cli import output
from monitor.cli.options import Words, with_json

if TYPE_CHECKING:
    from models.brand import Brand
    from monitor.first_look import Reading

SHOWN = 3  # posts at either end
ALIKE = 30  # looked at for these: the same text may be there many times
FORMULA = "(positive - negative) / (positive + negative + neutral)"


@click.command("try")
@click.argument("name", type=Words())
@click.option("--query", "text", type=Words(), metavar="QUERY", help="Which posts name it.  [default: the name]")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 10_000), help="Posts of each source.")
@click.option("--keep", type=click.Path(path_type=Path), metavar="FILE", help="Keep the posts in this database.")
@with_json
@click.pass_context
def first_look(ctx: click.Context, name: str, text: str | None, limit: int, keep: Path | None, as_json: bool) -> None:
    """Read and score the latest public posts on a brand: no configuration, no key.

    Every source that needs no key is read, for 45 seconds at most, and the bundled model judges what they had. Without
    --keep nothing is left on disk. Exit code 1 when nothing could be read at all.
    """
    from jobs.score import score
    from models import classifier
    from monitor.first_look import FirstLook

    now = utc_now()
    brand = _brand(name, text)
    kinds = plugins.load()
    with _ending_cleanly(), _database(keep) as path, Store(path) as store:
        look = FirstLook(kinds, brand, path, limit, now)
        try:
            if not look.kinds:
                raise InputError("no source that needs no key is installed; see `sentimon plugins`")
            with output.working() as show:
                show(f"reading {', '.join(look.kinds)}")
                model = classifier.load("bundled", languages=("en",))  # while they are being read
                readings = look.readings()
        finally:
            look.stop()
        with output.progress("scoring", store.mentions.pending_count()) as bar:
            done = 0

            def more(count: int) -> None:
                nonlocal done
                done += count
                bar(done, done)

            score(store, model, lambda: now, progress=more)
        taken = _take(store, brand, readings)
        nothing = not taken["sources"] and not any(reading.answered for reading in readings)
        if keep and nothing:
            _remove(keep)
    taken["kept"] = str(keep) if keep and not nothing else None
    if as_json:
        output.print_json(taken)
    else:
        _tell(taken, now)
        _tell_next(taken, kinds)
    if nothing:
        ctx.exit(1)


def _brand(name: str, text: str | None) -> "Brand":
    """Make a brand of the name; without a query, the name is looked for as a phrase."""
    from pydantic import ValidationError

    from models.brand import Brand
    from models.query import parse
    from models.tokens import clean
    from monitor.sections import BrandSection

    words = "".join(" " if ch in '"*?' else ch for ch in clean(name))  # what would end a phrase or be a wildcard
    try:
        section = BrandSection(name=name, query=text or f'"{words}"')
    except ValidationError as error:
        message = error.errors(include_context=False, include_url=False)[0]["msg"]
        raise InputError(f"the name {message.removeprefix('Value error, ')}") from None
    return Brand(section.name, parse(section.query))


@contextmanager
def _database(keep: Path | None) -> Iterator[Path]:
    """Say where the posts go: to a file that is new, else to one that is gone afterwards."""
    if keep is None:
        # What a source that was left alone still holds open goes with the process.
        with tempfile.TemporaryDirectory(prefix="sentimon-try-", ignore_cleanup_errors=True) as folder:
            yield Path(folder) / "try.db"
        return
    if keep.exists():
        raise InputError(f"{keep}: is there already; name a new file with --keep")
    yield keep


def _remove(database: Path) -> None:
    for end in ("", "-wal", "-shm"):
        database.with_name(database.name + end).unlink(missing_ok=True)


@contextmanager
def _ending_cleanly() -> Iterator[None]:
    """Let SIGTERM end as Ctrl-C does, so that nothing is left on disk."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _take(store: Store, brand: "Brand", readings: "Sequence[Reading]") -> dict[str, Any]:
    """Gather what was found as plain values."""
    everything = Filter()
    posted: dict[str, list[datetime]] = {}
    for match in store.mentions.every(everything):
        posted.setdefault(match.mention.source, []).append(match.mention.created_at)
    total = next(iter(store.trends.by((), everything)), Trend(None, brand.name, {}, 0, 0, 0, 0))
    stages = store.trends.by(("stage",), everything)
    return {
        "brand": brand.name,
        "query": str(brand.query),
        "sources": [
            {"source": source, "posts": len(times), "since": to_text(times[0]), "until": to_text(times[-1])}
            for source, times in sorted(posted.items())
        ],
        "read": [reading.kind for reading in readings if reading.answered],
        "problems": [{"source": each.kind, "problem": each.problem} for each in readings if each.problem],
        **{key: value for key, value in shapes.trend_json(total).items() if key not in ("bucket", "brand")},
        "by_stage": [shapes.trend_json(stage) for stage in stages],
        "most_negative": [shapes.match_json(match) for match in _surest(store, "negative")],
        "most_positive": [shapes.match_json(match) for match in _surest(store, "positive")],
    }


def _surest(store: Store, sentiment: str) -> list[Match]:
    """The posts whose sentiment is surest, each text once."""
    found: dict[str, Match] = {}
    for match in store.scores.surest(sentiment, ALIKE):
        found.setdefault(" ".join(match.mention.text.casefold().split()), match)
    return list(found.values())[:SHOWN]


def _tell(taken: dict[str, Any], now: datetime) -> None:
    click.echo(output.printable(f"{taken['brand']}: public posts that match {taken['query']}"))
    if taken["sources"]:
        rows = [
            [each["source"], each["posts"], *map(_minute, (each["since"], each["until"]))] for each in taken["sources"]
        ]
        output.print_table("", ["source", "posts", "from (UTC)", "to (UTC)"], rows, right=["posts"])
    for each in taken["problems"]:
        click.echo(output.printable(f"Not read{_partly(each, taken)}: {each['source']}: {each['problem']}"))
    if not taken["sources"]:
        if taken["read"]:
            click.echo(f"Nothing found on {', '.join(taken['read'])}; try other words with --query.")
        else:
            click.echo("No source could be read: is this machine connected to the internet? Then try again later.")
        return
    _tell_feelings(taken)
    for title, posts in (("Most negative", taken["most_negative"]), ("Most positive", taken["most_positive"])):
        if posts:
            click.echo(f"\n{title}")
        for post in posts:
            _tell_post(post, now)


def _partly(problem: dict[str, Any], taken: dict[str, Any]) -> str:
    return " to the end" if any(each["source"] == problem["source"] for each in taken["sources"]) else ""


def _tell_feelings(taken: dict[str, Any]) -> None:
    rated = taken["mentions"] - taken["not_rated"]
    net = "-" if taken["net_sentiment"] is None else f"{taken['net_sentiment']:+.2f}"
    click.echo(f"\nNet sentiment {net} = {FORMULA}, n = {rated}")
    columns = ["mentions", "negative", "neutral", "positive", "not rated", "net sentiment"]
    rows = [[name, *_counts(each)] for name, each in [("all", taken), *((s["stage"], s) for s in taken["by_stage"])]]
    output.print_table("", ["stage", *columns], rows, right=columns)


def _counts(each: dict[str, Any]) -> list[object]:
    net = "-" if each["net_sentiment"] is None else f"{each['net_sentiment']:+.2f}"
    return [each[key] for key in ("mentions", "negative", "neutral", "positive", "not_rated")] + [net]


def _tell_post(post: dict[str, Any], now: datetime) -> None:
    age = _age(now - datetime.fromisoformat(post["created_at"]))
    click.echo(f"  {output.printable(post['source'])}, {age}: {output.shorten(post['text'], 160)}")
    if (post["url"] or "").startswith(("https://", "http://")):
        click.echo(f"    {output.printable(post['url'])}")


def _tell_next(taken: dict[str, Any], kinds: plugins.Kinds) -> None:
    from monitor.first_look import wants_key

    keyed = sorted(name for name, kind in kinds.collectors.items() if wants_key(kind))
    free = sorted(name for name, kind in kinds.collectors.items() if kind.first_look)
    click.echo("\nWhat next")
    click.echo(f"  `sentimon init` writes {config.FILE_NAME}: give your brand its query there, and its sources")
    click.echo(f"  without a key: {', '.join(free)}" + (f"; with one: {', '.join(keyed)}" if keyed else ""))
    click.echo("  `sentimon query test` shows what a query asks of each of them, and what that costs")
    if taken["kept"]:
        click.echo(
            output.printable(f"  {taken['kept']} holds these posts: name it as `database` in {config.FILE_NAME}")
        )


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def _age(age: timedelta) -> str:
    minutes = max(int(age.total_seconds() // 60), 0)
    if minutes < 60:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"
