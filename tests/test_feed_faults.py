"""Feeds in trouble, odd and hostile: each fault is one line, and no feed holds up or harms another."""

import logging
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from db.errors import CollectorError, NotAuthorised, RateLimited, SourceUnavailable
from db.store import Store
from jobs.collect import collect
from jobs.source import Source
from tests.fake_feeds import FakeFeeds, Feed
from tests.feed_rig import ACME, NOW, made, run, texts
from tests.support import HOUR, MINUTE


@pytest.fixture
def feeds() -> Iterator[FakeFeeds]:
    with FakeFeeds() as fake:
        yield fake


@pytest.fixture
def blog(feeds: FakeFeeds) -> Feed:
    return feeds.feed("/blog.xml")


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("429:7", RateLimited, "asks to wait until 2026-11-21 12:00:07"),
        ("429", RateLimited, "asks to wait until 2026-11-21 12:15:00"),
        ("401", NotAuthorised, "refuses to be read"),
        ("403", NotAuthorised, "refuses to be read"),
        ("404", NotAuthorised, "nothing at this address"),
        ("410", NotAuthorised, "gone for good"),
        ("500", SourceUnavailable, "answered 500"),
        ("304", SourceUnavailable, "never read"),
        ("html", SourceUnavailable, "no RSS or Atom feed"),
        ("json", SourceUnavailable, "no RSS or Atom feed"),
        ("half", SourceUnavailable, "did not answer"),
        ("drop", SourceUnavailable, "did not answer"),
        ("slow", SourceUnavailable, "did not answer"),
    ],
)
def test_every_fault_is_one_line_that_names_the_feed(
    feeds: FakeFeeds, blog: Feed, fault: str, error: type[CollectorError], says: str
) -> None:
    blog.add("acme", at=NOW, id="1")
    feeds.faults.append(fault)
    with pytest.raises(error, match=says) as caught:
        run(made(feeds, timeout=0.3 if fault == "slow" else 5))
    assert "\n" not in str(caught.value)
    assert "/blog.xml" in str(caught.value)


def test_a_feed_that_is_gone_pauses_the_source_with_a_line_that_says_what_to_do(
    feeds: FakeFeeds, blog: Feed, tmp_path: Path
) -> None:
    feeds.gone.add("/blog.xml")
    with Store(tmp_path / "s.db") as store:
        outcome = collect(store, Source("news", "feed", made(feeds), "1"), [ACME], NOW)
        state = store.sources.state("news")
    assert outcome.error == "the feed 127.0.0.1/blog.xml is gone for good (410); take it out of the source's options"
    assert state is not None
    assert state.paused == outcome.error


def test_a_feed_that_is_gone_holds_up_no_other_feed_of_its_source(feeds: FakeFeeds, blog: Feed, tmp_path: Path) -> None:
    news = feeds.feed("/news.xml")
    feeds.gone.add("/blog.xml")
    collector = made(feeds, "/blog.xml", "/news.xml")
    with Store(tmp_path / "s.db") as store:
        for day in range(2):
            news.add("acme", at=NOW, id=str(day))
            outcome = collect(store, Source("news", "feed", collector, "1"), [ACME], NOW + day * HOUR)
        state = store.sources.state("news")
        (gap, _) = store.sources.gaps(9)
        posts, _ = store.mentions.counts()
    assert outcome.error == (
        "the feed 127.0.0.1/blog.xml is gone for good (410); take it out of the source's options; "
        "1 of 2 streams was read"
    )
    assert state is not None
    assert (state.paused, state.last_error, state.last_ok_at) == (None, outcome.error, NOW + HOUR)
    assert (gap.stream, gap.state, gap.cause) == (f"{feeds.url}/blog.xml", "missing", "refused")
    assert posts == 2


def test_what_is_no_feed_is_named_and_the_other_feeds_of_its_source_count_as_read(
    feeds: FakeFeeds, blog: Feed, tmp_path: Path
) -> None:
    feeds.feed("/news.xml").add("acme", at=NOW, id="1")
    blog.raw = b"<html><title>moved</title></html>"
    source = Source("news", "feed", made(feeds, "/blog.xml", "/news.xml"), "1")
    with Store(tmp_path / "s.db") as store:
        for hour in range(2):
            at = NOW + hour * HOUR + 5 * MINUTE
            outcome = collect(store, source, [ACME], at)
        state = store.sources.state("news")
        hours = store.sources.hours("news", NOW, at, at)
    assert outcome.error is not None
    assert "the feed 127.0.0.1/blog.xml is no RSS or Atom feed" in outcome.error
    assert outcome.error.endswith("; 1 of 2 streams was read")
    assert state is not None
    assert (state.last_error, state.last_ok_at) == (outcome.error, at)
    ((how, why),) = {(hour.state, hour.reason) for hour in hours}
    assert how == "partial"
    assert "127.0.0.1/blog.xml" in (why or "")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"/etc/passwd",
        b"<" * 20_000,
        b'<rss version="2.0"><channel><title>cut of',
        b"\x00\xff\xfe nothing",
    ],
)
def test_what_is_no_feed_is_said_to_be_none(feeds: FakeFeeds, blog: Feed, raw: bytes) -> None:
    blog.raw = raw
    with pytest.raises(SourceUnavailable, match=r"no RSS or Atom feed|cut off"):
        run(made(feeds))


def test_an_odd_feed_is_read_as_far_as_it_can_be(feeds: FakeFeeds, blog: Feed) -> None:
    blog.raw = b'<rss version="2.0"><channel><item><title>acme & co</title><guid>1</guid></item><item><title>acme cut'
    assert texts(run(made(feeds)))[0] == "acme & co"


def test_a_feed_cannot_read_files_or_blow_up_entities(feeds: FakeFeeds, blog: Feed) -> None:
    names = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(8))
    start = f'<!DOCTYPE x [<!ENTITY a "acme"><!ENTITY f SYSTEM "file:///etc/passwd">{names}]>'
    blog.raw = f'{start}<rss version="2.0"><channel><item><title>acme &i; &f;</title></item></channel></rss>'.encode()
    (text,) = texts(run(made(feeds)))
    assert len(text) < 1_000
    assert "root:" not in text


def test_hostile_text_passes_through_whole(feeds: FakeFeeds, blog: Feed) -> None:
    long = "acme " * 20_000
    blog.add("acme <b>", "&#0; 😀 <script>evil()</script>" + "<a " * 20_000, at=NOW, id="1", author="a\nb")
    blog.add("", long, at=NOW, id="2")
    second, first = run(made(feeds))[0].mentions
    assert first.text.startswith("acme <b>\n\n\ufffd 😀 <a <a")
    assert "evil" not in first.text
    assert first.author == "a b"
    assert second.text == long.strip()


def test_entries_that_say_nothing_are_left_out(feeds: FakeFeeds, blog: Feed) -> None:
    blog.add("", "<p> </p>", at=NOW, id="1")
    (batch,) = run(made(feeds))
    assert (list(batch.mentions), batch.fetched) == ([], 1)


def test_more_than_a_feed_ever_holds_is_not_taken_in(
    feeds: FakeFeeds, blog: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.collectors.fetch.LARGEST", 1_000_000)
    blog.raw = b"<rss>" + b" " * 1_000_001
    with pytest.raises(SourceUnavailable, match="more than 1 MB"):
        run(made(feeds))


@pytest.mark.parametrize("fault", ["drip", "drip:gzip"])
def test_a_feed_that_comes_byte_by_byte_does_not_hold_up_its_source(feeds: FakeFeeds, blog: Feed, fault: str) -> None:
    blog.add("acme", at=NOW, id="1")
    feeds.faults.append(fault)
    began = monotonic()
    with pytest.raises(SourceUnavailable, match=r"/blog.xml did not send all of its answer in 2 seconds"):
        run(made(feeds, timeout=0.5))
    assert monotonic() - began < 4.5


def test_nothing_is_read_of_an_answer_that_only_says_where_to_go(feeds: FakeFeeds, blog: Feed) -> None:
    blog.add("acme", at=NOW, id="1")
    feeds.faults.append("drip:302")
    assert texts(run(made(feeds, timeout=0.5))) == ["acme"]


def test_an_address_is_not_told_with_its_parameters(feeds: FakeFeeds, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "monitor")
    with pytest.raises(NotAuthorised) as caught:
        run(made(feeds, "/private.xml?key=hidden"))
    assert "hidden" not in str(caught.value) + caplog.text
