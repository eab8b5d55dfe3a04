"""X's rate limits, as its answers tell them: what is left is known before the next request is made."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from db.errors import RateLimited

WAIT = timedelta(minutes=15)  # X's rate limits are per quarter of an hour
LONGEST_WAIT = timedelta(days=1)


class Limits:
    """Until when X wants no further request, by kind of request; shared by all runs of a source."""

    def __init__(self) -> None:
        self._until: dict[str, datetime] = {}

    def check(self, what: str, now: datetime) -> None:
        """Raise RateLimited where the next request would be refused."""
        until = self._until.get(what)
        if until is not None and now < until:
            raise RateLimited(f"X allows no further {what} before {until:%Y-%m-%d %H:%M:%S} UTC", until)

    def note(self, what: str, headers: Mapping[str, str], now: datetime) -> None:
        """Remember what an answer says of the requests that are left."""
        until = renewed(headers, now)
        if headers.get("x-rate-limit-remaining") == "0" and until is not None:
            self._until[what] = until


def renewed(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Return when the limit ends; None where that is missing, past or absurd."""
    try:
        reset = datetime.fromtimestamp(int(headers["x-rate-limit-reset"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return None
    return reset if now < reset <= now + LONGEST_WAIT else None
