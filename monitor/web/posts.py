"""The page of posts: those behind a number, searched, sorted, page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from db.desk import Labels, User
from db.errors import InputError
from db.filters import POSTING
from db.labels import GUIDE
from db.posts import MANY, ORDERS, Mark, Page, Wanted
from db.records import Match
from db.store import Store
from jobs.desk import urgency
from monitor.web.auth import form, need
from monitor.web.forms import Refused, number_of
from monitor.web.site import SEEN, Site
from monitor.web.trends.address import KINDS, address, check, names, wanted, word
from monitor.web.trends.filters import install
from monitor.web.trends.words import label, percent

FIRST, LAST = POSTING
SHOWN = 40  # posts a page
LONGEST = 4_000  # characters of a post; the platform has the rest
ORDER_NAMES = {"newest": "Newest first", "negative": "Most negative first", "reach": "Widest reach first"}
NAMES = {
    "brand": "Brand",
    "source": "Source",
    "sentiment": "Sentiment",
    "stage": "Stage",
    "pillar": "Pillar",
    "touchpoint": "Touchpoint",
    "reply": "Needs an answer",
    "author": "Author",
    "q": "Words",
    "alert": "Alert",
    "since": "From",
    "until": "Before",
    "copies": "Copies",
}
_KNOWN = {**dict.fromkeys(NAMES), "order": ORDERS}  # what an address can say; labels are checked as read


@dataclass(frozen=True, slots=True)
class Likely:
    """What the model answers to one question of a post, and how surely."""

    question: str
    answer: str
    others: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A post as the page has it."""

    match: Match
    text: str
    rest: int  # characters that are not shown
    likely: Sequence[Likely]
    case: tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class Chip:
    """A part of the question, and the address of the question without it."""

    name: str
    value: str
    without: str


def mount(app: FastAPI, site: Site) -> None:
    """Add /posts."""

    install(site)

    @app.api_route("/posts", methods=SEEN, response_class=HTMLResponse)
    def posts(request: Request, user: User = Depends(need("viewer"))) -> Response:  # noqa: B008
        order = request.query_params.get("order", "newest")
        order = order if order in ORDERS else "newest"
        with site.store() as store:
            known = names(site, store, user)
            choices = _choices(known["brand"], store.posts.named()[1])
            try:
                check([pair for pair in request.query_params.multi_items() if pair[0] != "after"], _KNOWN | known)
                asked = wanted(request, user)
                after = _mark(word(request, "after"), order)
            except InputError as error:
                values = _nothing(request, str(error)) | choices | {"order": order}
                return site.page(request, "posts.html", values, 400)
            (found, exact), page = site.searches.of(
                ("posts", asked, order, after), lambda lent: _look(lent, asked, order, after)
            )
            values = {
                "asked": asked,
                "count": found,
                "exact": exact,
                "posts": _shown(store, page.posts),
                "chips": _chips(request),
                "next": _with(request, after=_text(page.after)) if page.after else None,
                "first": _with(request, after=None) if after else None,
                "order": order,
                "question": request.url.query,
                "notice": "",
                "any": store.posts.newest_id() > 0,
            }
        return site.page(request, "posts.html", values | choices)

    @app.post("/posts/{number}/case")
    async def ask(number: str, request: Request, user: User = Depends(need("responder"))) -> Response:  # noqa: B008
        given = await form(request)
        return await run_in_threadpool(open_case, number, given, request, user)

    def open_case(number: str, given: Mapping[str, str], request: Request, user: User) -> Response:
        with site.store() as store:
            match_id = number_of(number)
            post = None if match_id is None else next(iter(store.mentions.of([match_id])), None)
            if post is None or not user.sees(post.brand):
                raise Refused(404, "This post is gone.")
            if post.mention.gone_at is not None or not post.about:
                raise Refused(409, "This post is not there any more, or not about the brand: nobody answers it.")
            with store.transaction():
                asked = f"{user.name} asked for an answer"
                level, worse = urgency.of_post(post), urgency.priority(post)
                store.cases.open(post, None, asked, worse, site.clock(), level=level, who=user.name)
        pairs = parse_qsl(given.get("question", ""))
        kept = [(name, value) for name, value in pairs if name in (*NAMES, "order", "after")]
        return site.go(request, address("/posts", kept) + f"#p{number}")


def _look(store: Store, asked: Wanted, order: str, after: Mark | None) -> tuple[tuple[int, bool], Page]:
    found, exact = count(store, asked)
    return (found, exact), store.posts.page(asked, order, SHOWN, after, found >= MANY)


def count(store: Store, asked: Wanted) -> tuple[int, bool]:
    """Count the posts that are asked for: from the counts of hours and days where those can tell, else one by one.

    Says whether these are all: one by one, it goes no farther than MANY.
    """
    chosen = replace(asked.chosen, since=asked.chosen.since or FIRST, until=asked.chosen.until or LAST)
    edges = [edge for edge in (chosen.since, chosen.until) if edge]
    facets = {"pillar": chosen.pillars, "touchpoint": chosen.touchpoints, "reply": chosen.replies}
    kinds = [kind for kind, names in facets.items() if names]
    by_post = asked.text or asked.author or asked.alert_id is not None or not asked.copies
    if by_post or len(kinds) > 1 or (kinds and chosen.stages) or any(edge.minute or edge.second for edge in edges):
        found = store.posts.count(asked)
        return found, found < MANY
    if kinds:
        by_name = store.facets.counts(chosen, kinds)
        counts = [labels for (_, name), labels in by_name.items() if name in facets[kinds[0]]]
    else:
        counts = list(store.trends.counts(chosen).values())
    every = sum(counts, Labels())
    return sum(getattr(every, name) for name in chosen.sentiments or KINDS["sentiment"]), True


def _choices(brands: Sequence[str], sources: Sequence[str]) -> dict[str, Any]:
    """Return what the fields of the form offer."""
    return {
        "brands": brands,
        "sources": sources,
        "kinds": KINDS,
        "names": NAMES,
        "orders": ORDER_NAMES,
        "shown": SHOWN,
    }


def _nothing(request: Request, notice: str) -> dict[str, Any]:
    empty = {
        "asked": Wanted(),
        "count": 0,
        "exact": True,
        "posts": [],
        "next": None,
        "first": None,
        "order": "newest",
        "any": True,
    }
    return empty | {"chips": _chips(request), "question": "", "notice": notice}


def _shown(store: Store, posts: Sequence[Match]) -> list[Shown]:
    likely, cases = store.posts.likelihoods(posts), store.posts.cases(posts)
    return [
        Shown(
            post,
            post.mention.shown[:LONGEST],
            max(len(post.mention.shown) - LONGEST, 0),
            _likely(likely.get(post.id, {})),
            cases.get(post.id),
        )
        for post in posts
    ]


def _likely(found: Mapping[str, Mapping[str, float]]) -> list[Likely]:
    """Write how likely each answer is, the likeliest first, those that hardly are left out."""
    lines = []
    for question in GUIDE:
        ranked = sorted(found.get(question, {}).items(), key=lambda pair: -pair[1])
        if ranked:
            (first, surely), *rest = ranked
            others = ", ".join(f"{label(name)} {percent(share)}" for name, share in rest[:2] if share >= 0.02)
            lines.append(Likely(question, f"{label(first)} {percent(surely)}", others))
    return lines


def _chips(request: Request) -> list[Chip]:
    """Return each part of the question, with the address that asks without it."""
    pairs = [(name, value) for name, value in request.query_params.multi_items() if value and name in (*NAMES, "order")]
    chips = []
    for place, (name, value) in enumerate(pairs):
        if name in NAMES and (name, value) != ("copies", "yes"):
            without = urlencode(pairs[:place] + pairs[place + 1 :])
            chips.append(Chip(NAMES[name], _said(name, value), f"/posts?{without}"))
    return chips


def _said(name: str, value: str) -> str:
    if name == "copies":
        return "left out"
    if name in ("since", "until"):
        return value[:16].replace("T", " ")
    return label(value) if name in (*KINDS, "source") else value


def _with(request: Request, **changed: str | None) -> str:
    """Write the address of this page with something else in it."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in changed]
    return address("/posts", [*kept, *changed.items()])


def _text(mark: Mark) -> str:
    return f"{mark.value}~{mark.match_id}"


def _mark(given: str, order: str) -> Mark | None:
    """Read where a page begins; InputError where an address does not say it in this order."""
    if not given:
        return None
    value, _, number = given.rpartition("~")
    last = number_of(number)
    if last is not None:
        if order == "newest":
            return Mark(value, last)
        try:
            return Mark(float(value), last)
        except ValueError:
            pass
    raise InputError("after in the address: not where a page begins; leave it out to see the first")
