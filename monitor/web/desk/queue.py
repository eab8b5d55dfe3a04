"""The list of the desk: what is asked for, what there is, and what every page of the desk shows beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from db.cases import Asked
from db.desk import DISMISSALS, LEVELS, STATES, Case, User, View, visible
from db.labels import COUNTED_STAGES, PILLARS, SENTIMENTS, TOUCHPOINTS
from db.store import Store
from monitor.web.desk import words
from monitor.web.desk.asking import NOBODY, TABS, Question, amiss, read
from monitor.web.desk.times import SNOOZES
from monitor.web.desk.who import Viewer
from monitor.web.forms import number_of
from monitor.web.site import SEEN, Site
from monitor.web.trends.address import names

SHOWN = 30  # cases of a page of the list
Having = tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab, how many cases it has, and where it is."""

    name: str
    title: str
    count: int
    address: str


def mount(app: FastAPI, site: Site) -> None:
    """Add /desk."""

    @app.api_route("/desk", methods=SEEN, response_class=HTMLResponse)
    def show(request: Request, user: Viewer) -> Response:
        now, asked = site.clock(), read(request.url.query)
        with site.store() as store:
            shown = gather(site, store, asked, user, now)
            standing = _standing(store, asked, user, now, shown["having"])
        said = request.query_params.get("did", "")
        notice, of = words.DONE.get(said, ""), number_of(request.query_params.get("of", ""))
        more = {"case": None, "standing": standing, "notice": notice, "of": of}
        return site.page(request, "desk/desk.html", {**shown, **more}, 400 if shown["amiss"] else 200)


def gather(site: Site, store: Store, asked: Question, user: User, now: datetime) -> dict[str, Any]:
    """Return what the template of the list wants. Where the address makes no sense, `amiss` says so: none is listed."""
    having = _having(site, asked)
    views = [view for view in store.views.of(user.name) if _sees(user, view)]
    kept = {view.id: read(view.query) for view in views}
    written = dict.fromkeys(name for one in (asked, *kept.values()) for name in one.all("assignee"))
    known = names(site, store, user) | {"assignee": _assignees(store, user, written, now)}
    wrong = amiss(asked, known)
    wanted = replace(asked.asked(user), having=having)
    found = [] if wrong else store.cases.queue(wanted, now, SHOWN + 1, (asked.page - 1) * SHOWN)
    brands = [brand.name for brand in site.config.brands if user.sees(brand.name)]
    sources = sorted({*store.mentions.counts_by_source(), *asked.all("source")})
    return {
        "asked": asked,
        "amiss": wrong,
        "having": having,
        "items": found[:SHOWN],
        "more": len(found) > SHOWN,
        "first": (asked.page - 1) * SHOWN + 1,
        "tabs": tabs(store, asked, user, now, having),
        "last_event": store.cases.newest_event(),
        "filters": _filters(brands, sources),
        "views": views,
        "spoilt": {number for number, question in kept.items() if amiss(question, known)},
        "tags": store.cases.tags(visible(user, ()))[:50],
        "people": people(store, user),
        "reasons": DISMISSALS,
        "levels": LEVELS,
        "snoozes": SNOOZES,
        "states": words.STATES,
        "waiting": partial(words.waiting, hours=site.config.desk.business),
        "plain": words.plain,
        "sure": words.sure,
        "short": words.short,
        "before_of": store.conversations.before([one.id for one in found[:SHOWN]], visible(user, ())),
        "stamp": words.stamp,
    }


def _assignees(store: Store, user: User, written: Iterable[str], now: datetime) -> list[str]:
    """Name whom a case can be with, as the address and the views write them too: also who has one and is no user."""

    def has_some(name: str) -> bool:
        return store.cases.total(Asked(visible(user, ()), states=STATES, assignee=name), now) > 0

    known = [NOBODY, *dict.fromkeys([user.name, *(one.name for one in store.users.every())])]
    return [*known, *(name for name in written if name not in known and (store.users.named(name) or has_some(name)))]


def _having(site: Site, asked: Question) -> Having:
    """Look once for the cases that have the words asked for: the list and every tab want them."""
    words = asked.first("q")
    return site.searches.of(("having", words), lambda store: store.cases.having(words)) if words else None


def _standing(
    store: Store, asked: Question, user: User, now: datetime, having: Having
) -> list[tuple[str, int, str, str]]:
    """Say how the queue stands: a name, a count, where its posts are, and how it looks."""
    counts = store.cases.counts(replace(asked.asked(user, "all"), having=having), now, user.name)
    late = "down" if counts["overdue"] else ""
    return [
        ("Overdue", counts["overdue"], "?overdue=1", late),
        ("Unassigned", counts["unassigned"], f"?assignee={NOBODY}", ""),
        ("Assigned to me", counts["mine"], "?tab=mine", ""),
        ("To approve", counts["waiting"], "?tab=waiting", ""),
    ]


def tabs(store: Store, asked: Question, user: User, now: datetime, having: Having = None) -> list[Tab]:
    """Count what is in each tab, under the same filters."""
    counts = counted(store, asked, user, now, having=having)
    return [Tab(name, title, counts[name], asked.with_tab(name)) for name, title in TABS.items()]


def counted(
    store: Store,
    asked: Question,
    user: User,
    now: datetime,
    names: Iterable[str] = tuple(TABS),
    having: Having = None,
) -> Mapping[str, int]:
    """Count the cases of each tab; `having` are those that have the words of the question, where that is known."""
    return {name: store.cases.total(replace(asked.asked(user, name), having=having), now) for name in names}


def people(store: Store, user: User) -> list[str]:
    """Name those whom a case can be given to, whoever asks first."""
    able = [one.name for one in store.users.every() if one.may("responder") and one.name != user.name]
    return [*([user.name] if user.may("responder") else []), *able]


def _sees(user: User, view: View) -> bool:
    """Whether a view is of no brand that somebody may not see."""
    return all(map(user.sees, read(view.query).all("brand")))


def neighbours(items: Sequence[Case], case_id: int) -> tuple[int | None, int | None]:
    """Return the cases before and after one in the list; where it is not in it, the first comes after."""
    ids = [one.id for one in items]
    if case_id not in ids:
        return None, next(iter(ids), None)
    at = ids.index(case_id)
    return (ids[at - 1] if at else None), (ids[at + 1] if at + 1 < len(ids) else None)


def _filters(brands: Sequence[str], sources: Sequence[str]) -> list[tuple[str, str, Sequence[str]]]:
    return [
        ("brand", "Brand", brands),
        ("source", "Source", sources),
        ("level", "Level", tuple(reversed(LEVELS))),
        ("sentiment", "Sentiment", SENTIMENTS),
        ("stage", "Stage", COUNTED_STAGES),
        ("pillar", "Pillar", PILLARS),
        ("touchpoint", "Touchpoint", TOUCHPOINTS),
    ]
