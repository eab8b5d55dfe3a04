"""What a platform's own search can express of a query.

Always wider, never narrower: the full query is applied to whatever comes back, so a dropped condition costs reading
and never loses a post. Only conditions that the platform reads no broader than we do are handed on as exclusions.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from db.errors import InputError
from models.query import And, Near, Node, Not, Or, Phrase, Query, Word
from models.tokens import CONTRACTED, symbols, tokens, wild

LONGEST = 512  # characters, on X (self-serve) and on Reddit

_X_NAME = re.compile(r"[A-Za-z0-9_]{1,15}")


def x_query(query: Query, exclude_authors: Sequence[str] = ()) -> str:
    """The query for X's recent search, without reposts and without posts of the excluded authors."""
    names = [author.removeprefix("@") for author in exclude_authors]
    for name in names:
        if not _X_NAME.fullmatch(name):
            raise InputError(f"{name!r} is no X account name: 1 to 15 letters, digits and _")
    text = _X.compiled(query)
    return _X.checked(" ".join([text, *(f"-from:{name}" for name in names), "-is:retweet"]), query)


def reddit_query(query: Query) -> str:
    """The query for Reddit's search (syntax=lucene)."""
    wide = _REDDIT.widened(query.root, True)
    text = " OR ".join(wide.parts) if wide is not None and wide.kind is Or else _REDDIT.compiled(query)
    return _REDDIT.checked(text, query)


@dataclass(frozen=True, slots=True)
class _Wide:
    """A condition in a dialect: parts to join by AND or OR. Anchored: it asks for some word to be there."""

    kind: type[And] | type[Or]
    parts: tuple[str, ...]
    anchored: bool = True


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How one platform writes things."""

    name: str
    both: str
    without: str
    written: Callable[[Word], str]  # one word, handle or hashtag
    precise: Callable[[Word], bool]  # whether a handle or hashtag means the same there

    def compiled(self, query: Query) -> str:
        wide = self.widened(query.root, True)
        if wide is None or not wide.anchored:
            raise self._refusal(query.root)
        return self.both.join(self._inside_and(wide))

    def checked(self, text: str, query: Query) -> str:
        if len(text) > LONGEST:
            raise InputError(
                f"{self.name} takes {LONGEST} characters, this query becomes {len(text)}: {str(query)[:60]}…; "
                "shorten it or make two brands of it"
            )
        return text

    def widened(self, node: Node, wanted: bool) -> _Wide | None:
        """What the dialect can say of the node (or of its negation); None where it can say nothing."""
        match node:
            case Not(part):
                return self.widened(part, not wanted)
            case Near(left, right, _):
                return self._all([self.widened(left, True), self.widened(right, True)]) if wanted else None
            case And(parts) | Or(parts):
                if isinstance(node, And) == wanted:
                    return self._all(self.widened(part, wanted) for part in parts)
                return self._any(parts, wanted)
            case Word():
                return self._phrase((node,), wanted)
            case Phrase(words):
                return self._phrase(words, wanted)

    def _all(self, conditions: Iterable[_Wide | None]) -> _Wide | None:
        known = [wide for wide in conditions if wide is not None]
        parts = dict.fromkeys(part for wide in known for part in self._inside_and(wide))
        # what must be there first: Lucene reads a leading NOT as a search of its own
        ordered = sorted(parts, key=lambda part: part.startswith(self.without))
        return _Wide(And, tuple(ordered), any(wide.anchored for wide in known)) if known else None

    def _any(self, parts: Sequence[Node], wanted: bool) -> _Wide | None:
        choices: dict[str, None] = {}
        for part in parts:
            wide = self.widened(part, wanted)
            if wide is None or not wide.anchored:
                if next(_wildcards(part, wanted), None):
                    raise self._refusal(part, wanted)
                return None  # neither platform takes a branch that only excludes
            if wide.kind is And and len(wide.parts) > 1:
                choices[f"({self.both.join(wide.parts)})"] = None
            else:
                choices.update(dict.fromkeys(wide.parts))
        return _Wide(Or, tuple(choices))

    def _inside_and(self, wide: _Wide) -> Sequence[str]:
        return [f"({' OR '.join(wide.parts)})"] if wide.kind is Or and len(wide.parts) > 1 else wide.parts

    def _phrase(self, words: Sequence[Word], wanted: bool) -> _Wide | None:
        """Cut a phrase at what cannot stand inside quotes; all the pieces must be there."""
        if not wanted:
            if not self._exact(words):
                return None
            (piece,) = self._pieces(words)
            return _Wide(And, (self.without + piece,), anchored=False)
        pieces = self._pieces(words)
        return _Wide(And, tuple(dict.fromkeys(pieces))) if pieces else None

    def _pieces(self, words: Sequence[Word]) -> list[str]:
        pieces: list[str] = []
        run: list[Word] = []
        for word in [*words, None]:
            if word is not None and not wild(word.text) and word.text[0] not in "@#":
                run.append(word)
                continue
            if run:
                pieces.append(self.written(run[0]) if len(run) == 1 else _quoted(" ".join(w.text for w in run)))
            run = []
            if word is not None and not wild(word.text):
                pieces.append(self.written(word))
        return pieces

    def _exact(self, words: Sequence[Word]) -> bool:
        """Whether the platform finds no more by these words than we do (it may fold accents, and split don't)."""
        if len(words) == 1 and words[0].text[0] in "@#":
            return not wild(words[0].text) and self.precise(words[0])
        return not any(
            wild(word.text)
            or not word.text.isascii()
            or word.text[0] in "@#"
            or symbols(word.text)
            or any("'" in token or token in CONTRACTED for token in tokens(word.text))
            for word in words
        )

    def _refusal(self, node: Node, wanted: bool = True) -> InputError:
        word = next(_wildcards(node, wanted), None)
        if word is None:
            return InputError(f"{self.name} needs a word that must be there in every branch of an OR: {node}")
        return InputError(
            f"{self.name} cannot search wildcards, and nothing else is left to search for in {str(node)[:80]!r}: "
            f"write the forms of {word} out, as in (organisation OR organization), or add a whole word with AND"
        )


def _wildcards(node: Node, wanted: bool) -> Iterator[str]:
    """Words with wildcards that the node (or its negation) asks for."""
    match node:
        case Not(part):
            yield from _wildcards(part, not wanted)
        case And(parts) | Or(parts):
            for part in parts:
                yield from _wildcards(part, wanted)
        case Near(left, right, _):
            yield from _wildcards(left, wanted)
            yield from _wildcards(right, wanted)
        case Phrase(words):
            yield from (word.text for word in words if wanted and wild(word.text))
        case Word(text):
            if wanted and wild(text):
                yield text


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", " ") + '"'


def _plain(text: str) -> str:
    """A bare word where that is safe, else in quotes."""
    return text if text.isalnum() and text.casefold() not in ("and", "or", "not", "near") else _quoted(text)


def _x_name(word: Word) -> str:
    return re.split(r"[.@-]", word.text[1:])[0]


def _x_written(word: Word) -> str:
    if word.text[0] == "@" and _X_NAME.fullmatch(_x_name(word)):
        return "@" + _x_name(word)
    if word.text[0] == "#" and not word.text[1:].isdecimal():
        return word.text
    return _plain(word.text.lstrip("@#"))


def _x_precise(word: Word) -> bool:
    return _x_written(word) == word.text and word.text.isascii()


def _reddit_written(word: Word) -> str:
    return _plain(word.text.lstrip("@#").strip("_") if word.text[0] in "@#" else word.text)


_X = _Dialect("X", " ", "-", _x_written, _x_precise)
_REDDIT = _Dialect("Reddit", " AND ", "NOT ", _reddit_written, lambda word: False)
