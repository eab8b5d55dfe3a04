"""What the tests of the X collector share: a clock, a meter, and a job that stores batches."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from db.errors import BudgetSpent, CollectorError, RateLimited, SourceUnavailable
from db.records import Gap, Mention, Position
from jobs.collector import Collector
from models.query import parse
from monitor.collectors.x import build
from monitor.collectors.x_options import XOptions
from monitor.plugins import Brand
from tests.fake_x import FakeX

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PRICE = Decimal("0.005")
TOKEN = "AAAA-very-secret-bearer"


@dataclass
class Clock:
    now: datetime = T0

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Purse:
    """A meter that keeps what is spent, and never lets it pass the budget."""

    budget: Decimal | None = None
    spent: Decimal = Decimal(0)
    last: Decimal = Decimal(0)

    def left(self) -> Decimal | None:
        return None if self.budget is None else self.budget - self.spent

    def reserve(self, most: Decimal) -> None:
        if self.budget is not None and self.spent + most > self.budget:
            raise BudgetSpent("no", T0)
        self.spent, self.last = self.spent + most, most

    def settle(self, actual: Decimal) -> None:
        self.spent += actual - self.last

    def use(self, units: int, limit: int, period: str, renewed_at: datetime) -> None:
        raise AssertionError("X gives no rations")


@dataclass
class Job:
    """Stores batches and positions as the collect job does: both at once."""

    collector: Collector
    clock: Clock
    meter: Purse = field(default_factory=Purse)
    position: Position = field(default_factory=Position)
    mentions: dict[str, Mention] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    received: int = 0
    fetched: int = 0
    errors: list[CollectorError] = field(default_factory=list)
    stream: str = "Acme"

    def run(self, stop_after: int | None = None) -> None:
        """One run; it can be killed after so many batches."""
        batches = self.collector.collect(self.stream, self.position, self.meter, self.clock.now)
        for number, batch in enumerate(batches, 1):
            for mention in batch.mentions:
                self.mentions[mention.source_id] = mention
            self.received += len(batch.mentions)
            self.fetched += batch.fetched
            self.gaps += [batch.gap] if batch.gap else []
            self.position = Position(batch.cursor or self.position.cursor, batch.resume)
            if number == stop_after:
                return

    def until_done(self) -> None:
        """Run again after each fault, when the source may."""
        for _ in range(20):
            try:
                return self.run()
            except RateLimited as error:
                self.errors.append(error)
                self.clock.now = error.not_before
            except SourceUnavailable as error:
                self.errors.append(error)
                self.clock.now += MINUTE
        pytest.fail(f"never done: {self.errors}")

    def one(self) -> Mention:
        (mention,) = self.mentions.values()
        return mention


def options(url: str, **others: object) -> XOptions:
    return XOptions.model_validate({"bearer_token": TOKEN, "api_url": url, "timeout": 5} | others)


def collector(url: str, query: str = "acme", **others: object) -> Collector:
    brand = Brand("Acme", parse(query), accounts={"x": "acmecare"})
    return build(options(url, **others), [brand])


def burst(fake: FakeX, clock: Clock, count: int) -> set[str]:
    """So many posts in the ten minutes that end three minutes ago: older than the overlap of two."""
    start, step = clock.now - 13 * MINUTE, 10 * MINUTE / count
    return {fake.add(f"acme post {number}", start + number * step) for number in range(count)}
