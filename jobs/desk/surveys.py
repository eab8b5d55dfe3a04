"""Surveys: a question to somebody who was answered, behind a signed link of its own."""

from datetime import datetime, timedelta
from typing import Any

from db.desk import SURVEYS, Reply, Survey
from db.errors import InputError
from db.store import Store

GOOD_FOR = timedelta(days=30)
CHANGEABLE = timedelta(hours=1)  # after the first answer
HIGHEST = {"csat": 5, "ces": 7}
COMMENT = 1_000  # characters
KEY = "surveys"  # in the table keys
LONGEST = 200  # characters of a token; ours have about 50

_ASKED = {
    "csat": "How satisfied are you with our answer?",
    "ces": "How easy did we make it to get help?",
}


class Closed(InputError):
    """The survey was answered more than an hour ago."""


def link(store: Store, reply: Reply, url: str, now: datetime) -> str:
    """Make the link to a reply's survey; runs in the caller's transaction. InputError where it offers none.

    The same reply gets the same link, however often it is tried.
    """
    case = store.cases.get(reply.case_id)
    if reply.survey not in SURVEYS or case is None:
        raise InputError(f"reply {reply.id}: offers no survey; choose csat or ces with [desk] survey")
    survey = store.surveys.offer(reply.id, case.match.brand, case.match.mention.source, reply.survey, now)
    until = int((survey.created_at + GOOD_FOR).timestamp())
    token = _signer(store.keys.of(KEY)).dumps([survey.id, until])
    return f"{url.rstrip('/')}/s/{token}"


def with_link(text: str, kind: str, address: str) -> str:
    """Put the question and its link behind a reply."""
    return f"{text.rstrip()}\n\n{_ASKED[kind]} {address}"


def found(store: Store, token: str, now: datetime) -> Survey | None:
    """Return the survey that a token stands for while it is good. Writes nothing: link previews ask it."""
    from itsdangerous import BadData

    key = store.keys.made(KEY)
    if key is None or not token or len(token) > LONGEST:
        return None
    try:
        number, until = _signer(key).loads(token)
        return store.surveys.get(number) if now.timestamp() < until else None
    except (BadData, ValueError, TypeError):  # the latter two: signed by us, but no token of a survey
        return None


def closed(survey: Survey, now: datetime) -> bool:
    """Whether its answer can be changed no more."""
    return survey.answered_at is not None and now - survey.answered_at > CHANGEABLE


def answer(store: Store, survey: Survey, score: int, comment: str, now: datetime) -> None:
    """Keep an answer; runs in the caller's transaction. Raises Closed, and InputError where the score is none."""
    if closed(survey, now):
        raise Closed("This was answered before, and can be changed no more.")
    if not 1 <= score <= HIGHEST[survey.kind]:
        raise InputError(f"Choose one of the answers, 1 to {HIGHEST[survey.kind]}.")
    store.surveys.answer(survey.id, score, comment[:COMMENT], now)


def _signer(key: bytes) -> Any:
    from itsdangerous import URLSafeSerializer

    return URLSafeSerializer(key, salt="survey")
