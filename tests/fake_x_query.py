"""X's query language, as far as the fake of X reads it: what a query asks of a post, and which X would refuse."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

PROBLEMS = "https://api.twitter.com/2/problems/"  # at api.x.com in the specification with the new names


class Refusal(Exception):
    """Answered with status 400, as X words it."""

    def __init__(self, parameter: str, value: str, message: str) -> None:
        super().__init__(message)
        self.body = {
            "errors": [{"parameters": {parameter: [value]}, "message": message}],
            "title": "Invalid Request",
            "detail": "One or more parameters to your request was invalid.",
            "type": f"{PROBLEMS}invalid-request",
        }


@dataclass(frozen=True, slots=True)
class Post:
    id: int
    text: str
    created_at: datetime
    author_id: str = "1001"
    username: str = "someone"
    lang: str = "en"
    likes: int = 0
    reposts: int = 0
    replies: int = 0
    reply_to: str | None = None
    quote_of: str | None = None
    retweet_of: str | None = None
    late: float = 0  # seconds until search finds it
    history: tuple[int, ...] = ()  # ids of its versions, where it was edited


Test = Callable[[Post], bool]


def compile_query(query: str, leak_retweets: bool = False) -> Test:
    """A test for posts; raises Refusal where X would (an empty query, one of negations only, an unknown operator)."""
    if not query.strip() or len(query) > 512:
        raise Refusal("query", query, "The `query` query parameter must be 1 to 512 characters long")
    tokens = re.findall(r'-?\(|\)|-?"[^"]*"|[^\s()"]+|"', query)
    if not any(_stands_alone(token) for token in tokens):
        raise Refusal("query", query, "Rules must contain a non-negated keyword or operator that can stand alone")
    reader = _Reader(query, tokens, leak_retweets)
    test = reader.either()
    if reader.tokens:
        raise Refusal("query", query, f"There were errors processing your request: no viable alternative at {query!r}")
    return test


def _stands_alone(token: str) -> bool:
    return token not in ("(", "-(", ")", "OR") and not token.startswith(("-", "is:", "has:", "lang:"))


@dataclass
class _Reader:
    query: str
    tokens: list[str]
    leak_retweets: bool

    def either(self) -> Test:
        choices = [self.all()]
        while self.tokens[:1] == ["OR"]:
            self.tokens.pop(0)
            choices.append(self.all())
        return lambda post: any(choice(post) for choice in choices)

    def all(self) -> Test:
        parts = []
        while self.tokens and self.tokens[0] not in ("OR", ")"):
            parts.append(self.part())
        if not parts:
            raise self.refusal("something is missing beside OR or inside parentheses")
        return lambda post: all(part(post) for part in parts)

    def part(self) -> Test:
        token = self.tokens.pop(0)
        negated, token = token.startswith("-"), token.removeprefix("-")
        if token == "(":
            inner = self.either()
            if self.tokens[:1] != [")"]:
                raise self.refusal("missing ')'")
            self.tokens.pop(0)
        else:
            inner = self.term(token)
        if negated and token == "is:retweet" and self.leak_retweets:
            return lambda post: True
        return (lambda post: not inner(post)) if negated else inner

    def term(self, token: str) -> Test:
        if token in ('"', '""', ""):
            raise self.refusal("missing '\"' or an empty term")
        if not token.startswith('"'):
            if token.lower() in ("and", "or"):
                raise self.refusal(f"Ambiguous use of {token} as a keyword")
            if operator := re.fullmatch(r"(\w+):(.+)", token):
                return self.operator(*operator.groups())
            if re.fullmatch(r"[@#$]\w+", token):
                whole = re.compile(rf"(?<!\w){re.escape(token)}(?!\w)", re.IGNORECASE)
                return lambda post: bool(whole.search(post.text))
        words = _words(token)
        if not words:
            raise self.refusal(f"{token} holds no word")
        return lambda post: _adjacent(words, _words(post.text))

    def operator(self, name: str, value: str) -> Test:
        if name == "from":
            return lambda post: value.lower() in (post.username.lower(), post.author_id)
        if name == "lang":
            return lambda post: post.lang == value
        if name == "is" and value in ("retweet", "reply", "quote"):
            return lambda post: (
                {"retweet": post.retweet_of, "reply": post.reply_to, "quote": post.quote_of}[value] is not None
            )
        if (name, value) == ("has", "links"):
            return lambda post: "http" in post.text
        raise self.refusal(f"Reference to invalid operator '{name}:{value}'")

    def refusal(self, what: str) -> Refusal:
        return Refusal("query", self.query, f"There were errors processing your request: {what}")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _adjacent(words: Sequence[str], text: Sequence[str]) -> bool:
    return any(text[at : at + len(words)] == words for at in range(len(text) - len(words) + 1))


def named(account: str, text: str) -> bool:
    """Whether a text mentions an account."""
    return bool(re.search(rf"(?<!\w)@{re.escape(account)}(?!\w)", text, re.IGNORECASE))
