"""Links to an alert that let whoever holds them act on it: signed with a key of the database, good for two weeks."""

from datetime import datetime, timedelta
from typing import Any

from db.store import Store
from jobs.links import NO_LINKS, Links

GOOD_FOR = timedelta(days=14)
KEY = "links"  # in the table keys
LONGEST = 200  # characters of a token; ours have about 60


def links(base: str | None, store: Store, now: datetime) -> Links:
    """Make links that begin with `base`; none where nobody has said how the pages are reached."""
    if base is None:
        return NO_LINKS
    key = store.keys.made(KEY)
    if key is None:
        with store.transaction():
            key = store.keys.of(KEY)
    signer = _signer(key)
    until = int((now + GOOD_FOR).timestamp())

    def sign(alert_id: int) -> str:
        return str(signer.dumps([alert_id, until]))

    return Links(base, sign)


def admits(store: Store, token: str, alert_id: int, now: datetime) -> bool:
    """Say whether a token lets its holder act on an alert. Writes nothing: a page that is only looked at asks it."""
    from itsdangerous import BadData

    key = store.keys.made(KEY)
    if key is None or not token or len(token) > LONGEST:
        return False
    try:
        named, until = _signer(key).loads(token)
        return bool(named == alert_id and now.timestamp() < until)
    except (BadData, ValueError, TypeError):  # the latter two: signed by us, but no token of an alert
        return False


def _signer(key: bytes) -> Any:
    from itsdangerous import URLSafeSerializer

    return URLSafeSerializer(key, salt="alert")
