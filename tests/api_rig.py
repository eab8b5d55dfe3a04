"""What the tests of the programming interface share: the real application over a database file, and people's tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from db.desk import Token, User
from db.filters import Filter
from db.store import Store
from monitor import config, plugins
from monitor.web.app import build
from monitor.web.auth import hashed
from tests.cli_rig import configure
from tests.support import HOUR, NOW, judge, keep, mention
from tests.web_rig import SPIKE

POSTS = (
    "awful acme, charged twice?",
    "love acme",
    "acme is fine",
    "acme, where can I buy this?",
    "awful acme in the shop",
    "12345 !!",
)
TWO_BRANDS = '[[brands]]\nname = "Bolt"\nquery = "bolt"\n\n[[sources]]\nname = "hn"\nkind = "hackernews"\n'


@dataclass
class Api:
    """The application, and a way to ask it as somebody."""

    folder: Path
    app: FastAPI
    client: TestClient

    @property
    def database(self) -> Path:
        return self.folder / "posts.db"

    def store(self) -> Store:
        return Store(self.database)

    def token(
        self, name: str = "ann", role: str = "admin", scopes: Sequence[str] = ("read", "desk"), **more: Any
    ) -> str:
        """Make somebody and a token of theirs."""
        key = f"sm_{name}_{role}_{'_'.join(scopes)}"
        with self.store() as store, store.transaction():
            user = store.users.named(name) or store.users.add(User(0, name, role, **more), None, NOW)
            store.tokens.add(Token(0, user.id, key, tuple(scopes), NOW), hashed(key))
        return key

    def ask(self, method: str, path: str, token: str | None, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.request(method, f"/api{path}", headers=headers | more.pop("headers", {}), **more)

    def get(self, path: str, token: str, **params: Any) -> Any:
        """What must be answered with 200."""
        answer = self.ask("GET", f"/v1{path}", token, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, token: str, **given: Any) -> Any:
        return self.ask("POST", f"/v1{path}", token, json=given)


def fill(folder: Path) -> None:
    """Six posts of one brand, one of another, an alert and two cases."""
    with Store(folder / "posts.db") as store:
        keep(store, *(mention(n, text, NOW - n * HOUR, author=f"ann {n}") for n, text in enumerate(POSTS)))
        keep(store, mention("b", "bolt is awful", NOW - HOUR, source="reddit"), brands=("Bolt",))
        judge(store)
        with store.transaction():
            matches = list(store.mentions.every(Filter()))
            negative = [match for match in matches if match.sentiment == "negative"]
            store.alerts.save(
                replace(SPIKE, summary="Negative spike: Acme"), [match for match in negative if match.brand == "Acme"]
            )
            store.alerts.save(replace(SPIKE, brand="Bolt", summary="Negative spike: Bolt"), ())
            for match in negative:
                store.cases.open(match, 1 if match.brand == "Acme" else None, "negative", 1.0, NOW)


@pytest.fixture
def api(folder: Path) -> Iterator[Api]:
    configure(folder, TWO_BRANDS)
    fill(folder)
    app = build(config.load(folder / "sentimon.toml", plugins.load()), lambda: NOW)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Api(folder, app, client)
