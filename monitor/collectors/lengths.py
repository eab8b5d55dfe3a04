"""How long a text is, as platforms count it."""

import unicodedata
from functools import cache
from typing import Any

LINK = r"https?://[^\s<>\"]+"
BARE = r"(?<![\w@./-])(?:[\w-]+\.)+[A-Za-z]{2,}(?:/[^\s<>\"]*)?"  # "acme.com/help": X makes a link of many such
ADDRESS = 23  # characters that X and Mastodon count for any link
# X, "counting characters", version 3: these count once, all others twice, a picture character twice in all.
SINGLE = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))


def graphemes(text: str) -> int:
    """Count what people see as characters (Unicode's extended grapheme clusters)."""
    return len(_pattern(r"\X").findall(text))


def links(text: str) -> list[tuple[int, int]]:
    """Find web addresses with http(s): where each begins and ends, without the full stop behind it."""
    return [(found.start(), found.start() + len(_trimmed(found[0]))) for found in _pattern(LINK).finditer(text)]


def has_link(text: str) -> bool:
    """Whether X may see a link in a text."""
    return bool(links(text)) or _pattern(BARE).search(text) is not None


def weighted(text: str) -> int:
    """Count as X does: 280 are its limit. What may or may not be a link counts as the longer of both."""
    text = unicodedata.normalize("NFC", text)
    total, rest = 0, []
    at = 0
    for start, end in links(text):
        rest.append(text[at:start])
        total += ADDRESS
        at = end
    rest.append(text[at:])
    for part in rest:
        total += sum(_weight(each) for each in _pattern(r"\X").findall(part))
        total += sum(max(0, ADDRESS - len(found[0])) for found in _pattern(BARE).finditer(part))
    return total


def shortened(text: str) -> int:
    """Count as Mastodon does: any link for 23, of a mentioned account the name without its server."""
    text = _pattern(r"(?<![\w/])@(\w[\w.-]*)@[\w.-]+\w(?::\d+)?").sub(r"@\1", text)
    surplus = sum(graphemes(text[start:end]) - ADDRESS for start, end in links(text))
    return graphemes(text) - surplus


def _weight(grapheme: str) -> int:
    if len(grapheme) > 1 and _pattern(r"\p{Extended_Pictographic}|\p{Regional_Indicator}|\u20e3").search(grapheme):
        return 2
    return sum(1 if any(low <= ord(each) <= high for low, high in SINGLE) else 2 for each in grapheme)


def _trimmed(link: str) -> str:
    return link.rstrip(".,;:!?'")


@cache
def _pattern(pattern: str) -> Any:
    import regex  # type: ignore[import-untyped]  # slow to load, and needed only where somebody answers

    return regex.compile(pattern)
