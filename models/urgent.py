"""Single posts that matter alone: by whom they reach, by what they say, by who asks.

Each rule says what it found, so that an alert can say why. What is shown are the terms of the rules and numbers, never
words of the post.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from db.errors import InputError
from db.records import Match, Mention
from models.query import And, Near, Node, Not, Or, Phrase, Query, Word, cues_in, parse

WORDS = Path(__file__).with_name("urgent_words.toml")
TRADES = ("journalist", "reporter")  # in an author's name
JOURNALIST, URGENCY = "journalist", "urgency"  # lists with a rule of their own
SHOWN = 3  # terms of one list in a reason


@dataclass(frozen=True, slots=True)
class WordList:
    """Queries that make a post matter, under the name that the reason gives."""

    name: str
    queries: Sequence[Query]
    cues: Sequence[frozenset[str] | None]  # what a text must hold one of, for each query: most texts hold none


@cache
def shipped_lists() -> Mapping[str, WordList]:
    """Return the lists that come with sentimon, by name."""
    listed = tomllib.loads(WORDS.read_text(encoding="utf-8"))
    return {name: word_list(name, each["queries"]) for name, each in listed.items()}


def word_list(name: str, queries: Sequence[str]) -> WordList:
    """Parse a list of queries. Raises InputError that names the list and the query."""
    parsed = []
    for number, query in enumerate(queries, 1):
        try:
            parsed.append(parse(query))
        except InputError as error:
            raise InputError(f"word list {name!r}, entry {number}: {error}") from None
    return WordList(name, tuple(parsed), tuple(query.cues() for query in parsed))


@dataclass(frozen=True, slots=True)
class Urgent:
    """What makes a single post matter. A number of None, an empty list or no list turns a rule off.

    `lists` are the words; those named journalist and urgency have rules of their own. `newsrooms` are handles as
    collected, or servers of them (`journa.host`): how a handle looks says nothing about who is behind it.
    """

    followers: int | None = 50_000
    shares: int | None = 500  # reposts and likes
    lists: Mapping[str, WordList] = field(default_factory=shipped_lists)
    newsrooms: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a post matters: the rule (reach, words, journalist, urgency), the list, and what was found."""

    rule: str
    what: str
    word_list: str | None = None


def reasons(match: Match, rules: Urgent) -> tuple[Reason, ...]:
    """Return why a post matters alone; nothing where it does not. Takes time in proportion to the text.

    Reach counts where the post is negative, words unless it is positive, urgency where it asks for a reply and is not
    positive, and a journalist always.
    """
    found: list[Reason] = []
    mention = match.mention
    there = frozenset(cues_in(mention.text))
    if match.sentiment != "positive":
        for name, words in rules.lists.items():
            if name not in (JOURNALIST, URGENCY):
                found += _said("words", words, mention.text, there)
        if match.reply == "yes" and URGENCY in rules.lists:
            found += _said(URGENCY, rules.lists[URGENCY], mention.text, there)
    found += _journalist(mention, rules, there)
    if match.sentiment == "negative":
        found += _reach(mention, rules)
    return tuple(found)


def because(found: Sequence[Reason]) -> str:
    """Write reasons as words: 'lawsuit' and 52,000 followers."""
    told = [reason.what for reason in found]
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)


def _reach(mention: Mention, rules: Urgent) -> Iterator[Reason]:
    followers = mention.reach.followers or 0
    reposts, likes = mention.reach.reposts or 0, mention.reach.likes or 0
    if rules.followers is not None and followers >= rules.followers:
        yield Reason("reach", f"{followers:,} followers")
    if rules.shares is not None and reposts + likes >= rules.shares:
        yield Reason("reach", f"{reposts:,} reposts and {likes:,} likes")


def _said(rule: str, words: WordList, text: str, there: frozenset[str]) -> Iterator[Reason]:
    likely = [query for query, cues in zip(words.queries, words.cues, strict=True) if cues is None or cues & there]
    terms = [term for query in likely for term in _found(query, text)]
    if terms:
        yield Reason(rule, ", ".join(f"'{term}'" for term in list(dict.fromkeys(terms))[:SHOWN]), words.name)


def _journalist(mention: Mention, rules: Urgent, there: frozenset[str]) -> Iterator[Reason]:
    author = (mention.author or "").casefold().lstrip("@")
    trade = next((trade for trade in TRADES if trade in author), None)
    if author and not rules.newsrooms.isdisjoint((author, author.rpartition("@")[2])):
        yield Reason(JOURNALIST, "an author on the list of newsrooms")
    elif trade and JOURNALIST in rules.lists:
        yield Reason(JOURNALIST, f"an author named '{trade}'")
    if JOURNALIST in rules.lists:
        yield from _said(JOURNALIST, rules.lists[JOURNALIST], mention.text, there)


def _found(query: Query, text: str) -> list[str]:
    """The terms by which a query matches a text."""
    if not query.matches(text):
        return []
    return [_shown(term) for term in _terms(query.root) if Query("", term).matches(text)]


def _terms(node: Node) -> Iterator[Word | Phrase]:
    """The words and phrases that a query asks for; of two that are to stand near each other the first."""
    match node:
        case Word() | Phrase():
            yield node
        case Near(left, _):
            yield from _terms(left)
        case And(parts) | Or(parts):
            for part in parts:
                yield from _terms(part)
        case Not():
            return


def _shown(term: Word | Phrase) -> str:
    return term.text if isinstance(term, Word) else " ".join(word.text for word in term.words)
