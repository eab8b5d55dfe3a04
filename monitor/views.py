"""Pictures of what is in the store."""

from datetime import datetime, timedelta

from db.buckets import Counts
from db.records import Alert
from db.store import Store
from db.voices import ALL
from monitor.canvas import Picture
from monitor.charts import AROUND, alert_chart


def picture_of(store: Store, alert: Alert, now: datetime) -> Picture | None:
    """Draw the day before and after an alert; None where there is nothing to count, as of a source that is stale."""
    if not alert.brand:
        return None
    since, until = alert.starts - AROUND, min((alert.ends or now) + AROUND, now) + timedelta(minutes=5)
    kind, _, name = alert.scope.partition(" ")
    of_slice = kind in ("source", "stage", "pillar") and alert.rule != "single post"
    counts: dict[datetime, tuple[int, int]] = {}
    for voice in store.voices.of(alert.brand, since, until):
        mine = voice.kind == (ALL if not of_slice or kind == "source" else kind)
        if mine and (not of_slice or name == (voice.source if kind == "source" else voice.name)):
            negative, other = counts.get(voice.start, (0, 0))
            counts[voice.start] = (negative + voice.negative, other + voice.other)
    gaps = [hour for state in store.sources.states() for hour in store.sources.hours(state.name, since, until, now)]
    return alert_chart([Counts(start, *counts[start]) for start in sorted(counts)], alert, now, gaps)
