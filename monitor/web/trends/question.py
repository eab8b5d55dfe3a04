"""What the pages of trends are asked, read from the address, and the fields in which it is asked anew."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from fastapi import Request

from db.desk import User, visible
from db.errors import InputError
from jobs.trends.asked import DAYS, Question, Span, parse
from monitor.config import Config
from monitor.web.site import Site
from monitor.web.trends.address import check, names, time
from monitor.web.trends.words import day

DAY = timedelta(days=1)
SPANS = {1: "Today", 7: "7 days", 28: "28 days", 90: "90 days"}
STEPS = {"": "As fits", "hour": "Hours", "day": "Days", "week": "Weeks"}
AGAINST = {"previous": "the period before", "year": "52 weeks before", "nothing": "nothing"}
NO_BRANDS = "\0"  # is nobody's name
ASKED = dict.fromkeys(  # beside brands and sources; `parse` says what they can be
    ("stage", "days", "since", "to", "until", "step", "against", "before_since", "before_until")
)


@dataclass(frozen=True, slots=True)
class Brands:
    """The brands of the configuration that somebody may see."""

    own: tuple[str, ...]
    rivals: tuple[str, ...]


def brands_for(config: Config, user: User) -> Brands:
    """Return the brands that somebody may see, own ones and competitors."""
    seen = [brand for brand in config.brands if user.sees(brand.name)]
    return Brands(tuple(b.name for b in seen if b.own), tuple(b.name for b in seen if not b.own))


def beside_rivals(question: Question, brands: Brands) -> Question:
    """Ask the same of own brands and all competitors: what brands are compared where none is named."""
    return question.of((*brands.own, *brands.rivals) or question.brands)


def read(
    request: Request, site: Site, user: User, more: Mapping[str, Collection[str] | None] | None = None
) -> Question:
    """Read the question of an address, narrowed to the brands that somebody may see; InputError for nonsense.

    Beside what `parse` reads there is `to`, the last day of a span, as the form sends it, and what the page takes
    `more`. No brand named: our own ones.
    """
    with site.store() as store:
        known = names(site, store, user)
    given = [(name, value.strip()) for name, value in request.query_params.multi_items()]
    check(given, known | ASKED | dict(more or {}))
    values = {name: request.query_params.getlist(name) for name in request.query_params}
    last = time(request, "to")
    if last:
        values["until"] = [f"{last + DAY:%Y-%m-%d}"]
        if not any(values.get("since", ())):
            raise InputError("from: a span that ends needs a beginning; give both days, or none")
    question = parse(values, site.clock())
    named = question.brands or brands_for(site.config, user).own
    return question.of(visible(user, named) if named or user.brands is not None else ())


def controls(request: Request, site: Site, user: User, question: Question, sources: Sequence[str]) -> dict[str, Any]:
    """Return what the form of a question shows, and the links to other spans and to this one with its dates."""
    here, asked = request.url.path, question
    fixed = replace(asked, days=None)
    return {
        "question": asked,
        "asked_brands": [name for name in request.query_params.getlist("brand") if name],
        "extra": (),
        "spans": [(said, f"{here}?{_along(asked, days)}", asked.days == days) for days, said in SPANS.items()],
        "steps": STEPS,
        "againsts": AGAINST | ({"custom": "other dates"} if asked.against == "custom" else {}),
        "known_brands": [*brands_for(site.config, user).own, *brands_for(site.config, user).rivals],
        "known_sources": sources,
        "kept": f"{here}?{fixed.to_query()}",
        "dates": dates_of(asked.span),
        "named": [name for name in asked.brands if name != NO_BRANDS],
        "last_day": (asked.asked_until or asked.until) - DAY,
    }


def dates_of(span: Span) -> str:
    """Say a span in words: 5 Feb 2026 to 4 Mar 2026."""
    first, last = day(span.since), day(span.until - timedelta(seconds=1))
    return first if first == last else f"{first} to {last}"


def _along(question: Question, days: int) -> str:
    changed = replace(
        question, days=days, asked_until=None, against="previous" if question.against == "custom" else question.against
    )
    return changed.to_query(step=None, days=str(days) if days != DAYS else None)
