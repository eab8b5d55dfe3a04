"""What a platform's own search can express of a query.

Always wider, never narrower: the full query is applied to whatever comes back, so a dropped condition costs reading
and never loses a post. Only conditions that the platform reads no broader than we do are handed on as exclusions.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from db.errors import InputError
from models.query import And, Near, Node, Not, Or, Phrase, Query, Word
from models.tokens import CONTRACTED, symbols, tokens, wild

LONGEST = 512  # characters, on X (self-serve) and on Reddit
MOST_SEARCHES = 25  # that a query becomes where there is no OR
MOST_WORDS = 10  # of a search on Hacker News: Algolia cuts long ones off

_X_NAME = re.compile(r"[A-Za-z0-9_]{1,15}")
_X_AUTHOR = re.compile(r"[A-Za-z0-9_]{1,15}|[0-9]{1,19}")  # a name, or an account's number


def x_queries(query: Query, exclude_authors: Sequence[str] = ()) -> Sequence[str]:
    """The query for X's recent search, without reposts and without posts of the excluded authors.

    Where it is too long and is an OR, whatever must or must not be there beside it, the branches are spread over
    several searches, in their order. Each search has all that stands beside the OR.
    """
    names = [author.removeprefix("@") for author in exclude_authors]
    for name in names:
        if not _X_AUTHOR.fullmatch(name):
            raise InputError(f"{name!r} is no X account name: 1 to 15 letters, digits and _")
    suffix = "".join(f" -from:{name}" for name in names) + " -is:retweet"
    whole = _X.compiled(query) + suffix
    branches, beside = _branches(query.root)
    if len(whole) <= LONGEST or len(branches) == 1:
        return [_X.checked(whole, query)]

    def written(some: Sequence[Node]) -> str:
        either = some[0] if len(some) == 1 else Or(tuple(some))
        node = And((either, *beside)) if beside else either
        return _X.compiled(Query(str(node), node)) + suffix

    searches: list[str] = []
    together: list[Node] = []
    for branch in branches:
        alone = written([branch])
        if len(alone) > LONGEST:
            raise InputError(
                f"X takes {LONGEST} characters, and one branch of this query alone becomes {len(alone)}: "
                f"{str(branch)[:60]}…; shorten it or what is left out with NOT"
            )
        if together and len(both := written([*together, branch])) <= LONGEST:
            searches[-1] = both
            together.append(branch)
        else:
            searches.append(alone)
            together = [branch]
    return searches


def _branches(root: Node) -> tuple[Sequence[Node], Sequence[Node]]:
    """The branches of the longest OR at the root, and what must or must not be there beside it."""
    if isinstance(root, Or):
        return root.parts, ()
    choices = [part for part in root.parts if isinstance(part, Or)] if isinstance(root, And) else []
    if not isinstance(root, And) or not choices:
        return [root], ()
    longest = max(choices, key=lambda part: len(str(part)))
    return longest.parts, [part for part in root.parts if part is not longest]


def reddit_query(query: Query) -> str:
    """The query for Reddit's search (syntax=lucene)."""
    wide = _REDDIT.widened(query.root, True)
    text = " OR ".join(wide.parts) if wide is not None and wide.kind is Or else _REDDIT.compiled(query)
    return _REDDIT.checked(text, query)


def bluesky_queries(query: Query) -> list[str]:
    """The searches for Bluesky that together find what the query matches: it knows no OR, so one for each alternative.

    Nothing is excluded: Bluesky looks into the titles of links and the descriptions of pictures too, so an exclusion
    would lose posts.
    """
    found = _widest(_alternatives_of(_BLUESKY, query))
    return _few(found, query, "Bluesky", "shorten it, or set search = false and read the stream alone")


def mastodon_queries(query: Query) -> list[str]:
    """The searches for Mastodon that together find what the query matches: one for each alternative, without an OR."""
    found = _widest(_alternatives_of(_MASTODON, query))
    return _few(found, query, "Mastodon", "shorten it, or set search = false")


def hackernews_queries(query: Query) -> list[str]:
    """The searches for Hacker News that together find what the query matches: words that must all be there, no phrases.

    Algolia reads the markup of a comment as words: it finds no phrase that a link or an apostrophe stands in.
    """
    found = [tuple(_bare(" ".join(pieces))) for pieces in _alternatives_of(_HACKERNEWS, query)]
    return _few(_widest(found), query, "Hacker News", "shorten it, or make two brands of it")


def feed_query(query: Query) -> str:
    """What is put into the address of a search that answers with a feed; such searches know quotes and OR at most."""
    first, *others = _widest(_alternatives_of(_FEED, query))
    text = " OR ".join(dict.fromkeys(pieces[0] for pieces in (first, *others))) if others else " ".join(first)
    return _FEED.checked(text, query)


def _alternatives_of(dialect: "_Dialect", query: Query) -> list[tuple[str, ...]]:
    found = _alternatives(dialect, query.root, True)
    if found is None:
        raise dialect._refusal(query.root)
    return found


def _widest(found: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Leave out what another search finds anyway: acme finds what acme phone does."""
    kept: list[tuple[str, ...]] = []
    for pieces in sorted(dict.fromkeys(found), key=len):
        if not any(set(other) <= set(pieces) for other in kept):
            kept.append(pieces)
    return sorted(kept, key=found.index)


def _few(found: Sequence[tuple[str, ...]], query: Query, platform: str, advice: str) -> list[str]:
    if len(found) > MOST_SEARCHES:
        raise InputError(
            f"{platform} knows no OR, and this query becomes {len(found)} searches, more than {MOST_SEARCHES}: "
            f"{str(query)[:60]}…; {advice}"
        )
    return [" ".join(pieces) for pieces in found]


def _bare(text: str) -> list[str]:
    """The words of a text, and the symbols that Algolia takes for words; a few of them say enough."""
    kept = (ch if ch in "_+#$" or unicodedata.category(ch)[0] in "LMN" else " " for ch in text)
    return list(dict.fromkeys("".join(kept).split()))[:MOST_WORDS]


def _alternatives(dialect: "_Dialect", node: Node, wanted: bool) -> list[tuple[str, ...]] | None:
    """Lists of pieces, one of which is all there where the node (or its negation) matches; None where none is known."""
    match node:
        case Not(part):
            return _alternatives(dialect, part, not wanted)
        case Near(left, right, _):
            return _alternatives(dialect, And((left, right)), True) if wanted else None
        case And(parts) | Or(parts):
            each = [_alternatives(dialect, part, wanted) for part in parts]
            if isinstance(node, And) != wanted:
                known = [found for found in each if found is not None]
                return [pieces for found in known for pieces in found] if len(known) == len(each) else None
            return _together([found for found in each if found is not None])
        case Word():
            return _leaf(dialect, (node,), wanted)
        case Phrase(words):
            return _leaf(dialect, words, wanted)


def _leaf(dialect: "_Dialect", words: Sequence[Word], wanted: bool) -> list[tuple[str, ...]] | None:
    pieces = tuple(dict.fromkeys(dialect._pieces(words))) if wanted else ()
    return [pieces] if pieces else None


def _together(conditions: Sequence[list[tuple[str, ...]]]) -> list[tuple[str, ...]] | None:
    """All conditions at once, as far as that makes few searches; what is left out makes them wider."""
    if not conditions:
        return None
    first, *others = sorted(conditions, key=len)
    for other in others:
        if len(first) * len(other) <= MOST_SEARCHES:
            first = [tuple(dict.fromkeys((*left, *right))) for left in first for right in other]
    return first


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


def words_of(node: Node, wanted: bool = True) -> Iterator[str]:
    """Go through the words, @handles and #hashtags that the node (or, with wanted False, its negation) asks for."""
    match node:
        case Not(part):
            yield from words_of(part, not wanted)
        case And(parts) | Or(parts):
            for part in parts:
                yield from words_of(part, wanted)
        case Near(left, right, _):
            yield from words_of(left, wanted)
            yield from words_of(right, wanted)
        case Phrase(words):
            yield from (word.text for word in words if wanted)
        case Word(text) if wanted:
            yield text


def _wildcards(node: Node, wanted: bool) -> Iterator[str]:
    return (text for text in words_of(node, wanted) if wild(text))


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


_BLUESKY = _Dialect("Bluesky", " ", "-", lambda word: _plain(word.text.lstrip("@#")), lambda word: False)
_HACKERNEWS = _Dialect("Hacker News", " ", "-", lambda word: word.text.lstrip("@#"), lambda word: False)
# Mastodon looks up an account, not posts, where a search of one word holds an @.
_MASTODON = _Dialect(
    "Mastodon",
    " ",
    "-",
    lambda word: _plain(_x_name(word) if word.text[0] in "@#" else word.text),
    lambda word: False,
)
_FEED = _Dialect("a search for feeds", " ", "-", lambda word: _plain(word.text.lstrip("@#")), lambda word: False)
_X = _Dialect("X", " ", "-", _x_written, _x_precise)
_REDDIT = _Dialect("Reddit", " AND ", "NOT ", _reddit_written, lambda word: False)
