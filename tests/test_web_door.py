"""Who is let in where: every route of the application, at this machine before there are users, and with tokens."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.routing import Mount, Route

from db.store import Store
from monitor import accounts, config, plugins
from monitor.web.app import build
from monitor.web.server import Server
from tests.cli_rig import NOW, complaint, configure, one_line, sentimon
from tests.support import DAY, MINUTE, let_go, rows
from tests.test_login import Place, serve
from tests.web_visitor import FORM, Visitor, quick, user

__all__ = ["quick", "serve"]
pytestmark = pytest.mark.usefixtures("quick")

KEYED = ("/in/", "/s/")  # what has a key of its own
LINKED = "/alerts/{number}"  # acts for whoever has the link, and else for whoever sends our form


@pytest.fixture
def place(folder: Path) -> Iterator[Place]:
    configure(folder, "[web]\nport = 0")
    made = Place(folder)
    user(folder, "ann")
    server = Server(config.load(folder / "sentimon.toml", plugins.load()), lambda: made.now)
    server.start()
    made.url = server.url
    yield made
    let_go(server)


def routes(folder: Path) -> list[tuple[str, str]]:
    """List method and path of every route, with something in place of what varies."""
    found: list[tuple[str, str]] = []
    for route in build(config.load(folder / "sentimon.toml", plugins.load())).router.routes:
        if isinstance(route, Mount) and isinstance(route.app, FastAPI):  # its own routes, as its document has them
            documented = route.app.openapi()["paths"]
            found += [(each.upper(), route.path + path) for path, acts in documented.items() for each in acts]
        elif isinstance(route, Route):
            found += [(method, route.path) for method in sorted(route.methods or ())]
    return found


def filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "1", path)


def test_every_act_of_a_browser_needs_the_token_of_our_form(place: Place) -> None:
    ann = place.inside()
    acts = [(method, path) for method, path in routes(place.folder) if method not in ("GET", "HEAD", "OPTIONS")]
    ours = [(method, path) for method, path in acts if not path.startswith(KEYED)]
    assert {"/login", "/logout", "/users", "/account", "/channels/test", LINKED} <= {path for _, path in ours}
    for method, path in ours:
        for body in (b"", b"csrf=", b"csrf=" + b"0" * 64):
            answer = ann.ask(method, filled(path), body, {"Content-Type": FORM})
            said = "too old" in answer.text or (path == LINKED and answer.status == 404)
            assert (answer.status in (403, 404), said) == (True, True), (method, path, answer.status, answer.text)
    assert ann.get("/status").status == 200


def test_every_act_that_another_site_sends_is_refused(place: Place) -> None:
    ann = place.inside()
    for method, path in routes(place.folder):
        if method not in ("GET", "HEAD", "OPTIONS") and not path.startswith(KEYED):
            answer = ann.ask(method, filled(path), b"", {"Content-Type": FORM, "Origin": "https://evil.example"})
            assert (answer.status, "another site" in answer.text) == (403, True), (method, path)


def test_without_a_login_nothing_is_shown(place: Place) -> None:
    stranger = place.visitor()
    for method, path in routes(place.folder):
        if method not in ("GET", "HEAD") or path.startswith((*KEYED, "/static", "/login", "/healthz")):
            continue
        answer = stranger.ask(method, filled(path))
        if path.startswith("/api"):
            assert answer.status == 401, path
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        elif path == "/invite":
            assert answer.status == 403
        else:
            assert (answer.status, answer.leads[:6]) == (303, "/login"), (method, path)
    for path in ("/nowhere", "/..", "/%2e%2e/status", "/static/../status", "/Status", "//status", "/status/"):
        assert stranger.get(path).status in (303, 404), path
        assert "Posts stored" not in stranger.get(path).text


def test_roles_open_doors(place: Place) -> None:
    for role in ("viewer", "responder", "approver"):
        user(place.folder, role, role)
        visitor = place.inside(role)
        assert visitor.get("/status").status == 200
        answer = visitor.get("/users")
        assert (answer.status, answer.text) == (403, f"This takes the role admin; {role} has the role {role}.\n")
        assert visitor.press("/users", do="add", name="x", role="admin").status == 403
    assert place.inside().get("/users").status == 200


# --- at this machine, before there are users --------------------------------------------------------------------------


@pytest.fixture
def fresh(folder: Path) -> Iterator[Place]:
    configure(folder, '[web]\nport = 0\nurl = "https://desk.example"')
    made = Place(folder)
    server = Server(config.load(folder / "sentimon.toml", plugins.load()), lambda: made.now)
    server.start()
    made.url = server.url
    yield made
    let_go(server)


def test_before_there_are_users_whoever_is_at_the_machine_may_do_everything(fresh: Place) -> None:
    here = fresh.visitor()
    page = here.get("/users")
    assert (page.status, "There are no users yet" in page.text) == (200, True)
    refused = here.press("/users", do="add", name="bob", role="viewer")
    assert (refused.status, "The first user must have the role admin" in refused.text) == (400, True)
    added = here.press("/users", do="add", name="ann", role="admin", password="a long enough sentence")
    assert added.leads == "/login?next=/users&did=first"
    door = here.get(added.leads).text
    assert "The first user was added" in door
    assert 'name="next" value="/users"' in door
    assert "was added" not in here.get("/login?did=second").text
    assert here.get("/users").leads == "/login?next=/users"
    assert here.login("ann").status == 303
    assert here.get("/users").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "desk.example"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"X-Forwarded-Proto": "https"},
        {"X-Real-IP": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
    ],
    ids=str,
)
def test_before_there_are_users_others_are_told_how_to_make_one(fresh: Place, headers: dict[str, str]) -> None:
    here = fresh.visitor()
    assert here.ask("GET", "/status", None, headers).status == 303
    page = here.ask("GET", "/login", None, headers)
    assert "sentimon users add NAME --role admin" in page.text
    assert 'name="password"' not in page.text
    assert here.ask("GET", "/users", None, headers).status == 303


def test_a_disabled_user_is_a_user(fresh: Place) -> None:
    with Store(fresh.folder / "posts.db") as store, store.transaction():
        made = accounts.add(store, "ann", "admin", None, None, NOW)
        store.users.save(made.__class__(made.id, "ann", "admin", disabled_at=NOW))
    assert fresh.visitor().get("/status").status == 303


def test_pages_are_served_to_others_only_with_users(folder: Path) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::", "example.org"):
        configure(folder, f'[web]\nport = 0\nhost = "{host}"')
        for command in ("serve", "run"):
            told = complaint(sentimon(command))
            assert "nobody can log in: `sentimon users add NAME --role admin` first" in told


def test_where_a_proxy_is_expected_and_nobody_can_log_in_it_is_said(folder: Path) -> None:
    web = config.load(configure(folder, '[web]\nurl = "https://desk.example"'), plugins.load()).web
    assert one_line(f"{accounts.check_door(web, False)}\n").startswith("nobody can log in")
    assert accounts.check_door(web, True) is None


# --- tokens -----------------------------------------------------------------------------------------------------------


def token(folder: Path, name: str = "ann", scope: str = "read", days: int | None = None) -> str:
    with Store(folder / "posts.db") as store, store.transaction():
        return accounts.new_token(store, accounts.known(store, name), "a script", [scope], days, NOW)[1]


def asked(place: Place, key: str, path: str = "/api/nowhere") -> tuple[int, str]:
    answer = place.visitor().ask("GET", path, None, {"Authorization": f"Bearer {key}"})
    assert answer.status != 401 or (answer.headers["WWW-Authenticate"].startswith("Bearer") and json.loads(answer.text))
    return answer.status, answer.text


def test_a_token_opens_the_interface_for_programs_and_no_page(place: Place) -> None:
    key = token(place.folder)
    assert key.startswith("sm_")
    assert asked(place, key)[0] == 404
    assert asked(place, key.swapcase())[0] == 401
    assert place.visitor().ask("GET", "/status", None, {"Authorization": f"Bearer {key}"}).status == 303
    assert Visitor(place.url, cookies={"sentimon_session": key}).get("/status").status == 303
    assert key not in str(rows(place.folder / "posts.db", "SELECT * FROM tokens"))


def test_a_token_ends_by_time_by_revocation_and_with_its_user(place: Place) -> None:
    user(place.folder, "bob", "viewer")
    ending, revoked, disabled = token(place.folder, days=90), token(place.folder), token(place.folder, "bob")
    assert [asked(place, key)[0] for key in (ending, revoked, disabled)] == [404] * 3
    place.now += 90 * DAY - timedelta(seconds=1)
    assert asked(place, ending)[0] == 404
    place.now += timedelta(seconds=1)
    assert asked(place, ending)[0] == 401
    assert sentimon("tokens", "revoke", "2").exit_code == 0
    assert sentimon("users", "disable", "bob").exit_code == 0
    assert [asked(place, key)[0] for key in (revoked, disabled)] == [401] * 2


def test_that_a_token_is_used_is_written_once_a_minute(place: Place) -> None:
    key, seen = token(place.folder), []
    for _ in range(3):
        asked(place, key)
        seen += rows(place.folder / "posts.db", "SELECT used_at FROM tokens")
        place.now += MINUTE / 2
    assert [at for (at,) in seen] == ["2026-03-04T12:00:00Z"] * 2 + ["2026-03-04T12:01:00Z"]
