"""Backfill: read spans of the past that a person asked for, and gaps that a platform can still fill.

A batch, and how far it brings its span, are stored in one transaction: killed at any moment, nothing is lost and
nothing doubled. It never gets in the way of the live runs: a few requests a turn, none while a source's own reading is
due, and no money that they are likely to need.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from db.backfills import GAP, REFUSED
from db.errors import BudgetSpent, CollectorError, NotAuthorised, RateLimited
from db.records import Backfill, Batch, Coverage, Gap
from db.store import Store
from jobs.collector import Historian
from jobs.outcome import Outcome
from jobs.source import Source, keep
from jobs.spare import spare
from models.brand import Brand

MOST = 10  # requests a turn, over all spans
PUT_OFF = timedelta(days=1)  # of a gap that the platform refuses to give


def backfill(
    store: Store,
    sources: Sequence[Source],
    brands: Sequence[Brand],
    now: datetime,
    most: int = MOST,
    busy: Collection[str] = (),
    only: Collection[int] | None = None,
    told: Callable[[Backfill, Batch], None] = lambda span, batch: None,
) -> Outcome:
    """Read on in the spans that are open: those of the cheapest source first, then the oldest request.

    `busy` names sources to leave alone in this turn, `only` the ids of spans, all where it is None; `told` is called
    after each batch. A span of a source that is not configured waits.
    """
    turn = _Turn(store, sources, brands, now, most, told)
    for source in sources:
        turn.ask_for_gaps(source)
    by_name = {source.name: source for source in sources}
    spans = [span for span in store.backfills.open() if span.source in by_name and (only is None or span.id in only)]
    for span in sorted(spans, key=lambda span: (by_name[span.source].price, span.id)):
        if turn.left > 0 and span.source not in busy:
            turn.work(by_name[span.source], span)
    if turn.bug:
        raise turn.bug
    return turn.outcome()


def waits(store: Store, source: str, now: datetime) -> str | None:
    """Say why a source is not to be asked now; None where nothing is in the way."""
    state = store.sources.state(source)
    if state and state.paused:
        return f"paused: {state.paused}; mend it, then `sentimon resume {source}`"
    if state and state.not_before and state.not_before > now:
        return f"waits until {state.not_before:%Y-%m-%d %H:%M} UTC: {state.last_error}"
    return None


class _Turn:
    """One turn over the spans that are open."""

    def __init__(
        self,
        store: Store,
        sources: Sequence[Source],
        brands: Sequence[Brand],
        now: datetime,
        most: int,
        told: Callable[[Backfill, Batch], None],
    ) -> None:
        self._store = store
        self._sources = sources
        self._brands = brands
        self._now = now
        self._told = told
        self._troubled: set[str] = set()  # sources that are not asked again in this turn
        self._requests = self._fetched = self._stored = self._done = 0
        self._most = most
        self._errors: list[str] = []
        self._notes: list[str] = []
        self.bug: Exception | None = None

    @property
    def left(self) -> int:
        """How many requests the turn has left."""
        return self._most - self._requests

    def outcome(self) -> Outcome:
        """Tell what the turn did."""
        counts = {"requests": self._requests, "fetched": self._fetched, "stored": self._stored, "done": self._done}
        return Outcome(counts, "; ".join(self._errors) or None, "; ".join(self._notes) or None)

    def ask_for_gaps(self, source: Source) -> None:
        """Ask for what a live run could not read, as far as the platform still gives it."""
        historian = source.collector
        if not isinstance(historian, Historian):
            return
        streams = set(source.collector.streams())
        for gap in self._store.sources.told_gaps(source.name):
            oldest = historian.oldest(gap.stream, self._now) if gap.stream in streams else gap.until
            if gap.since is None or gap.until is None or (oldest and oldest >= gap.until):
                continue
            since = max(gap.since, oldest) if oldest else gap.since
            with self._store.transaction():
                self._store.backfills.request(source.name, gap.stream, since, gap.until, GAP, self._now)

    def work(self, source: Source, span: Backfill) -> None:
        """Read on in one span, until it is done or the turn is over. Errors of the platform become its note."""
        historian = source.collector
        if not isinstance(historian, Historian) or span.stream not in source.collector.streams():
            self._refuse(span, f"{source.name} cannot read the past of {span.stream}")
            return
        if source.name in self._troubled or waits(self._store, source.name, self._now):
            return
        if span.requested_at > self._now:
            return
        reachable = self._cut(historian, span)
        if reachable is None:
            return
        try:
            self._read(source, historian, reachable)
        except BudgetSpent as spent:  # the live runs go on with what is kept for them
            self._hold(span, str(spent))
        except RateLimited as limit:
            with self._store.transaction():
                self._store.sources.wait(source.name, self._now, str(limit), limit.not_before)
            self._hold(span, str(limit))
        except NotAuthorised as refusal:
            if span.cause == GAP:
                self._put_off(span, str(refusal))
            else:
                self._refuse(span, str(refusal))
        except CollectorError as failure:
            self._hold(span, str(failure), failed=True)
        except Exception as bug:
            self._hold(span, f"bug: {type(bug).__name__}; the log has the details")
            self.bug = bug  # raised when the other sources have had their turn

    def _cut(self, historian: Historian, span: Backfill) -> Backfill | None:
        """Leave out what the platform gives no more; None where that is all of it. A span that was begun is whole."""
        oldest = historian.oldest(span.stream, self._now)
        if oldest is None or oldest <= span.since or span.resume is not None:
            return span
        reason = f"older than what the platform gives, which begins at {oldest:%Y-%m-%d %H:%M} UTC"
        with self._store.transaction():
            return self._leave_out(span, Gap(span.since, oldest, reason, "capped"))

    def _leave_out(self, span: Backfill, gap: Gap) -> Backfill | None:
        """Write down that a gap in a span cannot be read; return the span as it is now, None where nothing is left.

        What lies around a gap in the middle is read all the same: `finish` takes the gap out of it.
        """
        since, until = max(gap.since or span.since, span.since), min(gap.until, span.until)
        self._cover(span, since, until, "missing", gap.reason, gap.cause)
        if since > span.since:
            self._store.backfills.leave_out(span, since, until, gap.reason)
            return span
        if until == span.until:
            self._store.backfills.close(span, REFUSED, gap.reason)
            return None
        return self._store.backfills.cut(span, until, gap.reason)

    def _read(self, source: Source, historian: Historian, span: Backfill) -> None:
        meter = spare(self._store, source, self._sources, self._now)
        for batch in historian.history(span.stream, span.since, span.until, span.resume, meter, self._now):
            self._requests += 1
            rest = self._keep(source, span, batch)
            self._told(span, batch)
            if rest is None:
                return
            span = rest
            if self.left <= 0 and batch.resume is not None:  # without, the next turn would begin again
                return
        with self._store.transaction():
            self._finish(span)

    def _keep(self, source: Source, span: Backfill, batch: Batch) -> Backfill | None:
        """Store a batch with the progress that it is; return the span as it is now, None where it has ended."""
        oldest = min((mention.created_at for mention in batch.mentions), default=None)
        rest: Backfill | None = span
        with self._store.transaction():
            added = keep(self._store, source, batch, self._brands, self._now)
            self._store.backfills.progress(span, batch.resume, oldest, batch.fetched, added.stored)
            if batch.gap and batch.gap.until > span.since and (batch.gap.since or span.since) < span.until:
                rest = self._leave_out(span, batch.gap)
            if rest and batch.cursor is not None:
                self._finish(rest)
                rest = None
        self._fetched += batch.fetched
        self._stored += added.stored
        return rest and replace(rest, resume=batch.resume)

    def _finish(self, span: Backfill) -> None:
        parts = self._store.backfills.finish(span)
        for part in parts:
            self._cover(part, part.since, part.until, "complete")
        self._done += bool(parts)

    def _cover(
        self,
        span: Backfill,
        since: datetime,
        until: datetime,
        state: str,
        reason: str | None = None,
        cause: str | None = None,
    ) -> None:
        self._store.sources.cover(
            Coverage(
                source=span.source,
                stream=span.stream,
                started_at=self._now,
                since=since,
                until=until,
                state=state,
                reason=reason,
                fetched=span.fetched if state == "complete" else 0,
                stored=span.stored if state == "complete" else 0,
                cost=Decimal(0),  # that of live runs stands here: by it, what they will need is told
                cause=cause,
            )
        )

    def _hold(self, span: Backfill, note: str, failed: bool = False) -> None:
        """Let a span wait for a later turn, and its source for the next one."""
        with self._store.transaction():
            self._store.backfills.note(span, note)
        self._troubled.add(span.source)
        (self._errors if failed else self._notes).append(f"{span.source} ({span.stream}): {note}")

    def _put_off(self, span: Backfill, note: str) -> None:
        """Ask for a gap again in a day, or once the source reads again: nobody asked for it, and nobody would again."""
        with self._store.transaction():
            self._store.backfills.put_off(span, self._now + PUT_OFF, note)
        self._troubled.add(span.source)
        self._errors.append(f"{span.source} ({span.stream}): {note}")

    def _refuse(self, span: Backfill, note: str) -> None:
        with self._store.transaction():
            self._store.backfills.close(span, REFUSED, note)
        self._errors.append(f"{span.source} ({span.stream}): {note}")
