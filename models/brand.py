"""A brand, and which brands a post names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from db.records import Mention
from models.query import Query


@dataclass(frozen=True, slots=True)
class Brand:
    """What to look for: a name, a query, and the brand's own account on each platform."""

    name: str
    query: Query
    own: bool = True
    accounts: Mapping[str, str] = field(default_factory=dict)  # platform -> account


def brands_named(mention: Mention, brands: Sequence[Brand]) -> list[str]:
    """Name the brands that a post is about. What a brand's own account writes is no mention of it."""
    return [brand.name for brand in brands if not _wrote(brand, mention) and brand.query.matches(mention.text)]


def _wrote(brand: Brand, mention: Mention) -> bool:
    # Of posts from X only the author's number is known: there the search itself leaves out own accounts.
    account = brand.accounts.get(mention.source)
    return bool(account and mention.author and account.casefold() == mention.author.casefold())
