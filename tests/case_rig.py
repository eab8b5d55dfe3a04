"""What the tests around cases share: a case, its answer, a classifier that counts words, and pages over a database."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from db.desk import Case, Reply, User
from db.records import Match
from db.store import Store
from models.classifier import Post
from monitor import config, plugins
from monitor.web.app import build
from tests.cli_rig import configure
from tests.support import HOUR, NOW, bags, judge, keep, mention

ADMIN = User(1, "ann", "admin")
SITE = '[web]\nurl = "https://desk.example"\n'


def post(store: Store, number: int | str, text: str = "acme is fine", at: datetime = NOW, **more: Any) -> Match:
    """A stored post that was judged."""
    brand = more.pop("brand", "Acme")
    made = mention(number, text, at, **more)
    keep(store, made, brands=(brand,))
    judge(store, now=max(at, NOW))
    found = store.mentions.named(made.source, made.source_id, brand)
    assert found is not None
    return found


def case_of(store: Store, number: int | str, text: str = "awful acme", at: datetime = NOW, **more: Any) -> Case:
    """A post with a case, opened a minute after it was written."""
    opened = {"due": at + 2 * HOUR} | {name: more.pop(name) for name in ("due", "alert_id") if name in more}
    match = post(store, number, text, at, **more)
    with store.transaction():
        store.cases.open(match, opened.get("alert_id"), "asked", 1.0, at + timedelta(minutes=1), due=opened["due"])
    found = store.cases.of_match(match.id)
    assert found is not None
    return found


def answer(
    store: Store, case: Case, text: str = "we are sorry", after: timedelta = HOUR, who: str = "ann", **more: Any
) -> Reply:
    """A reply that went out so long after the post; the case is answered with it."""
    at = case.match.mention.created_at + after
    with store.transaction():
        given: dict[str, Any] = {"state": "sent", "sent_at": at} | more
        reply = store.replies.save(Reply(0, case.id, who, text, created_at=at, updated_at=at, **given))
        current = store.cases.get(case.id)
        assert current is not None
        first = current.replied_at or at
        store.cases.save(
            replace(current, state="replied", replied_at=first, closed_at=at, triaged_at=current.triaged_at or at)
        )
    return reply


def dismiss(store: Store, case: Case, why: str = "no answer needed") -> None:
    """A case that was closed without an answer."""
    with store.transaction():
        at = case.created_at
        store.cases.save(replace(case, state="dismissed", closed_at=at, triaged_at=at, dismissed_for=why))


@dataclass
class Words:
    """An embedder that counts words: posts that share words lie near each other."""

    name: str = "words-1"
    seen: list[str] = field(default_factory=list)
    size: int = 64

    def embed(self, posts: Sequence[Post]) -> NDArray[np.float32]:
        self.seen += [one.text for one in posts]
        return bags(self.seen[-len(posts) :], self.size)


@contextmanager
def pages(folder: Path, *more: str, now: datetime = NOW, user: User | None = None) -> Iterator[TestClient]:
    """The real pages over the folder's posts.db, asked as a user; none: nobody is logged in."""
    configure(folder, *more)
    app = build(config.load(folder / "sentimon.toml", plugins.load(third_party=False)), lambda: now)
    client = TestClient(app, base_url="https://desk.example", follow_redirects=False)
    if user is not None:
        log_in(folder, client, user, now)
    with client:
        yield client


def log_in(folder: Path, client: TestClient, user: User, now: datetime = NOW) -> None:
    """Give a browser the session of somebody, who is made where there is none."""
    from db.desk import Session
    from db.tokens import hashed
    from monitor.web.auth import COOKIE

    key = f"key of {user.name}"
    with Store(folder / "posts.db") as store, store.transaction():
        known = store.users.named(user.name) or store.users.add(user, None, now)
        if store.sessions.get(hashed(key)) is None:
            store.sessions.add(Session(hashed(key), known.id, now, now, now + timedelta(days=1), "test"))
    client.cookies.set(COOKIE, key)


def token_of(page: str) -> str:
    """The token of a page's forms."""
    return page.partition('name="csrf" value="')[2].partition('"')[0]
