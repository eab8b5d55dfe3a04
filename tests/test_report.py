"""The report of a week: what it tells beyond a digest, by e-mail with its pictures, and as one file."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from db.records import Delivery
from db.store import Store
from jobs.channel import Message
from jobs.digest import compose_digest
from jobs.period import About
from monitor import config, plugins
from monitor.app import App, draw_journey
from monitor.channels.apprise import AppriseChannel
from monitor.cli.report import span_of
from monitor.mail.page import embedded, page
from tests.case_rig import answer, case_of, dismiss
from tests.cli_rig import complaint, configure, said, sentimon
from tests.fake_services import FakeMail
from tests.support import DAY, HOUR, MINUTE, judge, keep, mention

UNTIL = datetime(2026, 3, 9, 8, tzinfo=UTC)  # a Monday
SINCE = UNTIL - 7 * DAY
ACME = About(["Acme"])
PNG = b"\x89PNG\r\n\x1a\n"


def write(store: Store, count: int, text: str, when: datetime) -> None:
    name = f"{text} {when:%d%H}"
    posts = [
        mention(f"{name} {n}", f"{text} {n}", when + n * MINUTE, author=f"{name} {n}", collected_at=when + n * MINUTE)
        for n in range(count)
    ]
    keep(store, *posts)
    judge(store, now=UNTIL)


@pytest.fixture
def week(folder: Path) -> Iterator[Store]:
    """A week that was worse than the one before, since buying went wrong, with some posts answered."""
    with Store(folder / "posts.db") as store:
        write(store, 40, "love acme", SINCE - 3 * DAY)
        write(store, 30, "love to buy acme", SINCE - 2 * DAY)
        write(store, 40, "love acme", SINCE + DAY)
        write(store, 30, "awful to buy acme, charged twice", SINCE + 2 * DAY)
        answer(store, case_of(store, "c1", "awful acme", SINCE + DAY), after=HOUR)
        answer(store, case_of(store, "c2", "awful acme!", SINCE + DAY), after=3 * HOUR)
        dismiss(store, case_of(store, "c3", "awful acme!!", SINCE + DAY))
        case_of(store, "c4", "awful acme?", SINCE + DAY)
        yield store


def weekly(store: Store, every: str = "weekly") -> Message:
    delivery = Delivery(7, None, "mail", every, "sending", 0, 0, UNTIL, since=SINCE, until=UNTIL)
    return compose_digest(store, delivery, "k", about=ACME, page=page, draw_journey=draw_journey)


def test_a_week_is_told_with_its_journey_what_changed_and_why_and_how_people_were_cared_for(week: Store) -> None:
    message = weekly(week)
    assert message.title.startswith("Weekly report, ")
    lines = message.body.splitlines()
    assert "What changed, and why:" in lines
    assert any(line.startswith("- Net sentiment of all brands together fell by ") for line in lines)
    assert any(
        line.startswith("- Stage purchase: -") and "because its own feeling changed" in line for line in lines
    ), message.body
    assert any(line.startswith("Purchase: -1.00 on 30 rated, +1.00 before (more than chance)") for line in lines)
    assert "First response time: half within 2 h, 90 % within 2 h 48 min (n = 2)" in lines
    assert "Within target: 50% of 2 (9% to 91%)" in lines
    assert "Of all that needed one: 2 answered, 1 dismissed, 1 still open, 1 of them overdue" in lines
    assert message.facts["care"]["first_reply_median"] == 7200
    assert message.facts["moves"][0]["net_sentiment"] < -0.3
    assert {"stage": "purchase", "rated": 30, "net_sentiment": -1.0, "before": 1.0} in message.facts["journey"]


def test_a_day_is_told_in_short(week: Store) -> None:
    message = weekly(week, "daily")
    assert "What changed" not in message.body
    assert message.pictures == {}
    assert "care" not in message.facts


def test_a_week_without_posts_is_no_error(folder: Path) -> None:
    with Store(folder / "posts.db") as store:
        message = weekly(store)
    assert message.body.startswith("0 mentions, 0 alerts.")
    assert message.pictures == {}
    assert "Customer care" not in message.body


def test_without_pictures_the_document_refers_to_none(week: Store) -> None:
    delivery = Delivery(7, None, "mail", "weekly", "sending", 0, 0, UNTIL, since=SINCE, until=UNTIL)
    message = compose_digest(week, delivery, "k", about=ACME, page=page)
    assert "cid:" not in str(message.html)
    assert "<img" not in str(message.html)


def pictures(message: EmailMessage) -> dict[str, bytes]:
    parts = [part for part in message.walk() if part.get_content_type() == "image/png"]
    return {str(part["content-id"]).strip("<>"): bytes(part.get_payload(decode=True)) for part in parts}


def test_the_report_arrives_by_e_mail_with_each_picture_in_its_place(week: Store, folder: Path) -> None:
    with FakeMail() as mail:
        text = f"""
            database = "posts.db"
            [[brands]]
            name = "Acme"
            query = "acme"
            [[channels]]
            name = "desk"
            url = "{mail.url()}"
            digest = "weekly"
            digest_at = "08:00"
        """
        made = App(config.load_text(text, folder / "sentimon.toml", plugins.load(third_party=False), {}))
        assert made.notify(week, UNTIL + MINUTE).counts == {"sent": 1, "failed": 0}
        assert made.notify(week, UNTIL + 2 * MINUTE).counts == {"sent": 0, "failed": 0}
        (message,) = mail.taken
    assert message["subject"].startswith("Weekly report")
    body = message.get_body(preferencelist=("html",))
    assert body is not None
    html = str(body.get_content())
    found = pictures(message)
    assert re.findall(r'src="cid:([^"]+)"', html) == ["chart.png", "journey.png"]
    assert set(found) == {"chart.png", "journey.png"}
    assert all(png.startswith(PNG) for png in found.values())
    assert found["chart.png"] != found["journey.png"]


def test_a_service_that_shows_one_picture_gets_one(week: Store) -> None:
    sent: list[dict[str, Any]] = []
    channel = AppriseChannel("tgram://123456789:abcdefg_hijklmnop/12315544/")
    channel._notify = sent.append  # type: ignore[method-assign, assignment]
    message = compose_digest(
        week,
        Delivery(7, None, "t", "weekly", "sending", 0, 0, UNTIL, since=SINCE, until=UNTIL),
        "k",
        about=ACME,
        draw=lambda moods, hours: PNG,
        page=page,
        draw_journey=lambda rows: PNG + b"2",
    )
    channel.send(message)
    assert [attached.name for attached in sent[0]["attach"]] == ["chart.png"]
    assert "cid:" not in sent[0]["body"]


def test_the_command_writes_one_file_that_fetches_nothing(week: Store, folder: Path) -> None:
    out = said(sentimon("report", "--week", "2026-03-04", "--out", "week.html"))
    assert out.startswith("Weekly report, Mon 2026-03-02 00:00 to Mon 2026-03-09 00:00 UTC: written to week.html")
    html = (folder / "week.html").read_text(encoding="utf-8")
    assert html.count('src="data:image/png;base64,') == 2
    assert "cid:" not in html
    assert set(re.findall(r'(?:src|href)="(\w+):', html)) == {"data"}


def test_words_of_strangers_cannot_stand_for_a_picture() -> None:
    assert embedded("<p>src=&#34;cid:chart.png&#34; cid:chart.png</p>", {"chart.png": PNG}).count("data:") == 0


@pytest.mark.parametrize("week", ["2026-W99", "yesterday", "2026-13-01", "0000-W01"])
def test_a_week_that_is_none_is_refused_in_a_line(folder: Path, week: str) -> None:
    result = sentimon("report", "--week", week, "--out", "week.html")
    assert result.exit_code == 2
    assert "is not a week; write 2026-W47" in result.output
    assert not (folder / "week.html").exists()


@pytest.mark.parametrize("week", ["0001-W01", "0001-01-01", "1969-12-28", "9999-W52", "9999-12-31"])
def test_a_week_at_either_end_of_time_is_refused_in_a_line(folder: Path, week: str) -> None:
    line = complaint(sentimon("report", "--week", week, "--out", "week.html"), 2)
    assert f"'{week}' lies too far back or ahead; choose one that is over, from 1970 on" in line
    assert not (folder / "week.html").exists()


@pytest.mark.parametrize("week", ["1970-W02", "2026-W10"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_a_week_that_is_over_can_be_told_anywhere(folder: Path, week: str, zone: str) -> None:
    configure(folder, f'[desk]\ntimezone = "{zone}"')
    assert said(sentimon("report", "--week", week, "--out", "week.html")).endswith("written to week.html\n")


def test_a_report_that_cannot_be_written_is_refused_in_a_line(folder: Path) -> None:
    line = complaint(sentimon("report", "--week", "2026-W10", "--out", "no/such/week.html"), 1)
    assert line == "sentimon: no/such/week.html: cannot be written: No such file or directory; name another with --out"
    assert not (folder / "no").exists()


def test_a_week_that_is_yet_to_come_is_refused(folder: Path) -> None:
    result = sentimon("report", "--week", "2999-W01", "--out", "week.html")
    assert result.exit_code == 1
    assert "is yet to come" in result.output


def test_a_week_begins_on_monday_where_the_team_is_and_the_last_full_one_is_usual() -> None:
    now = datetime(2026, 4, 1, 12, tzinfo=UTC)
    summer = span_of(None, "Europe/Berlin", now)  # the clock was put forward on its Sunday
    assert summer == (datetime(2026, 3, 22, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
    assert span_of("2026-03-23", "Europe/Berlin", now) == summer
    assert summer[1] - summer[0] == timedelta(days=7, hours=-1)
