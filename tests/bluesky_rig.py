"""What the tests of the Bluesky collector share: a clock, the collect job over a real file, and who posts."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db.records import Batch, Position
from db.store import Store
from jobs.collect import Source, collect
from jobs.meter import StoreMeter
from jobs.outcome import Outcome
from models.query import parse
from monitor.collectors.bluesky import BlueskyOptions, build
from monitor.plugins import Brand
from tests.fake_bluesky import FakeBluesky
from tests.support import MINUTE, rows

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BRANDS = [Brand("Acme", parse("acme NOT hiring")), Brand("Other", parse('"other thing" OR gadget'), own=False)]


@dataclass
class Clock:
    now: datetime = T0

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Rig:
    """The collect job over a real database file."""

    fake: FakeBluesky
    clock: Clock
    path: Path
    given: dict[str, Any]
    brands: list[Brand] = field(default_factory=lambda: list(BRANDS))

    def __post_init__(self) -> None:
        self.store = Store(self.path)
        self.collector: Any = build(self.options(), self.brands)
        self.meter = StoreMeter(self.store, "bluesky", None, self.clock.now)

    def options(self, **others: object) -> BlueskyOptions:
        urls = {"jetstream_url": self.fake.stream_url, "service_url": self.fake.url}
        return BlueskyOptions.model_validate({**urls, "timeout": 30, "listen": 60, **self.given, **others})

    def run(self, after: timedelta = MINUTE) -> Outcome:
        """One run, so long after the last one."""
        self.clock.now += after
        return collect(self.store, Source("bluesky", "bluesky", self.collector, "1"), self.brands, self.clock.now)

    def read(self, stream: str, position: Position | None = None) -> list[Batch]:
        return list(self.collector.collect(stream, position or Position(), self.meter, self.clock.now))

    def until_done(self, runs: int = 8) -> list[str | None]:
        """Run until no error is left; returns what went wrong."""
        errors: list[str | None] = []
        for _ in range(runs):
            outcome = self.run()
            if outcome.error is None and outcome.note is None:
                return errors
            errors.append(outcome.error or outcome.note)
        pytest.fail(f"never done: {errors}")

    def texts(self) -> list[str]:
        return [text for (text,) in rows(self.path, "SELECT text FROM mentions WHERE gone_at IS NULL ORDER BY id")]

    def covered(self, stream: str) -> list[tuple[Any, ...]]:
        begun = "since IS NOT NULL OR state != 'missing'"  # what lies before the first run is not told here
        sql = f"SELECT state, cause FROM coverage WHERE stream = ? AND ({begun}) ORDER BY id"
        return rows(self.path, sql, stream)


def live(rig: Rig, after: timedelta = MINUTE) -> Outcome:
    """A run that ends where the network is live: somebody posts all the time."""
    rig.fake.post("somebody had dinner", rig.clock.now + after)
    return rig.run(after)


def burst(rig: Rig, count: int, text: str = "acme") -> list[str]:
    """So many posts in the half minute after now."""
    return [rig.fake.post(f"{text} {n}", rig.clock.now + n * 30 * SECOND / count) for n in range(count)]
