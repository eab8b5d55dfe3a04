"""Stale: a source that is not read any more is told once, and once when it is read again.

So is one stream of a source whose others are read: a feed that is gone, a video that is private.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from db.records import ONE_STREAM, Alert, SourceState
from db.store import Store
from jobs.outcome import Outcome
from jobs.rules import Watching
from jobs.wording import harmless, summary

RULE = "stale source"
TURNS = 3  # of its turns that a source may miss
SEVERE = timedelta(hours=12)
WHY_SHOWN = 150  # characters of what the platform says
REMEMBERED = timedelta(hours=12)  # for which runs are surely kept (db/runs.py)


def stale(store: Store, watching: Watching, now: datetime) -> Outcome:
    """Look at every source that is read by turns. Safe to run again."""
    states = {state.name: state for state in store.sources.states()}
    opened = closed = 0
    with store.transaction():
        known = {alert.scope: alert for alert in store.alerts.open() if alert.rule == RULE}
        for name, every in watching.every.items() if RULE in watching.names else ():
            state, limit = states.get(name), max(watching.stale_after, TURNS * every)
            for unread in _unread(store, state, limit, now) if state else ():
                alert = known.pop(unread.scope, None)
                if alert or (unread.alone and _at_work(store, limit, now)):
                    opened += alert is None
                    store.alerts.save(_told(unread, alert, now), ())
        for alert in known.values():  # it is read again, or gone from the configuration
            closed += 1
            store.alerts.save(replace(alert, ends=now), ())
    return Outcome({"opened": opened, "closed": closed})


@dataclass(frozen=True, slots=True)
class _Unread:
    """A source, or a stream of one, that should have been read and was not.

    A stream is `alone` where others of its source were read when it was not: else the source is told, if anything.
    """

    scope: str
    since: datetime
    why: str | None
    alone: bool = True


def _unread(store: Store, state: SourceState, limit: timedelta, now: datetime) -> Iterator[_Unread]:
    """Yield the source where nothing of it was read, and those of its streams that were not."""
    since = state.last_ok_at or store.sources.first_tried(state.name)
    whole = since is not None and now - since > limit
    if since and whole:
        yield _Unread(state.name, since, state.paused or state.last_error)
    if state.last_error is None:  # all of it was read
        return
    others_read = state.last_ok_at is not None and state.last_ok_at == state.last_run_at
    for stream in store.sources.unread(state.name):
        if now - stream.since > limit:
            scope = f"{state.name}{ONE_STREAM}{stream.stream}"
            yield _Unread(scope, stream.since, stream.reason, others_read and not whole)


def _at_work(store: Store, limit: timedelta, now: datetime) -> bool:
    """Whether jobs were at work for most of the time: while sentimon itself was not running no source is stale.

    What is told already stays told: a source is not read again because sentimon was restarted.
    """
    span = min(limit, REMEMBERED)
    first = store.runs.first_since("notify", now - span)
    return first is not None and first <= now - span * 2 / 3


def _told(unread: _Unread, known: Alert | None, now: datetime) -> Alert:
    hours = int((now - unread.since).total_seconds() // 3600)
    alert = Alert(
        id=known.id if known else 0,
        brand="",
        rule=RULE,
        starts=unread.since,
        last_seen=now,
        ends=None,
        severity="high" if now - unread.since >= SEVERE else "warning",
        observed=0,
        expected=0.0,
        factor=0.0,
        probability=0.0,
        window_minutes=hours * 60,
        mentions=0,
        share=0.0,
        usual_share=0.0,
        summary="",
        in_common=(),
        scope=unread.scope,
        found_at=known.found_at if known else now,
        held=known.held if known else None,
        taken_by=known.taken_by if known else None,
        taken_at=known.taken_at if known else None,
    )
    return replace(alert, summary=summary(alert) + (f": {harmless(unread.why, WHY_SHOWN)}" if unread.why else ""))
