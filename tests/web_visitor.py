"""A browser in miniature: it keeps cookies, sends the token of forms, and does not follow where answers lead."""

import http.client
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from argon2 import PasswordHasher

from db.desk import User
from db.store import Store
from monitor import accounts
from tests.cli_rig import NOW

FORM = "application/x-www-form-urlencoded"
PASSWORD = "a long enough sentence"


QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords with little work: the tests log in hundreds of times."""
    monkeypatch.setattr(accounts, "hasher", lambda: QUICK)


@dataclass(frozen=True)
class Answer:
    """What a server answers."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def leads(self) -> str:
        """Where the answer leads, as from the top."""
        return re.sub(r"^(\.\.?/)+", "/", self.headers.get("Location", ""))


@dataclass
class Visitor:
    """Somebody at a browser. `host` is the name by which they ask."""

    url: str
    host: str = ""
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        given = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        given |= {"Host": self.host} if self.host else {}
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        try:
            connection.request(method, path, body, given | dict(headers or {}))
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            if value.strip('"'):
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return Answer(answer.status, answer.headers, text)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})

    def csrf(self, page: str = "/login") -> str:
        """Take the token from a page; any that has a form will do."""
        for address in (page, "/status"):
            found = re.search(r'name="csrf" value="([^"]+)"', self.get(address).text)
            if found:
                return unescape(found[1])
        raise AssertionError(f"{page} has no form")

    def send(self, path: str, fields: Sequence[tuple[str, str]] | Mapping[str, str], **headers: str) -> Answer:
        """Send a form as it is."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, urlencode(fields).encode(), {"Content-Type": FORM} | given)

    def press(self, path: str, /, **fields: str | Sequence[str]) -> Answer:
        """Send a form with the token that it needs."""
        pairs: list[tuple[str, str]] = [("csrf", self.csrf())]
        for name, value in fields.items():
            pairs += [(name, each) for each in ([value] if isinstance(value, str) else value)]
        return self.send(path, pairs)

    def login(self, name: str, password: str = PASSWORD, **more: str) -> Answer:
        return self.press("/login", name=name, password=password, **more)


def user(
    folder: Path,
    name: str,
    role: str = "admin",
    brands: Sequence[str] | None = None,
    password: str | None = PASSWORD,
) -> User:
    """Add a user to the folder's database."""
    kept = accounts.hasher().hash(password) if password else None
    with Store(folder / "posts.db") as store, store.transaction():
        made = User(0, name, role, None if brands is None else tuple(brands))
        return store.users.add(made, kept, NOW)
