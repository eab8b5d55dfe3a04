"""What the tests of the pages of trends share: two brands of ours and a competitor, eight weeks, two sources."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin

import pytest
from bs4 import BeautifulSoup

from db.store import Store
from monitor import config, plugins
from monitor.web.server import Server
from tests.cli_rig import NOW, configure
from tests.support import HOUR, judge, keep, let_go, mention
from tests.web_rig import Rig

TEXTS = (
    "is fine",
    "awful, charged twice",
    "love it",
    "awful shop, why?",
    "perhaps",
    "where can I buy it?",
    "love it, bought in the shop",
)
MORE = """
[[brands]]
name = "Beta"
query = "beta"
[[brands]]
name = "Rival"
query = "rival"
role = "competitor"
[web]
port = 0
"""


def fill(folder: Path) -> None:
    """Store posts every five hours, more of them negative in the newest two weeks, and some that cannot be rated."""
    with Store(folder / "posts.db") as store:
        for shift, brand in enumerate(("Acme", "Beta", "Rival")):
            made = []
            for number in range(270):
                text = "🙂" if number % 17 == 0 else f"{TEXTS[(number * (shift + 2) + shift) % 7]} {brand.lower()}"
                if shift == 0 and number < 60 and number % 2:
                    text = "awful acme: the new checkout charged twice"
                if shift == 0 and number % 40 == 39:
                    text = "acme has a checkout"
                at = NOW - HOUR - number * timedelta(hours=5)
                source = ("x", "reddit", "x")[number % 3]
                made.append(mention(f"{brand}{number}", text, at, source, author=f"ann {number % 9}"))
            keep(store, *made, brands=(brand,))
        judge(store)


def serve(folder: Path) -> Iterator[Rig]:
    """Serve a folder's database to whoever sits at this machine."""
    configure(folder, MORE)
    server = Server(config.load(folder / "sentimon.toml", plugins.load()), lambda: NOW)
    server.start()
    yield Rig(folder, server.url, "")
    let_go(server)


@pytest.fixture
def empty(folder: Path) -> Iterator[Rig]:
    """A server over a database without a post."""
    yield from serve(folder)


@pytest.fixture
def fresh(empty: Rig) -> Rig:
    """A server over posts, for a test that stores more."""
    fill(empty.folder)
    return empty


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A server over posts, for tests that read."""
    folder = tmp_path_factory.mktemp("trends")
    for rig in serve(folder):
        fill(folder)
        yield rig


def page(site: Rig, path: str) -> BeautifulSoup:
    """Fetch a page that is there."""
    answer = site.get(path)
    assert answer.status == 200, answer.text
    return BeautifulSoup(answer.text, "html.parser")


def numbers(found: BeautifulSoup, path: str) -> dict[str, int]:
    """Return the address behind each number of a page, with the number of posts that it says."""
    said: dict[str, int] = {}
    for link in found.select("a[data-posts]"):
        address = urljoin(f"http://here{path}", str(link["href"])).removeprefix("http://here")
        count = int(str(link["data-posts"]))
        assert said.setdefault(address, count) == count, f"two numbers open {address}"
    return said


def marks(found: BeautifulSoup, path: str) -> dict[str, int]:
    """Return the address behind each mark of the charts of a page that says how many mentions it stands for."""
    said: dict[str, int] = {}
    for link in found.select("figure svg a"):
        words = re.search(r"([\d,]+) mentions?", str(link["aria-label"]))
        if words and "/posts?" in str(link["href"]):
            address = urljoin(f"http://here{path}", str(link["href"])).removeprefix("http://here")
            said[address] = int(words[1].replace(",", ""))
    return said


def count(site: Rig, path: str) -> int:
    """Fetch posts, and return how many the page says there are."""
    return int(str(page(site, path).select_one("[data-count]")["data-count"]))  # type: ignore[index]
