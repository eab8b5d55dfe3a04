"""Import: store posts from a file. Storing them twice changes nothing."""

from collections.abc import Iterable, Sequence
from itertools import islice

from db.mentions import Added
from db.records import NO_BRAND, Mention
from db.store import Store
from models.brand import Brand, hiding, naming

BATCH = 500  # posts a transaction


def ingest(store: Store, posts: Iterable[tuple[Mention, str | None]], brands: Sequence[Brand]) -> Added:
    """Store each post under the brand given with it, else under those that it names, else under no brand.

    Somebody chose to import these posts, so none is left out.
    """
    known = {brand.name.casefold(): brand.name for brand in brands}
    names = naming(brands)
    added = Added()
    remaining = iter(posts)
    while batch := list(islice(remaining, BATCH)):
        named = [
            (mention, [known.get(given.casefold(), given)] if given else names(mention) or [NO_BRAND])
            for mention, given in batch
        ]
        with store.transaction():
            added += store.mentions.add(named, hiding(brands))
    return added
