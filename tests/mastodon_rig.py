"""What the tests of the Mastodon collector share: a source that reads the counterfeit server, and who stores it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from db.errors import CollectorError
from db.records import Batch, Mention, Position
from models.brand import Brand
from models.query import parse
from monitor.collectors.mastodon import MastodonCollector, MastodonOptions
from tests.fake_mastodon import TOKEN, FakeMastodon

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ACME = Brand("Acme", parse("acme"))
TAG = "tag:acme"


class NoBudget:
    def left(self) -> Decimal | None:
        return None

    def reserve(self, most: Decimal) -> None:
        pytest.fail("Mastodon costs nothing")

    def settle(self, actual: Decimal) -> None:
        pytest.fail("Mastodon costs nothing")

    def use(self, units: int, limit: int, period: str, renewed_at: datetime) -> None:
        pytest.fail("Mastodon rations nothing")


def no_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        raise AssertionError(f"something sleeps for {seconds} s")

    monkeypatch.setattr(time, "sleep", sleep)


def options(server: FakeMastodon, **changes: Any) -> MastodonOptions:
    return MastodonOptions.model_validate({"instance": server.url, "hashtags": ["acme"], "timeout": 5} | changes)


def collector(server: FakeMastodon, query: str = "acme", **changes: Any) -> MastodonCollector:
    return MastodonCollector(options(server, **changes), [Brand("Acme", parse(query))])


def run(
    source: MastodonCollector, stream: str = TAG, position: Position | None = None, now: datetime = NOW
) -> list[Batch]:
    return list(source.collect(stream, position or Position(), NoBudget(), now))


def texts(batches: Sequence[Batch]) -> list[str]:
    return [mention.text for batch in batches for mention in batch.mentions]


def ago(minutes: float) -> datetime:
    return NOW - minutes * MINUTE


def one(server: FakeMastodon, stream: str = TAG, **changes: Any) -> Mention:
    (mention,) = [each for batch in run(collector(server, **changes), stream) for each in batch.mentions]
    return mention


@dataclass
class Reader:
    """Stores batches and positions as the collect job does: both at once, and each post once."""

    source: MastodonCollector
    stream: str = TAG
    position: Position = field(default_factory=Position)
    stored: dict[str, Mention] = field(default_factory=dict)
    read_twice: int = 0

    def run(self, now: datetime = NOW, stop_after: int | None = None) -> CollectorError | None:
        try:
            for n, batch in enumerate(self.source.collect(self.stream, self.position, NoBudget(), now), 1):
                self.read_twice += sum(mention.source_id in self.stored for mention in batch.mentions)
                self.stored |= {mention.source_id: mention for mention in batch.mentions}
                self.position = Position(batch.cursor or self.position.cursor, batch.resume)
                if n == stop_after:
                    return None
        except CollectorError as error:
            return error
        return None


def searching(server: FakeMastodon, query: str = "acme", **changes: Any) -> MastodonCollector:
    return collector(server, query, access_token=TOKEN, search=True, **changes)
