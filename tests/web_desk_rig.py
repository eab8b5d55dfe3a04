"""What the tests of the desk's pages share: a server over a database with cases, and people who are logged in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from db.cases import Asked
from db.desk import Case, Reply, Session, User
from db.filters import Filter
from db.store import Store
from db.tokens import hashed
from monitor import config, plugins
from monitor.web.server import Server
from tests.cli_rig import configure
from tests.support import DAY, NOW, judge, keep, let_go, mention
from tests.web_visitor import Answer, Visitor

OTHER = '[[brands]]\nname = "Zenith"\nquery = "zenith"'
PEOPLE = {
    "ann": ("responder", None),
    "bob": ("responder", None),
    "lea": ("approver", None),
    "vera": ("viewer", None),
    "zoe": ("responder", ("Zenith",)),
}


@dataclass
class Clock:
    """The time, which the test sets."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def on(self, span: timedelta) -> None:
        self.now += span


@dataclass
class Desk:
    """A server, its clock and its database."""

    folder: Path
    clock: Clock
    server: Server
    visitors: dict[str, Visitor] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return Store(self.folder / "posts.db")

    def who(self, name: str) -> Visitor:
        """Return somebody who is logged in."""
        if name not in self.visitors:
            self.visitors[name] = Visitor(self.server.url, cookies={"sentimon_session": f"key of {name}"})
        return self.visitors[name]

    def open(
        self, *texts: str, brand: str = "Acme", level: str = "normal", at: datetime = NOW, **more: Any
    ) -> list[Case]:
        """Store posts, judge them and open a case for each; the first is the first of the list."""
        given = {"url": "https://x.example/post", "author": "someone"} | more
        with self.store as store:
            start = store.mentions.counts()[0]
            posts = [mention(f"https://social.example/{start + n}", text, at, **given) for n, text in enumerate(texts)]
            keep(store, *posts, brands=(brand,))
            judge(store)
            ids = {post.source_id for post in posts}
            found = [match for match in store.mentions.every(Filter()) if match.mention.source_id in ids]
            with store.transaction():
                for match in found:
                    due = NOW + timedelta(hours=1)
                    store.cases.open(match, None, "asks for an answer", 1.0, NOW, level=level, due=due)
                    store.cases.mark_triaged([match.id])
            return [case for match in found if (case := store.cases.of_match(match.id))]

    def case(self, number: int = 1) -> Case:
        with self.store as store:
            return store.cases.get(number) or pytest.fail(f"no case {number}")

    def replies(self, number: int = 1) -> list[Reply]:
        with self.store as store:
            return store.replies.of_case(number)

    def queue(self, asked: Asked = Asked()) -> list[int]:  # noqa: B008
        with self.store as store:
            return [case.id for case in store.cases.queue(asked, self.clock.now, 500)]

    def press(self, name: str, do: str, number: int = 1, **fields: str | Sequence[str]) -> Answer:
        """Press a button of a case's page, as it stands now."""
        last = [reply.version for reply in self.replies(number)][-1:] or [0]
        given = {"version": str(self.case(number).version), "reply_version": str(last[0])} | fields
        return self.who(name).press(f"/desk/cases/{number}", do=do, **given)

    def reply_is(self, state: str, number: int = 1) -> None:
        """Let the last reply stand in some state, as the job that sends would leave it."""
        with self.store as store, store.transaction():
            last = store.replies.last(number) or pytest.fail("no reply")
            store.replies.save(replace(last, state=state, sending_at=NOW))


def soup(answer: Answer) -> BeautifulSoup:
    """Read a page that must be one."""
    assert answer.status == 200, answer.text[:300]
    return BeautifulSoup(answer.text, "html.parser")


def items(answer: Answer) -> list[int]:
    """Return the cases of the list, in order."""
    return [int(str(item["data-id"])) for item in soup(answer).select(".item")]


def text(answer: Answer) -> str:
    """Return what a page says, with single blanks."""
    return " ".join(BeautifulSoup(answer.text, "html.parser").get_text(" ").split())


def start(folder: Path, *more: str) -> Desk:
    """Start a server with people who are logged in."""
    configure(folder, "[web]\nport = 0", OTHER, *more)
    with Store(folder / "posts.db") as store, store.transaction():
        for name, (role, brands) in PEOPLE.items():
            made = store.users.add(User(0, name, role, brands), None, NOW)
            store.sessions.add(Session(hashed(f"key of {name}"), made.id, NOW, NOW, NOW + 3 * DAY))
    clock = Clock()
    server = Server(config.load(folder / "sentimon.toml", plugins.load()), clock)
    server.start()
    return Desk(folder, clock, server)


@pytest.fixture
def desk(folder: Path) -> Iterator[Desk]:
    made = start(folder)
    yield made
    let_go(made.server)
