"""What the jobs ask of a collector. A plugin need not import it: the shape is enough."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

from db.records import Batch, Checked, Position


class Meter(Protocol):
    """Keeps a source inside its budget. Whatever is paid for or rationed is reserved before it is asked for."""

    def left(self) -> Decimal | None:
        """What may still be spent this month, None without a limit."""

    def reserve(self, most: Decimal) -> None:
        """Write down the most that the next request can cost; raise BudgetSpent when that does not fit."""

    def settle(self, actual: Decimal) -> None:
        """Replace the last reservation by what the request did cost."""

    def use(self, units: int, limit: int, period: str, renewed_at: datetime) -> None:
        """Take units out of a ration that the platform gives for a period (any text that names it, such as a date).

        Raises BudgetSpent, to wait until `renewed_at`, where fewer are left.
        """


class Collector(Protocol):
    """Reads one source. Blocking, with a timeout on every request; it never sleeps and never retries for long."""

    def streams(self) -> Sequence[str]:
        """The names of what is read, each with a cursor of its own (one search, one listing)."""

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        """Yield what is new since the position, in any order; the last batch carries the next cursor.

        Raises RateLimited, NotAuthorised, BudgetSpent or SourceUnavailable. What was yielded before is kept.
        """


@runtime_checkable
class Historian(Protocol):
    """A collector that can read the past too: `sentimon backfill`, and gaps that are filled later."""

    def oldest(self, stream: str, now: datetime) -> datetime | None:
        """How far back the platform gives posts; None where it gives them all."""

    def history(
        self, stream: str, since: datetime, until: datetime, resume: str | None, meter: Meter, now: datetime
    ) -> Iterator[Batch]:
        """Yield what was posted from `since` until before `until`, in any order; the last batch carries any cursor.

        A batch before it carries `resume`, which comes back when the rest is to be read. Raises as `collect` does.
        """


@runtime_checkable
class Checker(Protocol):
    """A collector that can tell which posts its platform no longer shows, or shows otherwise.

    `platform` is the `source` of its mentions, `check_size` how many posts it can be asked about at once. Where it can
    tell of some of them only, `check_prefix` is how their ids begin.
    """

    platform: str
    check_size: int

    def check(self, ids: Sequence[str], resume: str | None, meter: Meter, now: datetime) -> Checked:
        """Ask the platform about posts that were stored, by their `source_id`. Raises as `collect` does.

        Imported ones come too, with ids that need not be the platform's: such are neither gone nor seen.
        """


@runtime_checkable
class Listener(Protocol):
    """A collector some of whose streams only listen for a while, beside others that bring all posts in any case.

    Whether such a one was heard says nothing of how far the source was read.
    """

    def beside(self) -> Collection[str]:
        """Those of `streams()` on which nothing rests, never all: they come last, and no hour is told by them."""
