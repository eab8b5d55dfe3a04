"""Logging in with a provider of OpenID Connect: a counterfeit one on loopback, which signs with a real key."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from db.store import Store
from monitor import config, plugins
from monitor.web.server import Server
from tests.cli_rig import NOW, complaint, configure, sentimon
from tests.fake_provider import CLIENT, SECRET, FakeProvider
from tests.support import HOUR, MINUTE, let_go
from tests.web_visitor import Answer, Visitor, user

FAILED = "The provider did not log you in"


@dataclass
class Place:
    """A server that trusts a provider."""

    folder: Path
    provider: FakeProvider
    url: str = ""
    now: datetime = NOW

    def begin(self, next: str = "/status") -> tuple[Visitor, str]:
        """Go to the provider and log in there; return the browser, and where it is sent back to."""
        visitor = Visitor(self.url)
        answer = visitor.get(f"/login/oidc?next={next}")
        assert answer.status == 303, answer.text
        back = urlsplit(self.provider.log_in(answer.headers["Location"]))
        return visitor, f"{back.path}?{back.query}"

    def log_in(self) -> tuple[Visitor, Answer]:
        visitor, back = self.begin()
        return visitor, visitor.get(back)

    def refused(self) -> bool:
        """Log in, which must not work."""
        visitor, answer = self.log_in()
        assert answer.status == 403
        assert "sentimon_session" not in visitor.cookies
        return FAILED in answer.text


Serve = Callable[..., Place]


@pytest.fixture
def serve(folder: Path) -> Iterator[Serve]:
    provider = FakeProvider(NOW)
    servers: list[Server] = []

    def start(role: str = 'role = "responder"') -> Place:
        configure(folder, _web(provider.issuer, role))
        place = Place(folder, provider)
        loaded = config.load(folder / "sentimon.toml", plugins.load(), {"OIDC_SECRET": SECRET})
        server = Server(loaded, lambda: place.now)
        server.start()
        servers.append(server)
        place.url = server.url
        user(folder, "root", password=None)
        return place

    yield start
    for server in servers:
        let_go(server)
    provider.close()


def _web(issuer: str, more: str = "") -> str:
    secret = 'client_secret = { env = "OIDC_SECRET" }'
    return f'[web]\nport = 0\n[web.oidc]\nissuer = "{issuer}"\nclient_id = "{CLIENT}"\n{secret}\n{more}'


@pytest.fixture
def place(serve: Serve) -> Place:
    return serve()


def test_a_newcomer_is_added_with_the_configured_role_and_known_the_next_time(place: Place) -> None:
    assert "Log in with single sign-on" in Visitor(place.url).get("/login").text
    for _ in range(2):
        visitor, answer = place.log_in()
        assert (answer.status, answer.leads) == (303, "/status")
        assert visitor.get("/status").status == 200
        assert "sentimon_oidc" not in visitor.cookies
    with Store(place.folder / "posts.db") as store:
        ann = store.users.named("ann")
        assert ann is not None
        assert (ann.role, ann.has_password, len(store.users.every())) == ("responder", False, 2)
        assert len(store.sessions.of_user(ann.id)) == 2
    assert Visitor(place.url).login("ann", "").status == 403


def test_without_a_role_for_newcomers_only_verified_addresses_of_known_people_get_in(serve: Serve) -> None:
    place = serve("")
    user(place.folder, "ann@acme.example", "viewer", password=None)
    for person in (
        {"sub": "1"},
        {"sub": "1", "preferred_username": "ann@acme.example"},
        {"sub": "1", "email": "ann@acme.example"},
        {"sub": "1", "email": "ann@acme.example", "email_verified": False},
        {"sub": "1", "email": "ann@acme.example", "email_verified": "true"},
        {"sub": "1", "email": "root", "email_verified": True},
        {"sub": "1", "preferred_username": "root"},
    ):
        place.provider.person = person
        _, answer = place.log_in()
        assert answer.status == 403, person
        assert "ask an admin to add" in answer.text
    place.provider.person = {"sub": "1", "email": "Ann@acme.example", "email_verified": True}
    assert place.log_in()[1].status == 303
    place.provider.person = {"sub": "1"}  # known by now
    assert place.log_in()[1].status == 303
    place.provider.person = {"sub": "2", "email": "ann@acme.example", "email_verified": True}  # somebody else's, now
    assert place.log_in()[1].status == 403


def test_a_newcomer_takes_nobodys_name(place: Place) -> None:
    place.provider.person = {"sub": "9", "preferred_username": "Root"}
    _, answer = place.log_in()
    assert answer.status == 403
    assert "there is a user Root already" in answer.text


def test_a_disabled_user_does_not_get_in(place: Place) -> None:
    place.log_in()
    assert sentimon("users", "disable", "ann").exit_code == 0
    assert place.refused()


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-client"},
        {"aud": ["another-client"]},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": int((NOW - 2 * MINUTE).timestamp())},
        {"exp": None},
        {"exp": "never"},
        {"iat": int((NOW + HOUR).timestamp())},
        {"azp": "another-client", "aud": [CLIENT, "another-client"]},
        {"aud": [CLIENT, "another-client"]},
        {"sub": None},
    ],
    ids=str,
)
def test_an_id_token_that_is_not_for_us_or_not_good_now_is_refused(place: Place, claims: dict[str, Any]) -> None:
    place.provider.claims = claims
    assert place.refused()


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_id_token_must_be_signed_with_the_providers_key(place: Place, algorithm: str) -> None:
    place.provider.algorithm = algorithm
    assert place.refused()


def test_a_key_of_somebody_else_is_refused_and_a_new_one_is_looked_up(place: Place) -> None:
    place.log_in()
    right = place.provider.key
    place.provider.renew_key()
    assert place.log_in()[1].status == 303
    stranger = type(right).generate_key(2048, {"kid": place.provider.key.kid})  # calls itself as the right one
    published, place.provider.key = place.provider.key, stranger
    visitor, back = place.begin()
    token = place.provider.id_token
    place.provider.id_token = lambda nonce: _with(place.provider, published, token, nonce)  # type: ignore[method-assign]
    answer = visitor.get(back)
    assert answer.status == 403


def _with(provider: FakeProvider, published: Any, token: Callable[[str], str], nonce: str) -> str:
    """Sign with the stranger's key, and publish the right one from then on."""
    signed = token(nonce)
    provider.key = published
    return signed


def test_a_login_is_good_once_for_the_browser_that_began_it_and_for_ten_minutes(place: Place) -> None:
    visitor, back = place.begin()
    kept = dict(visitor.cookies)
    assert Visitor(place.url).get(back).status == 403  # another browser
    assert Visitor(place.url, cookies={"sentimon_oidc": kept["sentimon_oidc"][:-1]}).get(back).status == 403
    assert visitor.get(back.replace("state=", "state=x")).status == 403
    assert visitor.get(back).status == 303
    asked = place.provider.asked.count("/token")
    again = Visitor(place.url, cookies=kept).get(back)
    assert (again.status, "try again" in again.text) == (403, True)
    assert place.provider.asked.count("/token") == asked
    visitor, back = place.begin()
    place.now += 10 * MINUTE
    assert visitor.get(back).status == 403


def test_the_person_may_say_no_and_come_back_only_to_us(place: Place) -> None:
    visitor, back = place.begin()
    state = back.partition("state=")[2]
    answer = visitor.get(f"/login/oidc/callback?error=access_denied&state={state}")
    assert (answer.status, FAILED in answer.text) == (403, True)
    visitor, back = place.begin(next="https://evil.example")
    assert visitor.get(back).leads == "/"


def test_a_provider_that_is_down_is_told_in_a_line(place: Place) -> None:
    place.provider.down = True
    answer = Visitor(place.url).get("/login/oidc")
    assert (answer.status, answer.text.count("\n")) == (503, 1)
    place.provider.down = False
    visitor, back = place.begin()
    place.provider.down = True
    assert visitor.get(back).status in (403, 503)
    place.provider.down = False
    assert place.log_in()[1].status == 303


def test_no_secret_gets_into_a_log_or_a_message(
    place: Place, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    place.provider.claims = {"nonce": "another"}
    visitor, back = place.begin()
    answer = visitor.get(back)
    code = back.partition("code=")[2].partition("&")[0]
    ours = [
        record for record in caplog.records if not record.name.startswith(("httpcore", "asyncio", "uvicorn.access"))
    ]
    written = answer.text + "".join([*capfd.readouterr(), *(record.getMessage() for record in ours)])
    assert "the ID token is not good" in written
    for secret in (SECRET, code, visitor.cookies.get("sentimon_oidc", "eyJ")[:40], "eyJ"):
        assert secret not in written
    assert SECRET not in repr(config.load(place.folder / "sentimon.toml", plugins.load(), {"OIDC_SECRET": SECRET}))


def test_what_cannot_be_used_in_the_section_is_told_in_a_line(folder: Path) -> None:
    for issuer, more, told in (
        ("http://login.example", "", "web.oidc.issuer: should be the address of the provider"),
        ("https://login.example", 'rol = "viewer"', "web.oidc.rol: unknown key; did you mean role?"),
        ("https://login.example", 'role = "boss"', "web.oidc.role: should be"),
    ):
        path = configure(folder, _web(issuer, more))
        with pytest.raises(config.ConfigError) as error:
            config.load(path, plugins.load(), {"OIDC_SECRET": SECRET})
        assert told in str(error.value)


def test_without_the_secret_commands_work_and_the_pages_do_not_start(folder: Path) -> None:
    configure(folder, _web("https://login.example"))
    assert sentimon("users").exit_code == 0
    assert "client_secret is not set" in complaint(sentimon("serve"))
