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
from db.store import Store
from jobs.trends.asked import query_of
from monitor.web.forms import line, number_of
from monitor.web.site import Site

LONGEST = 500  # characters of a value
MOST = 50  # values of one name
LISTED = 20  # names that a refusal lists
SHOWN = 40  # characters of what it refuses
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
    check([(name, value) for value in given], {name: known})
    return tuple(dict.fromkeys(given))


def check(
    given: Iterable[tuple[str, str]], known: Mapping[str, Collection[str] | None], numbers: Collection[str] = ()
) -> None:
    """Raise InputError for the first thing in an address that makes no sense there: a name, or what it is given.

    `known` has the names that a page is asked by, and what each can be given, None for anything; `numbers` are those
    that want one. What is passed over without a word shows another list than was asked for.
    """
    for name, value in given:
        if not value:
            continue
        here = f"{line(name, SHOWN)}={line(value, SHOWN)} in the address"
        if name not in known:
            raise InputError(f"{here}: this page takes no such thing; it takes {_list(known)}")
        choices = known[name]
        if choices is not None and value not in choices:
            raise InputError(f"{here}: there is no such {name}; {_offer(choices)}")
        if name in numbers and number_of(value) is None:
            raise InputError(f"{here}: not a number; write one, or leave it out")


def names(site: Site, store: Store, user: User) -> dict[str, list[str]]:
    """Name the brands that somebody may see and the sources, of the configuration and of what is stored.

    A link that was kept goes on when a source is not read any more, or a brand not watched: what the store remembers of
    them is known, as are the brands that somebody was given.
    """
    brands, sources = store.posts.named()
    watched, read = [brand.name for brand in site.config.brands], [source.kind for source in site.config.sources]
    once = [state.kind for state in store.sources.states()]
    return {
        "brand": [name for name in dict.fromkeys([*watched, *brands, *(user.brands or ())]) if user.sees(name)],
        "source": list(dict.fromkeys([*sources, *read, *once])),
    }


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


def _offer(known: Collection[str]) -> str:
    return f"take one of {_list(known)}" if known else "leave it out"


def _list(known: Collection[str]) -> str:
    return ", ".join([*known][:LISTED]) + (", …" if len(known) > LISTED else "")
