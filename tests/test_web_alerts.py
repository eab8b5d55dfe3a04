"""The page of one alert, from a real server on a free port: what it shows."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from xml.etree import ElementTree

from db.filters import Filter
from db.records import RULES, Story
from db.store import Store
from tests.cli_rig import NOW
from tests.support import HOUR
from tests.test_web import Page
from tests.web_rig import SPIKE, Rig, rig

__all__ = ["rig"]

EVIL = '<script>alert(1)</script> "><img src=x onerror=alert(1)> {{ 7 * 7 }} \u202eawful acme'


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
        "Notifications Nobody.",
    ):
        assert fact in page.words
    assert "with no stage" not in page.words
    assert "https://a.example/?a=1&b=2" in page.links
    assert "b" not in page.tags


def test_the_chart_is_a_picture_that_says_what_it_shows_and_cannot_run_anything(rig: Rig) -> None:
    rig.raised(replace(SPIKE, brand="<script>alert(1)</script> & Söhne"))
    text = rig.get("/alerts/1").text
    (alternative,) = re.findall(r'<img src="../alerts/1/chart.svg" alt="([^"]+)"', text)
    assert "46 negative posts in 3 h" in alternative
    widths = []
    for query in ("", "?narrow=1"):
        answer = rig.get(f"/alerts/1/chart.svg{query}")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "image/svg+xml"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        picture = ElementTree.fromstring(answer.text)
        assert not {element.tag.rpartition("}")[2] for element in picture.iter()} & {"script", "foreignObject", "a"}
        widths.append(float(picture.attrib["width"]))
    assert widths[1] < 600 < widths[0]


def test_charts_are_drawn_for_many_at_once(rig: Rig) -> None:
    rig.raised(SPIKE)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(rig.get, ["/alerts/1/chart.svg"] * 4))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


def test_each_rule_has_a_page_and_only_a_stale_source_no_chart(rig: Rig) -> None:
    over = replace(SPIKE, ends=NOW - HOUR, last_seen=NOW - HOUR)
    alerts = {
        "negative spike": SPIKE,
        "volume spike": replace(over, rule="volume spike"),
        "share shift": replace(SPIKE, rule="share shift", window_minutes=3 * 24 * 60, scope="source x"),
        "silence": replace(SPIKE, rule="silence", observed=0, expected=30.0, factor=0.0, story=None),
        "single post": replace(over, rule="single post", scope="x 0", in_common=("60,000 followers",), story=None),
        "stale source": replace(SPIKE, rule="stale source", brand="", scope="x-main", story=None, in_common=()),
    }
    assert set(alerts) == set(RULES)
    rig.raised(*alerts.values())
    for number, rule in enumerate(alerts, 1):
        page = Page(rig.get(f"/alerts/{number}?token={rig.token(number)}").text)
        assert f": {rule}" in page.words
        assert "Take it" in page.words
        text = rig.alert(number).summary.partition(": ")[2]
        assert text[1:] in page.words, rule
        chart = f"../alerts/{number}/chart.svg?token={rig.token(number)}"
        assert (chart in page.links) == (rule != "stale source")
        assert rig.post(number, do="1 hour", who="ann").status == 303
    assert rig.get("/alerts/6/chart.svg").status == 404
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


def test_deleted_posts_have_lost_their_text(rig: Rig) -> None:
    rig.raised(SPIKE, posts=["awful acme, private"])
    with Store(rig.folder / "posts.db") as store, store.transaction():
        store.forgotten.erase_named("x", ["0"], NOW, "deleted")
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
    for path in ("/alerts/1", "/alerts", "/status"):
        words = Page(rig.get(path).text).words
        assert "The channel team <chat> does not work: the service <refuses> the credentials" in words
        assert "sentimon resume 'team <chat>'" in words


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
