"""The status page and its JSON twin, from a real server on a free port."""

import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from html.parser import HTMLParser
from json import loads
from pathlib import Path
from typing import Any

import pytest

from db.filters import Filter
from db.records import Coverage
from db.store import Store
from db.times import to_text
from jobs.raise_alert import queue
from monitor import config, plugins
from monitor.status import status_lines, take_status
from monitor.web.server import Server
from tests.cli_rig import NOW, configure, jsonl, post, said, sentimon
from tests.support import DAY, HOUR, Keywords, let_go

EVIL = '<script>alert(1)</script> "><img src=x onerror=alert(1)> {{ 7 * 7 }} javascript:alert(1) awful acme'


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    text: str


def get(url: str, method: str = "GET") -> Answer:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as answer:
            return Answer(answer.status, answer.headers, answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read().decode())


class Page(HTMLParser):
    """The words, elements and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self._words: list[str] = []
        self.feed(text)
        self.words = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self._words.append(data)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    monkeypatch.setattr("models.classifier.load", lambda *_, **__: Keywords())
    configure(tmp_path, '[[sources]]\nkind = "file"\nname = "feed"\npath = "feed.jsonl"\n[web]\nport = 0')
    return tmp_path


@pytest.fixture
def clock() -> list[datetime]:
    return [NOW + HOUR]  # alerts are shown for a month


@pytest.fixture
def url(folder: Path, clock: list[datetime]) -> Iterator[str]:
    server = Server(config.load(folder / "sentimon.toml", plugins.load()), lambda: clock[0])
    server.start()
    yield server.url
    let_go(server)


def minute(time: str) -> str:
    """A time of the twin as the page shows it."""
    return time[:16].replace("T", " ")


def spike(folder: Path) -> None:
    """Two quiet weeks, and then an hour of hostile posts."""
    quiet = [post(f"q{n}", "acme is fine", n * HOUR, author=f"q{n}") for n in range(24, 24 * 15)]
    loud = [
        post(f"l{n}", f"{EVIL} {n}", n * HOUR / 60, author=f"<b>bob {n}</b>", url="https://a.example/?a=1&b=2")
        for n in range(40)
    ]
    (folder / "posts.jsonl").write_text(jsonl(*quiet, *loud, post("u", "x", brand="<i>Initech</i>")))
    said(sentimon("import", "posts.jsonl"))
    said(sentimon("run", "--once", "--job", "score", "--job", "watch"))
    with Store(folder / "posts.db") as store, store.transaction():  # for the clock of the command they are history
        for alert in store.alerts.find(Filter()):
            queue(store, alert, store.mentions.of_alert(alert.id), NOW + HOUR)


def test_page_and_twin_carry_the_same_facts(folder: Path, url: str) -> None:
    spike(folder)
    assert sentimon("run", "--once", "--job", "collect").exit_code == 1  # there is no feed.jsonl
    twin = loads(get(f"{url}/status.json").text)
    page = Page(get(f"{url}/status").text)
    status = twin["status"]
    assert f"Posts stored {status['posts']} Waiting for a rating {status['waiting_for_score']}" in page.words
    assert f"Waiting for an answer {status['waiting_for_answer']}" in page.words
    assert "A post that names two brands is a mention of each" in page.words
    assert status["open_alerts"] == []
    assert len(twin["queue"]) == min(status["waiting_for_answer"], 50) > 20
    for brand in twin["brands"]:
        counts = [str(brand[key]) for key in ("mentions", "negative", "neutral", "positive", "not_rated")]
        net = "-" if brand["net_sentiment"] is None else f"{brand['net_sentiment']:+.2f}"
        assert " ".join([brand["brand"], *counts, net]) in page.words
    for source in status["sources"]:
        assert f"{source['name']} ({source['kind']}) trouble {source['last_error']}" in page.words
    for job in status["jobs"]:
        assert job["line"] in page.words
    (gap,) = status["gaps"]
    assert gap["reason"] in page.words


def test_the_twin_says_what_the_command_says(folder: Path, url: str) -> None:
    spike(folder)
    twin = loads(get(f"{url}/status.json").text)
    (shown,), (alert,) = twin["alerts"], loads(said(sentimon("alerts", "--json")))
    assert shown == alert | {"posts": alert["posts"][:20]}
    assert shown["post_count"] == len(alert["posts"]) > 20
    assert twin["queue"] == loads(said(sentimon("queue", "--json", "--limit", "50")))
    assert twin["brands"] == loads(said(sentimon("trends", "--by", "brand", "--json")))
    command = loads(said(sentimon("status", "--json")))
    moving = {"time", "sources"}
    assert {key: value for key, value in twin["status"].items() if key not in moving} == {
        key: value for key, value in command.items() if key not in moving
    }


def test_the_twin_leaves_alerts_older_than_a_month_to_the_list(folder: Path, url: str, clock: list[datetime]) -> None:
    spike(folder)
    for later, shown in ((29 * DAY, 1), (31 * DAY, 0)):
        clock[0] = NOW + later
        assert len(loads(get(f"{url}/status.json").text)["alerts"]) == shown
    assert len(loads(said(sentimon("alerts", "--json")))) == 1


def test_the_twin_holds_at_most_fifty_alerts_the_newest_first(folder: Path, url: str) -> None:
    spike(folder)
    with Store(folder / "posts.db") as store:
        (alert,) = store.alerts.find(Filter())
        with store.transaction():
            for number in range(1, 61):
                store.alerts.save(replace(alert, id=0, starts=alert.starts - number * HOUR), [])
    shown = loads(get(f"{url}/status.json").text)["alerts"]
    assert len(shown) == 50
    assert shown[0]["id"] == alert.id
    assert [each["starts"] for each in shown] == sorted((each["starts"] for each in shown), reverse=True)


def test_hostile_text_stays_text(folder: Path, url: str) -> None:
    spike(folder)
    with Store(folder / "posts.db") as store:
        store.sources.configured("feed", "file", "1")
        store.sources.pause("feed", NOW, "<script>alert(2)</script>")
        store.sources.cover(
            Coverage(
                "feed",
                "<u>s</u>",
                NOW,
                None,
                NOW,
                "missing",
                "<script>alert(3)</script>",
                0,
                0,
                store.sources.spent("feed", "2026-03"),
            )
        )
    page = Page(get(f"{url}/status").text)
    assert not page.tags & {"script", "b", "i", "u"}
    assert not {name for name in page.attributes if name.startswith("on")}
    for text in ("<i>Initech</i>", "<u>s</u>", "<script>alert(2)</script>", "<script>alert(3)</script>"):
        assert text in page.words


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "//a.example", "vbscript:x"])
def test_only_links_to_the_web_become_links(folder: Path, url: str, link: str) -> None:
    spike(folder)
    assert "https://a.example/?a=1&b=2" in Page(get(f"{url}/alerts/1").text).links
    with sqlite3.connect(folder / "posts.db") as database:  # as no collector would store it
        database.execute("UPDATE mentions SET url = ?", (link,))
    assert not {each for each in Page(get(f"{url}/alerts/1").text).links if each == link or each.endswith(link)}


@pytest.mark.parametrize("path", ["/status", "/status.json", "/alerts", "/healthz", "/nowhere", "/static/app.css"])
def test_every_answer_forbids_what_is_not_ours_and_frames(url: str, path: str) -> None:
    headers = get(f"{url}{path}").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path", ["/nowhere", "/docs", "/openapi.json", "/status.json/x", "/%3Cscript%3E", "/../../etc/passwd"]
)
def test_there_is_no_other_page(url: str, path: str) -> None:
    answer = get(f"{url}{path}")
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text == "There is no such page.\n"


def test_nothing_can_be_changed_from_outside(url: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert get(f"{url}/status", method).status == 405


def test_an_empty_database_has_a_page(url: str) -> None:
    page = Page(get(f"{url}/status").text)
    assert "Posts stored 0 Waiting for a rating 0" in page.words
    assert "feed (file) ok never" in page.words
    assert loads(get(f"{url}/healthz").text) == {"ok": True}


def test_a_database_that_cannot_be_used_is_told_in_one_line(folder: Path, url: str) -> None:
    said(sentimon("status"))
    (folder / "posts.db").write_bytes(b"no database " * 1000)
    for path in ("/status", "/alerts", "/status.json"):
        answer = get(f"{url}{path}")
        assert answer.status == 503
        assert answer.text.count("\n") == 1
        assert re.match(r"sentimon cannot answer now: .*file is not a database", answer.text)


def test_the_page_is_written_for_everybody(url: str) -> None:
    text = get(f"{url}/status").text
    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert '<meta name="viewport"' in text
    page = Page(text)
    assert {"title", "h1", "h2", "th"} <= page.tags
    assert "all times are UTC" in page.words


def test_a_source_is_remembered_longer_than_its_runs(folder: Path) -> None:
    with Store(folder / "posts.db") as store:
        store.sources.configured("feed", "file", "1")
        store.sources.succeeded("feed", NOW - 6 * DAY)
        (configured,) = (settings := config.load(folder / "sentimon.toml", plugins.load())).sources
        weekly = replace(settings, sources=(replace(configured, every=7 * DAY),))
        taken = take_status(weekly, store, NOW)
    (source,) = taken["sources"]
    assert (source["last_run"], source["next_run"]) == (to_text(NOW - 6 * DAY), to_text(NOW + DAY))
    assert not [line for line in status_lines(taken) if "not read yet" in line]


def test_files_that_never_change_are_kept_for_a_year_and_pages_never(url: str) -> None:
    links = Page(get(f"{url}/status").text).links
    (sheet,) = [link for link in links if "/static/app.css?v=" in link]
    assert get(f"{url}/{sheet.removeprefix('./')}").headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert get(f"{url}/static/app.css").headers["Cache-Control"] == "no-cache"
    assert get(f"{url}/static/none.css?v=1").headers["Cache-Control"] == "no-store"
    assert get(f"{url}/status").headers["Cache-Control"] == "no-store"
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"):
        assert get(f"{url}{path}").status == 404
