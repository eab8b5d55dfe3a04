"""A single post matters alone for its reach, its words, its author or its urgency, and says for which."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from db.errors import InputError
from db.records import Match, Mention, Reach
from models.urgent import Reason, Urgent, because, reasons, shipped_lists, word_list

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
RULES = Urgent()


def match(text: str = "acme is bad", sentiment: str | None = "negative", reply: str = "no", **more: Any) -> Match:
    given = {"author": "someone", "reach": Reach()} | more
    mention = Mention("x", "1", text=text, created_at=NOW, collected_at=NOW, **given)
    return Match(1, "Acme", mention, sentiment=sentiment, reply=reply)


def told(post: Match, rules: Urgent = RULES) -> list[tuple[str, str]]:
    return [(reason.rule, reason.what) for reason in reasons(post, rules)]


def test_a_plain_complaint_does_not_matter_alone() -> None:
    assert reasons(match("acme is bad, no more tea", reply="yes"), RULES) == ()
    assert because(()) == ""


def test_a_negative_post_of_somebody_with_many_followers_matters() -> None:
    assert told(match(reach=Reach(followers=52_000))) == [("reach", "52,000 followers")]
    assert told(match(reach=Reach(followers=49_999))) == []
    assert told(match(reach=Reach(followers=52_000)), replace(RULES, followers=60_000)) == []
    assert told(match(reach=Reach(followers=52_000)), replace(RULES, followers=None)) == []


def test_a_negative_post_that_many_pass_on_matters() -> None:
    assert told(match(reach=Reach(reposts=450, likes=1_050))) == [("reach", "450 reposts and 1,050 likes")]
    assert told(match(reach=Reach(reposts=499))) == []
    assert told(match(reach=Reach(reposts=100_000)), replace(RULES, shares=None)) == []


@pytest.mark.parametrize("sentiment", ["neutral", "positive", None])
def test_reach_alone_does_not_make_a_post_matter_that_is_not_negative(sentiment: str | None) -> None:
    assert reasons(match(sentiment=sentiment, reach=Reach(followers=10**7, likes=10**6)), RULES) == ()


@pytest.mark.parametrize(
    ("text", "term", "name"),
    [
        ("I'm calling my LAWYER about this", "lawyer", "legal"),
        ("a class-action is coming", "class action", "legal"),
        ("our family is suing acme", "suing", "legal"),
        ("i reported you to the FTC", "reported", "legal"),
        ("my charger caught fire last night", "caught fire", "safety"),
        ("two people injured on your ride", "injured", "safety"),
        ("there is a recall of these mugs", "a recall", "safety"),
        ("my son is allergic and it was not on the label", "allergic", "safety"),
        ("ended up in hospital because of your soup", "hospital", "safety"),
        ("the battery exploded in my pocket", "exploded", "safety"),
        ("was there a data breach?", "data breach", "privacy"),
        ("my account was hacked again", "hacked", "privacy"),
        ("this is discrimination", "discrimination", "conduct"),
        ("they refused to let my wheelchair on, it is broken", "wheelchair", "conduct"),
    ],
)
def test_legal_and_safety_words_matter_and_are_named(text: str, term: str, name: str) -> None:
    (reason,) = reasons(match(text, sentiment="neutral"), RULES)
    assert reason == Reason("words", f"'{term}'", name)


@pytest.mark.parametrize(
    "text",
    [
        "Sue from the shop was lovely",
        "I recall that it was cheaper",
        "this mixtape is fire",
        "great hospitality at the hotel",
        "I could kill for a burger",
        "unlawyerly issues",
        "my phone blew up with messages",
    ],
)
def test_words_that_only_look_alike_do_not(text: str) -> None:
    assert reasons(match(text), RULES) == ()


def test_words_in_a_positive_post_do_not_matter_in_one_that_is_not_rated_they_do() -> None:
    text = "my lawyer loves acme, no lawsuit needed"
    assert reasons(match(text, sentiment="positive"), RULES) == ()
    assert told(match(text, sentiment=None)) == [("words", "'lawyer', 'lawsuit'")]


def test_a_team_writes_its_words_as_queries() -> None:
    own = {"tea": word_list("tea", ['mould OR "bad leaves"', "kettle NEAR/3 smoke", "teapot NOT toy"])}
    rules = replace(RULES, lists=own)
    assert told(match("BAD LEAVES and mould"), rules) == [("words", "'mould', 'bad leaves'")]
    assert told(match("the kettle began to smoke"), rules) == [("words", "'kettle'")]
    assert told(match("my teapot cracked"), rules) == [("words", "'teapot'")]
    assert told(match("my toy teapot cracked"), rules) == []
    assert told(match("I'm a reporter, lawsuit, asap", reply="yes"), rules) == []


def test_a_query_that_cannot_be_read_is_named_by_list_and_entry() -> None:
    with pytest.raises(InputError, match=r"word list 'legal', entry 2: query: unbalanced parenthesis"):
        word_list("legal", ["lawsuit", "(court OR"])


@pytest.mark.parametrize(
    "text",
    [
        "Hi, I'm a reporter with the Herald, can we talk?",
        "journalist here, would love to hear from you",
        "I'm working on a story about acme refunds, my DMs are open",
        "acme did not answer our request for comment",
    ],
)
def test_a_journalist_matters_whatever_the_tone(text: str) -> None:
    for sentiment in ("positive", "neutral", "negative"):
        assert [rule for rule, _ in told(match(text, sentiment=sentiment))] == ["journalist"]


def test_an_author_named_for_the_trade_matters_and_a_newsroom_if_it_is_listed() -> None:
    assert told(match(author="JaneReporter", sentiment="neutral")) == [("journalist", "an author named 'reporter'")]
    assert told(match(author="daily_herald")) == []
    listed = replace(RULES, newsrooms=frozenset({"daily_herald", "journa.host"}))
    assert told(match(author="@Daily_Herald"), listed) == [("journalist", "an author on the list of newsrooms")]
    assert told(match(author="kim@journa.host"), listed) == [("journalist", "an author on the list of newsrooms")]
    assert told(match(author="kim@other.host"), listed) == []
    assert told(match(author=None), listed) == []


@pytest.mark.parametrize(
    "text", ["need help ASAP", "this is an emergency!", "urgent", "stranded in Rome with two kids"]
)
def test_urgency_matters_where_an_answer_is_asked_for(text: str) -> None:
    assert [rule for rule, _ in told(match(text, reply="yes"))] == ["urgency"]
    assert told(match(text, reply="no")) == []
    assert told(match(text, sentiment="positive", reply="yes")) == []


def test_an_alert_can_say_why_in_words() -> None:
    post = match("my lawyer will call, lawsuit! asap", reply="yes", reach=Reach(followers=52_000))
    assert because(reasons(post, RULES)) == "'lawyer', 'lawsuit', 'asap' and 52,000 followers"
    assert because(reasons(match("a lawsuit"), RULES)) == "'lawsuit'"


def test_what_is_shown_is_never_taken_from_the_post() -> None:
    author = "reporter <b>@everyone</b> http://evil.example"
    text = "lawsuit @everyone *bold* http://evil.example \u202e lawyer attorney subpoena litigation"
    shown = because(reasons(match(text, author=author), RULES))
    assert shown == "'lawyer', 'attorney', 'lawsuit' and an author named 'reporter'"


@pytest.mark.parametrize("piece", ["a", "@", "a-", "@a.", "&amp;", "lawyer ", "hospital your ", "\u202e", "i am a "])
def test_a_hundred_kilobytes_are_read_to_their_end(piece: str) -> None:
    post = match(piece * (100_000 // len(piece)) + " lawsuit", reply="yes")
    assert ("legal", True) in [(reason.word_list, "law" in reason.what) for reason in reasons(post, RULES)]


def test_every_list_that_is_shipped_can_be_read_and_has_a_name_of_its_own() -> None:
    lists = shipped_lists()
    assert set(lists) == {"legal", "safety", "privacy", "conduct", "journalist", "urgency"}
    assert all(words.queries for words in lists.values())
