"""Logging in: passwords, sessions, throttling, the address to come back to. A real server on a free port."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from db.desk import User
from db.store import Store
from monitor import config, plugins
from monitor.web.server import Server
from tests.cli_rig import NOW, configure
from tests.support import DAY, HOUR, MINUTE, let_go, rows
from tests.web_visitor import PASSWORD, Visitor, quick, user

__all__ = ["quick"]
pytestmark = pytest.mark.usefixtures("quick")

SECOND = timedelta(seconds=1)


@dataclass
class Place:
    """A server, its folder, and what time it is there."""

    folder: Path
    url: str = ""
    now: datetime = NOW

    def visitor(self, host: str = "") -> Visitor:
        return Visitor(self.url, host)

    def inside(self, name: str = "ann") -> Visitor:
        made = self.visitor()
        assert made.login(name).status == 303
        return made


Serve = Callable[..., Place]


@pytest.fixture
def serve(folder: Path) -> Iterator[Serve]:
    servers: list[Server] = []

    def start(web: str = "") -> Place:
        configure(folder, f"[web]\nport = 0\n{web}")
        place = Place(folder)
        server = Server(config.load(folder / "sentimon.toml", plugins.load()), lambda: place.now)
        server.start()
        servers.append(server)
        place.url = server.url
        return place

    yield start
    for server in servers:
        let_go(server)


@pytest.fixture
def place(serve: Serve, folder: Path) -> Place:
    made = serve()
    user(folder, "ann")
    return made


# --- in and out -------------------------------------------------------------------------------------------------------


def test_whoever_is_not_logged_in_is_asked_to_and_comes_back(place: Place) -> None:
    visitor = place.visitor()
    asked = visitor.get("/status?x=1&y=a%2Fb")
    assert asked.status == 303
    assert asked.leads == "/login?next=/status%3Fx%3D1%26y%3Da%252Fb"
    done = visitor.login("ann", next="/status?x=1&y=a%2Fb")
    assert (done.status, done.leads) == (303, "/status?x=1&y=a%2Fb")
    assert visitor.get("/status").status == 200
    assert visitor.get("/login?next=/account").leads == "/account"


def test_names_have_no_capitals_and_passwords_do(place: Place) -> None:
    assert place.visitor().login("ANN").status == 303
    assert place.visitor().login("ann", PASSWORD.upper()).status == 403


def test_a_wrong_name_is_answered_like_a_wrong_password(place: Place) -> None:
    user(place.folder, "gone")
    with Store(place.folder / "posts.db") as store, store.transaction():
        store.users.save(User(2, "gone", "viewer", disabled_at=NOW))
    texts = []
    for name, password in (
        ("ann", "wrong"),
        ("nobody", "wrong"),
        ("gone", PASSWORD),
        ("", ""),
        ("a" * 5000, "\0\ud800"[:1]),
    ):
        answer = place.visitor().login(name, password)
        assert answer.status == 403
        assert "Name or password is wrong." in answer.text
        texts.append(answer.text.partition('value="')[0])
    assert len(set(texts)) == 1


def test_the_cookie_is_for_nobody_else_and_kept_only_as_a_hash(place: Place) -> None:
    visitor = place.visitor()
    done = visitor.login("ann")
    (cookie,) = [each for each in done.headers.get_all("Set-Cookie") or () if each.startswith("sentimon_session=")]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    value = visitor.cookies["sentimon_session"]
    assert len(value) >= 43
    assert value.encode() not in (place.folder / "posts.db").read_bytes()
    assert value not in str(rows(place.folder / "posts.db", "SELECT * FROM sessions"))
    assert PASSWORD not in str(rows(place.folder / "posts.db", "SELECT * FROM users"))


def test_behind_a_proxy_the_cookie_is_for_https_and_for_its_path(serve: Serve, folder: Path) -> None:
    place = serve('url = "https://desk.example/senti"')
    user(folder, "ann")
    done = place.visitor("desk.example").login("ann")
    (cookie,) = [each for each in done.headers.get_all("Set-Cookie") or () if each.startswith("sentimon_session=")]
    assert {"Secure", "Path=/senti"} <= set(cookie.split("; "))
    near = place.visitor().login("ann")
    (cookie,) = [each for each in near.headers.get_all("Set-Cookie") or () if each.startswith("sentimon_session=")]
    assert "Path=/" in cookie.split("; ")
    assert "Secure" not in cookie


def test_logging_out_ends_the_session_and_not_only_the_cookie(place: Place) -> None:
    visitor = place.inside()
    kept = dict(visitor.cookies)
    assert visitor.press("/logout").leads == "/login"
    assert "sentimon_session" not in visitor.cookies
    assert Visitor(place.url, cookies=kept).get("/status").status == 303


def test_a_login_leads_to_no_other_site(place: Place) -> None:
    evil = ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil", "")
    for address in (*evil, "/a\r\nSet-Cookie: x=1", "/\tb", "/" + "a" * 3000):
        assert place.visitor().login("ann", next=address).headers["Location"] == "./"


def test_a_path_that_looks_like_another_site_stays_a_path(place: Place) -> None:
    for address in ("/https://evil.example", "/javascript:alert(1)", "/desk//evil.example"):
        assert place.visitor().login("ann", next=address).headers["Location"] == f".{address}"


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_ends_when_nothing_is_done_for_long(place: Place) -> None:
    visitor = place.inside()
    place.now += 12 * HOUR - MINUTE
    assert visitor.get("/status").status == 200
    place.now += 12 * HOUR - MINUTE
    assert visitor.get("/status").status == 200
    place.now += 12 * HOUR
    assert visitor.get("/status").status == 303


def test_a_session_ends_after_a_week_however_busy(place: Place) -> None:
    visitor = place.inside()
    while place.now < NOW + 7 * DAY - 6 * HOUR:
        place.now += 6 * HOUR
        assert visitor.get("/status").status == 200
    place.now += 6 * HOUR
    assert visitor.get("/status").status == 303


def test_the_length_of_a_session_is_configured(serve: Serve, folder: Path) -> None:
    place = serve('session = "10m"')
    user(folder, "ann")
    visitor = place.inside()
    place.now += 10 * MINUTE
    assert visitor.get("/status").status == 303


def test_that_a_session_is_used_is_written_once_a_minute(place: Place) -> None:
    visitor = place.inside()
    seen = []
    for _ in range(4):
        place.now += 20 * SECOND
        visitor.get("/status")
        seen += rows(place.folder / "posts.db", "SELECT seen_at FROM sessions")
    assert [at for (at,) in seen] == ["2026-03-04T12:00:00Z"] * 2 + ["2026-03-04T12:01:00Z"] * 2


def test_a_disabled_user_is_out_at_once(place: Place) -> None:
    user(place.folder, "bob", "viewer")
    visitor = place.inside("bob")
    with Store(place.folder / "posts.db") as store, store.transaction():
        store.users.save(User(2, "bob", "viewer", disabled_at=NOW))
    assert visitor.get("/status").status == 303


def test_no_other_cookie_lets_anybody_in(place: Place) -> None:
    place.inside()
    for cookie in ("", "x", "a" * 5000, "\xe9\xff", "%00", '"; DROP TABLE sessions'):
        assert Visitor(place.url, cookies={"sentimon_session": cookie}).get("/status").status == 303


# --- throttling -------------------------------------------------------------------------------------------------------


def test_after_five_wrong_passwords_somebody_waits(place: Place) -> None:
    visitor = place.visitor()
    for _ in range(5):
        assert visitor.login("ann", "wrong").status == 403
        place.now += MINUTE
    answer = visitor.login("Ann")
    assert answer.status == 429
    assert answer.headers["Retry-After"] == str(10 * 60)
    assert "Too many attempts. Try again in 10 minutes." in answer.text
    place.now += 10 * MINUTE
    assert visitor.login("ann").status == 303


def test_a_login_clears_what_went_wrong_before(place: Place) -> None:
    for _ in range(3):
        for _ in range(4):
            assert place.visitor().login("ann", "wrong").status == 403
        assert place.visitor().login("ann").status == 303


def test_an_address_has_twenty_attempts_on_all_names_together(place: Place) -> None:
    visitor = place.visitor()
    assert {visitor.login(f"name {n}", "wrong").status for n in range(20)} == {403}
    assert visitor.login("another", "wrong").status == 429


def test_a_name_has_fifty_attempts_from_all_addresses_together(place: Place) -> None:
    with Store(place.folder / "posts.db") as store, store.transaction():
        for n in range(50):
            store.sessions.fail("ann", f"192.0.2.{n}", NOW - MINUTE)
    assert place.visitor().login("ann").status == 429
    assert rows(place.folder / "posts.db", "SELECT count(*) FROM attempts") == [(50,)]


def test_many_attempts_at_once_are_no_more_than_one_after_the_other(place: Place) -> None:
    from concurrent.futures import ThreadPoolExecutor

    visitors = [place.visitor() for _ in range(12)]
    tokens = [visitor.csrf() for visitor in visitors]

    def attempt(at: int) -> int:
        return visitors[at].send("/login", {"name": "ann", "password": "x", "csrf": tokens[at]}).status

    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(attempt, range(12)))
    assert (statuses.count(403), statuses.count(429)) == (5, 7)


def test_the_address_is_what_the_nearest_proxy_says_and_only_where_one_is_configured(
    serve: Serve, folder: Path
) -> None:
    user(folder, "ann")
    for web, expected in (("", "127.0.0.1"), ('url = "https://desk.example"', "203.0.113.9")):
        place = serve(web)
        visitor = place.visitor("desk.example" if web else "")
        token = visitor.csrf()
        sent = {"name": "ann", "password": "wrong", "csrf": token}
        visitor.send("/login", sent, X_Forwarded_For="198.51.100.1, 203.0.113.9")
        assert rows(folder / "posts.db", "SELECT address FROM attempts ORDER BY id DESC LIMIT 1") == [(expected,)]


# --- forms that others send -------------------------------------------------------------------------------------------


def test_a_login_that_another_page_sends_is_refused(place: Place) -> None:
    stranger = place.visitor()
    assert stranger.send("/login", {"name": "ann", "password": PASSWORD}).status == 403
    token = place.visitor().csrf()  # of another browser
    assert stranger.send("/login", {"name": "ann", "password": PASSWORD, "csrf": token}).status == 403
    for headers in ({"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}):
        sent = {"name": "ann", "password": PASSWORD, "csrf": stranger.csrf()}
        answer = stranger.send("/login", sent, **headers)
        assert (answer.status, answer.text) == (403, "This was sent from another site.\n")
    assert stranger.login("ann").status == 303


def test_a_browser_gets_a_page_and_a_program_a_line(place: Place) -> None:
    visitor = place.inside()
    page = visitor.get("/nowhere", Accept="text/html,*/*")
    assert page.status == 404
    assert "<h1>Not found</h1>" in page.text
    line = visitor.get("/nowhere")
    assert (line.status, line.text) == (404, "There is no such page.\n")
