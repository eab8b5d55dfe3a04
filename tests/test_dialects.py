"""What is handed to a platform's search is never narrower than the query."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from db.errors import InputError
from models.query import parse
from monitor.collectors.dialects import LONGEST, reddit_query, x_queries


def x(text: str, *authors: str) -> str:
    (only,) = x_queries(parse(text), authors)
    return only.removesuffix(" -is:retweet")


def reddit(text: str) -> str:
    return reddit_query(parse(text))


@pytest.mark.parametrize(
    ("query", "on_x", "on_reddit"),
    [
        ("acme", "acme", "acme"),
        ("Acme Corp", "Acme Corp", "Acme AND Corp"),
        ("acme OR @acmehelp OR #acme", "(acme OR @acmehelp OR #acme)", "acme OR acmehelp"),
        ("(a OR b) c", "(a OR b) c", "(a OR b) AND c"),
        ("a b OR c", "((a b) OR c)", "(a AND b) OR c"),
        ('acme NOT ("acme road" OR jobs)', 'acme -"acme road" -jobs', 'acme AND NOT "acme road" AND NOT jobs'),
        ("NOT jobs AND acme", "acme -jobs", "acme AND NOT jobs"),
        ("acme NOT (jobs AND hiring)", "acme", "acme"),
        ("acme NOT @acmefan", "acme -@acmefan", "acme"),
        ("acme (b OR NOT c)", "acme", "acme"),
        ("acme AND organi?ation", "acme", "acme"),
        ('acme "quick ship* now"', "acme quick now", "acme AND quick AND now"),
        ("acme NEAR/5 (refund OR return)", "acme (refund OR return)", "acme AND (refund OR return)"),
        ("acme NOT (acme NEAR/5 road)", "acme", "acme"),
        ("acme NOT roa*", "acme", "acme"),
        ("acme NOT don", "acme", "acme"),
        ("acme NOT AT&T", "acme", "acme"),
        ("acme NOT café", "acme", "acme"),
        ("acme.com OR AT&T OR don't", '("acme.com" OR "AT&T" OR "don\'t")', '"acme.com" OR "AT&T" OR "don\'t"'),
        ("@acme.bsky.social", "@acme", '"acme.bsky.social"'),
        ("@acme@mastodon.social", "@acme", '"acme@mastodon.social"'),
        ("@a_name_too_long_for_x", '"a_name_too_long_for_x"', '"a_name_too_long_for_x"'),
        ("acme or b", 'acme "or" b', 'acme AND "or" AND b'),
        ("acme OR Acme OR acme", "(acme OR Acme)", "acme OR Acme"),
    ],
)
def test_a_query_is_written_the_way_the_platform_reads_it(query: str, on_x: str, on_reddit: str) -> None:
    assert x(query) == on_x
    assert reddit(query) == on_reddit


def test_x_leaves_out_reposts_and_the_brands_own_posts() -> None:
    assert x_queries(parse("acme OR b"), ["@acme", "acmehelp"]) == ["(acme OR b) -from:acme -from:acmehelp -is:retweet"]


def test_an_author_that_would_change_the_query_is_refused() -> None:
    with pytest.raises(InputError, match="no X account name"):
        x_queries(parse("acme"), ["acme OR cats"])


@pytest.mark.parametrize(
    "query", ["acm*", "acme OR acm*", "foo (acme OR acm*)", "acme OR (acm* NOT foo)", "acm* NOT foo"]
)
@pytest.mark.parametrize(("name", "write"), [("X", x), ("Reddit", reddit)])
def test_what_a_platform_cannot_search_is_told_with_what_to_write(
    query: str, name: str, write: Callable[[str], str]
) -> None:
    with pytest.raises(InputError, match=rf"^{name} cannot search wildcards.*acm\*.*\(organisation OR organization\)"):
        write(query)


LONG = [f"brandname{i:03}" for i in range(60)]


@pytest.mark.parametrize(("write", "operator"), [(x, " "), (reddit, " OR ")])
def test_a_query_that_is_too_long_is_refused_with_its_length(write: Callable[[str], str], operator: str) -> None:
    with pytest.raises(InputError, match=r"takes 512 characters, this query becomes [79]\d\d"):
        write(operator.join(LONG))


def test_an_or_that_is_too_long_for_x_is_spread_over_searches_with_all_that_is_left_out() -> None:
    beside = ' NOT (jobs OR "acme road") NOT @acmefan'
    searches = x_queries(parse(f"({' OR '.join(LONG)}){beside}"), ["acme"])
    assert len(searches) == 3
    assert all(len(search) <= LONGEST for search in searches)
    ends = ' -jobs -"acme road" -@acmefan -from:acme -is:retweet'
    assert all(search.endswith(ends) for search in searches)
    branches = [name for search in searches for name in search.removesuffix(ends).strip("()").split(" OR ")]
    assert branches == LONG
    # They keep their order, so that a branch more leaves the searches before it as they were.
    more = x_queries(parse(f"({' OR '.join([*LONG, 'another'])}){beside}"), ["acme"])
    assert more[:-1] == searches[:-1]


def test_branches_that_fit_x_together_are_one_search() -> None:
    assert x_queries(parse(" OR ".join(LONG[:30]))) == [f"({' OR '.join(LONG[:30])}) -is:retweet"]
    assert [len(x_queries(parse(" OR ".join(LONG[:count])))) for count in (31, 32, 60)] == [1, 2, 2]


def test_what_must_be_there_beside_a_long_or_is_in_every_search() -> None:
    searches = x_queries(parse(f"kettle ({' OR '.join(LONG)}) (b OR c)"))
    assert len(searches) == 2
    assert all("kettle" in search and "(b OR c)" in search for search in searches)


def test_a_branch_that_alone_is_too_long_for_x_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"one branch of this query alone becomes 7\d\d: brandname000 AND") as refused:
        x_queries(parse(f"acme OR ({' '.join(LONG[:59])})"))
    assert "\n" not in str(refused.value)


# --- how the platforms read a query, written apart from the compiler -----------------------------------------------


@dataclass
class Reader:
    """A recursive-descent reader of either dialect; value() gives what it says of a post and whether it is anchored."""

    tokens: list[str]
    post: str
    lucene: bool

    def holds(self) -> bool:
        value, anchored = self.choice()
        assert not self.tokens, f"left over: {self.tokens}"
        assert anchored
        return value

    def choice(self) -> tuple[bool, bool]:
        values = [self.every()]
        while self.tokens and self.tokens[0] == "OR":
            self.tokens.pop(0)
            values.append(self.every())
        if len(values) > 1:
            assert all(anchored for _, anchored in values), "a branch of an OR that only excludes"
        return any(value for value, _ in values), all(anchored for _, anchored in values)

    def every(self) -> tuple[bool, bool]:
        values = [self.one()]
        while self.tokens and self.tokens[0] not in ("OR", ")"):
            if self.lucene:
                assert self.tokens.pop(0) == "AND"
            values.append(self.one())
        if self.lucene and len(values) > 1:
            assert not self.tokens or self.tokens[0] == ")", "Lucene has no precedence between AND and OR"
        return all(value for value, _ in values), any(anchored for _, anchored in values)

    def one(self) -> tuple[bool, bool]:
        token = self.tokens.pop(0)
        if token in ("-", "NOT"):
            assert self.tokens[0] != "(", "X says not to negate a group"
            return not self.one()[0], False
        if token == "(":
            value = self.choice()
            assert self.tokens.pop(0) == ")"
            return value
        assert token not in ("OR", "AND", ")")
        return self.term(token), True

    def term(self, token: str) -> bool:
        post = self.post.casefold()
        if token[0] in "@#" and not self.lucene:
            return token.casefold() in re.findall(r"(?<!\w)[@#]\w+", post)
        if token in ("is:retweet", "from:acme"):
            return False
        if token[0] != '"':
            assert token.isalnum(), f"{token} needs quotes"
        wanted, words = re.findall(r"\w+", token.casefold()), re.findall(r"\w+", post)
        return any(words[i : i + len(wanted)] == wanted for i in range(len(words)))


def reads(compiled: str, post: str, lucene: bool) -> bool:
    tokens = re.findall(r'"[^"]*"|[()]|(?<![^\s(])-|[^\s()"]+', compiled)
    return Reader(tokens, post, lucene).holds()


WORDS = ["acme", "corp", "don", "won", "don't", "acme's", "at", "t", "AT&T", "c++", "c", "l'acme", "acme.com", "café"]
NAMED = ["@acme", "@corp", "#acme", "#corp", "@acme.bsky.social"]
PHRASES = ['"acme corp"', '"don\'t acme"', '"c++ @acme"', '"at t"', '"corp*" ', '"acme cor* acme"']

plain = st.sampled_from([*WORDS, *NAMED, *PHRASES, *["acme", "corp"] * 3, "ac*", "@ac*"])
near = st.sampled_from(["(acme NEAR/2 corp)", "(acme NEAR/1 (corp OR @corp))", '(cor? NEAR/2 "at t")'])
SHAPES = ["({} {})", "({} OR {})", "({} NOT {})", "({} AND NOT {})", "(NOT {} AND {})", "(acme ({} OR NOT {}))"]
excluding = st.builds("acme NOT {}".format, st.sampled_from([*WORDS, *NAMED, *PHRASES]))
nested = st.recursive(
    st.one_of(plain, plain, near),
    lambda inner: st.builds(str.format, st.sampled_from(SHAPES), inner, inner),
    max_leaves=5,
)
EXTRA = {"don": "don't", "won": "won't", "t": "don't", "AT&T": "at t", "c++": "c", "don't": "don t", "café": "cafe"}


def words_like(typed: str) -> list[str]:
    """The words of a query and what is nearly one of them, so that posts come close to matching."""
    words = {word.strip("*?") for word in re.findall(r"[^\s()\"]+", typed) if not word.isupper()} | {"acme", "x"}
    bare = {part for word in words for part in re.findall(r"\w+", word)}
    return sorted(words | bare | {EXTRA[word] for word in words | {"AT&T"} if word in EXTRA})


@settings(deadline=None, max_examples=150)
@given(st.one_of(excluding, nested), st.data())
@pytest.mark.parametrize("lucene", [False, True], ids=["X", "Reddit"])
def test_every_post_that_the_query_wants_is_found_by_the_platform(
    lucene: bool, typed: str, data: st.DataObject
) -> None:
    try:
        query = parse(typed)
        compiled = reddit_query(query) if lucene else x_queries(query, ["acme"])[0]
    except InputError:
        assume(False)
    words = st.lists(st.sampled_from(words_like(typed)), min_size=1, max_size=5)
    for gap in (" ", ", ", " - ", " ", " "):
        text = gap.join(data.draw(words))
        found = reads(compiled, text, lucene)  # also checks that the platform can read it at all
        assert found or not query.matches(text), f"{compiled!r} misses {text!r}"


def test_the_readers_used_here_can_tell_a_narrower_query() -> None:
    assert reads('acme (b OR "c d") -e -is:retweet', "acme, c d", False)
    assert not reads('acme (b OR "c d") -e -is:retweet', "acme, c d e", False)
    assert not reads("acme AND NOT jobs", "acme jobs", True)
    with pytest.raises(AssertionError, match="only excludes"):
        reads("acme OR -jobs", "acme", False)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([*WORDS, *NAMED, *PHRASES[:3], "(acme corp)"]), min_size=3, max_size=6), st.data())
def test_searches_that_a_long_query_is_spread_over_find_all_that_it_wants(
    typed: list[str], data: st.DataObject
) -> None:
    branches = [f"({word} {' '.join(LONG[at : at + 20])})" for at, word in enumerate(typed)]
    query = parse(" OR ".join([*branches, *typed]))
    searches = x_queries(query, ["acme"])
    assert len(searches) > 1
    text = " ".join(data.draw(st.lists(st.sampled_from(words_like(" ".join(typed))), min_size=1, max_size=5)))
    assert any(reads(search, text, False) for search in searches) or not query.matches(text)
