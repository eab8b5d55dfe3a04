"""The feed collector with the real feedparser against feeds on a loopback socket."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from db.errors import InputError
from db.filters import Filter
from db.records import Position
from db.store import Store
from jobs.collect import collect
from jobs.collector import Collector
from jobs.source import Source
from models.query import parse
from monitor.collectors.feed import FeedOptions, build, explain, register_collectors
from monitor.collectors.feed_entries import composed
from monitor.collectors.markup import text_of
from monitor.plugins import Brand, CollectorKind
from tests.fake_feeds import FakeFeeds, Feed
from tests.fake_site import Free
from tests.feed_rig import ACME, NOW, START, after, ids, made, run, texts
from tests.support import HOUR, MINUTE


@pytest.fixture
def feeds() -> Iterator[FakeFeeds]:
    with FakeFeeds() as fake:
        yield fake


@pytest.fixture
def blog(feeds: FakeFeeds) -> Feed:
    return feeds.feed("/blog.xml")


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("atom", [False, True])
def test_an_entry_becomes_a_mention(feeds: FakeFeeds, atom: bool) -> None:
    feed = feeds.feed("/blog.xml", atom=atom)
    feed.add(
        "Acme's A &amp; B", "<p>One.</p><p>T<b>w</b>o</p>", at=NOW - HOUR, id="https://example.org/?p=1", author="Ann"
    )
    ((mention,),) = (batch.mentions for batch in run(made(feeds)))
    assert (mention.source, mention.source_id, mention.author) == ("feed", "https://example.org/?p=1", "Ann")
    assert mention.text == "Acme's A & B\n\nOne.\nTwo"
    assert (mention.url, mention.in_reply_to) == ("https://example.org/0", None)
    assert (mention.created_at, mention.collected_at) == (NOW - HOUR, NOW)
    assert mention.created_at.tzinfo is UTC


def test_each_address_is_a_stream_of_its_own(feeds: FakeFeeds) -> None:
    feeds.feed("/a.xml").add("acme a", at=NOW)
    feeds.feed("/b.xml").add("acme b", at=NOW, id="b")
    collector = made(feeds, "/a.xml", "/b.xml", "/a.xml")
    assert collector.streams() == [f"{feeds.url}/a.xml", f"{feeds.url}/b.xml"]
    read = [list(collector.collect(stream, START, Free(), NOW)) for stream in collector.streams()]
    assert [texts(batches) for batches in read] == [["acme a"], ["acme b"]]
    with pytest.raises(InputError, match="no stream"):
        list(collector.collect("else", START, Free(), NOW))


def test_ids_are_unique_across_feeds_and_the_same_every_time(feeds: FakeFeeds, blog: Feed) -> None:
    blog.add("acme 1", at=NOW, id="tag:1")
    blog.add("acme 2", at=NOW, link="https://example.org/two")
    blog.add("acme 3", at=NOW, link=None)
    blog.add("acme 4", at=NOW, id="x" * 9_000)
    first, second, third, fourth = ids(run(made(feeds)))[::-1]
    assert (first, second) == ("127.0.0.1:tag:1", "https://example.org/two")
    assert third.startswith("127.0.0.1:")
    assert len(fourth) < 100
    assert ids(run(made(feeds)))[::-1] == [first, second, third, fourth]
    assert len({first, second, third, fourth}) == 4


def test_an_entry_that_stands_twice_in_a_feed_is_one(feeds: FakeFeeds, blog: Feed) -> None:
    for _ in range(2):
        blog.add("acme", at=NOW, id="1")
    (batch,) = run(made(feeds))
    assert (len(batch.mentions), batch.fetched) == (1, 2)


@pytest.mark.parametrize(
    ("title", "body", "text"),
    [
        ("Acme is down", "All of it.", "Acme is down\n\nAll of it."),
        ("Acme is down", "Acme is down: all of it.", "Acme is down: all of it."),
        ("Acme is do…", "Acme is down all over", "Acme is down all over"),
        ("Acme is down - The Times", "Acme is down The Times", "Acme is down - The Times"),
        ("Acme", "Acmeville is down", "Acme\n\nAcmeville is down"),
        ("Acme", "👎👎", "Acme\n\n👎👎"),
        ("!!!", "acme", "!!!\n\nacme"),
        ("Acme", "", "Acme"),
        ("", "acme", "acme"),
        ("", "", ""),
    ],
)
def test_a_title_is_not_repeated(title: str, body: str, text: str) -> None:
    assert composed(title, body) == text


def test_an_entry_without_a_date_was_posted_when_it_was_first_seen(
    feeds: FakeFeeds, blog: Feed, tmp_path: Path
) -> None:
    blog.add("acme first", id="1")
    blog.add("acme of the epoch", at=datetime(1970, 1, 1, tzinfo=UTC), id="2")
    source = Source("news", "feed", made(feeds), "1")
    with Store(tmp_path / "s.db") as store:
        collect(store, source, [ACME], NOW)
        blog.change(0, "edited")
        collect(store, source, [ACME], NOW + HOUR)
        found = {match.mention.text: match.mention.created_at for match in store.mentions.every(Filter())}
    assert found == {"acme first\n\nedited": NOW, "acme of the epoch": NOW}


def test_a_date_in_the_future_is_cut_to_now(feeds: FakeFeeds, blog: Feed) -> None:
    blog.add("acme", at=NOW + timedelta(days=30), id="1")
    ((mention,),) = (batch.mentions for batch in run(made(feeds)))
    assert mention.created_at == NOW


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "ftp://example.org/x",
        "https://example.org/a b",
        "https://[x",
        "https://e.org/" + "x" * 9_000,
    ],
)
def test_only_links_of_the_web_are_kept(feeds: FakeFeeds, blog: Feed, link: str) -> None:
    blog.add("acme", at=NOW, id="1", link=link)
    ((mention,),) = (batch.mentions for batch in run(made(feeds)))
    assert mention.url is None or mention.url.startswith("https://example.org/a")
    assert mention.url is None or " " not in mention.url


@pytest.mark.parametrize("atom", [False, True])
def test_a_relative_link_is_meant_from_the_feed_and_a_short_id_is_not(feeds: FakeFeeds, atom: bool) -> None:
    feeds.feed("/blog.xml", atom=atom).add("acme", at=NOW, id="1", link="/post/1")
    ((mention,),) = (batch.mentions for batch in run(made(feeds)))
    assert (mention.url, mention.source_id) == (f"{feeds.url}/post/1", "127.0.0.1:1")


# --- what is new ------------------------------------------------------------------------------------------------------


def test_a_feed_that_has_not_changed_is_not_sent_again(feeds: FakeFeeds, blog: Feed) -> None:
    blog.add("acme", at=NOW - HOUR, id="1")
    collector = made(feeds)
    first = run(collector)
    (second,) = run(collector, after(first))
    assert (list(second.mentions), second.fetched, second.gap) == ([], 0, None)
    asked = feeds.requests[-1].headers
    assert asked["if-none-match"].startswith('"')
    assert asked["if-modified-since"] == "version 1"
    blog.add("acme again", at=NOW, id="2")
    assert texts(run(collector, Position(second.cursor))) == ["acme again"]


def test_a_feed_without_versions_is_read_whole_and_only_what_is_new_is_handed_on(feeds: FakeFeeds) -> None:
    blog = feeds.feed("/blog.xml", conditional=False)
    for number in range(3):
        blog.add(f"acme {number}", at=NOW - number * HOUR, id=str(number))
    collector = made(feeds)
    first = run(collector)
    blog.add("acme 4", at=NOW - 9 * HOUR, id="late, and backdated")
    (second,) = run(collector, after(first))
    assert (texts([second]), second.fetched) == (["acme 4"], 4)
    assert "if-none-match" not in feeds.requests[-1].headers


def test_an_edited_entry_is_handed_on_once_more_and_kept_as_a_version(
    feeds: FakeFeeds, blog: Feed, tmp_path: Path
) -> None:
    blog.add("acme", "is up", at=NOW - HOUR, id="1")
    blog.add("acme", "other", at=NOW - HOUR, id="2")
    collector = made(feeds)
    first = run(collector)
    blog.change(0, "is down")
    second = run(collector, after(first))
    assert texts(second) == ["acme\n\nis down"]
    blog.add("acme 3", at=NOW, id="3")
    assert texts(run(collector, after(second))) == ["acme 3"]
    with Store(tmp_path / "s.db") as store:
        source = Source("news", "feed", collector, "1")
        collect(store, source, [ACME], NOW)
        blog.change(0, "is up again")
        assert collect(store, source, [ACME], NOW + MINUTE).counts["stored"] == 0
        found = {match.mention.source_id: match.mention.text for match in store.mentions.every(Filter())}
    assert found["127.0.0.1:1"] == "acme\n\nis up again"


def test_a_feed_that_holds_nothing_but_new_entries_may_have_dropped_some(feeds: FakeFeeds) -> None:
    blog = feeds.feed("/blog.xml", holds=3)
    for number in range(3):
        blog.add(f"acme {number}", at=NOW - HOUR + number * MINUTE, id=str(number))
    collector = made(feeds)
    first = run(collector)
    assert [batch.gap for batch in first] == [None]
    for number in range(3, 5):
        blog.add(f"acme {number}", at=NOW + number * MINUTE, id=str(number))
    second = run(collector, after(first), NOW + HOUR)
    assert [batch.gap for batch in second] == [None]  # one of the old entries is still there
    for number in range(5, 9):
        blog.add(f"acme {number}", at=NOW + number * MINUTE, id=str(number))
    (third,) = run(collector, after(second), NOW + HOUR)
    assert third.gap is not None
    assert (third.gap.since, third.gap.until) == (NOW + 4 * MINUTE, NOW + 6 * MINUTE)
    assert third.gap.cause == "saturated"


def test_a_feed_that_was_empty_or_gives_old_entries_new_ids_has_no_gap(feeds: FakeFeeds, blog: Feed) -> None:
    collector = made(feeds)
    first = run(collector)
    assert (texts(first), first[0].cursor is not None) == ([], True)
    blog.add("acme", at=NOW, id="1")
    second = run(collector, after(first), NOW + MINUTE)
    assert (texts(second), second[0].gap) == (["acme"], None)
    blog.items.clear()
    blog.add("acme", at=NOW, id="of the new site")
    assert [batch.gap for batch in run(collector, after(second), NOW + MINUTE)] == [None]


def test_a_long_feed_comes_in_batches_and_the_cursor_with_the_last(feeds: FakeFeeds, blog: Feed) -> None:
    for number in range(250):
        blog.add(f"acme {number}", at=NOW - number * MINUTE, id=str(number))
    batches = run(made(feeds))
    assert [len(batch.mentions) for batch in batches] == [100, 100, 50]
    assert [batch.cursor is not None for batch in batches] == [False, False, True]
    assert sum(batch.fetched for batch in batches) == 250


def test_the_cursor_stays_small_however_long_a_feed_is_read(feeds: FakeFeeds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.collectors.feed.MOST_SEEN", 100)
    blog = feeds.feed("/blog.xml", holds=60)
    collector, position = made(feeds), START
    for start in range(0, 200, 50):
        for number in range(start, start + 50):
            blog.add("acme", at=NOW + number * timedelta(seconds=1), id=str(number))
        batches = run(collector, position, NOW + timedelta(days=1))
        assert len(ids(batches)) == 50
        position = after(batches)
    assert position.cursor is not None
    assert len(json.loads(position.cursor)[-1]) == 100


# --- searches ---------------------------------------------------------------------------------------------------------


def search(feeds: FakeFeeds, *brands: Brand) -> Collector:
    template = feeds.url + "/rss/search?q={query}&hl=en-US"
    return build(FeedOptions(search=[template]), brands)


def test_a_search_is_asked_for_the_words_of_each_brand(feeds: FakeFeeds) -> None:
    feeds.news.append(("Acme Corp recalls kettles", "The Times", NOW - HOUR))
    feeds.news.append(("Zenith & Co", "The Times", NOW - HOUR))
    zenith = Brand("Zenith", parse("zenith co*"))
    collector = search(feeds, ACME, zenith)
    assert collector.streams() == [
        f"search:Acme:{feeds.url}/rss/search?q={{query}}&hl=en-US",
        f"search:Zenith:{feeds.url}/rss/search?q={{query}}&hl=en-US",
    ]
    read = [list(collector.collect(stream, START, Free(), NOW)) for stream in collector.streams()]
    assert [texts(batches) for batches in read] == [
        ["Acme Corp recalls kettles - The Times"],
        ["Zenith & Co - The Times"],
    ]
    assert [request.params["q"] for request in feeds.requests] == ['acme OR "acme corp"', "zenith"]
    ((mention,),) = (batch.mentions for batch in read[0])
    assert mention.source_id.startswith("127.0.0.1:CBMi")
    assert (mention.url or "").startswith("https://news.google.com/rss/articles/CBMi")


def test_another_query_is_another_search_and_no_gap(feeds: FakeFeeds) -> None:
    feeds.news += [("Acme", "A", NOW - HOUR), ("Zenith", "A", NOW - MINUTE)]
    first = run(search(feeds, ACME))
    (second,) = run(search(feeds, Brand("Acme", parse("zenith"))), after(first))
    assert (texts([second]), second.gap) == (["Zenith - A"], None)


def test_a_query_that_a_search_cannot_express_is_refused_and_needs_none_where_only_addresses_are_read() -> None:
    wild = [Brand("Acme", parse("acm*"))]
    with pytest.raises(InputError, match="cannot search wildcards"):
        explain(FeedOptions(search=["https://example.org/?q={query}"]), wild)
    assert explain(FeedOptions(urls=["https://example.org/f"]), wild) == ["https://example.org/f: all of it"]


def test_what_is_asked_is_explained() -> None:
    options = FeedOptions(search=["https://example.org/?q={query}"])
    assert explain(options, [ACME]) == ["search:Acme: https://example.org/?q=acme%20OR%20%22acme%20corp%22"]


# --- markup -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("one<p>two<p>three", "one\ntwo\nthree"),
        ("<p>one</p>\n\n<p>two<br/>three</p>", "one\ntwo\nthree"),
        ("it<i>al</i>ic &amp; AT&amp;T &#x27;s", "italic & AT&T 's"),
        ("3 < 4 > 2 <3 a<b", "3 < 4 > 2 <3 a<b"),
        ('<a title="a > b" href=x>link</a>', "link"),
        ("a<!-- <b> --> b<!-- never ends", "a b"),
        ("<style>p {}</style>a<script>b</script><template>c</template>d", "ad"),
        ("<![CDATA[x]]><?php y ?>z", "z"),
        ("plain &lt;b&gt;", "plain <b>"),
    ],
)
def test_markup_becomes_what_a_person_reads(markup: str, text: str) -> None:
    assert text_of(markup) == text


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"urls": ["example.org/feed"]},
        {"urls": ["https://user:password@example.org/feed"]},
        {"urls": ["file:///etc/passwd"]},
        {"search": ["https://example.org/"]},
        {"search": ["https://{query}.example.org/"]},
        {"search": ["https://example.org/?q={query}&r={query}"]},
        {"urls": ["https://example.org/"], "timeout": 0},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FeedOptions.model_validate(wrong)


def test_a_first_look_searches_the_news() -> None:
    kinds: list[CollectorKind] = []
    register_collectors(kinds.append)
    (kind,) = kinds
    assert kind.first_look is not None
    options = kind.options.model_validate(kind.first_look("Acme Corp"))
    (line,) = kind.explain(options, [Brand("Acme Corp", parse('"acme corp"'))])
    assert "https://news.google.com/rss/search?q=%22acme%20corp%22&" in line
