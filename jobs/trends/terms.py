"""Words that posts of a span have and those before it had not, or hardly.

They are told from the newest posts of each span, a bounded number however many there are; posts that pass on or copy
another one are left out. A term counts once a post. Those come first whose share of the posts has surely grown most.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from db.filters import Filter
from db.store import Store
from jobs.trends.asked import Question, Span
from jobs.trends.figures import Estimate, share_of
from models.intervals import CLUSTERS, difference
from models.terms import terms_of

SAMPLE = 1_000  # posts of each span
LETTERS = 1_000  # of each post
LEAST = 4  # posts that must have a term
CLEAR = 3.3  # standard errors: thousands of terms are looked at, and one of two thousand strays so far by chance
MOST = 8
REMEMBERED = 4_096  # posts whose words are not worked out again


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
    if not others:
        return
    here, there = (Counter(chain.from_iterable(map(_terms, texts))) for texts in (posts, others))
    found = []
    for term, count in here.items():
        if count < LEAST:
            continue
        before = there[term]
        if count * len(others) <= before * len(posts) or hidden & set(term.split()):
            continue
        shares = (count / CLUSTERS, len(posts) / CLUSTERS, before / CLUSTERS, len(others) / CLUSTERS)
        surely = difference(*shares, z=CLEAR)[1]
        if surely > 0:
            found.append((-round(surely, 9), -len(term.split()), term))
    found.sort()
    chosen: list[str] = []
    for *_, term in found:  # "charged twice" says what "charged" and "twice" say
        if not any(set(term.split()) & set(other.split()) for other in chosen):
            chosen.append(term)
    for term in chosen[:MOST]:
        yield NewTerm(term, here[term], there[term], share_of(here[term], len(posts)), not there[term])


@lru_cache(maxsize=REMEMBERED)
def _terms(text: str) -> frozenset[str]:
    return frozenset(terms_of(text))


def _texts(store: Store, question: Question, span: Span) -> list[str]:
    return store.trends.newest_texts(question.posts(span), SAMPLE, LETTERS)
