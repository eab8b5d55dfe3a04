"""What was posted before, and what is to be forgotten: backfill and forget."""

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.backfills import ASKED, DONE, REFUSED
from db.errors import InputError
from db.filters import Filter
from db.records import Backfill, Batch
from db.store import Store
from db.times import from_text, to_text
from jobs.backfill import backfill as read_on
from jobs.backfill import waits
from jobs.collector import Collector, Historian
from jobs.source import Source
from monitor.app import App, utc_now
from monitor.cli import output
from monitor.cli.options import Moment, Words, open_app, settle, with_config, with_json
from monitor.cli.run import AtWork, alone

if TYPE_CHECKING:
    from rich.progress import Progress


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stream is asked for, but for what was `read` before; `hindrance` says why it cannot be asked."""

    source: Source
    stream: str
    since: datetime
    until: datetime
    oldest: datetime | None = None
    hindrance: str | None = None
    read: Sequence[tuple[datetime, datetime]] = ()

    def line(self) -> str:
        """Write it for people."""
        name = f"{self.source.name} ({self.stream})" if self.stream else self.source.name
        if self.hindrance:
            return f"{name}: not possible: {self.hindrance}"
        cut = self.oldest is not None and self.oldest > self.since
        since = self.oldest if self.oldest and cut else self.since
        price = f"; {self.source.price} a post" if self.source.price else ""
        short = "; the platform gives nothing older" if cut else ""
        return f"{name}: {output.utc(since)} to {output.utc(self.until)} UTC{price}{short}"


@click.command()
@click.option("--brand", "brand_name", required=True, type=Words(), help="The brand.")
@click.option("--since", required=True, type=Moment(), help="From this time on: 2026-01-01, 30d, …")
@click.option("--until", type=Moment(), help="Before this time.  [default: when its posts were first collected]")
@click.option("--source", "only", multiple=True, type=Words(), help="Only this source, by its name; may be repeated.")
@click.option("--again", is_flag=True, help="Read anew what was read before, as after a change of the query.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked for, and end.")
@with_config
@click.pass_context
def backfill(
    ctx: click.Context,
    brand_name: str,
    since: datetime,
    until: datetime | None,
    only: tuple[str, ...],
    again: bool,
    dry_run: bool,
    config_path: Path | None,
) -> None:
    """Read what was posted on a brand before it was watched.

    It keeps within each source's limits and budget, and leaves the live runs what they are likely to need this month.
    Ctrl-C leaves the rest to `sentimon run`, as does a platform that asks to wait. Asking again goes on with it.
    """
    app = open_app(config_path, strict=True)
    now = from_text(to_text(utc_now()))
    if since >= min(until or now, now):
        raise click.UsageError(
            "--since must be before --until" if until and until < now else "--since must lie in the past"
        )
    sources = _chosen(app.make_sources(), only)
    with app.store() as store:
        brand = settle(Filter(brands=(brand_name,)), app, store).brands[0]
        brands = [each.name for each in app.config.brands]
        if brand not in brands:
            raise InputError(f"{app.config.path.name} has no brand {brand!r}, so that nothing is read on it")
        plans = [plan for source in sources for plan in plan_of(store, source, brand, brands, since, until, now, again)]
        for plan in plans:
            click.echo(output.printable(plan.line()))
        possible = [plan for plan in plans if not plan.hindrance]
        if not possible:
            click.echo(f"nothing to read: {'no source is configured' if not plans else 'see above'}")
        if dry_run or not possible:
            return
        asked = ask(store, possible, now, again)
        try:
            with alone(app.config.database):
                _work_off(app, store, asked)
        except AtWork:
            click.echo("`sentimon run` is at work on this database and reads it")
            return
        except KeyboardInterrupt:
            click.echo("left to `sentimon run`, which goes on with it")
            return
        found = [store.backfills.named(span_id) for span_id in sorted(asked)]
        for span in found:
            click.echo(output.printable(_result(store, span)))
    if any(span.state == REFUSED for span in found):
        ctx.exit(1)


def streams_of(collector: Collector, brand: str, brands: Collection[str]) -> list[str]:
    """Name the streams that may hold posts on a brand: its own, and those that are no other brand's.

    A stream is a brand's where its name, or what stands in it after a colon, is the brand's.
    """
    return [
        stream
        for stream in collector.streams()
        if brand in (names := {stream, stream.partition(":")[2]}) or not names & set(brands)
    ]


def plan_of(
    store: Store,
    source: Source,
    brand: str,
    brands: Collection[str],
    since: datetime,
    until: datetime | None,
    now: datetime,
    again: bool = False,
) -> Iterator[Plan]:
    """Say for each stream of a source that may hold posts on a brand what there is to read."""
    historian = source.collector
    if not isinstance(historian, Historian):
        yield Plan(source, "", since, until or now, hindrance=f'sources of kind "{source.kind}" give no past')
        return
    for stream in streams_of(source.collector, brand, brands):
        own = brand in (stream, stream.partition(":")[2])
        read = [] if again else store.sources.read_for(source.name, stream, None if own else brand)
        if own:
            collected = store.sources.first_read(source.name, stream)
        else:  # what comes behind the last span that was read for the brand, the live runs read
            collected = store.sources.covered_until(source.name).get(stream) if read else None
        end = min(until or collected or now, now)
        oldest = historian.oldest(stream, now)
        start = max(since, oldest or since)
        if end <= since:
            yield Plan(
                source,
                stream,
                since,
                end,
                oldest,
                f"collected since {output.utc(end)} UTC; --until asks for later posts",
            )
        elif oldest and oldest >= end:
            yield Plan(
                source, stream, since, end, oldest, f"the platform gives nothing before {output.utc(oldest)} UTC"
            )
        elif again:
            yield Plan(source, stream, since, end, oldest)
        elif not (parts := store.backfills.unread(source.name, stream, start, end, read)):
            yield Plan(source, stream, since, end, oldest, "read before; --again reads it anew")
        else:
            for first, last in parts:
                yield Plan(source, stream, since if first == start else first, last, oldest, read=read)


def ask(store: Store, plans: Sequence[Plan], now: datetime, again: bool) -> set[int]:
    """Ask for all that is planned; return the ids of the spans to read for it, those asked for earlier among them."""
    with store.transaction():
        for plan in plans:
            source = plan.source
            store.sources.configured(source.name, source.kind, source.fingerprint)
            store.backfills.ask_now(source.name, now)
            store.backfills.request(source.name, plan.stream, plan.since, plan.until, ASKED, now, again, plan.read)
        found = [span for span in store.backfills.open() if any(_meets(span, plan) for plan in plans)]
        for span in found:
            store.backfills.note(span, None)
    return {span.id for span in found}


def _meets(span: Backfill, plan: Plan) -> bool:
    same = (span.source, span.stream) == (plan.source.name, plan.stream)
    return same and span.since < plan.until and plan.since < span.until


def _chosen(sources: Sequence[Source], only: Sequence[str]) -> Sequence[Source]:
    known = {source.name.casefold(): source for source in sources}
    for name in only:
        if name.casefold() not in known:
            there = ", ".join(source.name for source in sources)
            raise InputError(f"no source {name!r}; there are: {there or 'none'}")
    return [known[name.casefold()] for name in dict.fromkeys(only)] if only else sources


def _work_off(app: App, store: Store, asked: Collection[int]) -> None:
    """Read until all is done, or waits for something."""
    sources = app.make_sources()
    troubled: set[str] = set()
    with _bars([store.backfills.named(span_id) for span_id in sorted(asked)]) as bars:
        while True:
            now = utc_now()
            read_on(store, sources, app.config.brands, now, busy=troubled, only=asked, told=bars.show)
            left = [span for span in store.backfills.open() if span.id in asked]
            troubled |= {span.source for span in left if span.note or waits(store, span.source, now)}
            if all(span.source in troubled for span in left):
                return


def _result(store: Store, span: Backfill) -> str:
    name = f"{span.source} ({span.stream}) from {output.utc(span.since)} to {output.utc(span.until)} UTC"
    counts = f"{span.fetched} fetched, {span.stored} stored"
    if span.state == DONE:
        return f"{name}: done, {counts}"
    if span.state == REFUSED:
        return f"{name}: refused: {span.note}"
    why = waits(store, span.source, utc_now()) or span.note
    return f"{name}: {counts}; {why}; `sentimon run` goes on with it"


@dataclass(slots=True)
class _Bars:
    """A bar for each span: the share of its time that was read, and the posts stored."""

    progress: "Progress"
    tasks: dict[int, int] = field(default_factory=dict)
    read: dict[int, tuple[datetime, datetime]] = field(default_factory=dict)

    def show(self, span: Backfill, batch: Batch) -> None:
        """Move on with what a batch brought."""
        times = [mention.created_at for mention in batch.mentions]
        if span.resume and span.reached and span.id not in self.read:  # most platforms give the newest first
            self.read[span.id] = (span.reached, span.until)
        if times:
            oldest, newest = self.read.get(span.id, (times[0], times[0]))
            self.read[span.id] = (max(min(*times, oldest), span.since), min(max(*times, newest), span.until))
        oldest, newest = self.read.get(span.id, (span.until, span.until))
        share = 1.0 if batch.cursor is not None else (newest - oldest) / (span.until - span.since)
        task = self.progress.tasks[self.tasks[span.id]]
        stored = task.fields["stored"] + len(batch.mentions)
        self.progress.update(task.id, completed=max(share, task.completed), stored=stored)


@contextmanager
def _bars(spans: Sequence[Backfill]) -> Iterator[_Bars]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[stored]:,} posts"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not output.is_terminal(sys.stderr)) as progress:
        bars = _Bars(progress)
        for span in spans:
            name = output.printable(f"{span.source} ({span.stream})")
            bars.tasks[span.id] = progress.add_task(name, total=1.0, stored=span.stored)
        yield bars


@click.command()
@click.option("--author", required=True, type=Words(), help="As the platform names them; on X that is a number.")
@click.option("--source", type=Words(), help="Only on this source.  [default: on all]")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_json
@with_config
@click.pass_context
def forget(
    ctx: click.Context, author: str, source: str | None, yes: bool, as_json: bool, config_path: Path | None
) -> None:
    """Erase a person's posts everywhere, and store none of them again.

    Text, author and older versions go, from the bytes of the file too, and the words of notes and replies; the posts
    stay counted. What is printed is a receipt without the name: a hash stands for it. On X authors are known by their
    number, see `sentimon export`. Backups, exports and models that learned from the posts are not reached.
    """
    app = open_app(config_path)
    with app.store() as store:
        sources = set(settle(Filter(sources=(source,)), app, store).sources) if source else _all_sources(app, store)
        found = {name: count for name, count in store.forgotten.posts_by(author).items() if name in sources}
        if not yes:
            _confirm(author, found, sources)
        now = utc_now()
        with store.transaction():
            receipts = [store.forgotten.forget(name, author, now) for name in sorted(sources)]
        clean = store.forgotten.scrub()
    if as_json:
        erased = [
            {
                "source": one.source,
                "posts": one.posts,
                "versions": one.versions,
                "cases": one.cases,
                "notes": one.notes,
                "replies": one.replies,
                "author_hash": one.author_hash,
            }
            for one in receipts
        ]
        output.print_json({"at": to_text(now), "erased": erased, "file_written_anew": clean})
    else:
        rows = [
            [to_text(now), one.source, one.posts, one.versions, one.notes, one.replies, one.author_hash]
            for one in receipts
        ]
        columns = ["erased at", "source", "posts", "older versions", "notes", "replies", "person"]
        # A mistyped name would else read as done; they are kept out all the same, as was asked.
        none = "No posts of this person are stored, nothing was erased; from now on none is stored"
        title = "Erased, and not stored again" if any(one.posts for one in receipts) else none
        output.print_table(title, columns, rows, right=columns[2:6])
    if not clean:
        click.echo(
            "sentimon: erased, but the file could not be written anew, and may hold traces: something else uses it, "
            "or there is no room; give the same command again",
            err=True,
        )
        ctx.exit(1)


def _all_sources(app: App, store: Store) -> set[str]:
    return {source.kind for source in app.config.sources} | set(store.mentions.counts_by_source())


def _confirm(author: str, found: dict[str, int], sources: Collection[str]) -> None:
    counts = ", ".join(f"{count} on {name}" for name, count in sorted(found.items())) or "no posts"
    name = output.printable(author)
    question = f"{counts} by {name}. Erase them for ever, and store none again on {', '.join(sorted(sources))}?"
    try:
        if click.confirm(output.printable(question), err=True):
            return
    except click.Abort:
        click.echo(err=True)
    raise InputError("not confirmed, nothing erased; --yes erases without asking")
