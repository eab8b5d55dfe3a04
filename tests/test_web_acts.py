"""What the link to an alert lets people do, from a real server on a free port; and what it lets nobody do."""

import http.client
import logging
import sqlite3
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from db.records import Silence
from db.store import Store
from tests.cli_rig import NOW
from tests.support import DAY, HOUR
from tests.test_web import Page
from tests.web_rig import SPIKE, Rig, rig

__all__ = ["rig"]


# --- who may act ------------------------------------------------------------------------------------------------------


def test_the_link_of_a_message_shows_the_buttons_and_no_other_does(rig: Rig, tmp_path: Path) -> None:
    rig.raised(SPIKE, replace(SPIKE, rule="volume spike"))
    good = rig.token()
    assert f'value="{good}"' in rig.get(f"/alerts/1?token={good}").text
    assert 'name="do"' not in rig.get("/alerts/1").text
    elsewhere = Rig(tmp_path / "elsewhere", rig.url)
    elsewhere.folder.mkdir()
    old = rig.token(age=15 * DAY)
    bad = [old, rig.token(2), elsewhere.token(), good[:-2], good.upper(), "x", "%00", "%ED%A0%80", "1" * 10_000]
    before = rig.stored()
    for token in bad:
        answer = rig.get(f"/alerts/1?token={token}")
        assert answer.status == 200
        assert 'name="do"' not in answer.text
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
    for method, path in (("GET", "/status"), ("HEAD", "/status"), ("HEAD", "/alerts/1/chart.svg"), ("GET", "/alerts")):
        assert rig.ask(method, path).status == 200
    assert rig.stored() == before


def test_other_methods_are_refused(rig: Rig) -> None:
    rig.raised(SPIKE)
    for method in ("PUT", "DELETE", "PATCH"):
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
    assert (answer.status, answer.headers["Location"]) == (303, f"../alerts/1?token={rig.token()}")
    assert (rig.alert().taken_by, rig.alert().taken_at) == ("Ann", NOW)
    page = Page(rig.get(f"/alerts/1?token={rig.token()}").text).words
    assert "Taken by Ann on Wed 2026-03-04 12:00 UTC" in page
    assert "Take it" not in page
    late = rig.post(do="take", who="Bob")
    assert (late.status, rig.alert().taken_by) == (409, "Ann")
    assert "Ann has taken it meanwhile" in Page(late.text).words
    assert rig.post(do="take", who="Ann").status == 303
    assert rig.post(do="release").status == 303
    assert (rig.alert().taken_by, rig.alert().taken_at) == (None, None)
    assert rig.post(do="take").status == 303
    assert rig.alert().taken_by == "somebody with the link"


def test_judging(rig: Rig) -> None:
    rig.raised(SPIKE)
    for word, label in (("useful", "useful"), ("noise", "noise"), ("known", "known already")):
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
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, rig: Rig
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
    ]
    with sqlite3.connect(rig.folder / "posts.db") as database:
        database.execute("DROP TABLE feedback")
    answers += [rig.get(f"/alerts/1?token={token}"), rig.post(do="noise")]
    assert [answer.status for answer in answers[-2:]] == [503, 503]
    for answer in answers:
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
    page = answers[0].text
    assert '<meta name="robots" content="noindex, nofollow">' in page
    assert 'href="https://a.example/" rel="noopener noreferrer nofollow"' in page
    # Where access is not logged, pytest brings a handler of its own.
    records = [record.getMessage() for record in caplog.records if record.name != "uvicorn.access"]
    written = "".join([*capfd.readouterr(), *records])
    assert "no such table: feedback" in written
    assert token not in written
