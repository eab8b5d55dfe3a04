"""The desk's rules: which posts they are for, whether they can be used, and what they would have caught.

Of the enabled rules the first one counts that a post agrees with. A rule gives a case to a post that would have none,
or (`ignore`) none to one that would.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache

from db.desk import LEVELS, Conditions, Rule
from db.errors import InputError
from db.filters import Filter
from db.labels import PILLARS, REPLIES, SENTIMENTS, STAGES, TOUCHPOINTS
from db.records import Match
from db.store import Store
from jobs.desk.acts import tag_name
from jobs.desk.meanwhile import as_seen, version_of
from models.query import Query, parse

LOOKED_BACK = timedelta(days=30)
NEWEST = 20  # posts that a preview shows
LONGEST_NAME = 60  # characters


@lru_cache(maxsize=256)
def _parsed(query: str) -> Query:
    return parse(query)


def agrees(when: Conditions, match: Match) -> bool:
    """Whether a post is as the conditions say; all that are given must hold."""
    of_post = (
        (when.brands, match.brand),
        (when.sources, match.mention.source),
        (when.sentiments, match.sentiment),
        (when.stages, match.stage),
        (when.pillars, match.pillar),
        (when.touchpoints, match.touchpoint),
        (when.replies, match.reply),
    )
    return (
        all(label in wanted for wanted, label in of_post if wanted)
        and (when.followers is None or (match.mention.reach.followers or 0) >= when.followers)
        and (when.query is None or _parsed(when.query).matches(match.mention.text))
    )


def first(rules: Iterable[Rule], match: Match) -> Rule | None:
    """Return the first enabled rule that a post agrees with, None where it agrees with none."""
    return next((rule for rule in rules if rule.enabled and agrees(rule.when, match)), None)


def checked(rule: Rule, store: Store) -> Rule:
    """Return the rule as it is kept. Raises InputError where it cannot be used, with what to do about it."""
    name = " ".join(rule.name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"a rule has a name of 1 to {LONGEST_NAME} characters")
    when = rule.when
    labelled = (
        ("sentiment", when.sentiments, SENTIMENTS),
        ("stage", when.stages, STAGES),
        ("pillar", when.pillars, PILLARS),
        ("touchpoint", when.touchpoints, TOUCHPOINTS),
        ("reply", when.replies, REPLIES),
    )
    for what, given, known in labelled:
        if wrong := [label for label in given if label not in known]:
            raise InputError(f"rule {name}: {wrong[0]!r} is no {what}; choose from {', '.join(known)}")
    if when.followers is not None and not 0 < when.followers < 2**40:
        raise InputError(f"rule {name}: followers is a number above 0")
    if when.query is not None:
        try:
            parse(when.query)
        except InputError as error:
            raise InputError(f"rule {name}: {error}") from None  # which says that it is the query
    if when == Conditions():
        raise InputError(f"rule {name}: say at least one thing of the posts that it is for")
    if rule.level is not None and rule.level not in LEVELS:
        raise InputError(f"rule {name}: a level is one of {', '.join(LEVELS)}")
    tag = tag_name(rule.tag) if rule.tag else None
    assignee = _responder(name, rule.assignee, when, store) if rule.assignee else None
    if rule.ignore and (rule.level or assignee or tag):
        raise InputError(f"rule {name}: a rule that opens no case gives no level, nobody and no tag")
    return replace(rule, name=name, tag=tag, assignee=assignee)


def save(store: Store, rule: Rule) -> Rule:
    """Check a rule and keep it, new (id 0) or changed; runs in the caller's transaction."""
    return store.rules.save(checked(rule, store))


def change(store: Store, rule: Rule, seen: str) -> Rule:
    """Keep what somebody has changed of a rule, seen as this `version`; runs in the caller's transaction.

    Its place, and whether it is on, stay as they are now. Stale where it says something else by now, or is gone.
    """
    there = as_seen("rule", store.rules.get(rule.id), version, seen)
    return save(store, replace(rule, enabled=there.enabled, position=there.position))


def version(rule: Rule) -> str:
    """Name what a rule says, without its place and whether it is on: where the name is another, it was changed."""
    return version_of(rule.name, rule.when, rule.level, rule.assignee, rule.tag, rule.ignore)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would have caught: posts by brand, the newest of them, and which rule has them by now instead."""

    since: datetime
    looked_at: int
    caught: int
    by_brand: Mapping[str, int] = field(default_factory=dict)
    newest: Sequence[Match] = ()
    taken: Mapping[str, int] = field(default_factory=dict)  # name of a rule tried before -> posts that it has first


def preview(store: Store, rule: Rule, now: datetime, brands: Sequence[str] = ()) -> Preview:
    """Try a rule on the posts of the last 30 days, in its place among the others (a new one comes last).

    It is tried on what triage looks at: posts that are still kept and repeat no other. `brands` are those that are
    answered for and that whoever asks may see, none for all.
    """
    others = [each for each in store.rules.all(enabled_only=True) if each.id != rule.id]
    before = [each for each in others if not rule.id or (each.position, each.id) < (rule.position, rule.id)]
    when = rule.when
    chosen = Filter(
        since=now - LOOKED_BACK,
        brands=_both(brands, when.brands),
        sources=when.sources,
        stages=when.stages,
        sentiments=when.sentiments,
        replies=when.replies,
        pillars=when.pillars,
        touchpoints=when.touchpoints,
    )
    looked_at, caught = 0, 0
    by_brand, taken = dict[str, int](), dict[str, int]()
    newest = deque[Match](maxlen=NEWEST)
    for match in store.mentions.every(chosen, firsts=True):
        looked_at += 1
        if not agrees(when, match):
            continue
        other = first(before, match)
        if other:
            taken[other.name] = taken.get(other.name, 0) + 1
            continue
        caught += 1
        by_brand[match.brand] = by_brand.get(match.brand, 0) + 1
        newest.append(match)
    return Preview(now - LOOKED_BACK, looked_at, caught, by_brand, list(newest)[::-1], taken)


def _both(seen: Sequence[str], asked: Sequence[str]) -> tuple[str, ...]:
    if not seen or not asked:
        return tuple(seen or asked)
    return tuple(brand for brand in asked if brand in seen) or ("\0",)  # a brand that nobody has


def _responder(rule: str, name: str, when: Conditions, store: Store) -> str:
    user = store.users.named(name)
    if user is None or not user.may("responder"):
        raise InputError(f"rule {rule}: {name} is no user who answers posts")
    if hidden := [brand for brand in when.brands if not user.sees(brand)]:
        raise InputError(f"rule {rule}: {user.name} does not see {hidden[0]}")
    return user.name
