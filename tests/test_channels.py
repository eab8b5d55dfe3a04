"""Apprise channels: what arrives at services of each sort, without power, and what a refusal means."""

import base64
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage

import apprise
import pytest
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram

from db.errors import DeliveryFailed, InputError
from jobs.channel import Message
from jobs.wording import harmless
from monitor.channels.apprise import AppriseChannel, AppriseOptions, build, fitted
from monitor.channels.lines import harmless_line, shorten
from tests.fake_services import FakeMail, FakeService, Play, closed_port

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
LINK = "https://desk.acme.example/alerts/12?from=chat&x=1_2"
HTML = f'<!doctype html><html><body><h1>Spike</h1><p>12 posts &lt;b&gt;</p><a href="{LINK}">Open</a></body></html>'
HOSTILE = (
    "@everyone @here <!channel> <!here|x> <@U123> <@&9> [win](https://evil.example/x) *b* _i_ `c` ~s~ ||h|| "
    "<b>bold</b><img src=x onerror=alert(1)> &lt;i&gt; https://evil.example \x1b[31m\u202e :bomb: \\n # h"
)
TOKEN = "T0k3n-very-secret-word"
SLACK = f"slack://T1JJ3T3L2/A1BRTD4JD/{'TIiajkdnlazkcOXrIdevi7FQ'}/#desk"
SLACK_BOT = "slack://xoxb-1234567890-1234567890-abcdefghij/#desk"
DISCORD = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"
TELEGRAM = "tgram://123456789:alphanumericabcdefgh12345678901234/12315544"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeService]:
    """A server in the place of Slack, Discord and Telegram too."""
    with FakeService() as made:
        monkeypatch.setattr(NotifySlack, "webhook_url", f"{made.url}/services")
        monkeypatch.setattr(NotifySlack, "api_url", f"{made.url}/api/{{}}")
        monkeypatch.setattr(NotifyDiscord, "notify_url", f"{made.url}/discord")
        monkeypatch.setattr(NotifyTelegram, "notify_url", f"{made.url}/bot")
        for kind in (NotifySlack, NotifyDiscord, NotifyTelegram):
            monkeypatch.setattr(kind, "request_rate_per_sec", 0)  # no naps between two requests
        yield made


@pytest.fixture
def mail() -> Iterator[FakeMail]:
    with FakeMail() as made:
        yield made


def custom(service: FakeService, more: str = "") -> str:
    return service.url.replace("http://", "json://") + f"/{TOKEN}{more}"


def message(body: str = "Acme: 12 negative posts", title: str = "Negative spike: Acme", **more: object) -> Message:
    return Message("sentimon-1-2", title, body, **more)  # type: ignore[arg-type]


def taken_by(url: str) -> Play:
    return Play() if url.startswith(SLACK) else Play(body=b'{"ok": true, "channel": "C1", "result": {"message_id": 1}}')


def failed(url: str, message: Message, longest: float = 10) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        AppriseChannel(url, longest).send(message)
    assert "\n" not in str(caught.value)
    return caught.value


def text_of(part: EmailMessage | None) -> str:
    assert part is not None
    return str(part.get_content())


# --- what arrives -----------------------------------------------------------------------------------------------------


def test_a_service_without_html_or_pictures_gets_the_plain_text(service: FakeService) -> None:
    AppriseChannel(SLACK).send(message("one\n- two", html=HTML, image=PNG))
    (asked,) = service.asked
    (shown,) = json.loads(asked.body)["attachments"]
    assert (shown["title"], shown["text"]) == ("Negative spike: Acme", "one\n- two")
    assert shown["footer"] == "sentimon"
    assert b"github.com" not in asked.body  # no pictures of a third party


def test_a_program_gets_the_plain_text_and_the_chart(service: FakeService) -> None:
    AppriseChannel(custom(service)).send(message("one\n- two & <three>", urgent=True, html=HTML, image=PNG))
    (asked,) = service.asked
    body = json.loads(asked.body)
    assert (body["title"], body["message"], body["type"]) == ("Negative spike: Acme", "one\n- two & <three>", "failure")
    (chart,) = body["attachments"]
    assert (chart["filename"], chart["mimetype"]) == ("chart.png", "image/png")
    assert base64.b64decode(chart["base64"]) == PNG


def test_a_url_can_ask_for_html(service: FakeService) -> None:
    AppriseChannel(custom(service, "?format=html")).send(message(html=HTML))
    assert json.loads(service.asked[0].body)["message"] == HTML


def test_an_email_has_the_html_its_text_and_the_chart_in_place(mail: FakeMail) -> None:
    AppriseChannel(mail.url()).send(message(html=HTML, image=PNG))
    (taken,) = mail.taken
    assert taken["subject"] == "Negative spike: Acme"
    html = text_of(taken.get_body(("html",)))  # type: ignore[arg-type]
    assert HTML in html
    assert 'src="cid:chart.png"' in html
    assert "12 posts <b>" in text_of(taken.get_body(("plain",)))  # type: ignore[arg-type]
    (chart,) = [part for part in taken.walk() if part.get_content_type() == "image/png"]
    assert (chart["content-id"], chart.get_payload(decode=True)) == ("<chart.png>", PNG)


def test_an_html_document_of_any_length_arrives_whole(mail: FakeMail) -> None:
    long = HTML.replace("<p>", "<p>" + "word " * 20_000)
    AppriseChannel(mail.url()).send(message(html=long))
    assert text_of(mail.taken[0].get_body(("html",))).strip() == long  # type: ignore[arg-type]


def test_an_email_of_plain_text_shows_its_markup_as_text(mail: FakeMail) -> None:
    for url in (mail.url(), mail.url("&format=text")):
        AppriseChannel(url).send(message("a <b>bold</b> & *plain*\nsecond"))
    first, second = mail.taken
    assert text_of(second.get_body(("plain",))).splitlines() == ["a <b>bold</b> & *plain*", "second"]  # type: ignore[arg-type]
    html = first.get_body(("html",))
    if html is not None:
        assert "<b>" not in text_of(html)  # type: ignore[arg-type]
    assert "a <b>bold</b> & *plain*" in text_of(first.get_body(("plain",)))  # type: ignore[arg-type]


def test_every_attempt_carries_the_same_key(service: FakeService, mail: FakeMail) -> None:
    service.plays = [Play(500)]
    channel = AppriseChannel(custom(service, "?+X-Mine=1"))
    with pytest.raises(DeliveryFailed):
        channel.send(message())
    channel.send(message())
    assert [one.headers["x-sentimon-key"] for one in service.asked] == ["sentimon-1-2"] * 2
    assert [one.headers["x-mine"] for one in service.asked] == ["1", "1"]
    AppriseChannel(mail.url()).send(message())
    assert mail.taken[0]["x-sentimon-key"] == "sentimon-1-2"


# --- hostile text -----------------------------------------------------------------------------------------------------

SIGNS = ("@everyone", "@here", "<!", "<@", "](", "<b>", "<img", "://evil", "\x1b", "\u202e", "`c`", "*b*")


@pytest.mark.parametrize(
    "url", [SLACK, SLACK_BOT, SLACK + "?blocks=yes", DISCORD, DISCORD + "?format=markdown", TELEGRAM, "json"]
)
def test_what_strangers_write_has_no_power_at_a_service(service: FakeService, url: str) -> None:
    service.usual = taken_by(url)
    AppriseChannel(custom(service) if url == "json" else url).send(message(harmless(HOSTILE), harmless(HOSTILE)[:100]))
    arrived = "\n".join(text for one in service.asked for text in strings(json.loads(one.body)))
    if url == TELEGRAM:
        arrived = arrived.replace("<b>", "", 1)  # the title is bold
    assert [sign for sign in SIGNS if sign in arrived] == []
    assert "alert" in arrived
    for one in service.asked:  # nobody is named to be pinged
        assert not {"allow_mentions", "allowed_mentions", "link_names"} & json.loads(one.body).keys()


def strings(value: object) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


@pytest.mark.parametrize("url", [SLACK, SLACK_BOT, TELEGRAM])
def test_markup_is_escaped_where_a_service_would_act_on_it(service: FakeService, url: str) -> None:
    service.usual = taken_by(url)
    AppriseChannel(url).send(message("<!channel> <@U1> <b>x</b> & y"))
    text = service.asked[0].body.decode()
    assert "&lt;!channel&gt; &lt;@U1&gt; &lt;b&gt;x&lt;/b&gt; &amp; y" in text


# --- lengths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", range(150, 215, 3))
def test_a_text_is_cut_at_a_word_and_an_address_is_whole_or_left_out(room: int) -> None:
    text = f"{'word ' * 30}{LINK} and more words after it " + "x" * 200
    cut = shorten(text, room)
    assert len(cut) <= room
    assert cut.endswith("…")
    assert LINK in cut or "://" not in cut


def test_what_fits_is_not_cut_and_what_has_no_words_is_cut_anywhere() -> None:
    assert shorten("short", 5) == "short"
    assert shorten("x" * 100, 10) == "x" * 9 + "…"
    assert shorten("https://acme.example/" + "x" * 100, 30) == "…"
    assert shorten("any", 0) == ""


@pytest.mark.parametrize(
    ("url", "most"), [(DISCORD, 2000), (TELEGRAM, 4096), (TELEGRAM + "?format=markdown", 4096), (SLACK, 35000)]
)
@pytest.mark.parametrize("word", ["word ", "& ", "x" * 50_000, "a*b "])
def test_a_text_of_100_kb_is_cut_to_what_the_service_takes(url: str, most: int, word: str) -> None:
    (service,) = apprise.Apprise(url)
    body = (word * (100_000 // len(word) + 1))[:100_000]
    (call,) = service._build_send_calls(**fitted(service, "T" * 500, body))
    together = len(call["body"]) + (0 if url == SLACK else len(call["title"]))  # there the title has its own place
    assert most * 0.4 < together <= most


def test_a_url_that_splits_long_texts_is_left_to_do_so(service: FakeService) -> None:
    service.usual = Play(204)
    AppriseChannel(DISCORD + "?overflow=split").send(message("word " * 700))
    assert len(service.asked) == 2


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refused_address_or_credential_is_permanent(service: FakeService, status: int) -> None:
    service.plays = [Play(status)]
    failure = failed(custom(service), message())
    assert failure.permanent
    assert f"error={status}" in str(failure)


@pytest.mark.parametrize(
    "play",
    [Play(400), Play(408), Play(413), Play(429), Play(500), Play(503), Play(fault="drop"), Play(fault="garbage")],
    ids=str,
)
def test_what_may_pass_is_tried_again(service: FakeService, play: Play) -> None:
    service.plays = [play]
    failure = failed(custom(service), message())
    assert (failure.permanent, failure.wait) == (False, None)


def test_nobody_listens() -> None:
    assert not failed(f"json://127.0.0.1:{closed_port()}/x", message()).permanent


@pytest.mark.parametrize("fault", ["silence", "drip"])
def test_a_service_that_does_not_come_to_an_end_is_not_waited_for(service: FakeService, fault: str) -> None:
    service.plays = [Play(fault=fault)]
    failure = failed(custom(service), message(), longest=0.3)
    assert (str(failure), failure.permanent) == ("JSON: no answer within 0.3 s", False)


@pytest.mark.parametrize(
    ("url", "play", "wait"),
    [
        (TELEGRAM, Play(429, body=b'{"ok":false,"error_code":429,"parameters":{"retry_after":35}}'), 35),
        (
            DISCORD,
            Play(429, body=b'{"message":"You are being rate limited.","retry_after":64.57,"global":false}'),
            64.57,
        ),
        (DISCORD, Play(429, body=b'{"retry_after":999999999}'), 86400),
        (DISCORD, Play(500, body=b'{"retry_after":5}'), None),
    ],
)
def test_how_long_a_service_asks_to_wait_is_passed_on(
    service: FakeService, url: str, play: Play, wait: float | None
) -> None:
    service.usual = play
    failure = failed(url, message())
    assert not failure.permanent
    assert failure.wait == (None if wait is None else timedelta(seconds=wait))


@pytest.mark.parametrize(
    ("url", "play", "permanent"),
    [
        (SLACK_BOT, Play(body=b'{"ok":false,"error":"invalid_auth"}'), True),
        (SLACK_BOT, Play(body=b'{"ok":false,"error":"is_archived"}'), True),
        (SLACK_BOT, Play(body=b'{"ok":false,"error":"internal_error"}'), False),
        (TELEGRAM, Play(400, body=b'{"ok":false,"description":"Bad Request: chat not found"}'), True),
        (TELEGRAM, Play(400, body=b'{"ok":false,"description":"Bad Request: message is too long"}'), False),
        (TELEGRAM, Play(403, body=b'{"ok":false,"description":"Forbidden: bot was kicked"}'), True),
        (SLACK, Play(404, body=b"no_service"), True),
        (SLACK, Play(400, body=b"invalid_payload"), False),
    ],
)
def test_services_that_say_more_than_a_status_are_understood(
    service: FakeService, url: str, play: Play, permanent: bool
) -> None:
    service.usual = play
    assert failed(url, message()).permanent == permanent


@pytest.mark.parametrize(
    ("what", "reply", "permanent"),
    [
        ("login", "535 5.7.8 Authentication failed", True),
        ("login", "454 4.7.0 Temporary authentication failure", False),
        ("recipient", "550 5.1.1 No such user", True),
        ("recipient", "450 4.2.1 Try later", False),
        ("message", "554 5.6.0 Looks like spam", False),
        ("message", "451 4.3.0 Try later", False),
    ],
)
def test_a_mail_servers_reply_tells_what_only_a_person_can_mend(
    mail: FakeMail, what: str, reply: str, permanent: bool
) -> None:
    mail.refuse = {what: reply}
    failure = failed(mail.url(), message())
    assert failure.permanent == permanent
    if permanent:
        assert reply[:3] in str(failure)


def test_a_refused_chart_costs_neither_the_message_nor_a_second_one(
    service: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    service.plays = [Play(204), Play(403)]
    AppriseChannel(DISCORD).send(message(image=PNG))
    assert len(service.asked) == 2
    assert "refused its chart" in caplog.text


def test_a_refused_text_is_a_failure_whatever_becomes_of_the_chart(service: FakeService) -> None:
    service.usual = Play(403)
    assert failed(DISCORD, message(image=PNG)).permanent


# --- what is wrong with the URL, and secrets --------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", "nonsense", "nosuch://x", "json://", f"tgram://{TOKEN}", "http://acme.example/x"])
def test_a_url_that_is_none_is_told_at_once_without_showing_it(
    url: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(InputError, match="url: not an apprise URL") as caught:
        build(AppriseOptions(url=url))  # type: ignore[arg-type]
    assert TOKEN not in str(caught.value) + caplog.text + "".join(capfd.readouterr())


def test_two_addresses_in_one_channel_are_refused() -> None:
    with pytest.raises(InputError, match="more than one address"):
        AppriseChannel("json://127.0.0.1/a, json://127.0.0.1/b")


def test_no_piece_of_the_url_is_in_an_error_or_a_log(
    service: FakeService, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("", "apprise", "urllib3", "urllib3.connectionpool"):
        caplog.set_level(logging.DEBUG, logger=name)
    told = ""
    for play in (Play(), Play(404, body=TOKEN.encode()), Play(500), Play(fault="drop")):
        service.plays = [play]
        channel = AppriseChannel(custom(service, f"?+X-Key={TOKEN}").replace("://", f"://user:{TOKEN}@"))
        try:
            channel.send(message())
        except DeliveryFailed as failure:
            told += str(failure)
    told += str(failed(f"json://user:{TOKEN}@127.0.0.1:{closed_port()}/{TOKEN}", message()))
    assert len(service.asked) == 4
    assert TOKEN not in told + caplog.text + "".join(capfd.readouterr())


def test_others_are_heard_in_the_log_again_after_a_message(
    service: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="urllib3.connectionpool")
    AppriseChannel(custom(service)).send(message())
    assert "urllib3" not in caplog.text
    logging.getLogger("urllib3.connectionpool").debug("a collector speaks")
    assert "a collector speaks" in caplog.text


def test_a_servers_words_are_shown_without_power() -> None:
    line = harmless_line("@everyone <b>x</b>\r\n\x1b[31m \u202e*y* https://evil.example " + "z" * 200, 100)
    assert len(line) == 100
    assert line.isprintable()
    assert not set("@<>*`[]\u202e") & set(line)
    assert "://" not in line
