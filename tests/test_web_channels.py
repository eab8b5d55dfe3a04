"""Sending a test to a channel from the status page, from a real server on a free port."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from json import loads
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from db.store import Store
from monitor import config, plugins
from monitor.web.server import Server
from tests.cli_rig import NOW, configure
from tests.support import Hook, let_go, rows
from tests.test_web import Page
from tests.web_visitor import Visitor

SECOND = timedelta(seconds=1)


@dataclass
class Desk:
    """A server, its clock, and the web hook that its channel sends to. Somebody at the machine asks."""

    visitor: Visitor
    folder: Path
    hook: Hook
    now: datetime = NOW

    def press(self, channel: str = "team chat", token: str | None = None, **headers: str) -> int:
        given = {"channel": channel, "csrf": self.visitor.csrf() if token is None else token}
        return self.visitor.send("/channels/test", given, **headers).status

    def words(self) -> str:
        return Page(self.visitor.get("/status").text).words


Serve = Callable[..., Desk]


@pytest.fixture
def serve(folder: Path) -> Iterator[Serve]:
    servers: list[Server] = []
    with Hook() as hook:

        def start(web: str = "") -> Desk:
            channel = f'[[channels]]\nkind = "apprise"\nname = "team chat"\nurl = "{hook.url()}"'
            broken = '[[channels]]\nkind = "apprise"\nname = "unset"\nurl = { env = "SENTIMON_TEST_UNSET" }'
            configure(folder, channel, broken, f"[web]\nport = 0\n{web}")
            desk = Desk(Visitor(""), folder, hook)
            server = Server(config.load(folder / "sentimon.toml", plugins.load(), strict=False), lambda: desk.now)
            server.start()
            servers.append(server)
            desk.visitor.url = f"http://127.0.0.1:{urlsplit(server.url).port}"
            return desk

        yield start
        for server in servers:
            let_go(server)


@pytest.fixture
def desk(serve: Serve) -> Desk:
    return serve()


def test_a_button_sends_a_test_and_the_page_says_what_came_of_it(desk: Desk) -> None:
    assert "team chat (apprise) ok not since this server started Send a test" in desk.words()
    answer = desk.visitor.press("/channels/test", channel="team chat")
    assert (answer.status, answer.leads) == (303, "/status#channels")
    (received,) = desk.hook.received
    assert received.body["title"] == "sentimon: a test"
    assert "2026-03-04 12:00: it has taken the test message" in desk.words()
    told = {each["name"]: each["tested"] for each in loads(desk.visitor.get("/status.json").text)["channels"]}
    assert told == {"team chat": {"at": "2026-03-04T12:00:00Z", "came": "it has taken the test message"}, "unset": None}


def test_a_test_that_fails_is_told_and_changes_nothing(desk: Desk) -> None:
    with Store(desk.folder / "posts.db"):
        pass
    desk.hook.statuses += [401]
    assert desk.press() == 303
    assert desk.press("unset") == 303
    words = desk.words()
    assert "team chat (apprise) ok 2026-03-04 12:00: failed: JSON" in words
    assert "missing url: environment variable SENTIMON_TEST_UNSET" in words
    for table in ("deliveries", "disabled", "keys"):
        assert rows(desk.folder / "posts.db", f"SELECT count(*) FROM {table}") == [(0,)]


def test_a_channel_is_tested_once_in_half_a_minute(desk: Desk) -> None:
    assert [desk.press(), desk.press()] == [303, 429]
    token = desk.visitor.csrf()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: desk.press("unset", token), range(4))).count(429) == 3
    desk.now = NOW + 29 * SECOND
    assert desk.press() == 429
    desk.now = NOW + 30 * SECOND
    assert desk.press() == 303
    assert len(desk.hook.received) == 2


def test_what_no_form_of_ours_sends_is_refused(desk: Desk) -> None:
    token = desk.visitor.csrf()
    for channel, given, status in (
        ("team chat", "", 403),
        ("team chat", token[:-1], 403),
        ("team chat", "1" + token, 403),
        ("team chat", "\x00" * 50, 403),
        ("team chat", Visitor(desk.visitor.url).csrf(), 403),
        ("TEAM CHAT", token, 404),
        ("", token, 404),
        ("a" * 500_000, token, 413),
    ):
        assert desk.press(channel, given) == status, (channel[:20], given)
    assert desk.press(token=token, Content_Type="text/plain") == 415
    assert desk.visitor.get("/channels/test?channel=team+chat&csrf=" + token).status == 405
    assert desk.hook.received == []


def test_no_other_site_can_press_the_button(desk: Desk) -> None:
    token = desk.visitor.csrf()
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://[bad"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "null", "Sec_Fetch_Site": "cross-site"},
    ):
        assert desk.press(token=token, **headers) == 403, headers
    assert desk.hook.received == []
    # As Chromium sends it from our page, which tells nobody its address.
    assert desk.press(token=token, Origin="null", Sec_Fetch_Site="same-origin") == 303


def test_a_name_that_a_stranger_points_at_this_machine_gets_no_page(desk: Desk) -> None:
    token, port = desk.visitor.csrf(), urlsplit(desk.visitor.url).port
    for host in (
        "evil.example",
        f"evil.example:{port}",
        f"127.0.0.1.evil.example:{port}",
        "[bad",
        "192.0.2.1",
        "localhost@evil.example",
        "evil.example@localhost",
    ):
        assert desk.visitor.get("/status", Host=host).status == 303, host
        assert desk.press(token=token, Host=host) == 403, host
    assert desk.hook.received == []
    for host in (f"localhost:{port}", "127.0.0.2", f"[::1]:{port}", "LOCALHOST"):
        assert desk.visitor.get("/status", Host=host).status == 200, host


def test_without_channels_the_page_says_so(folder: Path) -> None:
    configure(folder, "[web]\nport = 0")
    server = Server(config.load(folder / "sentimon.toml", plugins.load()))
    server.start()
    try:
        text = Visitor(server.url).get("/status").text
    finally:
        server.stop()
    assert "None configured: nobody is told of alerts." in Page(text).words
