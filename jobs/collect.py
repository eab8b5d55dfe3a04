"""Collect: read what is new on a source, keep the posts that name a brand, and write down what was and was not read.

A batch and the position that it leads to are stored in one transaction, so a crash at any moment loses nothing and
doubles nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from db.errors import CollectorError, NotAuthorised, RateLimited, StreamRefused
from db.mentions import Added
from db.records import Batch, Coverage, Gap, Position
from db.store import Store
from jobs.collector import Listener
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
    gaps = _told_gaps(store, source)
    beside = frozenset(source.collector.beside()) if isinstance(source.collector, Listener) else frozenset()
    streams = sorted(
        source.collector.streams(),
        key=lambda stream: (stream in beside, stream in covered, covered.get(stream, now)),
    )
    resting = {stream for stream in streams if stream not in beside}  # on whose reading the source's rests
    total, fetched, error, note = Added(), 0, None, None
    failed: dict[str, str] = {}  # what is wrong with streams that are tried again
    refused: dict[str, str] = {}
    bug: Exception | None = None
    for stream in streams:
        since = covered.get(stream) if stream in resting else None
        reading = _Reading(store, source, stream, brands, since, now, gaps.get(stream, ()), stream in resting)
        try:
            reading.read()
        except RateLimited as limit:
            note = str(limit)
            with store.transaction():
                store.sources.wait(source.name, now, note, limit.not_before)
            break
        except StreamRefused as refusal:
            refused[stream] = str(refusal)
        except NotAuthorised as refusal:
            error = str(refusal)
            with store.transaction():
                store.sources.pause(source.name, now, error)
            break
        except CollectorError as failure:
            failed[stream] = str(failure)
            with store.transaction():
                store.sources.failed(source.name, now, failed[stream])
        except Exception as raised:
            bug = raised  # told below, when the other streams have had their turn
        finally:
            total += reading.added
            fetched += reading.fetched
    if bug:
        raise bug
    troubles = [*([error] if error else []), *failed.values(), *refused.values()]
    whole = error is None and note is None  # what ended the run left out others
    read = len(resting - failed.keys() - refused.keys()) if whole else 0
    error = _told(troubles, read, len(resting)) if troubles else None
    with store.transaction():  # one: without its troubles, all of a source would seem to be read
        if read:  # each hour's coverage says what is missing of the rest
            store.sources.succeeded(source.name, now)
            if state and state.last_error and not failed:
                store.backfills.ask_now(source.name, now)
        if error:
            if refused and resting <= refused.keys():
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


def _told_gaps(store: Store, source: Source) -> Mapping[str, Sequence[Gap]]:
    """By stream, what earlier runs told of as not given, and nobody has read since.

    A run that told of a gap and then ended in an error was not written down as read: the next one begins where it
    began, and must leave out what it does not read again.
    """
    found: dict[str, list[Gap]] = {}
    for gap in store.sources.told_gaps(source.name):
        if gap.until is not None:
            found.setdefault(gap.stream, []).append(Gap(gap.since, gap.until, gap.reason or ""))
    return found


class _Reading:
    """One stream, read once; `told` are the gaps that earlier runs told of.

    Where nothing `rests` on the stream, no span is written down for it: only that it was heard, why not, and its cost.
    """

    def __init__(
        self,
        store: Store,
        source: Source,
        stream: str,
        brands: Sequence[Brand],
        since: datetime | None,
        now: datetime,
        told: Sequence[Gap],
        rests: bool,
    ) -> None:
        self._store = store
        self._source = source
        self._stream = stream
        self._brands = brands
        self._since = since
        self._now = now
        # Before the first reading, what was told is of a past that somebody asked for.
        self._gaps: list[Gap] = [] if since is None else list(told)
        self._rests = rests
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
        self._end("complete")

    def _end(self, state: str, reason: str | None = None, cause: str | None = None) -> None:
        """Write down what became of the run's span; its gaps have been."""
        *before, last = self._parts()
        with self._store.transaction():
            for part in before:
                self._cover(state, reason, cause, part)
            self._since = last[0]
            self._cover(state, reason, cause)

    def _parts(self) -> list[tuple[datetime | None, datetime]]:
        """Return the span of the run less its gaps, in order; the last part ends now."""
        parts: list[tuple[datetime | None, datetime]] = []
        start = self._since
        for gap in sorted(self._gaps, key=lambda gap: gap.since or gap.until):
            if start and gap.since and start < gap.since:
                parts.append((start, gap.since))
            start = max(start or gap.until, gap.until)
        return [*parts, (start, self._now)]

    def _fell_short(self, reason: str, cause: str) -> None:
        if self._since is None:  # how far back a first reading goes it tells when it is done
            self._gaps.clear()
        self._end("partial" if self.fetched else "missing", reason, cause)

    def _keep(self, batch: Batch, position: Position) -> Position:
        moved = Position(batch.cursor or position.cursor, batch.resume)
        with self._store.transaction():
            self.added += keep(self._store, self._source, batch, self._brands, self._now)
            self._store.sources.move(self._source.name, self._stream, moved)
            if batch.gap and self._rests:
                gap = self._begun(batch.gap)
                self._cover("missing", gap.reason, gap.cause, (gap.since, gap.until))
                self._gaps.append(gap)
        self.fetched += batch.fetched
        return moved

    def _begun(self, gap: Gap) -> Gap:
        """A gap that does not say where it begins begins where the last reading ended, or hours would be left out."""
        ended = self._since is not None and gap.since is None and self._since < gap.until
        return replace(gap, since=self._since) if ended else gap

    def _cover(
        self,
        state: str,
        reason: str | None = None,
        cause: str | None = None,
        span: tuple[datetime | None, datetime] | None = None,
    ) -> None:
        """Write down the run as it went, or what became of a part of its span."""
        since, until = span or (self._since, self._now)
        self._store.sources.cover(
            Coverage(
                source=self._source.name,
                stream=self._stream,
                started_at=self._now,
                since=since if self._rests else None,
                until=until if self._rests else None,
                state=state if self._rests else "complete",  # of no span nothing is missing
                reason=reason,
                fetched=0 if span else self.fetched,
                stored=0 if span else self.added.stored,
                cost=Decimal(0) if span else self._meter.cost,
                cause=cause,
            )
        )
