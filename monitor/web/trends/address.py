"""What addresses of the pages say: words, times and posts in them, read and written."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import Request

from db.desk import User, visible
from db.errors import InputError
from db.filters import POSTING, Filter
from db.labels import PILLARS, REPLIES, SENTIMENTS, STAGES, TOUCHPOINTS, UNSURE
from db.posts import NOT_RATED, Wanted
from jobs.trends.asked import query_of
from monitor.web.forms import number_of

LONGEST = 500  # characters of a value
MOST = 50  # values of one name
KINDS: Mapping[str, tuple[str, ...]] = {  # questions that posts can be chosen by, and the answers that there are
    "sentiment": (*SENTIMENTS, NOT_RATED),
    "stage": (*STAGES, UNSURE),
    "pillar": (*PILLARS, UNSURE),
    "touchpoint": (*TOUCHPOINTS, UNSURE),
    "reply": (*REPLIES, UNSURE, "none"),
}


def words(request: Request, name: str, known: Collection[str] | None = None) -> tuple[str, ...]:
    """Return the values that an address gives a name, empty ones left out; InputError where one is not known."""
    given = [value for value in request.query_params.getlist(name) if value]
    if len(given) > MOST or any(len(value) > LONGEST for value in given):
        raise InputError(f"{name} in the address: too long; give {MOST} values of {LONGEST} characters at most")
    for value in given:
        if known is not None and value not in known:
            raise InputError(f"{name}={value[:40]} in the address: there is no such {name}; take one of {_list(known)}")
    return tuple(dict.fromkeys(given))


def word(request: Request, name: str, known: Collection[str] | None = None) -> str:
    """Return the last value that an address gives a name, "" where it gives none."""
    return (words(request, name, known) or ("",))[-1]


def time(request: Request, name: str) -> datetime | None:
    """Read a time, in UTC where it names no zone; a day alone is its beginning. It lies where posts can (`POSTING`)."""
    given = word(request, name)
    if not given:
        return None
    try:
        found = datetime.fromisoformat(given)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        return min(max(found, POSTING[0]), POSTING[1])
    except (ValueError, OverflowError):
        raise InputError(
            f"{name}={given[:40]} in the address: not a date; write it as 2026-01-31 or 2026-01-31T16:30"
        ) from None


def wanted(request: Request, user: User) -> Wanted:
    """Read which posts are asked for, narrowed to the brands that somebody may see."""
    alert = word(request, "alert")
    if alert and number_of(alert) is None:
        raise InputError(f"alert={alert[:40]} in the address: not the number of an alert")
    since, until = time(request, "since"), time(request, "until")
    if since and until and since >= until:
        raise InputError("the span in the address ends before it begins; take a later end")
    labels = {kind: words(request, kind, known) for kind, known in KINDS.items()}
    return Wanted(
        Filter(
            since=since,
            until=until,
            brands=visible(user, words(request, "brand")),
            sources=words(request, "source"),
            stages=labels["stage"],
            sentiments=labels["sentiment"],
            replies=labels["reply"],
            pillars=labels["pillar"],
            touchpoints=labels["touchpoint"],
        ),
        text=word(request, "q"),
        author=word(request, "author"),
        alert_id=int(alert) if alert else None,
        copies=word(request, "copies", ("yes", "no")) != "no",
    )


def address(path: str, pairs: Iterable[tuple[str, str | None]]) -> str:
    """Write an address; what is None or empty is left out."""
    kept = [(name, value) for name, value in pairs if value]
    return f"{path}?{urlencode(kept)}" if kept else path


def posts_of(chosen: Filter) -> str:
    """Write the address of the posts behind a number."""
    return f"/posts?{query_of(chosen)}"


def _list(known: Collection[str]) -> str:
    return ", ".join(known)
