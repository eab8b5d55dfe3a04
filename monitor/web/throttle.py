"""How often somebody may try to log in. An attempt is written down before it is looked at: many at once do not help."""

from datetime import datetime, timedelta

from db.store import Store
from monitor.web.forms import Refused

WINDOW = timedelta(minutes=15)
OF_BOTH, OF_ADDRESS, OF_NAME = 5, 20, 50  # attempts in vain: of a name from an address, from an address, of a name


def admit(store: Store, name: str, address: str, now: datetime) -> None:
    """Write down an attempt; Refused, and nothing is written, where there were too many of late."""
    with store.transaction():
        failed = store.sessions.failed(now - WINDOW)
        by_name = [at for tried, _, at in failed if tried == name]
        by_address = [at for _, where, at in failed if where == address]
        by_both = [at for tried, where, at in failed if (tried, where) == (name, address)]
        limits = ((by_both, OF_BOTH), (by_address, OF_ADDRESS), (by_name, OF_NAME))
        waits = [times[-most] + WINDOW - now for times, most in limits if len(times) >= most]
        if not waits:
            store.sessions.fail(name, address, now)
            return
    seconds = max(1, int(max(waits).total_seconds()))
    minutes = -(-seconds // 60)
    raise Refused(429, f"Too many attempts. Try again in {minutes} minute{'s' if minutes > 1 else ''}.", seconds)


def clear(store: Store, name: str, address: str, now: datetime) -> None:
    """Forget the attempts of somebody who is in; runs in the caller's transaction."""
    store.sessions.forgive(name, address, now - WINDOW)
