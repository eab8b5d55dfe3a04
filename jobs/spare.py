"""What may be spent on the past and on checking posts again: what the live runs are not likely to need this month."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from db.store import Store
from jobs.meter import StoreMeter, next_month
from jobs.source import Source

LOOKED_BACK = timedelta(days=30)  # over a month's first days too it is known what live runs spend
ENOUGH = timedelta(days=1)  # of live runs: before, nobody knows what they will need
ALONE = Decimal("0.5")  # of a budget that is kept for live runs until then
RATION = 2  # live runs keep one part in this many of what a platform allows by the day


def likely_need(spent: Decimal, over: timedelta, left: timedelta, budget: Decimal | None) -> Decimal:
    """Return what live runs that spent so much over some time are likely to need in the time that is left.

    Half of the budget where they have been at work for less than a day.
    """
    if over < ENOUGH:
        return (budget or Decimal(0)) * ALONE
    return spent * Decimal(left / over)


class Spare(StoreMeter):
    """A meter that leaves the live runs what they need: see spare."""

    def use(self, units: int, limit: int, period: str, renewed_at: datetime) -> None:
        """Take units out of the part of a ration that is not kept for live runs."""
        super().use(units, limit // RATION, period, renewed_at)


def spare(store: Store, source: Source, sources: Sequence[Source], now: datetime) -> Spare:
    """Meter a source for what can wait; `sources` are all that share a budget."""
    needs = {each.name: _need(store, each, now) for each in {source.name: source, **_by_name(sources)}.values()}
    total = source.total_budget
    if total is not None:
        total = max(total - sum(needs.values()) + needs[source.name], Decimal(0))
    return Spare(store, source.name, source.monthly_budget, now, total, kept=needs[source.name])


def _need(store: Store, source: Source, now: datetime) -> Decimal:
    budget = source.monthly_budget
    if budget is None and source.price:
        budget = source.total_budget
    if budget is None:  # nothing is kept of what has no limit
        return Decimal(0)
    since, spent = store.sources.live_cost(source.name, now - LOOKED_BACK)
    over = now - since if since else timedelta(0)
    return likely_need(spent, over, next_month(now) - now, budget)


def _by_name(sources: Sequence[Source]) -> dict[str, Source]:
    return {source.name: source for source in sources}
