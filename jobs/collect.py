"""Collect: read what is new on a source, keep the posts that name a brand, and write down what was and was not read.

A batch and the position that it leads to are stored in one transaction, so a crash at any moment loses nothing and
doubles nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from db.errors import CollectorError, NotAuthorised, RateLimited, StreamRefused
from db.mentions import Added
from db.records import Batch, Coverage, Gap, Position
from db.store import Store
from jobs.meter import StoreMeter
from jobs.outcome import Outcome
from jobs.source import Source, cause_of, keep
from models.brand import Brand

__all__ = ["Source", "cause_of", "collect", "keep"]

ERRORS_TOLD = 3  # of the streams that could not be read; coverage names them all


def collect(store: Store, source: Source, brands: Sequence[Brand], now: datetime) -> Outcome:
    """Read every stream of the source, the one read longest ago first. Errors of the platform end up in the outcome."""
    with store.transaction():
        store.sources.configured(source.name, source.kind, source.fingerprint)
        store.sources.watch(source.name, [brand.name for brand in brands], now)
    state = store.sources.state(source.name)
    if state and state.paused:
        return Outcome({}, f"paused: {state.paused}; mend it, then `sentimon resume {source.name}`")
    if state and state.not_before and state.not_before > now:
        return Outcome({}, note=f"waits until {state.not_before:%Y-%m-%d %H:%M} UTC: {state.last_error}")

    covered = store.sources.covered_until(source.name)
    streams = sorted(source.collector.streams(), key=lambda stream: (stream in covered, covered.get(stream, now)))
    total, fetched, error, note = Added(), 0, None, None
    failed: list[str] = []  # what is wrong with streams that are tried again
    refused: list[str] = []
    bug: Exception | None = None
    for stream in streams:
        reading = _Reading(store, source, stream, brands, covered.get(stream), now)
        try:
            reading.read()
        except RateLimited as limit:
            note = str(limit)
            with store.transaction():
                store.sources.wait(source.name, now, note, limit.not_before)
            break
        except StreamRefused as refusal:
            refused.append(str(refusal))
        except NotAuthorised as refusal:
            error = str(refusal)
            with store.transaction():
                store.sources.pause(source.name, now, error)
            break
        except CollectorError as failure:
            failed.append(str(failure))
            with store.transaction():
                store.sources.failed(source.name, now, failed[-1])
        except Exception as raised:
            bug = raised  # told below, when the other streams have had their turn
        finally:
            total += reading.added
            fetched += reading.fetched
    if bug:
        raise bug
    troubles = [*([error] if error else []), *failed, *refused]
    read = len(streams) - len(troubles) if error is None and note is None else 0  # what ended the run left out others
    if read:  # each hour's coverage says what is missing of the rest
        with store.transaction():
            store.sources.succeeded(source.name, now)
            if state and state.last_error and not failed:
                store.backfills.ask_now(source.name, now)
    if troubles:
        error = _told(troubles, read, len(streams))
        with store.transaction():
            if len(refused) == len(streams):
                store.sources.pause(source.name, now, error)
            elif note is None:
                store.sources.failed(source.name, now, error)
    counts = {"fetched": fetched, "stored": total.stored, "known": total.known, "matched": total.matched}
    passed_over = fetched - total.stored - total.known  # they name no brand, or were read before
    if passed_over > 0:
        counts["passed_over"] = passed_over
    return Outcome(counts, error, note)


def _told(troubles: Sequence[str], read: int, of: int) -> str:
    """Name the first few errors of a run, and say how many of its streams were read all the same."""
    more = len(troubles) - ERRORS_TOLD
    told = "; ".join(troubles[:ERRORS_TOLD]) + (f"; and {more} more" if more > 0 else "")
    return f"{told}; {read} of {of} streams {'was' if read == 1 else 'were'} read" if read else told


class _Reading:
    """One stream, read once."""

    def __init__(
        self,
        store: Store,
        source: Source,
        stream: str,
        brands: Sequence[Brand],
        since: datetime | None,
        now: datetime,
    ) -> None:
        self._store = store
        self._source = source
        self._stream = stream
        self._brands = brands
        self._since = since
        self._now = now
        self._gaps: list[Gap] = []
        self._meter = StoreMeter(store, source.name, source.monthly_budget, now, source.total_budget)
        self.added = Added()
        self.fetched = 0

    def read(self) -> None:
        """Read to the end; what came before an error is kept, and the error is written down as missing coverage."""
        position = self._store.sources.position(self._source.name, self._stream)
        try:
            for batch in self._source.collector.collect(self._stream, position, self._meter, self._now):
                position = self._keep(batch, position)
        except CollectorError as error:
            self._fell_short(str(error), cause_of(error))
            raise
        except Exception as bug:
            self._fell_short(f"bug: {type(bug).__name__}", "bug")
            raise
        *before, last = self._wholly_read()
        with self._store.transaction():
            for since, until in before:
                self._cover("complete", span=(since, until))
            self._since = last[0]
            self._cover("complete")

    def _wholly_read(self) -> list[tuple[datetime | None, datetime]]:
        """Return the span of the run less its gaps, in order; the last part ends now."""
        parts: list[tuple[datetime | None, datetime]] = []
        start = self._since
        for gap in sorted(self._gaps, key=lambda gap: gap.since or gap.until):
            if start and gap.since and start < gap.since:
                parts.append((start, gap.since))
            start = max(start or gap.until, gap.until)
        return [*parts, (start, self._now)]

    def _fell_short(self, reason: str, cause: str) -> None:
        with self._store.transaction():
            self._cover("partial" if self.fetched else "missing", reason, cause)

    def _keep(self, batch: Batch, position: Position) -> Position:
        moved = Position(batch.cursor or position.cursor, batch.resume)
        with self._store.transaction():
            self.added += keep(self._store, self._source, batch, self._brands, self._now)
            self._store.sources.move(self._source.name, self._stream, moved)
            if batch.gap:
                self._cover("missing", batch.gap.reason, batch.gap.cause, (batch.gap.since, batch.gap.until))
                self._gaps.append(batch.gap)
        self.fetched += batch.fetched
        return moved

    def _cover(
        self,
        state: str,
        reason: str | None = None,
        cause: str | None = None,
        span: tuple[datetime | None, datetime] | None = None,
    ) -> None:
        """Write down the run as it went, or what became of a part of its span."""
        self._store.sources.cover(
            Coverage(
                source=self._source.name,
                stream=self._stream,
                started_at=self._now,
                since=span[0] if span else self._since,
                until=span[1] if span else self._now,
                state=state,
                reason=reason,
                fetched=0 if span else self.fetched,
                stored=0 if span else self.added.stored,
                cost=Decimal(0) if span else self._meter.cost,
                cause=cause,
            )
        )
