"""What the tests of reading the past share: an archive of a week, who asks for it, and turns of the job."""

from datetime import datetime
from typing import Any

from db.backfills import ASKED
from db.records import Backfill
from db.store import Store
from jobs.backfill import backfill
from jobs.collect import Source
from jobs.outcome import Outcome
from tests.fake_archive import Archive
from tests.support import DAY, HOUR, MINUTE, NOW, brand, mention, rows

BRANDS = [brand()]
WEEK = NOW - 7 * DAY


def archive(count: int = 23, **more: Any) -> Archive:
    """Posts of the last week, one every seven hours."""
    return Archive([mention(number, at=NOW - MINUTE - number * 7 * HOUR) for number in range(count)], **more)


def source(collector: Any, name: str = "x-main", **more: Any) -> Source:
    return Source(name, "x", collector, "1", **more)


def ask(
    store: Store,
    since: datetime = WEEK,
    until: datetime = NOW,
    stream: str = "Acme",
    name: str = "x-main",
    cause: str = ASKED,
    again: bool = False,
) -> list[Backfill]:
    with store.transaction():
        store.sources.configured(name, "x", "1")
        return store.backfills.request(name, stream, since, until, cause, NOW, again)


def turn(store: Store, *sources: Source, now: datetime = NOW, **more: Any) -> Outcome:
    return backfill(store, sources, BRANDS, now, **more)


def ids(store: Store) -> list[str]:
    return [found[0] for found in rows(store.path, "SELECT source_id FROM mentions ORDER BY created_at DESC")]


def hours(store: Store, since: datetime = WEEK, until: datetime = NOW) -> set[tuple[str, str | None]]:
    return {(hour.state, hour.cause) for hour in store.sources.hours("x-main", since, until, NOW)}
