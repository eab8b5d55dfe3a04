"""What the tests of the feed collector share: a collector that reads the fake feeds, and what it brought."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from db.records import Batch, Position
from jobs.collector import Collector
from models.query import parse
from monitor.collectors.feed import FeedOptions, build
from monitor.plugins import Brand
from tests.fake_feeds import FakeFeeds
from tests.fake_site import Free

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACME = Brand("Acme", parse('acme OR "acme corp" NOT road'))
START = Position()


def made(feeds: FakeFeeds, *paths: str, **options: Any) -> Collector:
    urls = [feeds.url + path for path in paths or ("/blog.xml",)]
    return build(FeedOptions.model_validate({"urls": urls, "timeout": 5} | options), [ACME])


def run(collector: Collector, position: Position = START, now: datetime = NOW) -> list[Batch]:
    return list(collector.collect(collector.streams()[0], position, Free(), now))


def after(batches: Sequence[Batch]) -> Position:
    return Position(batches[-1].cursor)


def texts(batches: Sequence[Batch]) -> list[str]:
    return [mention.text for batch in batches for mention in batch.mentions]


def ids(batches: Sequence[Batch]) -> list[str]:
    return [mention.source_id for batch in batches for mention in batch.mentions]
