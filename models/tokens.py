"""How a post and the words of a query are cut into tokens, so that both are cut alike."""

import html
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

Span = tuple[int, int]  # first and last token


# Scripts written without spaces, and Korean, whose particles stick to the word: every character is a token, so that
# a word of them is a run of tokens and matches anywhere inside a text.
_CJK = (
    r"\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_MARKS = r"\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u0963\u0966-\u0dff"  # vowels and accents that \w leaves out
_STEMS = "ai are ca could did does do had has have is might must need sha should was were wo would"
CONTRACTED = frozenset({"t", *(stem + "n" for stem in _STEMS.split())})  # no words of a text that says "don't"
_LETTERS = rf"(?:[^\W_{_CJK}]|[{_MARKS}])+"
_TOKENS = rf"[{_CJK}]|(?<![@#])(?:{'|'.join(_STEMS.split())})n't(?!\w)|{_LETTERS}(?:_+{_LETTERS})*"
_TOKEN = re.compile(_TOKENS)
_LETTERS_TYPED = rf"(?:[^\W_{_CJK}]|[{_MARKS}*?])+"
_TOKEN_TYPED = re.compile(_TOKENS.replace(_LETTERS, _LETTERS_TYPED))
UNSPACED = re.compile(rf"[{_CJK}]")

# `-` belongs to a name only where a domain follows (@acme-help.bsky.social); elsewhere both readings count.
_NAME = r"([a-z0-9_]+)((?:-+[a-z0-9_]+)*)((?:\.[a-z0-9_]+(?:-+[a-z0-9_]+)*)*)(@[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)?"
_HANDLE = re.compile(rf"(?<![a-z0-9_@])@{_NAME}")
HANDLE_TYPED = re.compile("@" + _NAME.replace("a-z0-9_", "a-z0-9_*?"))
_TAG = re.compile(rf"(?<![\w&/#])#((?:\w|[{_MARKS}])+)")
TAG_TYPED = re.compile(rf"#(?:\w|[{_MARKS}*?])+")

_INVISIBLE = re.compile(r"[\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]")
_QUOTES = str.maketrans("“”„‟‘’‚‛`´™℠", "\"\"\"\"''''''  ")  # NFKC would make acme™ into acmetm
_HARD = "&+#@$%"  # what sets C++ and AT&T apart from "c" and "at t"; other punctuation is like a space
SOFT_EDGE = ".,;:!/\\_~^'|[]{}<>=…·•–—-"


def clean(text: str) -> str:
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", text).translate(_QUOTES))


def fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text.casefold())


def lettered(text: str) -> bool:
    return any(ch.isalnum() for ch in text)


def wild(text: str) -> bool:
    """Whether a word holds a wildcard."""
    return "*" in text or "?" in text


def tokens(text: str) -> tuple[str, ...]:
    """The tokens of a word or text, as matching sees them."""
    return tuple(_TOKEN_TYPED.findall(fold(clean(text))))


def symbols(word: str) -> bool:
    """Whether the word holds symbols that count, as C++ and AT&T do (the @ or # before a name aside)."""
    return any(ch in _HARD for ch in word.lstrip("@#"))


@dataclass(frozen=True, slots=True)
class Index:
    """A text ready for matching."""

    text: str
    tokens: Sequence[str]
    starts: Sequence[int]
    ends: Sequence[int]
    positions: dict[str, list[int]]
    handles: dict[str, list[Span]]
    tags: dict[str, list[Span]]


@lru_cache(maxsize=8)  # the queries of all brands read one text after the other
def index_of(text: str) -> Index:
    folded = fold(clean(html.unescape(text) if "&" in text else text))
    found = list(_TOKEN.finditer(folded))
    index = Index(folded, [m[0] for m in found], [m.start() for m in found], [m.end() for m in found], {}, {}, {})
    for place, token in enumerate(index.tokens):
        index.positions.setdefault(token, []).append(place)

    def note(where: dict[str, list[Span]], name: str, start: int, end: int) -> None:
        first, last = bisect_left(index.starts, start), bisect_right(index.ends, end) - 1
        if first <= last:
            where.setdefault(name, []).append((first, last))

    for m in _HANDLE.finditer(folded):
        name = m[1] + m[2]
        note(index.handles, name, m.start(), m.end(2))
        if m[3]:
            note(index.handles, name + m[3], m.start(), m.end(3))
        if m[4]:
            note(index.handles, m[0][1:], m.start(), m.end())
        if m[2] and not m[3] and not m[4]:
            note(index.handles, m[1], m.start(), m.end(1))
    for m in _TAG.finditer(folded):
        note(index.tags, m[1], m.start(), m.end())
    return index


@dataclass(frozen=True, slots=True)
class Pattern:
    """A word cut into tokens as texts are, with the symbols that must stand around them."""

    tokens: tuple[str, ...]
    gaps: tuple[str, ...]  # before each token but the first
    lead: str
    trail: str


@lru_cache(maxsize=4096)
def pattern_of(text: str) -> Pattern:
    folded = fold(text)
    found = list(_TOKEN_TYPED.finditer(folded))
    gaps = tuple(_hard(folded[a.end() : b.start()]) for a, b in pairwise(found))
    return Pattern(
        tuple(m[0] for m in found), gaps, _hard(folded[: found[0].start()]), _hard(folded[found[-1].end() :])
    )


def _hard(gap: str) -> str:
    return "".join(ch for ch in gap if ch in _HARD)


def symbols_fit(pattern: Pattern, start: int, index: Index) -> bool:
    last = start + len(pattern.tokens) - 1
    for i, gap in enumerate(pattern.gaps, start):
        if gap and _hard(index.text[index.ends[i] : index.starts[i + 1]]) != gap:
            return False
    if pattern.lead and not index.text.endswith(pattern.lead, 0, index.starts[start]):
        return False
    if not pattern.trail:
        return True
    end = index.ends[last] + len(pattern.trail)
    return index.text.startswith(pattern.trail, index.ends[last]) and index.text[end : end + 1] not in tuple(_HARD)
