"""A source's monthly budget, held in the store so that restarts and other processes cannot exceed it."""

from datetime import UTC, datetime
from decimal import Decimal

from db.errors import BudgetSpent
from db.store import Store


class StoreMeter:
    """Meters one source for one run: see jobs.collector.Meter.

    `total` is the budget that all sources share, `kept` what this run must leave to others (the live runs).
    """

    def __init__(
        self,
        store: Store,
        source: str,
        budget: Decimal | None,
        now: datetime,
        total: Decimal | None = None,
        kept: Decimal = Decimal(0),
    ) -> None:
        self._store = store
        self._source = source
        self._budget = budget
        self._total = total
        self._kept = kept
        self._now = now
        self._month = now.astimezone(UTC).strftime("%Y-%m")
        self._reserved = Decimal(0)
        self.cost = Decimal(0)  # of this run so far

    def left(self) -> Decimal | None:
        """Return what may still be spent this month."""
        sources = self._store.sources
        left = []
        if self._budget is not None:
            left.append(self._budget - sources.spent(self._source, self._month))
        if self._total is not None:
            left.append(self._total - sources.spent_by_all(self._month))
        return max(min(left) - self._kept, Decimal(0)) if left else None

    def reserve(self, most: Decimal) -> None:
        """Count the most that the next request can cost as spent, before it is made."""
        with self._store.transaction():
            left = self.left()
            if left is not None and most > left:
                whole = f"of {self._budget}" if self._budget is not None else f"of all sources, {self._total},"
                raise BudgetSpent(
                    f"{self._source}: the monthly budget {whole} is used up ({left} left); "
                    "reading goes on next month, or with a higher monthly_budget",
                    not_before=next_month(self._now),
                )
            self._store.sources.reserve(self._source, self._month, most)
        self._reserved = most
        self.cost += most

    def settle(self, actual: Decimal) -> None:
        """Replace the last reservation by what the request did cost."""
        with self._store.transaction():
            self._store.sources.settle(self._source, self._month, self._reserved, actual)
        self.cost += actual - self._reserved
        self._reserved = Decimal(0)

    def use(self, units: int, limit: int, period: str, renewed_at: datetime) -> None:
        """Take units out of a ration that the platform gives for a period."""
        with self._store.transaction():
            if not self._store.sources.use(self._source, period, units, limit):
                raise BudgetSpent(
                    f"{self._source}: the platform's ration of {limit} units is used up until "
                    f"{renewed_at:%Y-%m-%d %H:%M} UTC",
                    not_before=renewed_at,
                )


def next_month(now: datetime) -> datetime:
    """Return the first moment of the next month, UTC."""
    now = now.astimezone(UTC)
    year, month = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
    return datetime(year, month, 1, tzinfo=UTC)
