"""A brand, and which brands a post names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from db.records import Mention
from models.query import Query, cues_in


@dataclass(frozen=True, slots=True)
class Brand:
    """What to look for: a name, a query, and the brand's own account on each platform.

    What the query leaves out is never stored; what `hide` matches is stored and counted nowhere.
    """

    name: str
    query: Query
    own: bool = True
    accounts: Mapping[str, str] = field(default_factory=dict)  # platform -> account
    hide: Query | None = None


def naming(brands: Sequence[Brand]) -> Callable[[Mention], list[str]]:
    """Return what names the brands that a post is about: by its words, or by the accounts that it addresses.

    What a brand's own account writes is no mention of it. Of many brands, only those are looked at whose query asks for
    a word that the post has.
    """
    by_cue: dict[str, set[int]] = {}
    by_account: dict[tuple[str, str], set[int]] = {}
    always: set[int] = set()
    for number, brand in enumerate(brands):
        for platform, account in brand.accounts.items():
            by_account.setdefault((platform, account.removeprefix("@").casefold()), set()).add(number)
        cues = brand.query.cues()
        if cues is None:
            always.add(number)
        for cue in cues or ():
            by_cue.setdefault(cue, set()).add(number)

    def named(mention: Mention) -> list[str]:
        likely = always.union(*(by_cue[cue] for cue in cues_in(mention.text) if cue in by_cue))
        told = {(mention.source, account.casefold()) for account in mention.addressed}
        addressed = set[int]().union(*(by_account[each] for each in told if each in by_account))
        return [
            brand.name
            for number, brand in ((number, brands[number]) for number in sorted(likely | addressed))
            if not _wrote(brand, mention) and (number in addressed or brand.query.matches(mention.text))
        ]

    return named


def hiding(brands: Sequence[Brand]) -> Callable[[Mention, str], bool]:
    """Return what says whether a post is to be hidden from a brand's counts."""
    hides = {brand.name: brand.hide for brand in brands if brand.hide}

    def is_hidden(mention: Mention, brand: str) -> bool:
        hide = hides.get(brand)
        return hide is not None and hide.matches(mention.text)

    return is_hidden


def _wrote(brand: Brand, mention: Mention) -> bool:
    # Of posts from X only the author's number is known: there the search itself leaves out own accounts.
    account = brand.accounts.get(mention.source)
    return bool(account and mention.author and account.casefold() == mention.author.casefold())
