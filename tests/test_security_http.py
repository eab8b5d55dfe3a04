"""What a stranger can send: hostile names of hosts, addresses, times, bodies; and what every answer says of itself."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request

from db.desk import Session, Token, User
from db.errors import InputError
from db.store import Store
from db.tokens import hashed
from monitor import accounts, config, plugins
from monitor.sections import WebConfig
from monitor.web.addresses import name_of, peer
from monitor.web.app import build
from monitor.web.auth import COOKIE
from monitor.web.server import Server
from tests.brands_rig import STREAMS, Walled, everything, routes, walled
from tests.cli_rig import configure
from tests.support import DAY, NOW

TIMES = ("0001-01-01", "9999-12-31", "0001-01-01T00:00:00-14:00", "9999-12-31T23:59:59+14:00", "2026-02-30", "9" * 19)
ODD = (
    "\0",
    "a\0b",
    "9" * 19,
    "-1",
    "1e999",
    "nan~1",
    "inf~1",
    "' OR 1=1 --",
    '" OR * NEAR( AND NOT',
    "\u202e",
    "\ud800",
)
NAMES: tuple[str, ...] = (
    "since",
    "until",
    "from",
    "to",
    "before_since",
    "before_until",
    "after",
    "q",
    "text",
    "brand",
    "source",
)
NAMES += (
    "author",
    "alert",
    "days",
    "page",
    "limit",
    "offset",
    "order",
    "by",
    "of",
    "edit",
    "use",
    "like",
    "match",
    "seen",
)
WHOLE = (  # every answer says these
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "cross-origin-resource-policy",
    "cross-origin-opener-policy",
    "cache-control",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walled]:
    """The application, asked by an admin."""
    for made in walled(tmp_path_factory.mktemp("http"), other=True):
        made.client.cookies.set(COOKIE, "bosss")
        yield made


def pages(place: Walled) -> list[str]:
    found = [path for method, path in routes(place.app) if method == "GET" and path not in STREAMS]
    return [re.sub(r"\{[^}]*\}", "1", path.replace("{name}.{kind}", "timeline.json")) for path in found]


@pytest.mark.parametrize("value", [*TIMES[1:4], *ODD[1:8:3], ODD[-1]], ids=ascii)
def test_nothing_in_an_address_breaks_a_page(place: Walled, value: str) -> None:
    sent = value.encode(errors="surrogatepass")
    wrong = [
        path for path in pages(place) if place.client.get(path, params=dict.fromkeys(NAMES, sent)).status_code >= 500
    ]
    each = [(path, name) for path in ("/posts", "/api/v1/care") for name in NAMES[:4]]
    wrong += [f"{path} {name}" for path, name in each if place.client.get(path, params={name: sent}).status_code >= 500]
    assert wrong == []


@pytest.mark.parametrize(
    "number", ["0", "-1", "9" * 15, "9" * 19, "9" * 40, "%00", "%ED%A0%80", "１", "²", "1%0d%0ax:y"]
)
def test_no_number_in_a_path_breaks_a_page(place: Walled, number: str) -> None:
    for method, path in routes(place.app):
        if method == "GET" and "{" in path:
            answer = place.client.get(re.sub(r"\{[^}]*\}", number, path))
            assert answer.status_code in (400, 403, 404, 405, 422), (path, answer.status_code)


def test_no_body_breaks_the_interface_for_programs(place: Walled) -> None:
    bodies: tuple[bytes, ...] = (
        b"",
        b"null",
        b"[" * 50_000,
        b'{"a":' * 20_000,
        b'{"version":' + b"9" * 5000 + b"}",
        b'{"version":1e999}',
    )
    bodies += (
        b'{"\\ud800":1}',
        b'{"text":"\\ud800","tag":"\\u0000"}',
        b"\xff\xfe",
        b'{"until":"9999-12-31T23:59:59-14:00"}',
    )
    csrf = place.csrf()
    for method, path in routes(place.app):
        if method == "POST" and path.startswith("/api/"):
            for body in bodies:
                headers = {"X-CSRF-Token": csrf, "Content-Type": "application/json"}
                answer = place.client.post(re.sub(r"\{[^}]*\}", "1", path), content=body, headers=headers)
                assert answer.status_code < 500, (path, body[:40])
                assert answer.status_code < 300 or answer.headers["content-type"] == "application/problem+json"


def test_every_answer_says_what_a_browser_may_do_with_it(place: Walled) -> None:
    stranger = TestClient(place.app, follow_redirects=False, raise_server_exceptions=False)
    for client in (place.client, stranger):
        for path in [*pages(place), "/nowhere", "/static/app.css", "/static/none", "/static/../x", "/in/x", "/s/x"]:
            answer = client.get(path)
            assert [name for name in WHOLE if name not in answer.headers] == [], path
            assert path == "/static/app.css" or answer.headers["cache-control"] == "no-store", path


def test_an_answer_to_a_bug_says_so_too_and_nothing_else(place: Walled, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr("monitor.web.status_page.take_status", broken)
    monkeypatch.setattr("monitor.web.api.meta.take_status", broken)
    for path, kind in (("/status", "text/plain; charset=utf-8"), ("/api/v1/status", "application/problem+json")):
        answer = place.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (500, kind)
        assert "mistake of sentimon" in answer.text
        assert "secret" not in answer.text
        assert [name for name in WHOLE if name not in answer.headers] == []


# --- roles ------------------------------------------------------------------------------------------------------------


def test_a_viewer_changes_nothing(tmp_path: Path) -> None:
    """But their own views, their own account, and what they are asked as the holder of a link."""
    own = ("/login", "/logout", "/invite", "/account", "/desk/views", "/desk/views/{number}/remove", "/s/{token}")
    for place in walled(tmp_path, other=False, role="viewer"):
        csrf = place.csrf()
        for method, path in routes(place.app):
            if method == "GET" or path in own or path.startswith("/in/"):
                continue
            for sent in list(everything(path, "1"))[::8]:
                given = {"json": sent} if path.startswith("/api/") else {"data": {**sent, "csrf": csrf}}
                address = re.sub(r"\{[^}]*\}", "1", path)
                answer = place.client.request(method, address, headers={"X-CSRF-Token": csrf}, **given)  # type: ignore[arg-type]
                assert answer.status_code in (403, 422), (path, sent, answer.status_code, answer.text[:200])


def test_a_token_of_a_wider_scope_than_the_role_does_no_more(tmp_path: Path) -> None:
    for place in walled(tmp_path, other=False, role="viewer"):
        with Store(place.database) as store, store.transaction():
            owner = accounts.known(store, "mia")
            store.tokens.add(Token(0, owner.id, "wide", ("read", "desk", "admin"), NOW), hashed("sm_wide"))
        program = TestClient(place.app, headers={"Authorization": "Bearer sm_wide"})
        assert program.get("/api/v1/cases/1").status_code == 200
        assert program.post("/api/v1/cases/1/claim", json={}).status_code == 403


def test_an_admin_cannot_be_kept_from_brands_that_they_could_give_themselves(tmp_path: Path) -> None:
    for place in walled(tmp_path, other=False):
        with Store(place.database) as store, store.transaction():
            with pytest.raises(InputError, match="an admin sees all brands"):
                accounts.add(store, "eve", "admin", ["Acme"], None, NOW)
            with pytest.raises(InputError, match="an admin sees all brands"):
                accounts.change(store, accounts.known(store, "mia"), "admin", ["Acme"])
            assert accounts.change(store, accounts.known(store, "mia"), "admin", None).brands is None


# --- at this machine --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of somebody who has no users."""
    path = configure(tmp_path_factory.mktemp("alone"), "[web]\nport = 0")
    server = Server(config.load(path, plugins.load()), lambda: NOW)
    server.start()
    yield server.url
    server.stop()


def status(url: str, line: str, *headers: str) -> int:
    """Send a request as it is written here; return the status of the answer."""
    host, port = urlsplit(url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as wire:
        wire.sendall("\r\n".join([line, *headers, "Connection: close", "", ""]).encode("latin-1"))
        return int(wire.makefile("rb").readline().split()[1])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:80", "LOCALHOST", "localhost."])
def test_names_of_this_machine_are_at_home(alone: str, host: str) -> None:
    assert status(alone, "GET /users HTTP/1.1", f"Host: {host}") == 200


@pytest.mark.parametrize(
    "headers",
    [
        ["Host: localhost.evil.example"],
        ["Host: 127.0.0.1.evil.example"],
        ["Host: localhost#.evil.example"],
        ["Host: localhost/.evil.example"],
        ["Host: localhost?.evil.example"],
        ["Host: evil.example\\@localhost"],
        ["Host: evil.example@localhost"],
        ["Host: "],
        ["Host: localhost", "Via: 1.1 proxy"],
        ["Host: localhost", "X-Forwarded-Server: proxy"],
        ["Host: localhost", "CF-Connecting-IP: 203.0.113.9"],
        ["Host: localhost", "True-Client-IP: 203.0.113.9"],
    ],
    ids=str,
)
def test_no_trick_makes_a_stranger_at_home(alone: str, headers: list[str]) -> None:
    assert status(alone, "GET /users HTTP/1.1", *headers) == 303


def test_a_proxy_that_says_nothing_of_itself_is_known_by_its_version(alone: str) -> None:
    assert status(alone, "GET /users HTTP/1.0", "Host: 127.0.0.1") == 303


def test_a_whole_address_in_a_request_opens_nothing(alone: str) -> None:
    assert status(alone, "GET http://localhost/users HTTP/1.1", "Host: evil.example") == 303
    assert status(alone, "GET http://evil.example/users HTTP/1.1", "Host: localhost") == 404
    assert status(alone, "GET /users HTTP/1.1", "Host: evil.example", "Host: localhost") == 400


@pytest.mark.parametrize("host", ["x/static/?", "x/healthz?", "x/s/?", "x/login?", "x/api/?"])
def test_no_name_of_a_host_opens_the_door(folder: Path, host: str) -> None:
    configure(folder, "[web]\nport = 0")
    with Store(folder / "posts.db") as store, store.transaction():
        boss = store.users.add(User(0, "boss", "admin"), None, NOW)
        store.tokens.add(Token(0, boss.id, "t", ("read",), NOW), hashed("sm_t"))
    app = build(config.load(folder / "sentimon.toml", plugins.load()), lambda: NOW)
    with TestClient(app, follow_redirects=False, headers={"Host": host}) as stranger:
        for headers in ({}, {"Authorization": "Bearer sm_t"}):
            for path in ("/users", "/status", "/status.json", "/posts"):
                answer = stranger.get(path, headers=headers)
                assert (answer.status_code, "/login" in answer.headers["location"]) == (303, True), path


def test_names_of_hosts_are_read_strictly() -> None:
    assert name_of("desk.example:443") == "desk.example"
    assert [name_of(bad) for bad in ("a@b", "a/b", "a?b", "a#b", "a\\b", "[", "")] == [""] * 7


# --- counting attempts ------------------------------------------------------------------------------------------------


def asked_from(address: str, forwarded: str = "") -> Request:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    return Request({"type": "http", "client": (address, 1), "headers": headers})


def test_a_network_of_ipv6_is_one_address() -> None:
    direct, proxied = WebConfig(), WebConfig(url="https://desk.example")
    assert peer(asked_from("2001:db8:1:2::1"), direct) == peer(asked_from("2001:db8:1:2:3:4:5:6"), direct)
    assert peer(asked_from("2001:db8:1:2::1"), direct) != peer(asked_from("2001:db8:1:3::1"), direct)
    assert peer(asked_from("127.0.0.1", "9.9.9.9, 2001:db8:1:2::7"), proxied) == "2001:db8:1:2::/64"
    assert peer(asked_from("::ffff:203.0.113.9"), direct) == peer(asked_from("203.0.113.9"), direct) == "203.0.113.9"
    assert peer(asked_from("127.0.0.1", "what?"), proxied) == "127.0.0.1"
    assert peer(asked_from("203.0.113.9", "198.51.100.1"), proxied) == "203.0.113.9"


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_cookie_that_somebody_else_chose_is_never_a_session(place: Walled) -> None:
    chosen = {"Cookie": f"{COOKIE}=chosen; sentimon_visit=chosen"}
    stranger = TestClient(place.app, follow_redirects=False)
    assert stranger.get("/status", headers=chosen).status_code == 303
    with Store(place.database) as store, store.transaction():
        made = store.users.add(User(0, "tom", "viewer"), accounts.hasher().hash("a long enough sentence"), NOW)
    csrf = re.search(r'name="csrf" value="([^"]+)"', stranger.get("/login", headers=chosen).text)
    assert csrf
    sent = {"csrf": csrf[1], "name": "tom", "password": "a long enough sentence"}
    answer = stranger.post("/login", data=sent, headers=chosen)
    assert answer.status_code == 303
    given = re.search(rf"{COOKIE}=([^;]+)", answer.headers["set-cookie"])
    assert given
    assert given[1] != "chosen"
    with Store(place.database) as store:
        assert store.sessions.get(hashed("chosen")) is None
        assert len(store.sessions.of_user(made.id)) == 1


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/json"])
def test_bodies_that_other_sites_can_send_are_no_forms(place: Walled, kind: str) -> None:
    answer = place.client.post("/users", content=b"do=add&name=eve&role=admin", headers={"Content-Type": kind})
    assert answer.status_code == 415
    answer = place.client.post("/api/v1/cases/1/claim", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code in (403, 422)
    with Store(place.database) as store:
        assert store.users.named("eve") is None
        assert store.sessions.get(hashed("bosss")) == Session(hashed("bosss"), 1, NOW, NOW, NOW + DAY)
