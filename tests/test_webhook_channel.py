"""The web hook channel: what is posted, how it is signed, what an answer means, and where it is never sent."""

import base64
import hashlib
import hmac
import json
import logging
import socket
import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from db.errors import DeliveryFailed, InputError
from jobs.channel import Message
from monitor.channels.answers import wait_of
from monitor.channels.guard import is_public, literal
from monitor.channels.signature import keys_of, sign
from monitor.channels.webhook import WebhookChannel, WebhookOptions, build
from tests.cli_rig import ROOT
from tests.fake_services import FakeService, Play, closed_port

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
TOKEN = "T0k3n-very-secret-word"
FACTS = {"brand": "Acme", "observed": 12, "expected": 1.5, "terms": ["refund"], "ends": None}


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService() as made:
        yield made


def channel(service: FakeService, path: str = f"/hook/{TOKEN}?to=desk", **more: Any) -> WebhookChannel:
    given: dict[str, Any] = {"keys": [KEY], "clock": lambda: NOW, "allow_private": True, "timeout": 5} | more
    return WebhookChannel(service.url + path, **given)


def message(body: str = "Acme: 12 negative posts", **more: Any) -> Message:
    return Message("sentimon-1-2", "Negative spike: Acme", body, **({"facts": FACTS} | more))


def failed(made: WebhookChannel) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        made.send(message())
    assert "\n" not in str(caught.value)
    return caught.value


# --- what is posted ---------------------------------------------------------------------------------------------------


def test_the_message_is_posted_as_json(service: FakeService) -> None:
    channel(service).send(message(urgent=True, html="<p>", image=b"PNG"))
    (asked,) = service.asked
    assert (asked.method, asked.path) == ("POST", f"/hook/{TOKEN}?to=desk")
    assert asked.headers["content-type"] == "application/json"
    assert json.loads(asked.body) == {
        "schema_version": 1,
        "key": "sentimon-1-2",
        "title": "Negative spike: Acme",
        "body": "Acme: 12 negative posts",
        "urgent": True,
        "facts": FACTS,
    }


@pytest.mark.parametrize(
    "body",
    [
        '"quotes" \\ and \r\n lines',
        "ünïcödé 你好 🎉",
        "\x00\x1b[31m\u202e\ud800",
        "</script><img src=x>",
        "x" * 100_000,
        "",
        '{"schema_version": 9}',
    ],
    ids=str,
)
def test_any_text_arrives_as_it_is(service: FakeService, body: str) -> None:
    channel(service).send(message(body))
    assert json.loads(service.asked[0].body)["body"] == body
    assert service.asked[0].body.isascii()


def test_the_signature_is_that_of_standard_webhooks(service: FakeService) -> None:
    service.plays = [Play(500)]
    times = iter([NOW, NOW + timedelta(minutes=1)])
    made = channel(service, clock=lambda: next(times))
    failed(made)
    made.send(message())
    first, second = service.asked
    for asked, at in ((first, NOW), (second, NOW + timedelta(minutes=1))):
        assert asked.headers["webhook-id"] == "sentimon-1-2"
        assert asked.headers["webhook-timestamp"] == str(int(at.timestamp()))
        signed = f"sentimon-1-2.{int(at.timestamp())}.".encode() + asked.body
        expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert asked.headers["webhook-signature"] == f"v1,{expected}"
    assert first.body == second.body


def test_the_specifications_own_example_is_signed_alike() -> None:
    (key,) = keys_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_two_secrets_give_two_signatures(service: FakeService) -> None:
    channel(service, keys=[KEY, KEY[::-1]]).send(message())
    one, two = service.asked[0].headers["webhook-signature"].split(" ")
    assert one != two
    assert one.startswith("v1,")
    assert two.startswith("v1,")


def test_the_check_that_the_documentation_shows_is_right(service: FakeService) -> None:
    channel(service).send(message())
    (asked,) = service.asked
    page = (ROOT / "docs" / "channels.md").read_text(encoding="utf-8")
    shown: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], shown)
    assert shown["is_ours"](asked.headers, asked.body, SECRET)
    assert not shown["is_ours"](asked.headers, asked.body + b" ", SECRET)
    assert not shown["is_ours"](asked.headers | {"webhook-id": "sentimon-9-9"}, asked.body, SECRET)


# --- what an answer means ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_taken(service: FakeService, status: int) -> None:
    service.plays = [Play(status, body=b"" if status == 204 else b"thanks")]
    channel(service).send(message())
    assert len(service.asked) == 1


@pytest.mark.parametrize("status", [301, 308, 400, 401, 403, 404, 405, 410, 413, 422])
def test_what_a_person_must_mend_is_permanent(service: FakeService, status: int) -> None:
    service.plays = [Play(status, {"Location": f"{service.url}/elsewhere"})]
    failure = failed(channel(service))
    assert failure.permanent
    assert str(status) in str(failure)
    assert len(service.asked) == 1  # no redirect is followed


@pytest.mark.parametrize("status", [302, 303, 307, 408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(service: FakeService, status: int) -> None:
    service.plays = [Play(status, {"Location": f"{service.url}/elsewhere"})]
    failure = failed(channel(service))
    assert (failure.permanent, failure.wait) == (False, None)
    assert len(service.asked) == 1


@pytest.mark.parametrize("fault", ["drop", "garbage"])
def test_a_receiver_that_is_no_web_server_is_a_failure(service: FakeService, fault: str) -> None:
    service.plays = [Play(fault=fault)]
    assert not failed(channel(service)).permanent


def test_a_receiver_that_is_down_is_a_failure() -> None:
    made = WebhookChannel(f"http://127.0.0.1:{closed_port()}/", [KEY], lambda: NOW, allow_private=True)
    assert str(failed(made)) == "the receiver could not be reached (ConnectError)"


def test_a_receiver_that_says_nothing_is_not_waited_for(service: FakeService) -> None:
    service.plays = [Play(fault="silence")]
    assert str(failed(channel(service, timeout=0.3))) == "the receiver did not answer within 0.3 s"


def test_a_body_without_end_does_not_hide_the_status(service: FakeService) -> None:
    service.plays = [Play(200, fault="drip"), Play(410, fault="drip")]
    made = channel(service, timeout=1)
    made.send(message())
    failure = failed(made)
    assert failure.permanent
    assert str(failure).startswith("the receiver answered 410")


def test_a_certificate_that_nobody_vouches_for_is_a_failure(service: FakeService) -> None:
    made = WebhookChannel(service.url.replace("http", "https"), [KEY], lambda: NOW, allow_private=True)
    assert not failed(made).permanent


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("120", timedelta(minutes=2)),
        (format_datetime(NOW + timedelta(minutes=5), usegmt=True), timedelta(minutes=5)),
        ("Wed, 04 Mar 2026 12:00:30 -0000", timedelta(seconds=30)),
        (format_datetime(NOW - timedelta(minutes=5), usegmt=True), None),
        ("99999999999999999999", timedelta(days=1)),
        ("0", None),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_receiver_can_ask_to_wait(service: FakeService, status: int, said: str, wait: timedelta | None) -> None:
    service.plays = [Play(status, {"Retry-After": said})]
    failure = failed(channel(service))
    assert (failure.permanent, failure.wait) == (False, wait)


def test_only_those_who_are_busy_can_ask_to_wait(service: FakeService) -> None:
    service.plays = [Play(500, {"Retry-After": "60"})]
    assert failed(channel(service)).wait is None
    assert wait_of("9" * 5000, NOW) is None  # Python refuses to read so long a number


@pytest.mark.parametrize(
    "body",
    [
        b"@everyone <b>no</b>\r\n\x1b[31m[x](https://evil.example) " + b"z" * 100_000,
        "\u202eevil\u2066 \u200b".encode() * 50,
        b"\xff\xfe\x00\x80" * 500,
        b"",
    ],
    ids=["markup", "bidi", "binary", "empty"],
)
def test_little_of_what_a_receiver_says_is_shown_and_nothing_with_power(service: FakeService, body: bytes) -> None:
    service.plays = [Play(400, body=body)]
    said = str(failed(channel(service)))
    assert said.startswith("the receiver answered 400")
    assert len(said) <= len("the receiver answered 400: ") + 100
    assert said.isprintable()
    assert not set("@<>*`[]") & set(said)
    assert "://" not in said


def test_a_compressed_bomb_is_not_unpacked(service: FakeService) -> None:
    import gzip

    service.plays = [Play(500, {"Content-Encoding": "gzip"}, gzip.compress(b"boom " * 4_000_000))]
    said = str(failed(channel(service)))
    assert "boom" not in said


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 60, 3000])
def test_a_receiver_that_repeats_the_address_is_not_quoted(service: FakeService, at: int) -> None:
    service.plays = [Play(404, body=b"x" * at + f" Cannot POST /hook/{TOKEN}".encode())]
    assert str(failed(channel(service))) == "the receiver answered 404"


def test_no_secret_is_in_a_log_or_an_error(
    service: FakeService, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("", "httpx", "httpcore", "httpcore.http11", "httpcore.connection", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    options = WebhookOptions(url=f"{service.url}/{TOKEN}?key={TOKEN}", secret=SECRET, allow_private=True)  # type: ignore[arg-type]
    told = repr(options)
    signatures = []
    for play in (Play(), Play(404, {"X-Echo": f"/{TOKEN}"}, TOKEN.encode()), Play(500), Play(fault="drop")):
        service.plays = [play]
        try:
            build(options).send(message())
        except DeliveryFailed as failure:
            told += str(failure)
        signatures.append(service.asked[-1].headers["webhook-signature"][3:])
    told += caplog.text + "".join(capfd.readouterr())
    assert [secret for secret in (TOKEN, SECRET, SECRET[6:], *signatures) if secret in told] == []


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "   ",
        "secret",
        "whsec_!!!!",
        SECRET[6:],
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        f"{SECRET} nonsense",
    ],
)
def test_a_secret_that_is_none_is_told_without_showing_it(secret: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookOptions(url="https://acme.example/", secret=secret)  # type: ignore[arg-type]
    (error,) = caught.value.errors(include_input=False, include_url=False)
    assert error["loc"] == ("secret",)
    assert not secret.strip() or secret not in str(error["msg"])


# --- where it is never sent -------------------------------------------------------------------------------------------

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    *("127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("100.100.100.200", "0.0.0.0", "0.1.2.3", "192.0.0.192", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "168.63.129.16", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254"),
    *("fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1"),
    *("3fff::1", "100::1", "5f00::1"),
]
SPELT = ["127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.1", "0xa9fea9fe", "0"]


def test_public_addresses_are_told_from_all_others() -> None:
    assert [address for address in PUBLIC if not is_public(address)] == []
    assert [address for address in PRIVATE if is_public(address)] == []


@pytest.mark.parametrize("host", [*SPELT, *PRIVATE])
def test_a_private_address_in_any_spelling_is_refused_before_anything_is_sent(host: str) -> None:
    if "%" in host:
        pytest.skip("no URL")
    with pytest.raises(InputError, match=r"url: (.* is a private address; allow_private = true|not an address)"):
        WebhookChannel(f"http://[{host}]:8080/" if ":" in host else f"http://{host}:8080/", [KEY], lambda: NOW)


def test_a_name_is_no_spelling_of_an_address() -> None:
    assert [literal(name) for name in ("acme.example", "localhost", "0x7g", "1.2.3.4.5", "")] == [None] * 5


@pytest.mark.parametrize("found", [[address] for address in PRIVATE] + [["8.8.8.8", "10.0.0.1"]], ids=str)
def test_a_name_that_stands_for_a_private_address_is_refused(found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection is made"))
    made = WebhookChannel("http://hook.example/", [KEY], lambda: NOW, resolve=lambda host, port: found)
    failure = failed(made)
    assert failure.permanent
    assert "a private address; allow_private = true" in str(failure)


def test_the_machine_itself_is_refused_by_its_name(service: FakeService) -> None:
    made = WebhookChannel(f"http://localhost:{service.port}/", [KEY], lambda: NOW)
    assert failed(made).permanent
    assert service.asked == []


def test_a_name_that_changes_its_address_is_connected_to_where_it_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, connected = [], []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    def refuse(self: socket.socket, address: tuple[str, int]) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("the name is looked up again"))
    made = WebhookChannel("http://hook.example:8080/", [KEY], lambda: NOW, resolve=rebinding)
    assert "could not be reached" in str(failed(made))
    assert asked == [("hook.example", 8080)]
    assert connected == [("93.184.216.34", 8080)]


def test_the_name_goes_along_to_the_address_that_was_looked_up(service: FakeService) -> None:
    made = WebhookChannel(
        f"http://hook.example:{service.port}/x",
        [KEY],
        lambda: NOW,
        allow_private=True,
        resolve=lambda host, port: ["127.0.0.2", "127.0.0.1"],  # nobody listens at the first
    )
    made.send(message())
    assert service.asked[0].headers["host"] == f"hook.example:{service.port}"


@pytest.mark.parametrize(("name", "taken"), [("hook.example", True), ("other.example", False)])
def test_the_certificate_has_to_be_that_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, taken: bool
) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate(tmp_path, "hook.example"))
    trusting = ssl.create_default_context(cafile=str(tmp_path / "hook.example.pem"))
    monkeypatch.setattr("monitor.channels.webhook._certificates", lambda: trusting)
    with FakeService(tls=server) as service:
        made = WebhookChannel(
            f"https://{name}:{service.port}/",
            [KEY],
            lambda: NOW,
            allow_private=True,
            resolve=lambda host, port: ["127.0.0.1"],
        )
        if taken:
            made.send(message())
        else:
            assert not failed(made).permanent
        assert len(service.asked) == taken


def certificate(folder: Path, name: str) -> Path:
    """Write a key and a certificate of its own for a name."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(names, names, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_a_name_that_cannot_be_looked_up_is_tried_again() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    made = WebhookChannel("https://hook.example/", [KEY], lambda: NOW, resolve=unknown)
    assert not failed(made).permanent
    long = WebhookChannel(f"https://{'a' * 70}.example/", [KEY], lambda: NOW)  # no name of DNS
    assert not failed(long).permanent


def test_a_proxy_of_the_environment_is_not_used(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeService() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        channel(service).send(message())
        assert (len(service.asked), proxy.asked) == (1, [])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "acme.example",
        "ftp://acme.example/",
        "https:///path-only",
        "https://user:word@acme.example/",
        "https://a b/",
        "https://a\\@b/",
    ],
)
def test_an_address_that_is_none_is_told_without_showing_it(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookOptions(url=url, secret=SECRET)  # type: ignore[arg-type]
    (error,) = caught.value.errors(include_input=False, include_url=False)
    assert error["loc"] == ("url",)
    assert not url or url not in str(error["msg"])


def test_a_host_that_no_name_can_have_is_told() -> None:
    with pytest.raises(InputError, match="url: not an address"):
        WebhookChannel("https://①②⑦.⓪.⓪.①/", [KEY], lambda: NOW)


@pytest.mark.parametrize("more", [{"allow_private": "yes"}, {"timeout": 0}, {"timeout": 61}, {"surplus": 1}])
def test_options_are_checked(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WebhookOptions(url="https://acme.example/", secret=SECRET, **more)  # type: ignore[arg-type]
