"""What the tests of the Reddit collector share: a source that reads the fake Reddit, and its posts by age."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from db.records import Batch, Position
from models.query import parse
from monitor.collectors.reddit import RedditCollector, RedditOptions
from monitor.plugins import Brand
from tests.fake_reddit import CLIENT_ID, CLIENT_SECRET, FakeReddit

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACME = Brand("Acme", parse('acme OR "acme phone"'))
SEARCH = "search:Acme"


class NoBudget:
    def left(self) -> Decimal | None:
        return None

    def use(self, units: int, limit: int, period: str, renewed_at: datetime) -> None:
        pytest.fail("Reddit has no rations")

    def reserve(self, most: Decimal) -> None:
        pytest.fail("Reddit costs nothing")

    def settle(self, actual: Decimal) -> None:
        pytest.fail("Reddit costs nothing")


def options(reddit: FakeReddit, **changes: Any) -> RedditOptions:
    given = {
        "subreddits": ["r/acme", "phones"],
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "reddit_url": reddit.url,
        "oauth_url": reddit.url,
        "timeout": 5,
    }
    return RedditOptions.model_validate({**given, **changes})


def collector(reddit: FakeReddit, **changes: Any) -> RedditCollector:
    return RedditCollector(options(reddit, **changes), [ACME])


def run(
    source: RedditCollector, stream: str = SEARCH, cursor: str | None = None, now: datetime = NOW
) -> Sequence[Batch]:
    return list(source.collect(stream, Position(cursor), NoBudget(), now))


def ids(batches: Sequence[Batch]) -> list[str]:
    return [mention.source_id for batch in batches for mention in batch.mentions]


def minutes_ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)
