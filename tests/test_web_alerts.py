"""The page of one alert, from a real server on a free port: what it shows, and what its link lets people do."""

import http.client
import logging
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

import pytest

from db.filters import Filter
from db.records import RULES, Alert, Part, Silence, Story
from db.store import Store
from jobs.wording import summary
from monitor import config, links, plugins
from monitor.web import server as serving
from tests.cli_rig import NOW, configure
from tests.support import DAY, HOUR, MINUTE, judge, keep, mention, rows
from tests.test_web import Page, folder  # noqa: F401  a fixture

SPIKE = Alert(
    id=0,
    brand="Acme",
    rule="negative spike",
    starts=NOW - 2 * HOUR,
    last_seen=NOW,
    ends=None,
    severity="critical",
    observed=46,
    expected=0.47,
    factor=97.0,
    probability=3e-10,
    window_minutes=180,
    mentions=61,
    share=0.75,
    usual_share=0.17,
    summary="",
    in_common=("twice", "refund"),
    score=9.5,
    high=3.0,
    story=Story(
        parts=(
            Part("source", "x", 40, 0.4, 0.9),
            Part("stage", "none", 40, 0.4, 0.9),
            Part("pillar", "people", 1, 1, 0),
        ),
        confined_to=Part("source", "x", 40, 0.4, 0.9),
        terms=("twice", "refund"),
        new_terms=("<b>refund</b>",),
        authors=12,
        copies=2,
        reach=123456,
        baseline_since=NOW - 28 * DAY,
        coverage="reddit was not read from 10:00 on",
    ),
)
EVIL = '<script>alert(1)</script> "><img src=x onerror=alert(1)> {{ 7 * 7 }} \u202eawful acme'
TABLES = ("alerts", "alert_posts", "feedback", "silences", "deliveries", "keys", "cases", "matches", "disabled")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    text: str


@dataclass
class Rig:
    """A server over the folder's database."""

    folder: Path
    url: str

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask without following where an answer leads."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, number: int = 1, token: str | None = None, **fields: str) -> Answer:
        """Press a button of the form."""
        given = {"token": self.token(number) if token is None else token} | fields
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", f"/alerts/{number}", urlencode(given, errors="surrogatepass").encode(), kind)

    def token(self, number: int = 1, age: timedelta = timedelta(0)) -> str:
        with Store(self.folder / "posts.db") as store:
            address = links.links("https://desk.example", store, NOW - age).alert(number) or ""
        return address.partition("token=")[2]

    def raised(self, *alerts: Alert, posts: Sequence[str] = ("awful acme",), **more: Any) -> None:
        """Store alerts, the first with these posts."""
        with Store(self.folder / "posts.db") as store:
            made = [mention(n, text, NOW - n * MINUTE / 10, author=f"ann {n}", **more) for n, text in enumerate(posts)]
            brands = (alerts[0].brand or "Acme",)
            keep(store, *made, brands=brands)
            judge(store)
            with store.transaction():
                for number, alert in enumerate(alerts):
                    told = replace(alert, summary=alert.summary or summary(alert))
                    store.alerts.save(told, () if number else list(store.mentions.every(Filter())))

    def alert(self, number: int = 1) -> Alert:
        with Store(self.folder / "posts.db") as store:
            return store.alerts.get(number) or pytest.fail(f"no alert {number}")

    def silences(self) -> list[Silence]:
        with Store(self.folder / "posts.db") as store:
            return store.silences.ending_after(NOW)

    def stored(self) -> Mapping[str, list[tuple[Any, ...]]]:
        return {table: rows(self.folder / "posts.db", f"SELECT * FROM {table}") for table in TABLES}


@pytest.fixture
def rig(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:  # noqa: F811
    monkeypatch.setattr("monitor.web.app.utc_now", lambda: NOW)
    configure(folder, '[web]\nport = 0\nurl = "https://desk.example"')
    server = serving.Server(config.load(folder / "sentimon.toml", plugins.load()))
    server.start()
    yield Rig(folder, server.url)
    server.stop()


# --- what it shows ----------------------------------------------------------------------------------------------------


def test_the_page_tells_the_story(rig: Rig) -> None:
    rig.raised(SPIKE, posts=["awful acme, charged twice", "awful acme again"], url="https://a.example/?a=1&b=2")
    page = Page(rig.get("/alerts/1").text)
    for fact in (
        "critical",
        "Acme : negative spike",
        "46 negative posts in 3 h, 97 times the 0.47 expected (0 to 3); 75% of its 61 mentions negative, usually 17%",
        "Going on since Wed 2026-03-04 10:00 UTC, for 2 h 5 min so far",
        "Nobody has taken it",
        "Nearly all of it is on x.",
        "New words: <b>refund</b>",
        "More often than usual: twice, refund",
        "on x 40 0.40",
        "12 authors with 123,456 followers in all; 2 of the posts copy another.",
        "Not all of it was read: reddit was not read from 10:00 on.",
        "Expected from its posts since 2026-02-04.",
        "awful acme, charged twice",
        "ann 1",
        "Who was told Nobody.",
    ):
        assert fact in page.words
    assert "with no stage" not in page.words
    assert "https://a.example/?a=1&b=2" in page.links
    assert "b" not in page.tags


def test_the_chart_is_a_picture_that_says_what_it_shows_and_cannot_run_anything(rig: Rig) -> None:
    rig.raised(replace(SPIKE, brand="<script>alert(1)</script> & Söhne"))
    text = rig.get("/alerts/1").text
    (alternative,) = re.findall(r'<img src="1/chart.svg" alt="([^"]+)"', text)
    assert "46 negative posts in 3 h" in alternative
    for path in ("/alerts/1/chart.svg", "/alerts/1/chart.svg?narrow=1"):
        answer = rig.get(path)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "image/svg+xml"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(answer.text).iter()}
        assert not tags & {"script", "foreignObject", "image", "a"}
    wide, narrow = (
        float(ElementTree.fromstring(rig.get(f"/alerts/1/chart.svg{query}").text).attrib["width"])
        for query in ("", "?narrow=1")
    )
    assert narrow < 600 < wide


def test_charts_are_drawn_for_many_at_once(rig: Rig) -> None:
    rig.raised(SPIKE)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(rig.get, ["/alerts/1/chart.svg"] * 6))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


def test_each_rule_has_a_page_and_only_a_stale_source_no_chart(rig: Rig) -> None:
    over = {"ends": NOW - HOUR, "last_seen": NOW - HOUR}
    alerts = {
        "negative spike": SPIKE,
        "volume spike": replace(SPIKE, rule="volume spike", **over),
        "share shift": replace(SPIKE, rule="share shift", window_minutes=3 * 24 * 60, scope="source x"),
        "silence": replace(SPIKE, rule="silence", observed=0, expected=30.0, factor=0.0, story=None),
        "single post": replace(
            SPIKE, rule="single post", scope="x 0", in_common=("60,000 followers",), story=None, **over
        ),
        "stale source": replace(SPIKE, rule="stale source", brand="", scope="x-main", story=None, in_common=()),
    }
    assert set(alerts) == set(RULES)
    rig.raised(*alerts.values())
    for number, (rule, alert) in enumerate(alerts.items(), 1):
        page = Page(rig.get(f"/alerts/{number}?token={rig.token(number)}").text)
        assert f": {rule}" in page.words
        assert "I see to it" in page.words
        text = rig.alert(number).summary.partition(": ")[2]
        assert text[1:] in page.words, rule
        assert (f"{number}/chart.svg" in page.links) == (rule != "stale source")
        assert rig.get(f"/alerts/{number}/chart.svg").status == (404 if not alert.brand else 200)
        assert rig.post(number, do="1 hour", who="ann").status == 303
    assert len(rig.silences()) == len(RULES)
    assert len({(each.brand, each.rule, each.scope) for each in rig.silences()}) == len(RULES)


def test_a_single_post_that_is_not_negative_is_shown(rig: Rig) -> None:
    post = replace(SPIKE, rule="single post", scope="x 0", in_common=("legal matters",), story=None, ends=NOW)
    rig.raised(post, posts=["my lawyer will call acme"])
    assert "The post my lawyer will call acme" in Page(rig.get("/alerts/1").text).words


def test_hostile_text_stays_text(rig: Rig) -> None:
    brand = "\u202e<script>alert(2)</script> \u05d0\u05d1\u05d2"
    rig.raised(
        replace(SPIKE, brand=brand, in_common=(EVIL,), held=EVIL, taken_by="<u>bob</u>"),
        posts=[EVIL],
        url="javascript:1",
    )
    rig.post(do="noise", who="<i>ann</i>", note='"><script>alert(3)</script>')
    rig.post(do="1 hour", who="<i>ann</i>", note="'><script>alert(4)</script>")
    answer = rig.get(f"/alerts/1?token={rig.token()}")
    page = Page(answer.text)
    assert not page.tags & {"script", "b", "i", "u"}
    assert not {name for name in page.attributes if name.startswith("on")}
    for text in (" ".join(EVIL.split()), "<u>bob</u>", "<i>ann</i>", "<script>alert(3)</script>", "<script>alert(4)"):
        assert text in page.words
    assert not [link for link in page.links if link.startswith("javascript")]
    assert "\u05d0\u05d1\u05d2" in page.words
    shown = answer.text[answer.text.index("<h1>") : answer.text.index("</h1>")]
    assert "\u202e" not in shown
    assert rig.get("/alerts/1/chart.svg").status == 200


def test_deleted_posts_have_lost_their_text(rig: Rig) -> None:
    rig.raised(SPIKE, posts=["awful acme, private"])
    with Store(rig.folder / "posts.db") as store, store.transaction():
        store.forgotten.gone("x", ["0"], "deleted", NOW)
    page = Page(rig.get("/alerts/1").text)
    assert "(deleted on its platform)" in page.words
    assert "private" not in page.words


def test_of_a_thousand_posts_a_hundred_are_shown(rig: Rig) -> None:
    rig.raised(SPIKE, posts=[f"awful acme number {n}" for n in range(1000)])
    answer = rig.get("/alerts/1")
    assert answer.text.count("<blockquote>") == 100
    assert "95 more, the most negative of 1,000" in Page(answer.text).words
    assert len(answer.text) < 100_000


def test_the_posts_of_the_story_stand_first_in_its_order(rig: Rig) -> None:
    rig.raised(SPIKE, posts=[f"awful acme number {n}" for n in range(9)])
    with Store(rig.folder / "posts.db") as store, store.transaction():
        by_text = {post.mention.text: post.id for post in store.mentions.every(Filter())}
        chosen = tuple(by_text[f"awful acme number {n}"] for n in (7, 2, 5))
        store.alerts.save(replace(rig.alert(), story=Story(posts=chosen)), ())
    numbers = [int(n) for n in re.findall(r"awful acme number (\d)", rig.get("/alerts/1").text)]
    assert numbers[:3] == [7, 2, 5]
    assert sorted(numbers) == list(range(9))


def test_a_channel_that_does_not_work_is_named(rig: Rig) -> None:
    rig.raised(SPIKE)
    with Store(rig.folder / "posts.db") as store, store.transaction():
        store.deliveries.disable("team <chat>", "the service <refuses> the credentials", "1", NOW)
    for path in ("/alerts/1", "/"):
        words = Page(rig.get(path).text).words
        assert "The channel team <chat> does not work: the service <refuses> the credentials" in words
        assert "sentimon resume 'team <chat>'" in words


# --- who may act ------------------------------------------------------------------------------------------------------


def test_the_link_of_a_message_shows_the_buttons_and_no_other_does(rig: Rig, tmp_path: Path) -> None:
    rig.raised(SPIKE, replace(SPIKE, rule="volume spike"))
    good = rig.token()
    assert f'value="{good}"' in rig.get(f"/alerts/1?token={good}").text
    assert "<form" not in rig.get("/alerts/1").text
    elsewhere = Rig(tmp_path / "elsewhere", rig.url)
    elsewhere.folder.mkdir()
    old = rig.token(age=15 * DAY)
    bad = [old, rig.token(2), elsewhere.token(), good[:-2], good.upper(), "x", "%00", "%ED%A0%80", "1" * 10_000]
    before = rig.stored()
    for token in bad:
        answer = rig.get(f"/alerts/1?token={token}")
        assert answer.status == 200
        assert "<form" not in answer.text
        assert "This link is not good any more" in answer.text
        assert token not in answer.text or len(token) < 4
        refused = rig.post(token=token, do="take", who="mallory")
        assert refused.status == 403
        assert "This link is not good any more" in refused.text
    assert rig.stored() == before


def test_looking_changes_nothing(rig: Rig) -> None:
    rig.raised(SPIKE)
    before = rig.stored()
    for query in ("", "?do=take&who=bot", "?token=x&do=take"):
        for method in ("GET", "HEAD"):
            assert rig.ask(method, f"/alerts/1{query}").status == 200
    assert rig.stored() == before  # not even the key of links was made
    token = rig.token()
    before = rig.stored()
    for do in ("take", "useful", "1 hour", "release", "unsilence"):
        for method in ("GET", "HEAD"):
            answer = rig.ask(method, f"/alerts/1?{urlencode({'token': token, 'do': do, 'who': 'bot'})}")
            assert answer.status == 200
            assert (answer.text == "") == (method == "HEAD")
    for path in ("/", "/alerts/1/chart.svg", "/status.json"):
        assert rig.get(path).status == 200
    assert rig.ask("HEAD", "/alerts/1/chart.svg").status == 200
    assert rig.stored() == before


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(rig: Rig, method: str) -> None:
    rig.raised(SPIKE)
    assert rig.ask(method, f"/alerts/1?token={rig.token()}").status == 405


def test_there_is_no_page_of_what_is_no_alert(rig: Rig) -> None:
    rig.raised(SPIKE)
    for number in (
        "2",
        "0",
        "-1",
        "one",
        "1.0",
        "1e0",
        "%31%00",
        "9" * 18,
        "9" * 5000,
        "%D9%A1",
        "%3Cscript%3E",
        "1%0A",
    ):
        for path in (f"/alerts/{number}", f"/alerts/{number}/chart.svg"):
            answer = rig.get(path)
            assert answer.status == 404, number
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert answer.text.count("\n") == 1
    assert rig.get("/alerts/01").status == 200
    assert rig.post(7, token="x", do="take").status == 404


# --- what it does -----------------------------------------------------------------------------------------------------


def test_taking_and_letting_go(rig: Rig) -> None:
    rig.raised(SPIKE)
    answer = rig.post(do="take", who="Ann")
    assert (answer.status, answer.headers["Location"]) == (303, f"1?token={rig.token()}")
    assert (rig.alert().taken_by, rig.alert().taken_at) == ("Ann", NOW)
    page = Page(rig.get(f"/alerts/1?token={rig.token()}").text).words
    assert "Taken by Ann on Wed 2026-03-04 12:00 UTC" in page
    assert "I see to it" not in page
    late = rig.post(do="take", who="Bob")
    assert (late.status, rig.alert().taken_by) == (409, "Ann")
    assert "Ann has taken it meanwhile" in Page(late.text).words
    assert rig.post(do="take", who="Ann").status == 303
    assert rig.post(do="release").status == 303
    assert (rig.alert().taken_by, rig.alert().taken_at) == (None, None)
    assert rig.post(do="take").status == 303
    assert rig.alert().taken_by == "somebody with the link"


@pytest.mark.parametrize(("word", "label"), [("useful", "useful"), ("noise", "noise"), ("known", "known already")])
def test_judging(rig: Rig, word: str, label: str) -> None:
    rig.raised(SPIKE)
    rig.post(do="noise" if word != "noise" else "useful", who="Bob")
    assert rig.post(do=word, who="Ann", note="it was the launch").status == 303
    with Store(rig.folder / "posts.db") as store:
        said = store.alerts.said()[1]
    assert (said.word, said.who, said.at, said.note) == (word, "Ann", NOW, "it was the launch")
    assert f"Found {label} by Ann : it was the launch" in Page(rig.get("/alerts/1").text).words


def test_silencing_and_ending_the_silence(rig: Rig) -> None:
    rig.raised(SPIKE)
    for span, length in (("1 hour", HOUR), ("3 days", 3 * DAY), ("8 hours", 8 * HOUR)):
        assert rig.post(do=span, who="Ann", note="the launch").status == 303
        (silence,) = rig.silences()  # what was chosen last holds
        assert (silence.starts, silence.ends - silence.starts) == (NOW, length)
        assert (silence.author, silence.comment) == ("Ann", "the launch")
        assert (silence.brand, silence.rule, silence.scope) == ("Acme", "negative spike", "")
    page = Page(rig.get(f"/alerts/1?token={rig.token()}").text).words
    assert "Silenced until Wed 2026-03-04 20:00 UTC by Ann : the launch" in page
    assert "End the silence" in page
    assert rig.post(do="unsilence").status == 303
    assert rig.silences() == []
    assert "Silenced" not in Page(rig.get("/alerts/1").text).words


def test_a_link_ends_no_silence_over_more_than_its_alert(rig: Rig) -> None:
    rig.raised(replace(SPIKE, scope="source x"))
    with Store(rig.folder / "posts.db") as store, store.transaction():
        for silence in (
            Silence(0, NOW, NOW + DAY, "bob", "", "Acme"),
            Silence(0, NOW, NOW + DAY, "eve", "", "Acme", "negative spike", ""),  # all of the brand: its slices too
            Silence(0, NOW, NOW + DAY, "dan", "", "Initech"),
        ):
            store.silences.add(silence)
    page = Page(rig.get(f"/alerts/1?token={rig.token()}").text).words
    assert "by bob (it holds more than this alert: sentimon alerts unsilence 1 ends it)" in page
    assert "by eve (it holds more than this alert: sentimon alerts unsilence 2 ends it)" in page
    assert "dan" not in page
    assert "End the silence" not in page
    rig.post(do="unsilence")
    assert len(rig.silences()) == 3


def test_a_name_is_typed_once_on_a_device(rig: Rig) -> None:
    rig.raised(SPIKE)
    answer = rig.post(do="take", who="Zoë; Path=/ <b>")
    (cookie,) = answer.headers.get_all("Set-Cookie")
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    kept = cookie.partition(";")[0]
    page = rig.ask("GET", f"/alerts/1?token={rig.token()}", headers={"Cookie": kept}).text
    assert 'value="Zoë; Path=/ &lt;b&gt;"' in page
    evil = rig.ask("GET", f"/alerts/1?token={rig.token()}", headers={"Cookie": "sentimon_name=%22%3E%3Cscript%3E%00"})
    assert "script" not in Page(evil.text).tags
    assert rig.post(do="release").headers["Set-Cookie"] is None


# --- hostile forms ----------------------------------------------------------------------------------------------------


def test_hostile_forms_are_refused_and_change_nothing(rig: Rig) -> None:
    rig.raised(SPIKE)
    token = rig.token()
    form, kind = f"token={token}&do=take&who=".encode(), "application/x-www-form-urlencoded"
    before = rig.stored()
    for body, content_type, status in (
        (form + b"a" * 100_000, kind, 413),
        (form + b"&" * 100_000, kind, 413),
        (form, "", 415),
        (form, "text/plain", 415),
        (form, "multipart/form-data; boundary=x", 415),
        (b'{"do": "take"}', "application/json", 415),
        (b"", kind, 403),
        (b"do=take", kind, 403),
        (b"\xff\xfe\x00=&&==%%%zz", kind, 403),
        (f"token={token}".encode(), kind, 400),
        (f"token={token}&do=".encode(), kind, 400),
        (f"token={token}&do=drop+table&who=ann".encode(), kind, 400),
        (f"token={token}&DO=take".encode(), kind, 400),
    ):
        answer = rig.ask("POST", "/alerts/1", body, {"Content-Type": content_type})
        assert answer.status == status, (body[:40], content_type)
        assert "Traceback" not in answer.text
    assert rig.stored() == before
    chosen = rig.post(do="", who="Ann", note="<b>why</b>")
    assert "Nothing was chosen" in chosen.text
    assert 'value="Ann"' in chosen.text
    assert 'value="&lt;b&gt;why&lt;/b&gt;"' in chosen.text


def test_a_body_without_a_length_is_not_read_to_its_end(rig: Rig) -> None:
    rig.raised(SPIKE)
    connection = http.client.HTTPConnection(urlsplit(rig.url).netloc, timeout=20)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/alerts/1", iter([b"who=" + b"a" * 30_000] * 2), kind, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_names_and_notes_become_one_clean_line(rig: Rig) -> None:
    rig.raised(SPIKE)
    rig.post(do="noise", who="\x00\x1b[2J An\r\nn\u202e\u2066 Öz " + "a" * 200, note="one\ntwo\x00 " + "語" * 1000)
    with Store(rig.folder / "posts.db") as store:
        said = store.alerts.said()[1]
    assert said.who == ("[2J An n Öz " + "a" * 200)[:60]
    assert said.note == ("one two " + "語" * 1000)[:1000]
    rig.post(do="take", who=" \x00\u202e ")
    assert rig.alert().taken_by == "somebody with the link"
    rig.post(do="release")
    assert rig.post(do="take", who="a\ud800b").status == 303
    assert "\ud800" not in (rig.alert().taken_by or "")
    assert rig.get("/alerts/1").status == 200


def test_a_page_with_a_token_is_not_kept_nor_told_to_others(
    rig: Rig, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    rig.raised(SPIKE, url="https://a.example/")
    caplog.set_level(logging.DEBUG)
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    token = rig.token()
    answers = [
        rig.get(f"/alerts/1?token={token}"),
        rig.post(do="take"),
        rig.post(do=""),
        rig.get("/alerts/1/chart.svg"),
    ]
    with sqlite3.connect(rig.folder / "posts.db") as database:
        database.execute("DROP TABLE feedback")
    answers += [rig.get(f"/alerts/1?token={token}"), rig.post(do="noise")]
    assert [answer.status for answer in answers[-2:]] == [503, 503]
    for answer in answers:
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "script-src" not in answer.headers["Content-Security-Policy"]
    page = answers[0].text
    assert '<meta name="robots" content="noindex, nofollow">' in page
    assert 'href="https://a.example/" rel="noopener noreferrer nofollow"' in page
    written = "".join(capfd.readouterr()) + caplog.text
    assert "no such table: feedback" in written
    assert token not in written


def test_the_page_is_written_for_everybody(rig: Rig) -> None:
    rig.raised(SPIKE, posts=["awful acme"] * 3)
    text = rig.get(f"/alerts/1?token={rig.token()}").text
    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert {"header", "nav", "main", "h1", "fieldset", "legend", "figure", "caption"} <= Page(text).tags
    levels = [int(level) for level in re.findall(r"<h(\d)", text)]
    assert levels[0] == 1
    assert set(levels[1:]) == {2}
    inputs = re.findall(r'<input id="(\w+)"', text)
    assert inputs == re.findall(r'<label for="(\w+)"', text) == ["who", "note"]
    sections = re.findall(r'aria-labelledby="(\w+)"', text)
    assert sections == re.findall(r'<h2 id="(\w+)"', text)
    assert "<script" not in text
    assert not re.search(r"\s(on\w+|style)=", text)
