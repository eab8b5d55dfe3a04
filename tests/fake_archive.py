"""A platform with a past, and a kind of source that reads it: `archive`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import BaseModel

from db.errors import NotAuthorised, RateLimited
from db.records import Batch, Gap, Mention, Position
from db.times import floor
from jobs.collector import Meter
from monitor.plugins import Brand, CollectorKind, RegisterCollector, hookimpl
from tests.support import DAY, HOUR, mention

PAGE = 5


@dataclass
class Archive:
    """A platform with posts, read newest first in pages; `faults` are raised before the pages with these numbers."""

    posts: list[Mention]
    first: datetime | None = None  # what it gives begins here
    names: Sequence[str] = ("Acme",)
    price: Decimal = Decimal(0)  # of a page
    faults: Mapping[int, BaseException] = field(default_factory=dict)
    units: int = 0  # of a daily ration of 20, by the page
    gap: Gap | None = None  # told with the last page
    gaps: Sequence[Gap] = ()  # told with the pages, one each
    with_cursor: bool = True
    with_resume: bool = True
    asked: list[tuple[str, datetime, datetime, str | None]] = field(default_factory=list)
    pages: int = 0

    def streams(self) -> Sequence[str]:
        return self.names

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        yield Batch((), cursor=now.isoformat(), gap=self.gap)

    def oldest(self, stream: str, now: datetime) -> datetime | None:
        return self.first

    def history(
        self, stream: str, since: datetime, until: datetime, resume: str | None, meter: Meter, now: datetime
    ) -> Iterator[Batch]:
        self.asked.append((stream, since, until, resume))
        below = datetime.fromisoformat(resume) if resume else until
        while True:
            self.pages += 1
            if self.pages in self.faults:
                raise self.faults[self.pages]
            if self.price:
                meter.reserve(self.price)
                meter.settle(self.price)
            if self.units:
                meter.use(self.units, 20, now.strftime("%Y-%m-%d"), now + DAY)
            found = sorted((post for post in self.posts if since <= post.created_at < below), key=_age)[-PAGE:]
            below = min((post.created_at for post in found), default=since)
            if self.gaps:
                more = self.pages < len(self.gaps)
                yield Batch((), resume=below.isoformat() if more else None, gap=self.gaps[self.pages - 1])
                if more:
                    continue
                return
            if len(found) < PAGE:
                cursor = "end" if self.with_cursor else None
                yield Batch(found, cursor=cursor, fetched=len(found), gap=self.gap)
                return
            yield Batch(found, resume=below.isoformat() if self.with_resume else None, fetched=len(found))


def _age(post: Mention) -> datetime:
    return post.created_at


class Options(BaseModel, extra="forbid"):
    """Before which page it fails, and how."""

    limited_at: int | None = None
    refused_at: int | None = None
    interrupted_at: int | None = None


class Hourly:
    """An archive of a post every hour, up to now."""

    def __init__(self, options: Options, brands: Sequence[Brand]) -> None:
        self._options = options
        self._brands = brands

    def streams(self) -> Sequence[str]:
        return [brand.name for brand in self._brands]

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        yield Batch((), cursor=now.isoformat())

    def oldest(self, stream: str, now: datetime) -> datetime | None:
        return None

    def history(
        self, stream: str, since: datetime, until: datetime, resume: str | None, meter: Meter, now: datetime
    ) -> Iterator[Batch]:
        newest = floor(until, HOUR)
        times = [newest - hour * HOUR for hour in range((until - since) // HOUR + 2)]
        posts = [mention(at.isoformat(), at=at, collected_at=now) for at in times if since <= at < until]
        faults: dict[int, BaseException] = {}
        if self._options.limited_at:
            faults[self._options.limited_at] = RateLimited("slow down", now + timedelta(hours=1))
        if self._options.refused_at:
            faults[self._options.refused_at] = NotAuthorised("the plan has no archive")
        if self._options.interrupted_at:
            faults[self._options.interrupted_at] = KeyboardInterrupt()
        yield from Archive(posts, faults=faults).history(stream, since, until, resume, meter, now)


@hookimpl
def register_collectors(register: RegisterCollector) -> None:
    register(CollectorKind("archive", Options, Hourly, lambda options, brands: ["all"]))
