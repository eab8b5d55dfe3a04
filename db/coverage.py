"""How far each hour of posting time was read: the table coverage_hours, made again from `coverage`.

An hour of a stream is complete where spans that were read wholly cover it, partial where some of it was read, missing
where nothing was. An hour of a source is what its streams are, where they agree, else partial.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlite_utils import Database

from db.records import Hour
from db.times import floor, from_text, to_text

HOUR = timedelta(hours=1)
LONGEST = timedelta(days=400)  # of a span, as far as it is made into hours
COMPLETE, PARTIAL, MISSING = "complete", "partial", "missing"


@dataclass(frozen=True, slots=True)
class _Span:
    since: datetime
    until: datetime
    state: str
    cause: str | None
    reason: str | None
    fetched: int


def note_hours(db: Database, source: str, stream: str, since: datetime | None, until: datetime) -> None:
    """Work out the hours of a stream that a span touches; runs in the caller's transaction."""
    first, last = floor(max(since or until, until - LONGEST), HOUR), floor(until, HOUR)
    if since is not None and since < until == last:
        last -= HOUR  # of the hour that begins where the span ends, nothing was read
    newest = _tried_until(db, source, stream) or until
    _work_out(db, source, stream, first, last, newest)
    before = _tried_until(db, source, stream, first)
    if before and floor(before, HOUR) < before:  # while it was the last to be read, it was judged up to there only
        _work_out(db, source, stream, floor(before, HOUR), floor(before, HOUR), newest)


def _tried_until(db: Database, source: str, stream: str, before: datetime | None = None) -> datetime | None:
    """Return up to when a stream was tried to be read, of the spans that end before a time."""
    sql = "SELECT max(until) FROM coverage WHERE source = ? AND stream = ? AND state = ? AND until < ?"
    end = to_text(before) if before else "A"  # behind every time
    found = [db.execute(sql, (source, stream, state, end)).fetchone()[0] for state in (COMPLETE, PARTIAL, MISSING)]
    return from_text(max(filter(None, found))) if any(found) else None


def _work_out(db: Database, source: str, stream: str, start: datetime, last: datetime, newest: datetime) -> None:
    """Judge the hours from one to another again."""
    rows = db.execute(
        """SELECT since, until, state, cause, reason, fetched FROM coverage
        WHERE source = ? AND stream = ? AND state IN ('complete', 'partial', 'missing') AND until >= ?
            AND coalesce(since, until) < ? ORDER BY id""",
        (source, stream, to_text(start), to_text(last + HOUR)),
    ).fetchall()
    spans = [_span(*row) for row in rows]
    coming = sorted(enumerate(spans), key=lambda pair: pair[1].since, reverse=True)
    touching: dict[int, _Span] = {}  # of a year's spans, those that matter to the hour
    hours = []
    while start <= last:
        while coming and coming[-1][1].since < start + HOUR:
            number, span = coming.pop()
            touching[number] = span
        touching = {
            number: span
            for number, span in touching.items()
            # A first try on the hour has no length: it tells of the hour until there is a second one.
            if span.until > start or span.since == start == newest
        }
        judged = _judge([touching[number] for number in sorted(touching)], start, newest)
        hours.append((source, stream, to_text(start), *judged))
        start += HOUR
    db.conn.executemany(
        """INSERT OR REPLACE INTO coverage_hours (source, stream, hour, state, cause, reason)
        VALUES (?, ?, ?, ?, ?, ?)""",
        hours,
    )


def hours(db: Database, source: str, since: datetime, until: datetime, now: datetime) -> list[Hour]:
    """Return how far each hour from `since` to `until` was read, those after the last reading included.

    Hours before a source was first read are not in the list.
    """
    return _hours(db, source, since, until, now, _streams(db, source))


def _hours(
    db: Database, source: str, since: datetime, until: datetime, now: datetime, streams: Mapping[str, "_Last"]
) -> list[Hour]:
    rows = db.execute(
        """SELECT hour, stream, state, cause, reason FROM coverage_hours
        WHERE source = ? AND hour >= ? AND hour < ? ORDER BY hour, stream""",
        (source, to_text(floor(since, HOUR)), to_text(until)),
    ).fetchall()
    found: dict[datetime, list[Hour]] = {}
    for start, stream, state, cause, reason in rows:
        hour = Hour(source, from_text(start), state, cause, reason)
        last = streams.get(stream)
        if state == COMPLETE and last and not last.ended and last.until < hour.start + HOUR <= now:
            hour = Hour(source, hour.start, PARTIAL, *last.why)
        found.setdefault(hour.start, []).append(hour)
    if streams:
        last = max(streams.values(), key=lambda last: (not last.ended, last.until))
        start = max(floor(last.until, HOUR), floor(since, HOUR))
        while start + HOUR <= min(until, now):
            found.setdefault(start, [Hour(source, start, MISSING, *last.why)])
            start += HOUR
    return [_together(found[start]) for start in sorted(found)]


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a span was read: how many hours wholly, by day or hour ("2026-03-01", "2026-03-01T15:00:00Z"), and each
    of the others."""

    complete: Mapping[str, int]
    short: Sequence[Hour]


def extent(db: Database, source: str, since: datetime, until: datetime, now: datetime, by_hour: bool) -> Extent:
    """Tell what `hours` tells, without going through the hours that were read wholly one by one."""
    # What depends on the time of asking begins with the hour up to which a stream was read last.
    streams = _streams(db, source)
    ends = [floor(last.until, HOUR) for last in streams.values() if not last.ended]
    late = max(min([*ends, until]), floor(since, HOUR))
    span = (source, to_text(floor(since, HOUR)), to_text(late))
    complete = _known(db, *span, by_hour)
    rows = db.execute(
        """SELECT hour, state, cause, reason FROM coverage_hours WHERE source = ?1 AND hour IN
            (SELECT hour FROM coverage_hours WHERE source = ?1 AND hour >= ?2 AND hour < ?3 AND state != 'complete')
        ORDER BY hour, stream""",
        span,
    ).fetchall()
    found: dict[str, list[Hour]] = {}
    for start, *rest in rows:
        found.setdefault(start, []).append(Hour(source, from_text(start), *rest))
    for start in found:
        complete[start if by_hour else start[:10]] -= 1
    short = [_together(streams) for streams in found.values()]
    for hour in _hours(db, source, late, until, now, streams):
        if hour.state == COMPLETE:
            start = to_text(hour.start)
            name = start if by_hour else start[:10]
            complete[name] = complete.get(name, 0) + 1
        else:
            short.append(hour)
    return Extent({name: count for name, count in complete.items() if count}, short)


def _known(db: Database, source: str, since: str, until: str, by_hour: bool) -> dict[str, int]:
    """Count the hours that coverage tells of, by day or by hour."""
    if by_hour:
        sql = "SELECT DISTINCT hour, 1 FROM coverage_hours WHERE source = ? AND hour >= ? AND hour < ?"
    else:  # day by day: from one entry of the index to the next, and nothing is sorted
        sql = """WITH RECURSIVE days (day) AS (
                SELECT substr(?2, 1, 10) UNION ALL SELECT date(day, '+1 day') FROM days WHERE day < substr(?3, 1, 10)
            ) SELECT day, (SELECT count(DISTINCT hour) FROM coverage_hours
                WHERE source = ?1 AND hour >= max(day, ?2) AND hour < min(date(day, '+1 day'), ?3)) FROM days"""
    return dict(db.execute(sql, (source, since, until)).fetchall())


@dataclass(frozen=True, slots=True)
class _Last:
    """Up to when a stream was tried to be read, why no further, and whether the source reads it no more."""

    until: datetime
    why: tuple[str, str | None]  # cause, reason
    ended: bool


def _streams(db: Database, source: str) -> Mapping[str, _Last]:
    """Tell of each stream that live runs have tried to read."""
    (ok,) = db.execute("SELECT last_ok_at FROM sources WHERE name = ?", (source,)).fetchone() or (None,)
    tried = {stream: row for stream in streams_in(db, source) if (row := _last_try(db, source, stream))}
    if not tried:
        return {}
    newest = max(tried.values(), key=lambda row: (row[0], row[2] != COMPLETE))
    found = {}
    for stream, row in tried.items():
        until = row[0]
        # Where it was read to its end, and another one later was not, that one kept the source from reading on.
        state, cause, reason = (newest if row[2] == COMPLETE and newest[0] > until else row)[2:]
        unread = f"not read since {from_text(until):%Y-%m-%d %H:%M} UTC"
        why = ("unavailable", unread) if state == COMPLETE else (cause or "unavailable", reason or unread)
        found[stream] = _Last(from_text(until), why, _ended(row, ok))
    return found


def _last_try(db: Database, source: str, stream: str) -> tuple[str, str, str, str, str] | None:
    """Return until, started_at, state, cause and reason of the last live run. Readings of the past end before it."""
    sql = """SELECT until, started_at, state, coalesce(cause, ''), coalesce(reason, '') FROM coverage
        WHERE source = ? AND stream = ? AND state = ? AND until >= started_at ORDER BY until DESC, id DESC LIMIT 1"""
    rows = [db.execute(sql, (source, stream, state)).fetchone() for state in (MISSING, PARTIAL, COMPLETE)]
    return max((row for row in rows if row), key=lambda row: (row[0], row[2] == COMPLETE), default=None)


@dataclass(frozen=True, slots=True)
class Unread:
    """A stream that live runs try in vain to read to its end: since when, and why at the last try."""

    stream: str
    since: datetime  # up to when it was read, or its first try
    reason: str | None


def unread(db: Database, source: str) -> list[Unread]:
    """Tell of the streams whose last try fell short; those that the source reads no more are not among them."""
    (ok,) = db.execute("SELECT last_ok_at FROM sources WHERE name = ?", (source,)).fetchone() or (None,)
    found = []
    for stream in streams_in(db, source):
        last = _last_try(db, source, stream)
        if last is None or last[2] == COMPLETE or _ended(last, ok):
            continue
        since = _end_of_try(db, source, stream, "DESC", COMPLETE) or min(
            filter(None, (_end_of_try(db, source, stream, "ASC", state) for state in (PARTIAL, MISSING)))
        )
        found.append(Unread(stream, from_text(since), last[4] or None))
    return found


def _end_of_try(db: Database, source: str, stream: str, order: str, state: str) -> str | None:
    """Return up to when the last (or first) live run read a stream that ended so."""
    sql = f"""SELECT until FROM coverage WHERE source = ? AND stream = ? AND state = ? AND until >= started_at
        ORDER BY until {order} LIMIT 1"""
    row = db.execute(sql, (source, stream, state)).fetchone()
    return row[0] if row else None


def _ended(last: tuple[str, str, str, str, str], ok: str | None) -> bool:
    """Whether a run that read all streams, and did not try this one, shows that it is read no more."""
    return ok is not None and last[1] < ok


def streams_in(db: Database, source: str) -> list[str]:
    """Name the streams of a source that coverage tells of, from one entry of the index to the next."""
    rows = db.execute(
        """WITH RECURSIVE named (stream) AS (
            SELECT min(stream) FROM coverage WHERE source = ?1 UNION ALL
            SELECT (SELECT min(stream) FROM coverage WHERE source = ?1 AND stream > named.stream)
            FROM named WHERE named.stream IS NOT NULL
        ) SELECT stream FROM named WHERE stream IS NOT NULL""",
        (source,),
    ).fetchall()
    return [stream for (stream,) in rows]


def _span(since: str | None, until: str, state: str, cause: str | None, reason: str | None, fetched: int) -> _Span:
    end = from_text(until)
    # The first reading of a stream brings the latest posts: it stands for the hour in which it was made.
    return _Span(from_text(since) if since else floor(end, HOUR), end, state, cause, reason, fetched)


def _judge(spans: Sequence[_Span], start: datetime, newest: datetime) -> tuple[str, str | None, str | None]:
    """Judge one hour by the spans that touch it, up to `newest`, where the stream was last tried to be read.

    Returns state, cause, reason.
    """
    end = min(max(newest, start), start + HOUR)
    reached, read = start, False
    for span in sorted(spans, key=lambda span: span.since):
        if span.state == COMPLETE:
            read = True
            if span.since <= reached:
                reached = max(reached, span.until)
    if read and reached >= end:
        return COMPLETE, None, None
    short = [span for span in spans if span.state != COMPLETE]
    why = short[-1] if short else None
    read = read or any(span.fetched for span in short)
    return PARTIAL if read else MISSING, why.cause if why else None, why.reason if why else None


def _together(streams: Sequence[Hour]) -> Hour:
    """Tell of a source what its streams say of an hour; the worst of them gives the reason."""
    states = {hour.state for hour in streams}
    worst = max(streams, key=lambda hour: (COMPLETE, PARTIAL, MISSING).index(hour.state))
    state = worst.state if len(states) == 1 else PARTIAL
    return Hour(worst.source, worst.start, state, worst.cause, worst.reason)


def totals(found: Iterable[Hour]) -> Mapping[str, int]:
    """Count hours by state."""
    counted = {COMPLETE: 0, PARTIAL: 0, MISSING: 0}
    for hour in found:
        counted[hour.state] += 1
    return counted
