"""What the tests of the desk share: people, cases, and what happened to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from db.cases import Asked
from db.desk import Case, User
from db.filters import Filter
from db.store import Store
from jobs.desk.triage import Triaging, triage
from jobs.group import group
from tests.support import NOW, judge, keep, mention

ANN = User(1, "ann", "responder")
BOB = User(2, "bob", "responder")
LEA = User(3, "lea", "approver")
EVE = User(4, "eve", "viewer")
TRIAGING = Triaging(["Acme"])


def users(store: Store, *people: User) -> None:
    """Let these people be users."""
    with store.transaction():
        for person in people or (ANN, BOB, LEA, EVE):
            store.users.add(person, None, NOW)


def cases(store: Store, count: int = 1, now: datetime = NOW, **more: Any) -> list[Case]:
    """Open cases for new posts."""
    keep(store, *(mention(f"case-{number}", f"acme is awful {number}") for number in range(count)))
    judge(store)
    with store.transaction():
        for match in store.mentions.every(Filter()):
            store.cases.open(match, None, "a test", 1.0, now, **more)
            store.cases.mark_triaged([match.id])
    return store.cases.queue(Asked(), now, count)


def look(store: Store, now: datetime = NOW, triaging: Triaging = TRIAGING) -> dict[str, int]:
    """Judge and compare what is new, and run triage; return what it counts, less what is nothing."""
    judge(store, now=now)
    group(store)
    return {what: count for what, count in triage(store, triaging, now).counts.items() if count}


def happened(store: Store, case_id: int) -> list[str]:
    """Name all that happened to a case."""
    return [event.what for event in store.cases.events(case_id)]


def reasons(found: Sequence[Case]) -> dict[str, str]:
    """Return why each post is in the queue, by the platform's id."""
    return {case.match.mention.source_id: case.reason for case in found}
