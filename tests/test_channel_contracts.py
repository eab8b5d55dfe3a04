"""What every channel promises, the built-in ones and one that is installed beside sentimon."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from db.errors import DeliveryFailed
from jobs.channel import Message
from jobs.wording import harmless
from monitor import plugins
from monitor.plugins import ChannelKind, Kinds
from tests.fake_services import FakeMail, FakeService, Play, closed_port
from tests.plugin_rig import all_kinds, no_network

TOKEN = "AAAA-very-secret-token"
SECRET = "whsec_dmVyeS1zZWNyZXQta2V5LW9mLXRoaXJ0eS10d28="
MESSAGE = Message(
    "sentimon-1-1",
    "Negative spike: Acme",
    "Acme: 12 negative posts in 1 h, 1.5 expected\nSince 2026-03-04 11:00 UTC\n- x: it burns",
    urgent=True,
    facts={"brand": "Acme"},
)
HOSTILE = (
    "@everyone <!channel> <@U1> [win](https://evil.example/x) *b* <b>bold</b> https://evil.example "
    "\x1b[31m\u202e\x07 \r\n"
) * 800  # about 100 KB
POWER = ("@everyone", "<!channel>", "<@", "](", "<b>", "://evil", "\x1b", "\u202e", "\x07")
FAULTS = [
    *(Play(status) for status in (301, 302, 400, 401, 403, 404, 410, 413, 429, 500, 503)),
    *(Play(fault=fault) for fault in ("drop", "garbage", "silence")),
    Play(429, {"Retry-After": "nonsense"}, b'{"retry_after": 1e999}'),
    Play(500, body=f"<html>/{TOKEN}</html>".encode() * 1000),
    Play(500, {"X-Echo": TOKEN}, b"\xff\x00" * 5000),
]


@dataclass(frozen=True)
class Rig:
    """Where a channel sends to, and the options that lead there."""

    options: dict[str, Any]
    received: Callable[[], str] = lambda: ""  # texts that arrived
    secrets: Sequence[str] = ()
    asked: Callable[[], int] = lambda: 0
    service: FakeService | None = None  # to play faults; None where there is no web server
    keys: Callable[[], Sequence[str]] | None = None  # of each attempt; None where the service has no place for it
    broken: dict[str, Any] = field(default_factory=dict)  # options with which nothing works; none if it always does


@contextmanager
def apprise_service(_: Path) -> Iterator[Rig]:
    with FakeService() as fake:
        address = fake.url.replace("http://", f"json://user:{TOKEN}@")
        yield Rig(
            {"url": f"{address}/{TOKEN}/x?+X-Key={TOKEN}&cto=2&rto=2"},
            received=lambda: "\n".join(
                str(json.loads(one.body)[key]) for one in fake.asked for key in ("title", "message")
            ),
            secrets=(TOKEN,),
            asked=lambda: len(fake.asked),
            service=fake,
            keys=lambda: [one.headers["x-sentimon-key"] for one in fake.asked],
            broken={"url": f"json://user:{TOKEN}@127.0.0.1:{closed_port()}/{TOKEN}"},
        )


@contextmanager
def mail_service(_: Path) -> Iterator[Rig]:
    with FakeMail() as fake:
        yield Rig(
            {"url": fake.url()},
            received=lambda: "\n".join(
                f"{one['subject']}\n{one.get_body(('plain',)).get_content()}"  # type: ignore[union-attr, arg-type]
                for one in fake.taken
            ),
            secrets=("S3cret-mail-word",),
            asked=lambda: len(fake.taken),
            keys=lambda: [str(one["x-sentimon-key"]) for one in fake.taken],
            broken={"url": f"mailto://robot:{TOKEN}@127.0.0.1:{closed_port()}?from=a@acme.example&mode=insecure"},
        )


@contextmanager
def webhook_service(_: Path) -> Iterator[Rig]:
    with FakeService() as fake:
        given = {"secret": SECRET, "allow_private": True, "timeout": 2}
        yield Rig(
            {"url": f"{fake.url}/{TOKEN}?to={TOKEN}"} | given,
            received=lambda: "\n".join(
                str(json.loads(one.body)[key]) for one in fake.asked for key in ("title", "body")
            ),
            secrets=(TOKEN, SECRET, SECRET.removeprefix("whsec_")),
            asked=lambda: len(fake.asked),
            service=fake,
            keys=lambda: [one.headers["webhook-id"] for one in fake.asked],
            broken={"url": f"http://127.0.0.1:{closed_port()}/{TOKEN}"} | given,
        )


@contextmanager
def console_service(_: Path) -> Iterator[Rig]:
    yield Rig({})


@contextmanager
def logfile_service(folder: Path) -> Iterator[Rig]:
    path = folder / "alerts.txt"
    yield Rig(
        {"path": path},
        received=path.read_text,
        keys=lambda: [line[1:].partition("]")[0] for line in path.read_text().splitlines() if line.startswith("[")],
        broken={"path": folder / "no" / "such" / "folder"},
    )


CHANNELS = {
    "apprise": apprise_service,
    "apprise by e-mail": mail_service,
    "console": console_service,
    "logfile": logfile_service,
    "webhook": webhook_service,
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kinds]:
    with all_kinds(tmp_path_factory.mktemp("beside")) as found:
        yield found


@pytest.fixture(params=sorted(CHANNELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def kind(name: str, kinds: Kinds) -> ChannelKind:
    return kinds.channels[name.partition(" ")[0]]


@pytest.fixture
def rig(name: str, tmp_path: Path) -> Iterator[Rig]:
    with CHANNELS[name](tmp_path) as made:
        yield made


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    for logger in ("", "apprise", "asyncio", "httpcore", "httpcore.http11", "httpx", "requests", "urllib3"):
        caplog.set_level(logging.DEBUG, logger=logger)
    return caplog


def send(kind: ChannelKind, options: dict[str, Any], message: Message = MESSAGE) -> None:
    kind.build(kind.options.model_validate(options)).send(message)


def failure(kind: ChannelKind, options: dict[str, Any]) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        send(kind, options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
    return caught.value


def test_every_kind_is_held_to_the_contract(kinds: Kinds) -> None:
    held = {name.partition(" ")[0] for name in CHANNELS}
    assert plugins.load(third_party=False).channels.keys() <= held <= kinds.channels.keys()


def test_a_channels_options_forbid_unknown_keys(kind: ChannelKind, rig: Rig) -> None:
    kind.options.model_validate(rig.options)
    with pytest.raises(ValidationError, match="surplus"):
        kind.options.model_validate(rig.options | {"surplus": 1})


def test_building_a_channel_contacts_nobody(kind: ChannelKind, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with no_network(monkeypatch):
        kind.build(kind.options.model_validate(rig.options))
    assert rig.asked() == 0


def test_title_and_text_are_handed_over_once_and_whole(
    kind: ChannelKind, rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    send(kind, rig.options)
    arrived = rig.received() + capsys.readouterr().out
    assert arrived.count(MESSAGE.title) == 1
    lines = [line.strip() for line in arrived.splitlines()]
    body = MESSAGE.body.splitlines()
    first = lines.index(body[0])
    assert lines[first : first + len(body)] == body
    assert arrived.count(body[0]) == 1


def test_what_a_channel_cannot_show_does_not_keep_it_from_sending(
    kind: ChannelKind, rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "<p>" + "</p><p>".join(MESSAGE.body.splitlines()) + "</p>"
    send(kind, rig.options, replace(MESSAGE, html=f"<html><body>{text}</body></html>", image=b"\x89PNG\r\n\x1a\n"))
    arrived = rig.received() + capsys.readouterr().out
    assert all(line in arrived for line in MESSAGE.body.splitlines())


def test_what_strangers_write_arrives_without_power(
    kind: ChannelKind, rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    send(kind, rig.options, replace(MESSAGE, title=harmless(HOSTILE)[:100], body=harmless(HOSTILE)))
    arrived = rig.received() + capsys.readouterr().out
    assert "win" in arrived
    assert [sign for sign in POWER if sign in arrived] == []


def test_every_attempt_carries_the_same_key(kind: ChannelKind, rig: Rig) -> None:
    if rig.keys is None:
        pytest.skip("it has no place for a key")
    for _ in range(2):
        send(kind, rig.options)
    send(kind, rig.options, replace(MESSAGE, key="sentimon-1-2"))
    assert rig.keys() == ["sentimon-1-1", "sentimon-1-1", "sentimon-1-2"]


def test_what_cannot_be_handed_over_is_a_delivery_that_failed(
    kind: ChannelKind, rig: Rig, everything_logged: pytest.LogCaptureFixture
) -> None:
    if not rig.broken:
        pytest.skip("it always works")
    told = str(failure(kind, rig.broken)) + everything_logged.text
    assert [secret for secret in (*rig.secrets, TOKEN) if secret in told] == []


@pytest.mark.parametrize("channel", ["apprise", "webhook"])
def test_whatever_a_server_answers_is_a_delivery_that_failed(
    channel: str,
    kinds: Kinds,
    tmp_path: Path,
    everything_logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    kind = kinds.channels[channel]
    with CHANNELS[channel](tmp_path) as rig:
        assert rig.service is not None
        told = ""
        for fault in FAULTS:
            rig.service.usual = fault
            told += str(failure(kind, rig.options))
        told += everything_logged.text + "".join(capfd.readouterr())
        assert [secret for secret in rig.secrets if secret in told] == []


def test_no_secret_of_a_channel_is_logged_at_any_level(
    kind: ChannelKind,
    rig: Rig,
    everything_logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    options = kind.options.model_validate(rig.options)
    send(kind, rig.options)
    told = everything_logged.text + repr(options) + "".join(capfd.readouterr())
    assert [secret for secret in rig.secrets if secret in told] == []
    for option in (getattr(options, key) for key in type(options).model_fields):
        assert isinstance(option, SecretStr) or not any(secret in str(option) for secret in rig.secrets)


# --- the console ------------------------------------------------------------------------------------------------------


def test_the_console_prints_nothing_that_rewrites_a_terminal(kinds: Kinds, capsys: pytest.CaptureFixture[str]) -> None:
    send(kinds.channels["console"], {}, replace(MESSAGE, body="it \x1b[31mburns\u202e"))
    assert not {ch for ch in capsys.readouterr().out if not ch.isprintable()} - {"\n"}


def test_a_console_that_is_gone_is_a_delivery_that_failed(kinds: Kinds, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = io.StringIO()
    gone.close()
    monkeypatch.setattr(sys, "stdout", gone)
    assert "standard output does not take it" in str(failure(kinds.channels["console"], {}))
