"""A spike's story names the slice it is confined to, the words that are new, and posts of several people."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import nbinom

from models.story import Slice, StoryPost, confined, parts, standing_for, tell

BEFORE = [f"acme {thing} is {how}" for thing in ("phone", "shop", "tea", "app") for how in ("fine", "nice", "old")] * 20


def post(number: int, text: str = "", **more: object) -> StoryPost:
    """A post by its own author, with words of its own."""
    plain = StoryPost(number, f"person {number}", text or f"acme is bad {number} word{number}", None, 0.9, 0, "x")
    return replace(plain, **more)  # type: ignore[arg-type]


def sources(**counts: tuple[int, float]) -> list[Slice]:
    return [Slice("source", name, seen, usual) for name, (seen, usual) in counts.items()]


def test_parts_are_told_by_what_they_add_to_the_excess() -> None:
    found = parts(sources(x=(12, 10.0), reddit=(38, 5.0), news=(0, 5.0)))
    assert [(part.name, round(part.share, 2)) for part in found] == [("reddit", 0.94), ("x", 0.06), ("news", 0.0)]
    assert found[0].observed == 38
    assert found[0].expected == 5.0


def test_every_kind_has_its_own_hundred_percent() -> None:
    found = parts([*sources(x=(30, 10.0)), Slice("stage", "use", 25, 8.0), Slice("stage", "none", 5, 2.0)])
    assert {(part.kind, part.name): round(part.share, 2) for part in found} == {
        ("source", "x"): 1.0,
        ("stage", "use"): 0.85,
        ("stage", "none"): 0.15,
    }


def test_where_one_slice_has_less_than_expected_the_others_shares_do_not_exceed_the_whole() -> None:
    found = parts(sources(x=(32, 20.0), reddit=(32, 20.0), news=(1, 5.0)))
    assert [(part.name, part.share) for part in found] == [("reddit", 0.5), ("x", 0.5), ("news", 0.0)]


def test_no_excess_is_nobodys_part() -> None:
    assert [part.share for part in parts(sources(x=(3, 10.0), reddit=(1, 1.0)))] == [0.0, 0.0]
    assert confined(sources(x=(3, 10.0), reddit=(1, 1.0))) is None
    assert confined([]) is None
    assert parts([]) == []


def test_a_spike_of_one_source_is_confined_to_it() -> None:
    found = confined(sources(x=(11, 10.0), reddit=(40, 5.0), news=(4, 5.0)))
    assert found is not None
    assert (found.kind, found.name) == ("source", "reddit")


def test_a_spike_of_everything_is_confined_to_nothing() -> None:
    assert confined(sources(x=(50, 10.0), reddit=(25, 5.0), news=(5, 1.0))) is None


def test_a_spike_of_two_sources_is_confined_to_neither() -> None:
    assert confined(sources(x=(40, 10.0), reddit=(35, 5.0), news=(1, 1.0))) is None


def test_where_nearly_all_posts_come_from_one_source_a_spike_of_everything_is_not_confined_to_it() -> None:
    assert confined(sources(x=(450, 90.0), reddit=(50, 10.0))) is None
    found = confined(sources(x=(490, 90.0), reddit=(10, 10.0)))
    assert found is not None
    assert found.name == "x"


def test_the_only_slice_there_is_says_nothing() -> None:
    assert confined(sources(x=(50, 10.0))) is None


def test_a_slice_that_is_new_can_explain_a_spike() -> None:
    found = confined(sources(x=(10, 10.0), mastodon=(30, 0.0)))
    assert found is not None
    assert found.name == "mastodon"


def test_of_several_kinds_the_clearest_slice_is_named() -> None:
    stages = [Slice("stage", name, 14 + n, 5.0 + n) for n, name in enumerate(("use", "purchase", "none", "advocacy"))]
    found = confined([*stages, *sources(x=(11, 12.0), reddit=(50, 11.0))])
    assert found is not None
    assert found.name == "reddit"


def test_what_is_new_is_told_apart_from_what_is_only_more_often() -> None:
    posts = [post(number, f"acme phone recall number{number}, the battery melted") for number in range(20)]
    story = tell([], posts, [*BEFORE, *["acme battery is weak", "acme battery is big"] * 10], ["Acme"])
    new = " ".join(story.new_terms).split()
    assert "recall" in new
    assert "melted" in new or "battery melted" in story.new_terms
    assert "acme" not in new
    assert set(story.new_terms) <= set(story.terms)


def test_nothing_is_new_where_there_is_no_past() -> None:
    posts = [post(number, "acme phone recall") for number in range(20)]
    assert tell([], posts, []).new_terms == ()


def test_the_posts_that_stand_for_it_hold_its_words_and_each_has_another_author() -> None:
    posts = [post(number, f"acme phone is fine {number} w{number}", reach=1000) for number in range(30)]
    posts += [
        post(100 + number, f"the acme recall {number} w{number}", author=f"p{number % 4}") for number in range(12)
    ]
    chosen = standing_for(posts, ["recall"])
    assert 3 <= len(chosen) <= 5
    assert len({each.author for each in chosen}) == len(chosen)
    story = tell([], posts, BEFORE, ["Acme"])
    told = [each for each in posts if each.id in story.posts]
    assert sum("recall" in each.text for each in told) >= 3


def test_copies_stand_for_it_once_marked_or_not() -> None:
    posts = [post(1, "acme ruined my whole day and then some"), post(2, "acme Ruined my whole day, and then some!")]
    posts += [post(number, copy_of=10) for number in range(10, 20)]
    posts += [post(30), post(31)]
    story = tell([], posts, BEFORE)
    assert len(story.posts) == 4
    assert len(set(story.posts) & set(range(10, 20))) == 1
    assert len(set(story.posts) & {1, 2}) == 1
    assert story.copies == 10
    assert story.authors == 14


def test_the_worst_with_the_widest_reach_comes_first() -> None:
    posts = [post(1, reach=10), post(2, reach=90_000), post(3, reach=90_000, negative=0.2), post(4)]
    assert [each.id for each in standing_for(posts, [])] == [2, 1, 3, 4]


def test_one_who_writes_fifty_times_is_shown_once_and_reaches_as_many() -> None:
    posts = [post(number, author="loud", reach=500 + number) for number in range(50)]
    story = tell([], [*posts, post(99, author=None, reach=7), post(98, author=None, reach=3)], BEFORE)
    assert len(story.posts) == 3
    assert story.authors == 3
    assert story.reach == 549 + 7 + 3


def test_a_namesake_on_another_platform_is_somebody_else() -> None:
    posts = [post(1, author="kim", source="x"), post(2, author="kim", source="reddit")]
    assert tell([], posts, BEFORE).authors == 2


def test_the_posts_come_from_the_slice_it_is_confined_to() -> None:
    posts = [post(number, source="x", reach=10_000) for number in range(20)]
    posts += [post(100 + number, source="reddit") for number in range(20)]
    story = tell(sources(x=(20, 20.0), reddit=(20, 1.0)), posts, BEFORE)
    assert story.confined_to is not None
    assert story.confined_to.name == "reddit"
    assert all(number >= 100 for number in story.posts)
    assert len(story.posts) >= 3


def test_a_spike_without_posts_has_a_story_too() -> None:
    story = tell(sources(x=(20, 2.0), reddit=(1, 1.0)), [], BEFORE)
    assert (story.posts, story.terms, story.authors, story.copies, story.reach) == ((), (), 0, 0, 0)
    assert story.confined_to is not None


def test_hostile_texts_are_read_to_their_end() -> None:
    texts = ["a" * 100_000, "@" * 100_000, "acme " * 20_000, "\u202e" * 1000, "", "'" * 100_000]
    story = tell([], [post(number, text or " ") for number, text in enumerate(texts)], BEFORE)
    assert len(story.posts) == 5


KINDS = {
    "source": (("x", 0.55), ("reddit", 0.25), ("news", 0.15), ("mastodon", 0.05)),
    "stage": (
        ("use", 0.42),
        ("none", 0.2),
        ("awareness", 0.12),
        ("cultivation", 0.09),
        ("purchase", 0.07),
        ("advocacy", 0.04),
        ("interaction", 0.03),
        ("attraction", 0.02),
        ("discovery", 0.01),
    ),
}


def bursts(seed: int, kind: str, number: int) -> list[tuple[bool, bool]]:
    """Whether the slice of each burst that can be detected is named, and whether three people stand for it.

    Slices have unequal rates, which are learned from four weeks; the level of a day wanders, and the slices of a day
    differ from the usual mix. A burst is confined to one slice, drawn by its rate; the other kind stays as it is.
    """
    rng = np.random.default_rng(seed)
    told: list[tuple[bool, bool]] = []
    while len(told) < number:
        usual = float(rng.choice((1, 3, 10, 30, 100)))  # negatives in a window of an hour
        level, factor = rng.gamma(10, 0.1), int(rng.choice((2, 3, 5)))
        name = str(rng.choice([name for name, _ in KINDS[kind]], p=[part for _, part in KINDS[kind]]))
        extra = int(rng.poisson((factor - 1) * usual))
        slices, drawn = [], {}
        for each, mix in KINDS.items():
            names, rates = [name for name, _ in mix], np.array([part for _, part in mix])
            mean = rates * usual * level * rng.gamma(25, 1 / 25, len(rates))
            counts = rng.poisson(mean)
            counts += np.array([extra if n == name else 0 for n in names]) if each == kind else 0
            drawn[each] = [n for n, count in zip(names, counts, strict=True) for _ in range(count)]
            if each != kind:
                drawn[each] += list(rng.choice(names, extra, p=rates / rates.sum()))
                counts = np.array([drawn[each].count(n) for n in names])
            learned = rng.poisson(rates * usual * 28) / 28
            slices += [Slice(each, n, int(c), float(e)) for n, c, e in zip(names, counts, learned, strict=True)]
        seen = len(drawn[kind])
        if seen < 5 or nbinom.sf(seen - 1, 10, 1 / (1 + 0.1 * usual)) > 1e-4:
            continue  # it would not be found
        posts = [
            post(n, author=f"p{int(rng.integers(seen))}", **{kind: where}, reach=int(rng.pareto(1) * 100))
            for n, where in enumerate(drawn[kind])
        ]
        story = tell(slices, posts, BEFORE)
        authors = {posts[n].author for n in story.posts}
        named = story.confined_to is not None and (story.confined_to.kind, story.confined_to.name) == (kind, name)
        told.append((named, len(authors) >= 3))
    return told


def check(kind: str, seed: int, number: int) -> None:
    told = bursts(seed, kind, number)
    assert sum(named for named, _ in told) >= 0.95 * number
    assert sum(people for _, people in told) >= 0.95 * number


@pytest.mark.parametrize("kind", ["source", "stage"])
def test_a_confined_burst_is_told_of_its_slice_by_three_people(kind: str) -> None:
    check(kind, 1, 60)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("kind", ["source", "stage"])
def test_of_hundreds_of_confined_bursts_too(kind: str, seed: int) -> None:
    check(kind, seed, 400)
