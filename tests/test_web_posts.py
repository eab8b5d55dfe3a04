"""The page of posts: what is asked is what is shown, counted, and gone through page by page."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest

from db.desk import Session, User, visible
from db.filters import Filter
from db.posts import Wanted
from db.records import Verdict
from db.store import Store
from db.tokens import hashed
from tests.cli_rig import NOW
from tests.support import DAY, HOUR, judge, keep, mention, rows
from tests.trends_rig import serve
from tests.web_rig import Rig, rig  # noqa: F401

TEXTS = ("acme is fine", "awful acme, charged twice", "love acme", "🙂", "awful shop of acme, why?", "perhaps acme")


def fill(folder: Path) -> None:
    """Store ninety posts of two sources, one every two hours, the newest an hour ago."""
    with Store(folder / "posts.db") as store:
        made = [
            mention(
                number,
                TEXTS[number % len(TEXTS)],
                NOW - HOUR - number * timedelta(hours=2),
                ("x", "reddit")[number % 5 == 0],
                author=f"ann {number % 7}",
                url=f"https://posts.example/{number}",
            )
            for number in range(90)
        ]
        keep(store, *made)
        judge(store)


@pytest.fixture
def fresh(rig: Rig) -> Rig:  # noqa: F811
    """A server over these posts, for a test that stores more."""
    fill(rig.folder)
    return rig


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A server over these posts, for tests that read."""
    folder = tmp_path_factory.mktemp("posts")
    for served in serve(folder):
        fill(folder)
        yield served


def count(page: str) -> int:
    found = re.search(r'data-count="(\d+)"', page)
    assert found, page
    return int(found[1])


def posts(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'<li class="card item" id="p(\d+)"', page)]


def following(page: str) -> str | None:
    found = re.search(r'rel="next" href="([^"]*)"', page)
    return "/" + unescape(found[1]).removeprefix("./").removeprefix("/") if found else None


def test_that_a_post_counts_once_for_each_brand_is_said_where_several_are_shown(site: Rig) -> None:
    said = "A post that names two brands stands here, and counts, once for each."
    assert said in site.get("/posts").text
    assert said not in site.get("/posts?brand=Acme").text


@pytest.mark.parametrize(
    ("asked", "column", "value"),
    [
        ("sentiment=negative", "sentiment", "negative"),
        ("stage=unsure", "stage", "unsure"),
        ("source=reddit", "source", "reddit"),
        ("pillar=process", "pillar", "process"),
        ("touchpoint=store", "touchpoint", "store"),
        ("reply=yes", "reply", "yes"),
    ],
)
def test_a_part_of_the_question_shows_and_counts_those_posts_alone(
    site: Rig, asked: str, column: str, value: str
) -> None:
    page = site.get(f"/posts?{asked}").text
    expected = rows(site.folder / "posts.db", f"SELECT id FROM matches WHERE {column} = ?", value)
    assert 0 < count(page) == len(expected) < 90
    assert set(posts(page)) <= {number for (number,) in expected}


def test_what_could_not_be_rated_is_asked_for_by_that_name_and_is_none_of_the_others(site: Rig) -> None:
    of = {label: count(site.get(f"/posts?sentiment={label}").text) for label in ("negative", "neutral", "positive")}
    not_rated = site.get("/posts?sentiment=not_rated").text
    assert count(not_rated) == 15
    assert 'class="badge not-rated"' in not_rated
    assert sum(of.values()) + 15 == count(site.get("/posts").text) == 90


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "sentiment=negative&sentiment=neutral",
        "source=reddit&stage=use",
        "pillar=process",
        "reply=yes&source=x",
        "since=2026-02-27T05",
        "since=2026-02-27T05:30",
        "touchpoint=store&sentiment=not_rated&until=2026-03-01",
    ],
)
def test_counts_of_hours_say_what_counting_post_by_post_says(site: Rig, asked: str) -> None:
    by_hours = count(site.get(f"/posts?{asked}").text)
    assert by_hours == count(site.get(f"/posts?{asked}&q=ann").text)  # a word in every author's name


@pytest.mark.parametrize("order", ["newest", "negative", "reach"])
def test_pages_go_through_every_post_once_in_their_order(site: Rig, order: str) -> None:
    address: str | None = f"/posts?order={order}&since=2026-02-20"
    seen: list[int] = []
    while address:
        page = site.get(address).text
        seen += posts(page)
        address = following(page)
    assert len(seen) == len(set(seen)) == 90
    if order == "negative":
        surely = dict(rows(site.folder / "posts.db", "SELECT id, coalesce(negative, -1) FROM matches"))
        assert [surely[number] for number in seen] == sorted(surely.values(), reverse=True)


def test_a_post_that_comes_meanwhile_moves_nothing_on_the_next_page(fresh: Rig) -> None:
    first = fresh.get("/posts").text
    with Store(fresh.folder / "posts.db") as store:
        keep(store, mention("late", "acme", NOW))
        judge(store)
    second = fresh.get(following(first) or "").text
    assert not set(posts(first)) & set(posts(second))
    assert len(posts(first) + posts(second)) == 80


def test_words_find_posts_by_text_and_author_and_a_span_ends_before_its_end(site: Rig) -> None:
    assert count(site.get("/posts?q=charged+twice").text) == 15
    assert count(site.get("/posts?q=%22%29+OR+(").text) == 0
    assert count(site.get("/posts?author=ann+3").text) == 13
    hour = (NOW - HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert count(site.get(f"/posts?since={hour}").text) == 1
    assert count(site.get(f"/posts?until={hour}").text) == 89


def test_copies_are_left_out_where_that_is_asked(fresh: Rig) -> None:
    with Store(fresh.folder / "posts.db") as store:
        keep(store, mention("again", "acme is fine", NOW, repost_of="1"))
        judge(store)
    assert count(fresh.get("/posts").text) == 91
    assert count(fresh.get("/posts?copies=no").text) == 90


def test_a_post_that_somebody_finds_not_to_be_about_us_is_not_among_them(fresh: Rig) -> None:
    with Store(fresh.folder / "posts.db") as store:
        first = next(store.mentions.every(Filter()))
        with store.transaction():
            store.verdicts.give([Verdict(first.id, "ann", NOW, {}, about=False)])
    assert count(fresh.get("/posts").text) == 89


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("since=yesterday", "since=yesterday in the address: not a date"),
        ("sentiment=sad", "there is no such sentiment; take one of negative, neutral, positive, not_rated"),
        ("alert=first", "alert=first in the address: not the number of an alert"),
        ("since=2026-03-02&until=2026-03-01", "ends before it begins"),
        ("source=nonsense", "source=nonsense in the address: there is no such source; take one of reddit, x"),
        ("brand=acme", "brand=acme in the address: there is no such brand; take one of Acme"),
        ("order=zzz", "there is no such order; take one of newest, negative, reach"),
        ("sort=zzz", "sort=zzz in the address: this page takes no such thing; it takes brand, source, sentiment"),
        ("days=7&sentiment=negative", "days=7 in the address: this page takes no such thing"),
        ("after=nonsense", "after in the address: not where a page begins"),
        ("order=negative&after=x~3", "after in the address: not where a page begins"),
        ("since=0001-01-01T00:00%2B14:00", "in the address: not a date"),
    ],
)
def test_an_address_that_makes_no_sense_is_answered_with_what_to_write(site: Rig, asked: str, why: str) -> None:
    answer = site.get(f"/posts?{asked}")
    assert answer.status == 400
    assert why in unescape(answer.text)
    assert count(answer.text) == 0


def test_what_strangers_write_stays_text_and_their_links_lead_nowhere_bad(rig: Rig) -> None:  # noqa: F811
    bad = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
    with Store(rig.folder / "posts.db") as store:
        keep(
            store,
            mention(1, f"acme {bad}", author=bad, url="javascript:alert(3)"),
            mention(2, "acme " + "ä" * 100_000, url="https://ok.example/<b>"),
        )
        judge(store)
    page = rig.get("/posts?" + urlencode({"q": bad, "author": bad}) + "&" + urlencode({"brand": bad})).text
    assert not re.search("<script>alert|<img src=x", page)
    page = rig.get("/posts").text
    assert not re.search("<script>alert|<img src=x", page)
    assert "javascript:" not in page
    assert len(page) < 60_000
    assert "96\u202f005 characters more" in page


def test_a_responder_asks_for_an_answer_once_and_comes_back_to_the_same_question(fresh: Rig) -> None:
    page = fresh.get("/posts?sentiment=negative").text
    number = posts(page)[0]
    with Store(fresh.folder / "posts.db") as store, store.transaction():
        rita = store.users.add(User(0, "rita", "responder"), None, NOW)
        store.sessions.add(Session(hashed("ritas"), rita.id, NOW, NOW, NOW + DAY))
    assert "Send to the desk" not in page
    fresh.cookie = "sentimon_session=ritas"
    csrf = token(fresh, "/posts")
    body = urlencode({"csrf": csrf, "question": "sentiment=negative&evil=1"}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": fresh.cookie}
    for _ in range(2):
        answer = fresh.ask("POST", f"/posts/{number}/case", body, kind)
        assert answer.status == 303
        assert answer.headers["Location"] == f"../../posts?sentiment=negative#p{number}"
    assert rows(fresh.folder / "posts.db", "SELECT match_id, alert_id FROM cases") == [(number, None)]
    assert "Case 1: new" in fresh.get("/posts?sentiment=negative").text
    assert fresh.ask("POST", f"/posts/{number}/case", b"question=", kind).status == 403
    assert fresh.ask("POST", "/posts/99999/case", body, kind).status == 404


def token(site: Rig, path: str) -> str:
    """Take the token of a page's forms."""
    found = re.search(r'name="csrf" value="([^"]+)"', site.get(path).text)
    assert found
    return found[1]


def test_before_there_is_a_post_the_page_says_where_posts_come_from(rig: Rig) -> None:  # noqa: F811
    page = rig.get("/posts").text
    assert "No posts yet" in page
    assert "sentimon import" in page


def test_a_brand_that_is_named_twice_shows_and_counts_its_posts_once(site: Rig) -> None:
    once, twice = (site.get(f"/posts?{asked}").text for asked in ("brand=Acme", "brand=Acme&brand=Acme"))
    assert posts(twice) == posts(once)
    assert count(twice) == count(once) == 90
    of_two = User(1, "ann", "viewer", ("Acme", "Zenith", "Acme"))  # as stored by an older version
    assert visible(of_two, ()) == ("Acme", "Zenith")


def test_posts_of_a_brand_that_somebody_may_not_see_are_neither_shown_nor_counted(fresh: Rig) -> None:
    with Store(fresh.folder / "posts.db") as store:
        keep(store, mention("other", "acme and rival"), brands=("Rival",))
        judge(store)
        seen = visible(User(1, "ann", "viewer", ("Acme",)), ("Rival",))
        assert store.posts.count(Wanted(Filter(brands=("Rival",)))) == 1
        assert store.posts.count(Wanted(Filter(brands=seen))) == 0
