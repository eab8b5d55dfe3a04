"""What the tests of the YouTube collector share: a meter that counts units, and a source that reads the fake."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from db.errors import BudgetSpent, CollectorError
from db.records import Batch, Position
from db.store import Store
from jobs.collect import Source, collect
from models.query import parse
from monitor.collectors.youtube import YouTubeCollector, YouTubeOptions
from monitor.plugins import Brand
from tests.fake_youtube import CHANNEL, KEY, FakeYouTube

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACME = Brand("Acme", parse('acme OR "acme phone"'))
PLACE = f"channel:{CHANNEL}"


class Ration:
    """A meter that counts units and has no end, unless it is given one."""

    def __init__(self, units: int | None = None) -> None:
        self.used: list[int] = []
        self.periods: set[tuple[str, datetime]] = set()
        self.units = units

    def left(self) -> Decimal | None:
        return None

    def reserve(self, most: Decimal) -> None:
        pytest.fail("YouTube costs no money")

    def settle(self, actual: Decimal) -> None:
        pytest.fail("YouTube costs no money")

    def use(self, units: int, limit: int, period: str, renewed_at: datetime) -> None:
        if sum(self.used) + units > (limit if self.units is None else self.units):
            raise BudgetSpent("used up", renewed_at)
        self.used.append(units)
        self.periods.add((period, renewed_at))


def collector(youtube: FakeYouTube, brands: Sequence[Brand] = (ACME,), **changes: Any) -> YouTubeCollector:
    given = {"api_key": KEY, "channels": [CHANNEL], "api_url": youtube.url, "timeout": 5}
    return YouTubeCollector(YouTubeOptions.model_validate(given | changes), brands)


def run(
    source: YouTubeCollector,
    stream: str = PLACE,
    cursor: str | None = None,
    now: datetime = NOW,
    resume: str | None = None,
    meter: Ration | None = None,
) -> list[Batch]:
    return list(source.collect(stream, Position(cursor, resume), meter or Ration(), now))


def cut_off(
    source: YouTubeCollector, error: type[CollectorError], stream: str = PLACE, **more: Any
) -> tuple[list[Batch], Any]:
    """What a run brings until an error ends it, and the error."""
    position = Position(more.pop("cursor", None), more.pop("resume", None))
    batches: list[Batch] = []
    try:
        for batch in source.collect(stream, position, more.get("meter") or Ration(), more.get("now", NOW)):
            batches.append(batch)
    except error as caught:
        return batches, caught
    pytest.fail(f"no {error.__name__}")


def ids(batches: Sequence[Batch]) -> list[str]:
    return [mention.source_id for batch in batches for mention in batch.mentions]


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def stored(youtube: FakeYouTube, store: Store, source: YouTubeCollector, now: datetime = NOW) -> Any:
    return collect(store, Source("youtube", "youtube", source, "1"), [ACME], now)
