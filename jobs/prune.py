"""Prune: once a day, take text and author from posts that are older than they are to be kept, and drop old records.

Posts stay counted. What was written down of runs, hours and requests for the past goes after 400 days.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from db.store import Store
from jobs.outcome import Outcome

RECORDS = timedelta(days=400)  # how long it is known what was read and when
BATCH = 500  # posts a transaction


def prune(store: Store, keeps: Mapping[str, timedelta], now: datetime) -> Outcome:
    """Keep the posts of each platform (`Mention.source`) as long as `keeps` says; others are kept for ever."""
    aged = 0
    for platform, age in keeps.items():
        while ids := store.mentions.aged(platform, now - age, BATCH):
            with store.transaction():
                aged += store.forgotten.erase(ids, now, "aged")
    before = now - RECORDS
    with store.transaction():
        records = store.sources.forget_coverage(before) + store.backfills.forget(before)
        records += store.forgotten.drop_shingles(before)
    return Outcome({"aged": aged, "records": records})
