"""From a configuration to a mail server: an alert and a digest, each with its chart, and nothing a second time."""

from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from jobs.watch import watch
from monitor import config, plugins
from monitor.app import App
from tests.fake_services import FakeMail
from tests.support import DAY, HOUR, NOW, judge, keep, mention

BURST = NOW - 3 * HOUR
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def mail() -> Iterator[FakeMail]:
    with FakeMail() as made:
        yield made


def app(folder: Path, url: str) -> App:
    text = f"""
        [[brands]]
        name = "Acme"
        query = "acme"
        [[channels]]
        name = "desk"
        url = "{url}"
        digest = "daily"
        digest_at = "12:00"
        [web]
        url = "https://desk.example"
    """
    return App(config.load_text(text, folder / "sentimon.toml", plugins.load(third_party=False), {}))


def chart_of(message: EmailMessage) -> bytes:
    (chart,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
    return bytes(chart.get_payload(decode=True))  # type: ignore[arg-type]


def text_of(message: EmailMessage) -> str:
    body = message.get_body(preferencelist=("html",))
    assert body is not None
    return str(body.get_content())


def test_an_alert_and_a_digest_arrive_with_their_charts(tmp_path: Path, mail: FakeMail) -> None:
    made = app(tmp_path, mail.url())
    calm = [mention(f"c{n}", "love acme", NOW - n * HOUR, author=f"c{n}") for n in range(4, 24 * 14)]
    angry = [
        mention(f"a{n}", f"acme charged twice <b>{n}</b> @everyone", BURST + n * timedelta(minutes=3), author=f"a{n}")
        for n in range(50)
    ]
    with made.store() as store:
        keep(store, *calm, *angry)
        judge(store)
        watch(store, made.watching, NOW)
        assert made.notify(store, NOW).counts == {"sent": 2, "failed": 0}
        assert made.notify(store, NOW + timedelta(minutes=1)).counts == {"sent": 0, "failed": 0}
        alert, digest = sorted(mail.taken, key=lambda message: str(message["subject"]), reverse=True)
        assert alert["subject"] == "Negative spike: Acme"
        assert digest["subject"].startswith("Daily digest")
        for message in (alert, digest):
            assert chart_of(message).startswith(PNG)
            assert "https://desk.example" in text_of(message)
            assert "<b>4" not in text_of(message)
            assert "@everyone" not in text_of(message)
        assert chart_of(alert) != chart_of(digest)
        later = made.notify(store, NOW + DAY)
        assert later.error is None
        assert [message["subject"] for message in mail.taken].count(digest["subject"]) == 1
