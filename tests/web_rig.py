"""What the tests of the alert's page share: a server on a free port, alerts in its database, and the form."""

import http.client
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from db.desk import Session, User
from db.filters import Filter
from db.records import Alert, Part, Silence, Story
from db.store import Store
from db.tokens import hashed
from jobs.wording import summary
from monitor import config, links, plugins
from monitor.web.server import Server
from tests.cli_rig import NOW, configure
from tests.support import DAY, HOUR, MINUTE, judge, keep, let_go, mention, rows

SPIKE = Alert(
    id=0,
    brand="Acme",
    rule="negative spike",
    starts=NOW - 2 * HOUR,
    last_seen=NOW,
    ends=None,
    severity="critical",
    observed=46,
    expected=0.47,
    factor=97.0,
    probability=3e-10,
    window_minutes=180,
    mentions=61,
    share=0.75,
    usual_share=0.17,
    summary="",
    in_common=("twice", "refund"),
    score=9.5,
    high=3.0,
    story=Story(
        parts=(
            Part("source", "x", 40, 0.4, 0.9),
            Part("stage", "none", 40, 0.4, 0.9),
            Part("pillar", "people", 1, 1, 0),
        ),
        confined_to=Part("source", "x", 40, 0.4, 0.9),
        terms=("twice", "refund"),
        new_terms=("<b>refund</b>",),
        authors=12,
        copies=2,
        reach=123456,
        baseline_since=NOW - 28 * DAY,
        coverage="reddit was not read from 10:00 on",
    ),
)
TABLES = ("alerts", "alert_posts", "feedback", "silences", "deliveries", "keys", "cases", "matches", "disabled")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    text: str


@dataclass
class Rig:
    """A server over the folder's database, and somebody who may look at everything and change nothing."""

    folder: Path
    url: str
    cookie: str = "sentimon_session=veras"

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask without following where an answer leads."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        try:
            connection.request(method, path, body, {"Cookie": self.cookie} | dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, number: int = 1, token: str | None = None, **fields: str) -> Answer:
        """Press a button of the form."""
        given = {"token": self.token(number) if token is None else token} | fields
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", f"/alerts/{number}", urlencode(given, errors="surrogatepass").encode(), kind)

    def token(self, number: int = 1, age: timedelta = timedelta(0)) -> str:
        with Store(self.folder / "posts.db") as store:
            address = links.links("https://desk.example", store, NOW - age).alert(number) or ""
        return address.partition("token=")[2]

    def raised(self, *alerts: Alert, posts: Sequence[str] = ("awful acme",), **more: Any) -> None:
        """Store alerts, the first with these posts."""
        with Store(self.folder / "posts.db") as store:
            made = [mention(n, text, NOW - n * MINUTE / 10, author=f"ann {n}", **more) for n, text in enumerate(posts)]
            brands = (alerts[0].brand or "Acme",)
            keep(store, *made, brands=brands)
            judge(store)
            with store.transaction():
                for number, alert in enumerate(alerts):
                    told = replace(alert, summary=alert.summary or summary(alert))
                    store.alerts.save(told, () if number else list(store.mentions.every(Filter())))

    def alert(self, number: int = 1) -> Alert:
        with Store(self.folder / "posts.db") as store:
            return store.alerts.get(number) or pytest.fail(f"no alert {number}")

    def silences(self) -> list[Silence]:
        with Store(self.folder / "posts.db") as store:
            return store.silences.ending_after(NOW)

    def stored(self) -> Mapping[str, list[tuple[Any, ...]]]:
        return {table: rows(self.folder / "posts.db", f"SELECT * FROM {table}") for table in TABLES}


@pytest.fixture
def rig(folder: Path) -> Iterator[Rig]:
    configure(folder, '[web]\nport = 0\nurl = "https://desk.example"')
    with Store(folder / "posts.db") as store, store.transaction():
        vera = store.users.add(User(0, "vera", "viewer"), None, NOW)
        store.sessions.add(Session(hashed("veras"), vera.id, NOW, NOW, NOW + DAY))
    server = Server(config.load(folder / "sentimon.toml", plugins.load()), lambda: NOW)
    server.start()
    yield Rig(folder, server.url)
    let_go(server)
