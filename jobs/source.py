"""A source, and what every job that reads one shares: storing what a batch brought, naming why none came."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from db.errors import BudgetSpent, CollectorError, NotAuthorised, RateLimited
from db.mentions import Added
from db.records import Batch
from db.store import Store
from jobs.collector import Checker, Collector
from models.brand import Brand, hiding, naming


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source. `fingerprint` changes with its options: a source that waits is then tried again.

    `total_budget` is what all sources share in a month; `price` is what a post costs, for the cheapest to come first.
    """

    name: str
    kind: str
    collector: Collector
    fingerprint: str
    monthly_budget: Decimal | None = None
    total_budget: Decimal | None = None
    price: Decimal = Decimal(0)


def keep(store: Store, source: Source, batch: Batch, brands: Sequence[Brand], now: datetime) -> Added:
    """Store what a batch brought and count the call; runs in the caller's transaction.

    Posts that name no brand are left out; those that the platform says were deleted lose text and author.
    """
    names = naming(brands)
    named = [(mention, names(mention)) for mention in batch.mentions]
    added = store.mentions.add([(mention, found) for mention, found in named if found], hiding(brands))
    store.sources.called(source.name, now.strftime("%Y-%m"), batch.fetched)
    if batch.gone_authors:
        store.forgotten.erase_by(platform_of(source), batch.gone_authors, now, "deleted")
    if batch.gone:
        store.forgotten.erase_named(platform_of(source), batch.gone, now, "deleted")
    return added


def platform_of(source: Source) -> str:
    """Name what the posts of a source have as theirs (`Mention.source`)."""
    return source.collector.platform if isinstance(source.collector, Checker) else source.kind


def cause_of(error: CollectorError) -> str:
    """Name why a source could not be read: one of db.records.CAUSES."""
    causes = ((BudgetSpent, "budget"), (RateLimited, "limited"), (NotAuthorised, "refused"))
    return next((cause for kind, cause in causes if isinstance(error, kind)), "unavailable")
