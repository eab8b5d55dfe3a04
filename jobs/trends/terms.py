"""Words that posts of a span have and those before it had not, or hardly.

They are told from the newest posts of each span, a bounded number however many there are; posts that pass on or copy
another one are left out. A term counts once a post. Those come first whose share of the posts has surely grown most.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from db.filters import Filter
from db.store import Store
from jobs.trends.asked import Question, Span
from jobs.trends.figures import Estimate, share_of
from models.intervals import CLUSTERS, difference
from models.terms import terms_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE = 1_000  # posts of each span
LETTERS = 1_000  # of each post
LEAST = 4  # posts that must have a term
CLEAR = 3.3  # standard errors: thousands of terms are looked at, and one of two thousand strays so far by chance
MOST = 8
REMEMBERED = 16_384  # posts whose words are not worked out again


@dataclass(frozen=True, slots=True)
class NewTerm:
    """A word, or two that follow each other; `new` where no post before had it."""

    text: str
    posts: int
    before: int
    share: Estimate | None  # of the posts looked at that have it
    new: bool


@dataclass(frozen=True, slots=True)
class NewTerms:
    """The clearest first, and how many posts of each span were looked at."""

    terms: tuple[NewTerm, ...]
    looked_at: int
    looked_at_before: int
    link: Filter


def new_terms(store: Store, question: Question) -> NewTerms | None:
    """Tell which terms set the span apart from the one before; None where there is none."""
    if question.before is None:
        return None
    posts = _texts(store, question, question.span)
    others = _texts(store, question, question.before)
    names = question.brands or tuple(store.trends.brands())
    hidden = frozenset(word for name in names for word in terms_of(name))
    return NewTerms(tuple(ranked(posts, others, hidden)), len(posts), len(others), question.posts())


def ranked(posts: Sequence[str], others: Sequence[str], hidden: frozenset[str] = frozenset()) -> Iterable[NewTerm]:
    """Return the terms that posts have more often than others, the clearest first; hidden words are left out."""
    if not posts or not others:
        return
    words = _vocabulary()
    here, there = words.count(posts), words.count(others)
    found = []
    for number in words.commoner(here, len(posts), there, len(others)):
        term, count, before = words.terms[number], int(here[number]), int(there[number])
        if hidden & set(term.split()):
            continue
        shares = (count / CLUSTERS, len(posts) / CLUSTERS, before / CLUSTERS, len(others) / CLUSTERS)
        surely = difference(*shares, z=CLEAR)[1]
        if surely > 0:
            found.append((-round(surely, 9), -len(term.split()), term, count, before))
    found.sort()
    said = set[str]()
    shown = 0
    for *_, term, count, before in found:  # "charged twice" says what "charged" and "twice" say
        if shown < MOST and not said & set(term.split()):
            said |= set(term.split())
            shown += 1
            yield NewTerm(term, count, before, share_of(count, len(posts)), not before)


class _Vocabulary:
    """Terms by number, and those of the posts that were looked at: most of them are looked at again and again."""

    def __init__(self) -> None:
        self.terms: list[str] = []
        self._numbers: dict[str, int] = {}
        self._posts: dict[str, NDArray[np.int32]] = {}
        self._lock = Lock()

    @property
    def full(self) -> bool:
        return len(self._posts) > REMEMBERED

    def count(self, texts: Sequence[str]) -> "NDArray[np.int64]":
        """Count the posts that have each term, by its number."""
        import numpy as np

        numbers = np.concatenate([self._of(text) for text in texts])
        return np.bincount(numbers, minlength=len(self.terms))

    def commoner(self, here: "NDArray[np.int64]", posts: int, there: "NDArray[np.int64]", others: int) -> list[int]:
        """Return the terms that some posts have, and a larger share of them than of others."""
        import numpy as np

        # Since the first were counted, others may have got numbers.
        there = np.pad(there, (0, max(len(here) - len(there), 0)))[: len(here)]
        found: list[int] = np.flatnonzero((here >= LEAST) & (here * others > there * posts)).tolist()
        return found

    def _of(self, text: str) -> "NDArray[np.int32]":
        import numpy as np

        known = self._posts.get(text)
        if known is None:
            terms = sorted(set(terms_of(text)))
            with self._lock:
                known = np.array([self._number(term) for term in terms], np.int32)
                self._posts[text] = known
        return known

    def _number(self, term: str) -> int:
        number = self._numbers.setdefault(term, len(self.terms))
        if number == len(self.terms):
            self.terms.append(term)
        return number


_remembered = _Vocabulary()


def _vocabulary() -> _Vocabulary:
    global _remembered
    if _remembered.full:
        _remembered = _Vocabulary()
    return _remembered


def _texts(store: Store, question: Question, span: Span) -> Sequence[str]:
    return store.trends.newest_texts(question.posts(span), SAMPLE, LETTERS)
