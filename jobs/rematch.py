"""Rematch: apply the brands' queries, hide queries and own accounts as they are now to the posts that are stored.

A post that no longer matches a brand keeps its match: what was counted, answered and judged stays. It can be stopped
and run again; a second run changes nothing.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from db.rematch import Stored
from db.store import Store
from models.brand import Brand, hiding, naming

BATCH = 300  # posts a transaction: others who write wait as long as one takes


@dataclass(frozen=True, slots=True)
class Tally:
    """Posts that gained a brand, were hidden, were shown again, and that no longer match and keep their match."""

    gained: int = 0
    hidden: int = 0
    shown: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Rematched:
    """What applying the queries did: to posts, each counted once, and by brand."""

    posts: int  # that were looked at
    changed: Tally
    brands: Mapping[str, Tally]


@dataclass(slots=True)
class _Change:
    """What is to become of one post."""

    gained: list[str] = field(default_factory=list)
    hide: list[int] = field(default_factory=list)
    show: list[int] = field(default_factory=list)
    told: Counter[tuple[str, str]] = field(default_factory=Counter)  # of (brand, what)


def rematch(
    store: Store,
    brands: Sequence[Brand],
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda posts: None,
) -> Rematched:
    """Apply the queries to all posts; with `dry_run` only find out what that would do.

    `progress` is told how many posts are done. Brands that have no entry are left alone.
    """
    told, posts_told = Counter[tuple[str, str]](), Counter[str]()
    posts = after = 0
    while True:
        if dry_run:
            found = store.rematching.posts(after, BATCH)
            changes = _changes(found, brands)
        else:
            with store.transaction():  # what is read in it cannot change before it is written
                found = store.rematching.posts(after, BATCH)
                changes = _changes(found, brands)
                _apply(store, found, changes, brands)
        if not found:
            break
        for change in changes:
            told += change.told
            posts_told.update({what for _, what in change.told})
        posts, after = posts + len(found), found[-1].id
        progress(posts)
    by_brand = {
        brand.name: Tally(**{what: told[brand.name, what] for what in ("gained", "hidden", "shown", "kept")})
        for brand in brands
    }
    return Rematched(posts, Tally(**posts_told), by_brand)


def _changes(found: Sequence[Stored], brands: Sequence[Brand]) -> list[_Change]:
    known = {brand.name for brand in brands}
    hides, names = hiding(brands), naming(brands)
    changes = []
    for post in found:
        change = _Change()
        named = names(post.mention)
        matched = {match.brand for match in post.matches}
        change.gained = [brand for brand in named if brand not in matched]
        change.told.update((brand, "gained") for brand in change.gained)
        for match in post.matches:
            if match.brand not in known:
                continue
            hidden = hides(post.mention, match.brand)
            if hidden != match.hidden:
                (change.hide if hidden else change.show).append(match.id)
                if not match.reviewed:  # else it counts as the person said
                    change.told[match.brand, "hidden" if hidden else "shown"] += 1
            if match.brand not in named:
                change.told[match.brand, "kept"] += 1
        changes.append(change)
    return changes


def _apply(store: Store, found: Sequence[Stored], changes: Sequence[_Change], brands: Sequence[Brand]) -> None:
    gained = [(post.mention, change.gained) for post, change in zip(found, changes, strict=True) if change.gained]
    store.mentions.add(gained, hiding(brands))
    store.rematching.hide([match_id for change in changes for match_id in change.hide], True)
    store.rematching.hide([match_id for change in changes for match_id in change.show], False)
