"""Why a spike happened: the slices that made the difference, the words that are new, the posts that stand for it.

A spike is confined to a slice if that explains the counts better than a spike of everything does: the other slices of
its kind have what they usually have (a negative binomial; as labels are wrong now and then, a fifth of the excess may
stray there), rather than their usual part of all that was seen (a beta-binomial). The likelihoods are compared.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from db.records import Part, Story
from models.terms import telling, terms_of
from models.tokens import tokens

LEVEL = 0.1  # how much the level of what is usual wanders: variance = mean + LEVEL * mean²
ALIKE = 0.01  # correlation of the posts of a window in where they come from
STRAYING = (0.0, 0.0, 0.1, 0.2)  # parts of the excess that may lie in other slices, equally likely
MOST = 0.65  # of the excess, at least, lies in a slice that a spike is confined to
ODDS = 0.75  # a spike of everything must be 4/3 as likely to be believed: most spikes have one cause
POSTS = 5  # that stand for a spike
AUTHORS = 3  # that a slice must have for its posts alone to stand for it


@dataclass(frozen=True, slots=True)
class Slice:
    """What one source, stage, pillar, touchpoint or language had in the window of a spike."""

    kind: str
    name: str
    observed: int  # negatives
    expected: float  # from the weeks before


@dataclass(frozen=True, slots=True)
class StoryPost:
    """One negative post of a spike."""

    id: int
    author: str | None
    text: str
    copy_of: int | None  # id of the first of those that say the same
    negative: float  # 0 to 1: how surely it is
    reach: int  # followers of its author, or whatever says how far it carries
    source: str
    stage: str | None = None
    pillar: str | None = None
    touchpoint: str | None = None
    language: str | None = None


def tell(
    slices: Sequence[Slice],
    posts: Sequence[StoryPost],
    before: Iterable[str],
    leave_out: Iterable[str] = (),
    baseline_since: datetime | None = None,
    coverage: str | None = None,
) -> Story:
    """Tell why a spike happened.

    `slices` hold every slice of each kind, also those without a negative now; `before` are texts of the weeks before,
    `leave_out` the brand's names, which say nothing.
    """
    names = list(leave_out)
    terms = telling([post.text for post in posts], before, names)
    new = [term.text for term in terms if term.new]
    confined_to = confined(slices)
    reach: dict[str, int] = {}
    for post in posts:
        reach[_author(post)] = max(reach.get(_author(post), 0), post.reach)
    return Story(
        parts=tuple(parts(slices)),
        confined_to=confined_to,
        terms=tuple(term.text for term in terms),
        new_terms=tuple(new),
        posts=tuple(post.id for post in standing_for(posts, new or [term.text for term in terms], confined_to)),
        authors=len(reach),
        copies=len(posts) - len(_different(posts)),
        reach=sum(reach.values()),
        baseline_since=baseline_since,
        coverage=coverage,
    )


def parts(slices: Iterable[Slice]) -> list[Part]:
    """Return how much of what is more than expected lies in each slice, those first that made the difference.

    Shares of one kind add up to 1; what a slice has less than expected is nobody else's gain, and leaves it none.
    """
    found = [_part(each, _gain(kind)) for kind in _kinds(slices) for each in kind]
    return sorted(found, key=lambda part: (-part.share, part.expected, part.kind, part.name))


def confined(slices: Iterable[Slice]) -> Part | None:
    """Return the slice that explains a spike best, if one does."""
    best: tuple[float, Part] | None = None
    for kind in _kinds(slices):
        observed, expected = sum(each.observed for each in kind), sum(map(_expected, kind))
        excess = observed - sum(each.expected for each in kind)
        for each in kind:
            part = _part(each, _gain(kind))
            usual = _expected(each) / expected
            if excess <= 0 or each.observed - each.expected < MOST * excess or each.observed <= usual * observed:
                continue
            evidence = _alone(observed - each.observed, expected - _expected(each), excess) - _everywhere(
                observed - each.observed, observed, 1.0 - usual
            )
            if evidence > math.log(ODDS) and (best is None or evidence > best[0]):
                best = evidence, part
    return best[1] if best else None


def standing_for(posts: Sequence[StoryPost], terms: Sequence[str], within: Part | None = None) -> list[StoryPost]:
    """Return up to five posts, each by another author and none a copy: those with the terms, the worst first.

    They lie in the slice `within` if enough authors wrote there.
    """
    inside = [post for post in posts if within is None or getattr(post, within.kind, None) == within.name]
    if len({_author(post) for post in inside}) < AUTHORS:
        inside = list(posts)
    wanted = set(terms)
    left = {post.id: (post, wanted & terms_of(post.text)) for post in _different(inside)}
    chosen: list[StoryPost] = []
    shown: set[str] = set()

    def worth(post: StoryPost, held: set[str]) -> tuple[bool, float]:
        return bool(held), _weight(post) * (1 + len(held) + len(held - shown))

    while left and len(chosen) < POSTS:
        post, held = max(left.values(), key=lambda pair: worth(*pair))
        chosen.append(post)
        shown |= held
        left = {number: pair for number, pair in left.items() if _author(pair[0]) != _author(post)}
    return sorted(chosen, key=_weight, reverse=True)


def _kinds(slices: Iterable[Slice]) -> Iterator[list[Slice]]:
    ordered = sorted(slices, key=lambda each: (each.kind, each.name))
    return (list(kind) for _, kind in groupby(ordered, key=lambda each: each.kind))


def _gain(kind: Sequence[Slice]) -> float:
    """What the slices of a kind that have more than expected have more; 0 where all of them together have none."""
    more = [each.observed - each.expected for each in kind]
    return sum(max(one, 0.0) for one in more) if sum(more) > 0 else 0.0


def _part(each: Slice, gain: float) -> Part:
    share = max(each.observed - each.expected, 0.0) / gain if gain > 0 else 0.0
    return Part(each.kind, each.name, each.observed, each.expected, share)


def _expected(each: Slice) -> float:
    """What a slice is expected to have; one that never had a post may yet have one."""
    return each.expected + 0.05


def _alone(rest: int, expected: float, excess: float) -> float:
    """Log-likelihood of what the other slices had if the spike is not theirs."""
    likely = [_negative_binomial(rest, expected + straying * excess) for straying in STRAYING]
    return math.log(math.fsum(map(math.exp, likely)) / len(likely) or math.ulp(0.0))


def _everywhere(rest: int, observed: int, usual: float) -> float:
    """Log-likelihood of what the other slices had if the spike is everybody's: a beta-binomial."""
    if usual >= 1.0:
        return 0.0
    size = 1.0 / ALIKE - 1.0
    a, b = usual * size, (1.0 - usual) * size
    return (
        math.lgamma(observed + 1)
        - math.lgamma(rest + 1)
        - math.lgamma(observed - rest + 1)
        + _log_beta(rest + a, observed - rest + b)
        - _log_beta(a, b)
    )


def _negative_binomial(count: int, mean: float) -> float:
    size = 1.0 / LEVEL
    return (
        math.lgamma(count + size)
        - math.lgamma(size)
        - math.lgamma(count + 1)
        + size * math.log(size / (size + mean))
        + count * math.log(mean / (size + mean))
    )


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _author(post: StoryPost) -> str:
    """Who wrote it; one whose name is not kept is nobody else."""
    return f"{post.source}\n{post.author}" if post.author is not None else f"\n{post.id}"


def _weight(post: StoryPost) -> float:
    return post.negative * (1.0 + math.log10(1.0 + max(post.reach, 0)))


def _different(posts: Sequence[StoryPost]) -> list[StoryPost]:
    """One of each group of copies, the weightiest. Posts with the same words are copies before they are marked."""
    marked: dict[int, StoryPost] = {}
    for post in posts:
        first = post.id if post.copy_of is None else post.copy_of
        if first not in marked or _weight(post) > _weight(marked[first]):
            marked[first] = post
    said: dict[tuple[str, ...], StoryPost] = {}
    for post in marked.values():
        words = tokens(post.text) or (f"\n{post.id}",)
        if words not in said or _weight(post) > _weight(said[words]):
            said[words] = post
    return list(said.values())
