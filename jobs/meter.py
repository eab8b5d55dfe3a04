"""A source's monthly budget, held in the store so that restarts and other processes cannot exceed it."""

from datetime import UTC, datetime
from decimal import Decimal

from db.errors import BudgetSpent
from db.store import Store


class StoreMeter:
    """Meters one source for one run: see jobs.collector.Meter."""

    def __init__(self, store: Store, source: str, budget: Decimal | None, now: datetime) -> None:
        self._store = store
        self._source = source
        self._budget = budget
        self._now = now
        self._month = now.astimezone(UTC).strftime("%Y-%m")
        self._reserved = Decimal(0)
        self.cost = Decimal(0)  # of this run so far

    def left(self) -> Decimal | None:
        """Return what may still be spent this month."""
        if self._budget is None:
            return None
        return max(self._budget - self._store.sources.spent(self._source, self._month), Decimal(0))

    def reserve(self, most: Decimal) -> None:
        """Count the most that the next request can cost as spent, before it is made."""
        with self._store.transaction():
            left = self.left()
            if left is not None and most > left:
                raise BudgetSpent(
                    f"{self._source}: the monthly budget of {self._budget} is used up ({left} left); "
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


def next_month(now: datetime) -> datetime:
    """Return the first moment of the next month, UTC."""
    now = now.astimezone(UTC)
    year, month = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
    return datetime(year, month, 1, tzinfo=UTC)
