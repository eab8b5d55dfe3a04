"""What posts have in common that others do not have: words and pairs of words told more often than usual.

Ranked by the log-odds ratio with a prior (Monroe, Colaresi and Quinn, "Fightin' Words", 2008), which does not take
a word that stood in two posts for a pattern.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

_WORD = re.compile(r"(?<![\w'’])[^\W\d_][\w'’]{1,29}(?![\w'’])")  # longer ones are no words
_NOISE = re.compile(r"https?://\S+|[@#]\w+")

# Words that say nothing about a subject, whatever their number.
_COMMON = frozenset(
    "a about after again all also am an and any are as at back be because been before being but by can could did do "
    "does doing don't for from get got had has have having he her here him his how i i'm i've if in into is isn't it "
    "it's its just like me more most much my myself no nor not now of off on once one only or other our out over own "
    "really same she should so some still such than that that's the their them then there these they this those "
    "through to too under until up us very was we were what when where which while who why will with would you "
    "your".split()
)
PRIOR = 0.5  # imagined posts with each term, on either side
NEW_TIMES, NEW_LEAST = 20, 500  # a new term is told so many times as often, and stood in one of so many posts at most


@dataclass(frozen=True, slots=True)
class Term:
    """A word, or two that follow each other, that sets posts apart; `new` if the others (almost) never had it."""

    text: str
    new: bool


def in_common(posts: Sequence[str], others: Iterable[str], leave_out: Iterable[str] = (), most: int = 5) -> list[str]:
    """Return the terms that set the posts apart from the others, the clearest first, as `telling` finds them."""
    return [term.text for term in telling(posts, others, leave_out, most)]


def telling(posts: Sequence[str], others: Iterable[str], leave_out: Iterable[str] = (), most: int = 5) -> list[Term]:
    """Return the terms that set the posts apart from the others, the clearest first.

    A term counts once a post; it must stand in at least three of the posts and in a tenth of them. Whether it is new
    can be told only of others that are many enough to have held it.
    """
    hidden = {word for name in leave_out for word in _words(name)}
    here = Counter(term for text in posts for term in terms_of(text, hidden))
    there = Counter[str]()
    background = 0
    for text in others:
        background += 1
        there.update(terms_of(text, hidden))
    least = max(3, len(posts) / 10)

    def clarity(term: str) -> float:
        a, b = here[term] + PRIOR, there[term] + PRIOR
        odds = math.log(a / (len(posts) + 2 * PRIOR - a)) - math.log(b / (background + 2 * PRIOR - b))
        return odds / math.sqrt(1 / a + 1 / b)

    ranked = sorted(
        (t for t, n in here.items() if n >= least and clarity(t) > 1.64),
        key=lambda t: (-round(clarity(t), 6), -len(t.split()), t),
    )
    chosen: list[str] = []
    for term in ranked:  # "charged twice" says what "charged" and "twice" say
        if not any(set(term.split()) & set(other.split()) for other in chosen):
            chosen.append(term)

    def new(term: str) -> bool:
        share = here[term] / len(posts)
        return there[term] * NEW_LEAST <= background and NEW_TIMES * (there[term] + 1) <= share * (background + 1)

    return [Term(term, new(term)) for term in chosen[:most]]


def terms_of(text: str, hidden: Set[str] = frozenset()) -> set[str]:
    """Return the words of a text that say something, and the pairs of them that follow each other."""
    words = list(_words(_NOISE.sub(" ", text)))
    kept = [word for word in words if word not in _COMMON and word not in hidden]
    pairs = {f"{a} {b}" for a, b in pairwise(words) if not {a, b} & _COMMON and not {a, b} & hidden}
    return set(kept) | pairs


def _words(text: str) -> Iterator[str]:
    return (match[0].replace("’", "'") for match in _WORD.finditer(text.casefold()))
