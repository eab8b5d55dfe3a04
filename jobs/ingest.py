"""Import: store posts from a file. Storing them twice changes nothing."""

from collections.abc import Iterable, Sequence
from itertools import islice

from db.mentions import Added
from db.records import NO_BRAND, Mention
from db.store import Store
from models.brand import Brand, brands_named, hiding

BATCH = 500  # posts a transaction


def ingest(store: Store, posts: Iterable[tuple[Mention, str | None]], brands: Sequence[Brand]) -> Added:
    """Store each post under the brand given with it, else under those that it names, else under no brand.

    Somebody chose to import these posts, so none is left out.
    """
    known = {brand.name.casefold(): brand.name for brand in brands}
    added = Added()
    remaining = iter(posts)
    while batch := list(islice(remaining, BATCH)):
        named = [(mention, _brands(mention, given, brands, known)) for mention, given in batch]
        with store.transaction():
            added += store.mentions.add(named, hiding(brands))
    return added


def _brands(mention: Mention, given: str | None, brands: Sequence[Brand], known: dict[str, str]) -> list[str]:
    if given:
        return [known.get(given.casefold(), given)]
    return brands_named(mention, brands) or [NO_BRAND]
