"""The desk's rules: which posts become cases, of which level and whose; tried out before they are kept."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from db.desk import LEVELS, Conditions, Rule, User
from db.errors import InputError, Stale
from db.labels import PILLARS, REPLIES, SENTIMENTS, STAGES, TOUCHPOINTS
from db.records import NO_BRAND
from db.store import Store
from jobs.desk.rules import Preview, change, checked, preview, save, version
from monitor.web.auth import form
from monitor.web.desk import meanwhile, words
from monitor.web.desk.queue import people
from monitor.web.desk.who import Approver
from monitor.web.forms import Form, Refused, line, number_of
from monitor.web.site import SEEN, Site

NAME_SHOWN = 60
QUERY_SHOWN = 1_000
NOWHERE = "There is no such rule."
RULE = "rule"
MOVES = ("up", "down", "enable", "disable", "remove")


def mount(app: FastAPI, site: Site) -> None:
    """Add /desk/rules. Rules for brands that somebody may not see are not there, those for others too not theirs."""

    def page(request: Request, store: Store, user: User, status: int = 200, **more: Any) -> Response:
        values = {
            "rules": [
                {"rule": one, "says": said(one, user), "yours": _theirs(one, user), "seen": version(one)}
                for one in _seen(store, user)
            ],
            "choices": _choices(site, store, user, more.get("edited")),
            "rivals": any(not brand.own and user.sees(brand.name) for brand in site.config.brands),
            "people": people(store, user),
            "levels": LEVELS,
            "plain": words.plain,
            "stamp": words.stamp,
            "edited": None,
            "seen": version(more["edited"]) if more.get("edited") else "",
            "there": None,
            "tried": None,
            "notice": "",
            **more,
        }
        return site.page(request, "desk/rules.html", values, status)

    @app.api_route("/desk/rules", methods=SEEN, response_class=HTMLResponse)
    def show(request: Request, user: Approver, edit: str = "") -> Response:
        with site.store() as store:
            edited = _find(store, edit, user) if edit else None
            try:
                tried = _tried(store, edited, user, site) if edited else None
            except InputError as error:  # it could be used once: its user has gone, or a label
                return page(request, store, user, edited=edited, notice=str(error))
            return page(request, store, user, edited=edited, tried=tried)

    @app.post("/desk/rules")
    async def act(request: Request, user: Approver) -> Response:
        return await run_in_threadpool(decide, request, await form(request), user)

    def decide(request: Request, given: Form, user: User) -> Response:
        number, what = given.get("id", ""), given.get("do", "")
        with site.store() as store:
            if number and what in MOVES:
                with store.transaction():
                    found = _find(store, number, user)
                    if as_seen := version(found) == given.get("seen", ""):
                        _change(store, found, what, user)
                return (
                    site.go(request, "/desk/rules")
                    if as_seen
                    else page(request, store, user, 409, notice=meanwhile.other(RULE))
                )
            known, seen = _there(store, number, user), given.get("seen", "")
            wanted = _read(given, known)
            try:
                if number and known is None:
                    raise Stale(meanwhile.gone(RULE), None)
                if not _theirs(wanted, user):
                    raise InputError("choose the brands that it is for, of those that you see")
                if what == "try":
                    tried = _tried(store, wanted, user, site)
                    return page(request, store, user, edited=wanted, seen=seen, tried=tried)
                with store.transaction():
                    if known:
                        change(store, wanted, seen)
                    else:
                        save(store, wanted)
            except Stale:
                return conflict(request, store, user, wanted, _there(store, number, user))
            except InputError as error:
                return page(request, store, user, 400, edited=wanted, seen=seen, notice=str(error))
        return site.go(request, "/desk/rules")

    def conflict(request: Request, store: Store, user: User, wanted: Rule, there: Rule | None) -> Response:
        """Show what was typed beside what is there now; sent again from here, it is kept."""
        if there is None:
            return page(request, store, user, 409, edited=replace(wanted, id=0), notice=meanwhile.gone(RULE))
        now = {"name": there.name, "says": said(there, user)}
        return page(
            request, store, user, 409, edited=wanted, seen=version(there), there=now, notice=meanwhile.changed(RULE)
        )


def said(rule: Rule, user: User) -> tuple[str, str]:
    """Say which posts a rule is for, as far as somebody may see them, and what it makes of them."""
    when = replace(rule.when, brands=tuple(filter(user.sees, rule.when.brands)))
    labelled: Sequence[tuple[str, Sequence[str]]] = (
        ("about", when.brands),
        ("on", when.sources),
        ("", when.sentiments),
        ("stage", when.stages),
        ("pillar", when.pillars),
        ("touchpoint", when.touchpoints),
        ("needs an answer:", when.replies),
    )
    parts = [f"{what} {' or '.join(map(words.plain, names))}".strip() for what, names in labelled if names]
    if when.followers is not None:
        parts.append(f"at least {when.followers:,} followers")
    if when.query is not None:
        parts.append(f"agrees with {when.query}")
    if rule.ignore:
        return ", ".join(parts), "no case"
    makes = [f"level {rule.level}" if rule.level else "", f"to {rule.assignee}" if rule.assignee else ""]
    makes.append(f"tagged {rule.tag}" if rule.tag else "")
    return ", ".join(parts), ", ".join(part for part in makes if part) or "a case"


def _theirs(rule: Rule, user: User) -> bool:
    """Whether somebody may change a rule: it is for brands that they see."""
    return user.brands is None or (bool(rule.when.brands) and all(map(user.sees, rule.when.brands)))


def _seen(store: Store, user: User) -> list[Rule]:
    """Return the rules for any brand that somebody sees, in their order."""
    return [one for one in store.rules.all() if not one.when.brands or any(map(user.sees, one.when.brands))]


def _find(store: Store, number: str, user: User) -> Rule:
    rule_id = number_of(number)
    found = None if rule_id is None else store.rules.get(rule_id)
    if found is None or not _theirs(found, user):
        raise Refused(404, NOWHERE)
    return found


def _there(store: Store, number: str, user: User) -> Rule | None:
    """Return the rule that a form is about, None where it is new, or gone, or not theirs to change any more."""
    return meanwhile.there(lambda: _find(store, number, user))


def _tried(store: Store, rule: Rule, user: User, site: Site) -> Preview:
    """Try a rule on what was posted of the brands that are answered for; InputError where it cannot be used."""
    own = [brand.name for brand in site.config.brands if brand.own and user.sees(brand.name)]
    return preview(store, checked(rule, store), site.clock(), own or [NO_BRAND])


def _change(store: Store, rule: Rule, what: str, user: User) -> None:
    """Move a rule in the order, switch it on or off, or remove it; runs in the caller's transaction.

    It moves past its neighbour among those that the user sees; all others stay in the order that they have.
    """
    if what == "remove":
        store.rules.delete(rule.id)
    elif what in ("enable", "disable"):
        store.rules.save(replace(rule, enabled=what == "enable"))
    else:
        shown = [one.id for one in _seen(store, user)]
        other = shown.index(rule.id) + (-1 if what == "up" else 1)
        if 0 <= other < len(shown):
            ids = [one.id for one in store.rules.all() if one.id != rule.id]
            ids.insert(ids.index(shown[other]) + (what == "down"), rule.id)
            store.rules.order(ids)


def _read(given: Form, known: Rule | None) -> Rule:
    """Read a rule of a form; what it says is checked when it is tried or kept."""
    followers = given.get("followers", "").replace(",", "").strip()
    number = number_of(followers)
    when = Conditions(
        brands=tuple(given.all("brand")),
        sources=tuple(given.all("source")),
        sentiments=tuple(given.all("sentiment")),
        stages=tuple(given.all("stage")),
        pillars=tuple(given.all("pillar")),
        touchpoints=tuple(given.all("touchpoint")),
        replies=tuple(given.all("reply")),
        followers=-1 if followers and number is None else number,  # what is no number is refused as one
        query=line(given.get("query", ""), QUERY_SHOWN) or None,
    )
    return Rule(
        id=known.id if known else 0,
        name=line(given.get("name", ""), NAME_SHOWN),
        when=when,
        level=given.get("level", "") or None,
        assignee=given.get("assignee", "") or None,
        tag=given.get("tag", "").strip() or None,
        ignore=bool(given.get("ignore")),
        enabled=known.enabled if known else True,
        position=known.position if known else 0,
    )


def _choices(site: Site, store: Store, user: User, edited: Rule | None) -> list[tuple[str, str, str, Sequence[str]]]:
    """Return what can be said of posts: the field, its attribute in Conditions, its title, the values.

    Of brands those that are answered for, and what the rule that is edited names already: it can be taken off.
    """
    own = [brand.name for brand in site.config.brands if brand.own and user.sees(brand.name)]
    named = [name for name in (edited.when.brands if edited else ()) if name not in own and user.sees(name)]
    return [
        ("brand", "brands", "Brand", [*own, *named]),
        ("source", "sources", "Source", sorted(store.mentions.counts_by_source())),
        ("sentiment", "sentiments", "Sentiment", SENTIMENTS),
        ("stage", "stages", "Stage", STAGES),
        ("pillar", "pillars", "Pillar", PILLARS),
        ("touchpoint", "touchpoints", "Touchpoint", TOUCHPOINTS),
        ("reply", "replies", "Needs an answer", REPLIES),
    ]
