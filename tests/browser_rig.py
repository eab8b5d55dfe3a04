"""What the tests in a browser share: Debian's chromium, a server over the demo's database, people who are logged in.

They skip, saying so, where there is no chromium; `.ci/run` installs it.
"""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from db.desk import User
from db.store import Store
from jobs.schedule import run_all
from monitor import accounts, config, plugins
from monitor.cli.demo import _prepare
from monitor.web.server import Server
from tests.support import NOW

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PASSWORD = "a long enough password"
WIDE, PHONE = (1440, 900), (390, 844)
SECONDS = 20_000  # milliseconds that a busy machine may take to show what was asked for

expect.set_options(timeout=SECONDS)


@dataclass
class World:
    """A server over a database of its own, and the browser that looks at it."""

    folder: Path
    url: str
    browser: Browser
    contexts: list[BrowserContext] = field(default_factory=list)
    now: datetime = NOW  # what the server's clock says

    @property
    def database(self) -> Path:
        return self.folder / "demo.db"

    def store(self) -> Store:
        return Store(self.database)

    def person(self, name: str, role: str, brands: tuple[str, ...] | None = None) -> User:
        """Make a user who can log in with PASSWORD."""
        with self.store() as store, store.transaction():
            return store.users.add(User(0, name, role, brands), accounts.hasher().hash(PASSWORD), NOW)

    def page(self, size: tuple[int, int] = WIDE, dark: bool = False, scripts: bool = True, **more: Any) -> Page:
        """Open a window of a browser that nobody has used before; what it complains of fails the test."""
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            reduced_motion="reduce",
            **more,
        )
        context.set_default_timeout(SECONDS)
        self.contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(f"the page has an error: {error}"))
        page.on("console", _complain)
        return page

    def logged_in(self, name: str, **window: Any) -> Page:
        """Open a window and log in through the form."""
        page = self.page(**window)
        page.goto(f"{self.url}/login")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        return page


def _complain(message: Any) -> None:
    if message.type == "error" and "Content Security Policy" in message.text:
        pytest.fail(f"the content policy was broken: {message.text}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for the tests of one file: while playwright runs, nothing else in the process can use asyncio."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: apt-get install chromium")
    # There is no graphics card to feign.
    flat = ["--disable-gpu", "--disable-software-rasterizer", "--disable-gpu-rasterization"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *flat])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder in which the demo has run once, with the bundled model, up to NOW; all processes of a run share it."""
    root = tmp_path_factory.getbasetemp()
    root = root if worker_id == "master" else root.parent
    folder = root / "demo"
    with (root / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            folder.mkdir()
            app = _prepare(folder, NOW)
            for run in run_all(app.jobs(), app.config.database, lambda: NOW):
                assert run.error is None, run
            (folder / "done").touch()
    return folder


@contextmanager
def serving(folder: Path, clock: Callable[[], datetime] = lambda: NOW) -> Iterator[Server]:
    """Serve a folder's pages on a free port."""
    server = Server(config.load(folder / "sentimon.toml", plugins.load()), clock)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def opened(demo: Path, folder: Path, browser: Browser, settings: str = "") -> Iterator[World]:
    """Serve a copy of the demo with more settings."""
    shutil.copytree(demo, folder)
    path = folder / "sentimon.toml"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n[web]\nport = 0\n{settings}", encoding="utf-8")
    made = World(folder, "", browser)
    with serving(folder, lambda: made.now) as server:
        made.url = server.url
        yield made
        for context in made.contexts:
            context.close()


@pytest.fixture
def world(demo: Path, chromium: Browser, tmp_path: Path) -> Iterator[World]:
    """One for a test that changes something."""
    with opened(demo, tmp_path / "demo", chromium) as made:
        yield made


def shared(**people: str) -> tuple[Any, Any]:
    """Make the fixtures `world` and `cookies` of a file whose tests only look at one world.

    `people` can log in, by name and role; the cookies are those of the first.
    """

    @pytest.fixture(scope="module")
    def world(demo: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
        with opened(demo, tmp_path_factory.mktemp("shared") / "demo", chromium) as made:
            for name, role in people.items():
                made.person(name, role)
            yield made

    @pytest.fixture(scope="module")
    def cookies(world: World) -> Any:
        return world.logged_in(next(iter(people))).context.storage_state()

    return world, cookies


__all__ = ["PASSWORD", "PHONE", "WIDE", "World", "chromium", "demo", "expect", "opened", "serving", "shared", "world"]
