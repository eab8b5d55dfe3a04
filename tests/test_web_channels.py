"""Sending a test to a channel from the status page, from a real server on a free port."""

import http.client
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from json import loads
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from db.store import Store
from monitor import config, plugins
from monitor.web.server import Server
from tests.cli_rig import NOW, configure
from tests.support import Hook, rows
from tests.test_web import Page

FORM = "application/x-www-form-urlencoded"
SECOND = timedelta(seconds=1)


@dataclass
class Desk:
    """A server, its clock, and the web hook that its channel sends to."""

    netloc: str
    folder: Path
    hook: Hook
    now: datetime = NOW

    def ask(
        self, method: str, path: str, fields: Mapping[str, str] | None = None, **headers: str
    ) -> tuple[int, str, str]:
        """Return status, where it leads, and text."""
        connection = http.client.HTTPConnection(self.netloc, timeout=20)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        body = None
        if fields is not None:
            body, given = urlencode(fields), {"Content-Type": FORM} | given
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Location", ""), answer.read().decode()
        finally:
            connection.close()

    def token(self, **headers: str) -> str:
        """Take the token from the page; "" where there is no form."""
        found = re.search(r'name="token" value="([^"]+)"', self.ask("GET", "/", None, **headers)[2])
        return found[1] if found else ""

    def press(self, channel: str = "team chat", token: str | None = None, **headers: str) -> int:
        given = {"channel": channel, "token": self.token() if token is None else token}
        return self.ask("POST", "/channels/test", given, **headers)[0]


Serve = Callable[..., Desk]


@pytest.fixture
def serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    servers: list[Server] = []
    with Hook() as hook:

        def start(web: str = "") -> Desk:
            channel = f'[[channels]]\nkind = "apprise"\nname = "team chat"\nurl = "{hook.url()}"'
            broken = '[[channels]]\nkind = "apprise"\nname = "unset"\nurl = { env = "SENTIMON_TEST_UNSET" }'
            configure(folder, channel, broken, f"[web]\nport = 0\n{web}")
            server = Server(config.load(folder / "sentimon.toml", plugins.load(), strict=False))
            desk = Desk("", folder, hook)
            server.start()
            servers.append(server)
            desk.netloc = f"127.0.0.1:{urlsplit(server.url).port}"
            return desk

        yield start
        for server in servers:
            server.stop()


@pytest.fixture
def desk(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Desk:
    clock = [NOW]
    monkeypatch.setattr("monitor.web.app.utc_now", lambda: clock[0])

    class Timed(Desk):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "now" and isinstance(value, datetime):
                clock[0] = value
            super().__setattr__(name, value)

    made = serve()
    return Timed(made.netloc, made.folder, made.hook)


def test_a_button_sends_a_test_and_the_page_says_what_came_of_it(desk: Desk) -> None:
    words = Page(desk.ask("GET", "/")[2]).words
    assert "team chat (apprise) ok not since this server started Send a test" in words
    assert desk.ask("POST", "/channels/test", {"channel": "team chat", "token": desk.token()})[:2] == (
        303,
        "../#channels",
    )
    (received,) = desk.hook.received
    assert received.body["title"] == "sentimon: a test"
    assert "2026-03-04 12:00: it has taken the test message" in Page(desk.ask("GET", "/")[2]).words
    told = {each["name"]: each["tested"] for each in loads(desk.ask("GET", "/status.json")[2])["channels"]}
    assert told == {"team chat": {"at": "2026-03-04T12:00:00Z", "came": "it has taken the test message"}, "unset": None}


def test_a_test_that_fails_is_told_and_changes_nothing(desk: Desk) -> None:
    with Store(desk.folder / "posts.db"):
        pass
    desk.hook.statuses += [401]
    assert desk.press() == 303
    assert desk.press("unset") == 303
    words = Page(desk.ask("GET", "/")[2]).words
    assert "team chat (apprise) ok 2026-03-04 12:00: failed: JSON" in words
    assert "missing url: environment variable SENTIMON_TEST_UNSET" in words
    for table in ("deliveries", "disabled", "keys"):
        assert rows(desk.folder / "posts.db", f"SELECT count(*) FROM {table}") == [(0,)]


def test_a_channel_is_tested_once_in_half_a_minute(desk: Desk) -> None:
    assert [desk.press(), desk.press()] == [303, 429]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: desk.press("unset"), range(4))).count(429) == 3
    desk.now = NOW + 29 * SECOND
    assert desk.press() == 429
    desk.now = NOW + 30 * SECOND
    assert desk.press() == 303
    assert len(desk.hook.received) == 2


def test_a_form_is_good_for_an_hour_and_for_its_own_server(desk: Desk, serve: Serve) -> None:
    token = desk.token()
    assert serve().press(token=token) == 403  # also after a restart
    desk.now = NOW + timedelta(hours=1)
    assert desk.press(token=token) == 403
    desk.now = NOW + timedelta(minutes=59)
    assert desk.press(token=token) == 303
    assert len(desk.hook.received) == 1


def test_what_no_form_of_ours_sends_is_refused(desk: Desk) -> None:
    token = desk.token()
    for channel, given, status in (
        ("team chat", "", 403),
        ("team chat", token[:-1], 403),
        ("team chat", "1." + token, 403),
        ("team chat", "\x00" * 50, 403),
        ("TEAM CHAT", token, 404),
        ("", token, 404),
        ("a" * 100_000, token, 413),
    ):
        assert desk.press(channel, given) == status, (channel[:20], given)
    assert desk.press(token=token, Content_Type="text/plain") == 415
    assert desk.ask("GET", "/channels/test?" + urlencode({"channel": "team chat", "token": token}))[0] == 405
    assert desk.hook.received == []


def test_no_other_site_can_press_the_button(desk: Desk) -> None:
    token = desk.token()
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://[bad"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "null", "Sec_Fetch_Site": "cross-site"},
    ):
        assert desk.press(token=token, **headers) == 403, headers
    assert desk.hook.received == []
    # As Chromium sends it from our page, which tells nobody its address.
    assert desk.press(token=token, Origin="null", Sec_Fetch_Site="same-origin") == 303


def test_a_name_that_a_stranger_points_at_this_machine_gets_no_form(desk: Desk) -> None:
    token, port = desk.token(), desk.netloc.partition(":")[2]
    for host in (
        "evil.example",
        f"evil.example:{port}",
        f"127.0.0.1.evil.example:{port}",
        "[bad",
        "192.0.2.1",
        "localhost@evil.example",
        "evil.example@localhost",
    ):
        assert desk.token(Host=host) == "", host
        assert desk.press(token=token, Host=host) == 403, host
    assert desk.hook.received == []
    for host in (f"localhost:{port}", "127.0.0.2", f"[::1]:{port}", "LOCALHOST"):
        assert desk.token(Host=host), host
    words = Page(desk.ask("GET", "/", Host="evil.example")[2]).words
    assert "sentimon alerts test 'team chat'" in words


def test_served_to_others_there_is_no_form(serve: Serve) -> None:
    other = serve('host = "0.0.0.0"')
    assert "<form" not in other.ask("GET", "/")[2]
    assert other.press(token="x") == 403
    assert other.hook.received == []


def test_behind_a_proxy_its_name_is_known(serve: Serve) -> None:
    desk = serve('url = "https://desk.example/sentimon"')
    token = desk.token(Host="desk.example")
    assert token
    assert desk.token(Host="other.example") == ""
    assert desk.press(token=token, Host="desk.example", Origin="https://desk.example") == 303
    assert desk.press(token=token, Origin="https://other.example") == 403
    page = Page(desk.ask("GET", "/", Host="desk.example")[2])
    assert not [link for link in page.links if link.startswith("/")]  # a proxy may serve us under a path


def test_without_channels_the_page_says_so(folder: Path) -> None:
    configure(folder, "[web]\nport = 0")
    server = Server(config.load(folder / "sentimon.toml", plugins.load()))
    server.start()
    try:
        text = Desk(urlsplit(server.url).netloc, folder, Hook()).ask("GET", "/")[2]
    finally:
        server.stop()
    assert "None configured: nobody is told of alerts." in Page(text).words
