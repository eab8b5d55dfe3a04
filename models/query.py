"""The query that says which posts name a brand: parsed once, matched locally against every post.

Libraries were looked at first (luqum, search-query, boolean-query-parser): none has AND/OR/NOT, phrases, wildcards
and NEAR/n together with local matching that knows handles and hashtags; lark does the parsing. docs/queries.md is
the manual.
"""

import fnmatch
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from db.errors import InputError
from models.tokens import (
    HANDLE_TYPED,
    SOFT_EDGE,
    TAG_TYPED,
    UNSPACED,
    Index,
    Span,
    clean,
    fold,
    index_of,
    lettered,
    pattern_of,
    symbols_fit,
    wild,
)

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

LONGEST = 4_000  # characters of a query
DEEPEST = 40  # levels of parentheses
FARTHEST = 100  # words of a NEAR


@dataclass(frozen=True, slots=True)
class Word:
    """A word, @handle or #hashtag as it was typed; `*` and `?` are wildcards."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that follow each other."""

    words: tuple[Word, ...]

    def __str__(self) -> str:
        return '"' + " ".join(word.text for word in self.words) + '"'


@dataclass(frozen=True, slots=True)
class Near:
    """Two terms, the one among the `distance` words before or after the other."""

    left: "Word | Phrase | Or"
    right: "Word | Phrase | Or"
    distance: int

    def __str__(self) -> str:
        return f"{_grouped(self.left, Or)} NEAR/{self.distance} {_grouped(self.right, Or)}"


@dataclass(frozen=True, slots=True)
class And:
    """All of them; never holds an And."""

    parts: "tuple[Node, ...]"

    def __str__(self) -> str:
        return " AND ".join(_grouped(part, Or) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """Any of them; never holds an Or."""

    parts: "tuple[Node, ...]"

    def __str__(self) -> str:
        return " OR ".join(str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """Not that; never holds a Not."""

    part: "Node"

    def __str__(self) -> str:
        return f"NOT {_grouped(self.part, Or, And, Near)}"


Node = Word | Phrase | Near | And | Or | Not


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query; str() gives its normal form."""

    text: str
    root: Node

    def matches(self, text: str) -> bool:
        """Whether a post with this text is wanted."""
        return _holds(self.root, index_of(text))

    def cues(self) -> frozenset[str] | None:
        """Return what a text must hold one of (see `cues_in`) to match; None where it cannot be told."""
        return _cues(self.root)

    def __str__(self) -> str:
        return str(self.root)


def cues_in(text: str) -> Iterator[str]:
    """Go through the words, @handles and #hashtags of a text, as `Query.cues` names them."""
    index = index_of(text)
    yield from index.positions
    yield from ("@" + name for name in index.handles)
    yield from ("#" + name for name in index.tags)


@lru_cache(maxsize=512)
def parse(text: str) -> Query:
    """Parse a query, or raise InputError with what is wrong and at which character."""
    from lark.exceptions import UnexpectedInput

    typed = clean(text)
    if not typed.strip():
        raise InputError("query: it is empty; write at least one word that a post must hold")
    if len(typed) > LONGEST:
        raise InputError(f"query: {len(typed):,} characters, and {LONGEST:,} is the most; split the brand in two")
    try:
        root = _Builder(typed).node(_grammar().parse(typed))
    except UnexpectedInput:
        raise _explained(typed) from None
    if not _anchored(root, True):
        raise InputError(
            f"query: it only excludes, or a branch of an OR does, and would match nearly every post: {_shown(typed)}; "
            "name a word that must be there, as in: acme NOT (jobs OR hiring)"
        )
    return Query(text, root)


def mistakable(text: str) -> Iterator[str]:
    """Say which words of a query that can be parsed look like operators written small; quoted ones are meant."""
    tokens = list(_grammar().lex(clean(text)))
    told = set[str]()
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        small = _SMALL.fullmatch(token) if token.type == "WORD" and after.type in _BEGINS else None
        if small is None or token in told:
            continue
        name = small[1].upper()
        if before.type in _ENDS or (name == "NOT" and before.type in _BEFORE_NOT):
            told.add(token)
            yield f"`{token}` is searched as a word; write {_MEANT[name]}"


# --- parsing ---------------------------------------------------------------------------------------------------

# An infix NOT (one that no operator stands before) binds loosest inside its parentheses; after AND, OR, an opening
# parenthesis or at the start NOT binds tightest.
_GRAMMAR = r"""
?start: exclusion
?exclusion: any (NOT any)*
?any: all (OR all)*
?all: unary (AND unary | near)*
?unary: NOT unary -> negation
      | near
?near: atom (NEAR atom)*
?atom: WORD -> word
     | QUOTED -> phrase
     | LPAR exclusion RPAR -> group

AND.2: /AND(?=[\s()"]|$)/
OR.2: /OR(?=[\s()"]|$)/
NOT.2: /NOT(?=[\s()"]|$)/
NEAR.2: /NEAR\/\d+(?=[\s()"]|$)/
LPAR: "("
RPAR: ")"
QUOTED: /"[^"]*"/
WORD: /[^\s()"]+/
%ignore /\s+/
"""
_OPERATORS = ("AND", "OR", "NOT", "NEAR")
_MEANT = {"AND": "AND for both", "OR": "OR for either", "NOT": "NOT for what to leave out", "NEAR": "NEAR/5 for nearby"}
_SMALL = re.compile(r"(and|or|not|near)(?:/\d+)?", re.IGNORECASE)
_ENDS, _BEGINS = ("WORD", "QUOTED", "RPAR"), ("WORD", "QUOTED", "LPAR")  # what stands before and after an operator
_BEFORE_NOT = ("AND", "OR", "LPAR")
_FIELD = re.compile(r"(?:from|to|lang|url|is|has|title|author|site|subreddit|self|flair):.", re.IGNORECASE)


@cache
def _grammar() -> "Lark":
    from lark import Lark

    # The basic lexer: with the contextual one a misplaced AND would quietly become a word.
    return Lark(_GRAMMAR, parser="lalr", lexer="basic")


@dataclass(frozen=True, slots=True)
class _Builder:
    """Turns lark's tree into nodes, flattening nested ANDs and ORs."""

    typed: str

    def node(self, tree: "Tree[Token]", depth: int = 0) -> Node:
        from lark import Tree

        if depth > 4 * DEEPEST:  # a level of parentheses is at most four rules deep
            raise InputError(f"query: nested more than {DEEPEST} deep; use fewer parentheses")
        if tree.data in ("word", "phrase"):
            (token,) = tree.children
            return self._leaf(token)  # type: ignore[arg-type]
        parts = [self.node(child, depth + 1) for child in tree.children if isinstance(child, Tree)]
        match tree.data:
            case "group":
                return parts[0]
            case "negation":
                return _negated(parts[0])
            case "all":
                return _conjunction(parts)
            case "any":
                return _disjunction(parts)
            case "exclusion":
                return _conjunction([parts[0], *(_negated(part) for part in parts[1:])])
        return self._near(tree, parts)

    def _near(self, tree: "Tree[Token]", parts: list[Node]) -> Near:
        signs = [child for child in tree.children if getattr(child, "type", None) == "NEAR"]
        at: int = signs[-1].start_pos  # type: ignore[union-attr, assignment]
        if len(signs) > 1:
            raise _error(self.typed, "NEAR joins two terms only; write (a NEAR/5 b) AND (b NEAR/5 c)", at)
        distance = int(str(signs[0])[5:][:9])
        if not 1 <= distance <= FARTHEST:
            raise _error(self.typed, f"NEAR takes a number from 1 to {FARTHEST}", at)
        left, right = (self._near_term(part, at) for part in parts)
        return Near(left, right, distance)

    def _near_term(self, part: Node, at: int) -> Word | Phrase | Or:
        if isinstance(part, Or) and all(isinstance(choice, Word | Phrase) for choice in part.parts):
            return part
        if isinstance(part, Word | Phrase):
            return part
        raise _error(self.typed, "NEAR joins words, phrases or (a OR b)", at)

    def _leaf(self, token: "Token") -> Word | Phrase:
        at = token.start_pos or 0
        if token.type == "WORD":
            return self._word(str(token), at)
        words = [self._word(m[0], at + 1 + m.start(), True) for m in re.finditer(r"\S+", token[1:-1]) if lettered(m[0])]
        if not words:
            raise _error(self.typed, "empty phrase", at)
        return Phrase(tuple(words))

    def _word(self, text: str, at: int, quoted: bool = False) -> Word:
        if text.startswith("-") and not quoted:
            raise _error(self.typed, "'-' excludes nothing here, write NOT before what to leave out", at)
        text = text.lstrip(SOFT_EDGE)
        named = text[:1] in ("@", "#")
        text = text.rstrip(SOFT_EDGE.replace("_", "") if named else SOFT_EDGE)
        if not quoted:
            if text.startswith("+"):
                raise _error(self.typed, "'+' is not needed, all words must be there unless OR is written", at)
            if re.fullmatch(r"NEAR(?:\W.*)?", text):
                raise _error(self.typed, "NEAR needs a number of words, as in: acme NEAR/5 refund", at)
            if _FIELD.match(text):
                raise _error(self.typed, "fields are not known, only words, phrases, @handles and #hashtags", at)
            if text in _OPERATORS:  # 'AND' in single quotes
                text = text.lower()
        if not lettered(text):
            raise _error(self.typed, f"no letter or digit in {text!r}" if text else "no letter or digit", at)
        if text[0] == "@" and not HANDLE_TYPED.fullmatch(text.casefold()):
            raise _error(self.typed, f"{text!r} is not a handle: letters, digits, _, - and dots after the @", at)
        if text[0] == "#" and not TAG_TYPED.fullmatch(text):
            raise _error(self.typed, f"{text!r} is not a hashtag: only letters, digits and _ after the #", at)
        if UNSPACED.search(text) and text[0] != "#":
            text = text.strip("*")
            if wild(text):
                raise _error(self.typed, "words in a script without spaces match anywhere, leave out * and ?", at)
        for token in pattern_of(text).tokens:
            if wild(token) and len(re.findall(r"[^\W_]", token)) < 2:
                raise _error(self.typed, "a wildcard needs at least two letters or digits beside it", at)
        return Word(text)


def _conjunction(parts: Iterable[Node]) -> Node:
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, And) else (part,))]
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def _disjunction(parts: Iterable[Node]) -> Node:
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Or) else (part,))]
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def _negated(part: Node) -> Node:
    return part.part if isinstance(part, Not) else Not(part)


def _grouped(part: Node, *kinds: type[Node]) -> str:
    return f"({part})" if isinstance(part, kinds) else str(part)


def _anchored(node: Node, wanted: bool) -> bool:
    """Whether whatever the node (or, with wanted False, its negation) matches must hold some wanted term."""
    match node:
        case Not(part):
            return _anchored(part, not wanted)
        case And(parts):
            return (any if wanted else all)(_anchored(part, wanted) for part in parts)
        case Or(parts):
            return (all if wanted else any)(_anchored(part, wanted) for part in parts)
    return wanted


def _explained(typed: str) -> InputError:
    """Say in a person's words why lark refused."""
    if typed.count('"') % 2:
        return _error(typed, "unclosed quotation mark", typed.rindex('"'))
    found = list(_grammar().lex(typed))
    opened: list[int] = []
    for token in found:
        if token.type == "LPAR":
            opened.append(token.start_pos or 0)
        elif token.type == "RPAR" and opened:
            opened.pop()
        elif token.type == "RPAR":
            return _error(typed, "unbalanced parenthesis", token.start_pos or 0)
    if opened:
        return _error(typed, "unbalanced parenthesis", opened[-1])
    before: Token | None = None
    for token in found:
        at = token.start_pos or 0
        starts = before is None or before.type == "LPAR"
        if token.type == "RPAR" and before is not None and before.type == "LPAR":
            return _error(typed, "empty parentheses", before.start_pos or 0)
        if token.type in ("AND", "OR", "NEAR") and starts:
            return _error(typed, f"{token} needs a word before it", at)
        if before is not None and before.type in _OPERATORS:
            follows_not = token.type == "NOT" and before.type != "NEAR"
            if token.type == "RPAR" or (token.type in _OPERATORS and not follows_not):
                return _error(typed, f"{before} needs a word after it", before.start_pos or 0)
        before = token
    last = before.start_pos or 0 if before else 0
    return _error(typed, f"{before} needs a word after it", last)


def _error(typed: str, what: str, at: int) -> InputError:
    return InputError(f"query: {what} at character {at + 1}: {_shown(typed, at)}")


def _shown(typed: str, at: int = 0) -> str:
    first = max(0, at - 40) if len(typed) > 100 else 0
    part = typed[first : first + 100]
    return ("…" if first else "") + repr(part) + ("…" if first + 100 < len(typed) else "")


def _cues(node: Node) -> frozenset[str] | None:
    match node:
        case And(parts):
            known = [cues for part in parts if (cues := _cues(part)) is not None]
            return min(known, key=len, default=None)
        case Or(parts):
            every = [_cues(part) for part in parts]
            return None if None in every else frozenset().union(*(cues for cues in every if cues))
        case Near(left, right, _):
            return _cues(And((left, right)))
        case Phrase(words):
            return _cues(And(words))
        case Word(text) if text[0] in "@#":
            return None if wild(text) else frozenset([text[0] + fold(text[1:])])
        case Word(text):
            plain = [token for token in pattern_of(text).tokens if not wild(token)]
            return frozenset([max(plain, key=len)]) if plain else None
    return None  # a negation


# --- matching --------------------------------------------------------------------------------------------------


def _holds(node: Node, index: Index) -> bool:
    match node:
        case Not(part):
            return not _holds(part, index)
        case And(parts):
            return all(_holds(part, index) for part in parts)
        case Or(parts):
            return any(_holds(part, index) for part in parts)
        case Near(left, right, distance):
            first, second = _spans(left, index), _spans(right, index)
            return _follows(first, second, distance) or _follows(second, first, distance)
    return bool(_spans(node, index))


def _follows(first: Sequence[Span], second: Sequence[Span], distance: int) -> bool:
    """Whether one of `second` starts among the `distance` words after one of `first`."""
    starts = sorted(start for start, _ in second)
    for _, end in first:
        place = bisect_right(starts, end)
        if place < len(starts) and starts[place] <= end + distance:
            return True
    return False


def _spans(node: Node, index: Index) -> list[Span]:
    """Where a term stands."""
    if isinstance(node, Word):
        return _word_spans(node.text, index)
    if isinstance(node, Or):
        return [span for part in node.parts for span in _spans(part, index)]
    if not isinstance(node, Phrase):
        raise TypeError(f"{type(node).__name__} has no place in a text")
    found = set(_spans(node.words[0], index))
    for word in node.words[1:]:
        if not found:
            break
        follow: dict[int, list[int]] = {}
        for start, end in _spans(word, index):
            follow.setdefault(start, []).append(end)
        found = {(start, last) for start, end in found for last in follow.get(end + 1, ())}
    return list(found)


def _word_spans(text: str, index: Index) -> list[Span]:
    if text[0] in "@#":
        return _look_up(fold(text[1:]), index.handles if text[0] == "@" else index.tags)
    pattern = pattern_of(text)
    allowed = [set(_alike(token, index.positions)) for token in pattern.tokens]
    if not all(allowed):
        return []
    size = len(pattern.tokens)
    return [
        (start, start + size - 1)
        for token in allowed[0]
        for start in index.positions[token]
        if start + size <= len(index.tokens)
        and all(index.tokens[start + i] in allowed[i] for i in range(1, size))
        and symbols_fit(pattern, start, index)
    ]


def _alike(token: str, known: Iterable[str]) -> list[str]:
    if not wild(token):
        return [token] if token in known else []
    fits = re.compile(fnmatch.translate(token)).match  # made of atomic groups: no backtracking
    return [name for name in known if fits(name)]


def _look_up(name: str, known: dict[str, list[Span]]) -> list[Span]:
    return [span for match in _alike(name, known) for span in known[match]]
