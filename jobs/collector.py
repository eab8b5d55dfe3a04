"""What the collect job asks of a collector. A plugin need not import it: the shape is enough."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from db.records import Batch, Position


class Meter(Protocol):
    """Keeps a source inside its monthly budget. Every paid request is reserved before it is made."""

    def left(self) -> Decimal | None:
        """What may still be spent this month, None without a limit."""

    def reserve(self, most: Decimal) -> None:
        """Write down the most that the next request can cost; raise BudgetSpent when that does not fit."""

    def settle(self, actual: Decimal) -> None:
        """Replace the last reservation by what the request did cost."""


class Collector(Protocol):
    """Reads one source. Blocking, with a timeout on every request; it never sleeps and never retries for long."""

    def streams(self) -> Sequence[str]:
        """The names of what is read, each with a cursor of its own (one search, one listing)."""

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        """Yield what is new since the position, in any order; the last batch carries the next cursor.

        Raises RateLimited, NotAuthorised, BudgetSpent or SourceUnavailable. What was yielded before is kept.
        """
