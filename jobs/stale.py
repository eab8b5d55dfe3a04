"""Stale: a source that is not read any more is told once, and once when it is read again."""

from dataclasses import replace
from datetime import datetime, timedelta

from db.records import Alert, SourceState
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
        for name, every in watching.every.items():
            state, alert = states.get(name), known.pop(name, None)
            limit = max(watching.stale_after, TURNS * every)
            since = _unread_since(store, state, limit, now) if state else None
            if state and since and RULE in watching.names and (alert or _at_work(store, limit, now)):
                opened += alert is None
                store.alerts.save(_told(state, since, alert, now), ())
            elif alert:
                closed += 1
                store.alerts.save(replace(alert, ends=now), ())
        for alert in known.values():  # the source is gone from the configuration
            closed += 1
            store.alerts.save(replace(alert, ends=now), ())
    return Outcome({"opened": opened, "closed": closed})


def _unread_since(store: Store, state: SourceState, limit: timedelta, now: datetime) -> datetime | None:
    """Return since when a source should have been read and was not, None where it was."""
    since = state.last_ok_at or store.sources.first_tried(state.name)
    return since if since and now - since > limit else None


def _at_work(store: Store, limit: timedelta, now: datetime) -> bool:
    """Whether jobs were at work for most of the time: while sentimon itself was not running no source is stale.

    What is told already stays told: a source is not read again because sentimon was restarted.
    """
    span = min(limit, REMEMBERED)
    first = store.runs.first_since("notify", now - span)
    return first is not None and first <= now - span * 2 / 3


def _told(state: SourceState, since: datetime, known: Alert | None, now: datetime) -> Alert:
    hours = int((now - since).total_seconds() // 3600)
    alert = Alert(
        id=known.id if known else 0,
        brand="",
        rule=RULE,
        starts=since,
        last_seen=now,
        ends=None,
        severity="high" if now - since >= SEVERE else "warning",
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
        scope=state.name,
        found_at=known.found_at if known else now,
        held=known.held if known else None,
        taken_by=known.taken_by if known else None,
        taken_at=known.taken_at if known else None,
    )
    why = state.paused or state.last_error
    return replace(alert, summary=summary(alert) + (f": {harmless(why, WHY_SHOWN)}" if why else ""))
