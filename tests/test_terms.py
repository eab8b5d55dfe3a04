"""What the posts of a spike have in common is told in words that others do not use as often."""

import random

from models.terms import in_common, telling

QUIET = ["acme opened a shop", "I love my acme phone", "the weather at acme", "acme sells tea and phones"] * 25
ANGRY = [f"acme {verb} me twice for order {number}" for number, verb in enumerate(["charged", "billed"] * 10)]


def words(terms: list[str]) -> set[str]:
    return set(" ".join(terms).split())


def test_a_word_that_only_these_posts_use_is_named() -> None:
    assert {"twice", "order"} <= words(in_common(ANGRY, QUIET, ["Acme"]))


def test_a_word_that_others_use_as_often_is_not() -> None:
    posts = [f"phone number {number} exploded" for number in "abcdefghij"]
    others = [f"phone number {number} is blue" for number in "abcdefghij"] * 10
    named = words(in_common(posts, others))
    assert "exploded" in named
    assert "phone" not in named


def test_a_word_of_two_posts_is_no_pattern() -> None:
    assert in_common(["refund please", "refund now", "other", "thing"], QUIET) == []


def test_a_word_must_stand_in_a_tenth_of_many_posts() -> None:
    posts = [f"angry{number}" for number in range(100)]
    assert in_common([*posts[:-5], *["refund"] * 5], QUIET) == []
    assert in_common([*posts[:-12], *["refund"] * 12], QUIET) == ["refund"]


def test_one_post_that_repeats_itself_counts_once() -> None:
    assert in_common(["spam spam spam spam", "a", "b", "c"], QUIET) == []


def test_a_pair_of_words_is_named_once_not_with_its_words_beside_it() -> None:
    named = in_common(["the battery drain is bad", "battery drain again", "so much battery drain"] * 4, QUIET)
    told = [word for term in named for word in term.split()]
    assert len(told) == len(set(told))
    assert {"battery", "drain"} <= set(told)


def test_the_brand_small_words_links_and_handles_say_nothing() -> None:
    posts = [f"@AcmeCare the Acme Phones are it https://acme.example/{number} #acme" for number in range(10)]
    assert in_common(posts, QUIET, ["Acme Phones"]) == []


def test_case_and_apostrophes_do_not_part_words() -> None:
    posts = ["CAN’T login", "can't LOGIN", "Can't Login"] * 2
    assert words(in_common(posts, QUIET)) == {"can't", "login"}


def test_words_of_any_script_are_named() -> None:
    assert words(in_common(["возврат денег", "возврат"] * 5, QUIET)) >= {"возврат"}


def test_five_terms_at_most_the_clearest_first() -> None:
    dice = random.Random(1)
    posts = [
        " ".join(dice.sample(["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"], 5))
        for _ in range(50)
    ]
    posts = [f"refund, {post}" for post in posts]
    assert len(in_common(posts, QUIET)) <= 5
    assert "refund" in in_common(posts, QUIET)[0]
    assert len(in_common(posts, QUIET, most=2)) <= 2


def test_it_is_the_same_every_time_and_needs_no_background() -> None:
    assert in_common(ANGRY, QUIET) == in_common(ANGRY[::-1], reversed(QUIET))
    assert in_common([], QUIET) == []
    assert isinstance(in_common(ANGRY, []), list)
    assert in_common(["", "🙃", "123"], [""]) == []


def test_a_word_that_was_never_written_before_is_new_and_one_that_was_is_not() -> None:
    posts = ["acme phone recall again", "the recall of the phone", "phone recall, really", "recall my phone"] * 3
    found = {term.text: term.new for term in telling(posts, [*QUIET, *["a phone"] * 20])}
    assert found["recall"] is True
    assert found.get("phone") is not True


def test_a_word_of_one_in_five_hundred_posts_before_is_as_good_as_new() -> None:
    posts = ["recall now", "the recall", "recall!"] * 4
    others = [f"acme number {number}" for number in range(999)]
    assert [term.new for term in telling(posts, [*others, "the recall of 2019"], most=1)] == [True]
    assert [term.new for term in telling(posts, [*others, *["recall"] * 9], most=1)] == [False]


def test_of_a_short_past_nobody_can_say_what_is_new() -> None:
    assert [term.new for term in telling(["recall now", "the recall", "recall!"] * 4, ["fine"] * 5, most=1)] == [False]
