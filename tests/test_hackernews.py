"""The Hacker News collector against Algolia's search and the official API on a loopback socket."""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from db.errors import CollectorError, InputError, NotAuthorised, RateLimited, SourceUnavailable
from db.filters import Filter
from db.records import Batch, Position, Reach
from db.store import Store
from jobs.collect import collect
from jobs.collector import Checker, Historian
from jobs.source import Source
from models.query import parse
from monitor.collectors.hackernews import HackerNewsCollector, HackerNewsOptions, build, explain, register_collectors
from monitor.plugins import Brand, CollectorKind
from tests.fake_hackernews import FakeHackerNews, as_comment, utc
from tests.fake_site import Free
from tests.support import HOUR, MINUTE

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACME = Brand("Acme", parse('acme OR "acme corp"'))
TWO = Brand("Two", parse("acme OR zenith"))
SECOND = timedelta(seconds=1)


@pytest.fixture
def news() -> Iterator[FakeHackerNews]:
    with FakeHackerNews() as fake:
        yield fake


def made(news: FakeHackerNews, *brands: Brand, **options: Any) -> HackerNewsCollector:
    given = {"api_url": news.search_url, "item_url": news.item_url, "timeout": 5} | options
    collector = build(HackerNewsOptions.model_validate(given), brands or [ACME])
    assert isinstance(collector, HackerNewsCollector)
    return collector


def run(
    collector: HackerNewsCollector,
    position: Position = Position(),  # noqa: B008 - frozen
    stream: str = "Acme",
    now: datetime = NOW,
) -> list[Batch]:
    return list(collector.collect(stream, position, Free(), now))


def ids(batches: Sequence[Batch]) -> list[str]:
    return [mention.source_id for batch in batches for mention in batch.mentions]


# --- what is read -----------------------------------------------------------------------------------------------------


def test_a_story_becomes_a_mention(news: FakeHackerNews) -> None:
    story = news.story("Show HN: Acme's Vec<T> &amp; more", "One.<p>Two.", at=NOW - HOUR, points=7, comments=3)
    (batch,) = run(made(news))
    (mention,) = batch.mentions
    assert (mention.source, mention.source_id, mention.author) == ("hackernews", story, "ann")
    assert mention.text == "Show HN: Acme's Vec<T> & more\n\nOne.\nTwo."
    assert mention.url == f"https://news.ycombinator.com/item?id={story}"
    assert (mention.created_at, mention.collected_at) == (NOW - HOUR, NOW)
    assert (mention.in_reply_to, mention.reach) == (None, Reach(likes=7, replies=3))
    assert batch.cursor == NOW.isoformat()


def test_a_comment_is_read_as_text_and_knows_its_parent(news: FakeHackerNews) -> None:
    html = as_comment("Acme's <T> & co", "see https://acme.com/x") + '<p><a href="https:&#x2F;&#x2F;a.b" rel="x">it</a>'
    news.comment(html, parent="123", at=NOW - HOUR)
    (mention,) = run(made(news))[0].mentions
    assert mention.text == "Acme's <T> & co\nsee https://acme.com/x\nit"
    assert (mention.in_reply_to, mention.reach) == ("123", Reach())


def test_every_alternative_of_an_or_is_a_search_of_its_own(news: FakeHackerNews) -> None:
    both = news.story("Acme and Zenith", at=NOW - HOUR)
    one = news.comment("zenith only", at=NOW - 2 * HOUR)
    other = news.comment("acme only", at=NOW - 3 * HOUR)
    news.story("neither", at=NOW - HOUR)
    batches = run(made(news, TWO), stream="Two")
    assert ids(batches) == [both, other, both, one]
    assert [request.params["query"] for request in news.searches()] == ["acme", "zenith"]
    assert [batch.cursor is not None for batch in batches] == [False, True]


def test_a_search_finds_what_markup_keeps_apart(news: FakeHackerNews) -> None:
    wanted = [
        news.comment("the <i>acme</i> corp", at=NOW - HOUR),
        news.comment(as_comment("l'oréal & AT&T"), at=NOW - HOUR),
    ]
    queries = {"Corp": '"acme corp"', "Oréal": "l'oréal AT&T"}
    brands = [Brand(name, parse(query)) for name, query in queries.items()]
    assert [ids(run(made(news, *brands), stream=name)) for name in queries] == [[wanted[0]], [wanted[1]]]


def test_the_author_and_the_address_of_a_post_are_not_searched(news: FakeHackerNews) -> None:
    news.story("Nothing of the kind", at=NOW - HOUR, author="acme", more={"url": "https://acme.com"})
    (batch,) = run(made(news))
    assert batch.fetched == 0


def test_a_query_that_only_wildcards_answer_is_refused_before_anything_is_read(news: FakeHackerNews) -> None:
    with pytest.raises(InputError, match="Hacker News cannot search wildcards"):
        explain(HackerNewsOptions(), [Brand("Acme", parse("acm*"))])
    with pytest.raises(InputError, match="becomes 30 searches"):
        made(news, Brand("Many", parse(" OR ".join(f"word{number}" for number in range(30)))))
    assert explain(HackerNewsOptions(), [ACME, TWO]) == ["Acme: acme", "Two: acme | zenith"]
    assert news.requests == []


# --- what is new ------------------------------------------------------------------------------------------------------


def test_the_first_reading_goes_back_a_week_or_as_far_as_is_asked(news: FakeHackerNews) -> None:
    new, old = (news.story("acme", at=NOW - days * timedelta(days=1)) for days in (6, 8))
    assert ids(run(made(news))) == [new]
    assert ids(run(made(news, first_days=9))) == [new, old]


def test_a_post_that_is_shown_late_is_read_within_the_overlap(news: FakeHackerNews) -> None:
    late = news.story("acme", at=NOW - 10 * MINUTE, indexed=False)
    collector = made(news, overlap=15)
    (first,) = run(collector)
    assert ids([first]) == []
    news.change(late, indexed=True)
    (second,) = run(collector, Position(first.cursor), now=NOW + MINUTE)
    assert ids([second]) == [late]
    (third,) = run(collector, Position(second.cursor), now=NOW + 10 * MINUTE)
    (fourth,) = run(collector, Position(third.cursor), now=NOW + 11 * MINUTE)
    assert (ids([third]), ids([fourth])) == ([late], [])


def test_a_post_of_the_second_in_which_reading_ended_is_not_lost(news: FakeHackerNews) -> None:
    collector = made(news, overlap=0)
    (first,) = run(collector, now=NOW + SECOND / 2)
    later = news.story("acme", at=NOW + SECOND)
    (second,) = run(collector, Position(first.cursor), now=NOW + MINUTE)
    assert ids([second]) == [later]


def test_an_edit_within_the_overlap_is_a_new_version(news: FakeHackerNews, tmp_path: Path) -> None:
    story = news.story("acme is up", at=NOW - MINUTE)
    source = Source("hn", "hackernews", made(news), "1")
    with Store(tmp_path / "s.db") as store:
        collect(store, source, [ACME], NOW)
        news.change(story, title="acme is down")
        collect(store, source, [ACME], NOW + MINUTE)
        (match,) = store.mentions.every(Filter())
    assert match.mention.text == "acme is down"


def test_a_clock_that_was_ahead_hides_nothing(news: FakeHackerNews) -> None:
    story = news.story("acme", at=NOW - MINUTE)
    assert ids(run(made(news), Position((NOW + timedelta(days=400)).isoformat()))) == [story]


# --- bursts and interruptions -----------------------------------------------------------------------------------------


def test_a_burst_of_more_than_a_thousand_is_read_to_its_end(news: FakeHackerNews) -> None:
    made_ids = {news.comment("acme", at=NOW - HOUR - number // 3 * SECOND) for number in range(2_500)}
    batches = run(made(news))
    assert sorted(ids(batches)) == sorted(made_ids)
    assert [batch.gap for batch in batches] == [None] * 3
    assert [batch.cursor is not None for batch in batches] == [False, False, True]


def test_more_posts_in_a_second_than_algolia_gives_are_told_as_a_gap_and_the_rest_is_read() -> None:
    with FakeHackerNews(cap=5) as news:
        late = news.comment("acme", at=NOW - HOUR + SECOND)
        same = [news.comment("acme", at=NOW - HOUR) for _ in range(8)]
        early = news.comment("acme", at=NOW - HOUR - SECOND)
        batches = run(made(news))
    assert set(ids(batches)) == {late, *same[-5:], early}
    (gap,) = [batch.gap for batch in batches if batch.gap]
    assert (gap.since, gap.until, gap.cause) == (NOW - HOUR, NOW - HOUR + SECOND, "saturated")


def test_a_run_that_is_killed_after_any_batch_goes_on_and_ends_with_every_post(tmp_path: Path) -> None:
    with FakeHackerNews(cap=10) as news:
        wanted = {news.comment("acme", at=NOW - HOUR - number * SECOND) for number in range(35)}
        wanted |= {news.comment("zenith", at=NOW - HOUR - number * SECOND) for number in range(25)}
        collector, position, found = made(news, TWO), Position(), set()
        for tick in range(40):
            for batch in collector.collect("Two", position, Free(), NOW + tick * MINUTE):
                found |= {mention.source_id for mention in batch.mentions}
                position = Position(batch.cursor or position.cursor, batch.resume)
                break  # killed after one batch
            if position.resume is None:
                break
        else:
            pytest.fail("never done")
        assert found == wanted
        asked = len(news.searches())
        assert asked < 2 * (35 + 25) / 9
        assert position.cursor == NOW.isoformat()  # what came after the killed run began is not claimed


def test_after_the_rest_of_a_killed_run_what_is_new_since_is_read(news: FakeHackerNews) -> None:
    with FakeHackerNews(cap=10) as news:
        for number in range(25):
            news.comment("acme", at=NOW - HOUR - number * SECOND)
        collector = made(news)
        first = next(iter(collector.collect("Acme", Position(), Free(), NOW)))
        new = news.comment("acme", at=NOW + MINUTE)
        batches = run(collector, Position(None, first.resume), now=NOW + 2 * MINUTE)
    assert len({*ids([first]), *ids(batches)}) == 26
    assert new in ids(batches)
    assert batches[-1].cursor == (NOW + 2 * MINUTE).isoformat()


@pytest.mark.parametrize("resume", ["nonsense", "[1]", "{}", '[1, 2, "another", 3]'])
def test_what_cannot_be_resumed_is_read_again(news: FakeHackerNews, resume: str) -> None:
    story = news.story("acme", at=NOW - HOUR)
    assert story in ids(run(made(news), Position(None, resume)))


# --- the past ---------------------------------------------------------------------------------------------------------


def test_any_span_of_the_past_is_read_from_its_first_moment_until_before_its_last() -> None:
    with FakeHackerNews(cap=10) as news:
        since, until = NOW - timedelta(days=4_000), NOW - timedelta(days=3_990)
        inside = {news.comment("acme", at=since + number * 8 * HOUR) for number in range(30)}
        for outside in (since - SECOND, until, NOW - HOUR):
            news.comment("acme", at=outside)
        collector = made(news)
        assert isinstance(collector, Historian)
        assert collector.oldest("Acme", NOW) is None
        batches = list(collector.history("Acme", since, until, None, Free(), NOW))
        assert set(ids(batches)) == inside
        assert [batch.cursor is None for batch in batches] == [True] * (len(batches) - 1) + [False]
        rest = list(collector.history("Acme", since, until, batches[0].resume, Free(), NOW))
        assert set(ids(rest)) | set(ids(batches[:1])) == inside
        assert len(rest) == len(batches) - 1


# --- checking ---------------------------------------------------------------------------------------------------------


def test_what_was_deleted_flagged_or_never_there_is_gone_and_the_rest_is_seen_as_it_is(news: FakeHackerNews) -> None:
    there = news.story("acme", "It&#x27;s", at=NOW - HOUR, points=2, comments=1)
    reply = news.comment("acme", parent=there, at=NOW - HOUR)
    deleted, dead, missing = (news.comment("acme", at=NOW - HOUR, gone=why) for why in ("deleted", "dead", "missing"))
    collector = made(news)
    assert isinstance(collector, Checker)
    assert (collector.platform, collector.check_size > 0) == ("hackernews", True)
    news.change(there, points=90)
    found = collector.check([there, reply, deleted, dead, missing, "77", "from-a-file"], None, Free(), NOW)
    assert list(found.gone) == [deleted, dead, missing, "77"]
    (read,) = run(collector)
    assert {each.source_id: each.text for each in found.seen} == {there: "acme\n\nIt's", reply: "acme"}
    assert found.seen[0].reach == Reach(likes=90, replies=1)
    same = {each.source_id: each for each in read.mentions}
    assert [(each.text, each.author, each.created_at, each.in_reply_to) for each in found.seen] == [
        (each.text, each.author, each.created_at, each.in_reply_to) for each in (same[there], same[reply])
    ]


def test_an_item_that_cannot_be_read_is_neither_gone_nor_seen(
    news: FakeHackerNews, caplog: pytest.LogCaptureFixture
) -> None:
    odd = news.story("acme", at=NOW - HOUR, more={"title": ["secret"]})
    fine = news.story("acme", at=NOW - HOUR)
    found = made(news).check([odd, fine], None, Free(), NOW)
    assert ([each.source_id for each in found.seen], list(found.gone)) == ([fine], [])
    assert "title" in caplog.text
    assert "secret" not in caplog.text
    with pytest.raises(SourceUnavailable, match="nothing but posts that cannot be read"):
        made(news).check([odd], None, Free(), NOW)
    news.faults.append("500")
    with pytest.raises(SourceUnavailable):
        made(news).check([fine], None, Free(), NOW)


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("429:7", RateLimited, "asks to wait until 2026-11-21 12:00:07"),
        ("429:Sat, 21 Nov 2026 12:01:00 GMT", RateLimited, "asks to wait until 2026-11-21 12:01:00"),
        ("429:Sat, 21 Nov 2026 12:01:00 -0000", RateLimited, "asks to wait until 2026-11-21 12:01:00"),
        ("429:Fri, 20 Nov 2026 12:01:00 GMT", RateLimited, "asks to wait until 2026-11-21 12:15:00"),
        ("429:999999999999", RateLimited, "asks to wait until 2026-11-21 12:15:00"),
        ("429:soon", RateLimited, "asks to wait until 2026-11-21 12:15:00"),
        ("429", RateLimited, "asks to wait until 2026-11-21 12:15:00"),
        ("401", NotAuthorised, "refuses to be read"),
        ("403", NotAuthorised, "refuses to be read"),
        ("404", NotAuthorised, "nothing at this address"),
        ("400", SourceUnavailable, "answered 400"),
        ("500", SourceUnavailable, "answered 500"),
        ("html", SourceUnavailable, "no JSON"),
        ("json", SourceUnavailable, "no page of hits"),
        ("deep", SourceUnavailable, "no JSON"),
        ("half", SourceUnavailable, "did not answer"),
        ("drop", SourceUnavailable, "did not answer"),
        ("slow", SourceUnavailable, "did not answer"),
    ],
)
def test_every_fault_is_one_line_that_says_what_to_do(
    news: FakeHackerNews, fault: str, error: type[CollectorError], says: str
) -> None:
    news.story("acme", at=NOW - HOUR)
    news.faults.append(fault)
    with pytest.raises(error, match=says) as caught:
        run(made(news, timeout=0.3 if fault == "slow" else 5))
    assert "\n" not in str(caught.value)


def test_what_was_read_before_a_fault_is_kept_and_the_rest_follows(tmp_path: Path) -> None:
    with FakeHackerNews(cap=10) as news, Store(tmp_path / "s.db") as store:
        wanted = [news.comment("acme", at=NOW - HOUR - number * SECOND) for number in range(25)]
        source = Source("hn", "hackernews", made(news), "1")
        news.faults.extend(["", "drop"])
        first = collect(store, source, [ACME], NOW)
        assert first.error is not None
        assert 0 < len(list(store.mentions.every(Filter()))) < len(wanted)
        outcomes = [collect(store, source, [ACME], NOW + minute * MINUTE) for minute in (1, 2)]
        assert [outcome.error for outcome in outcomes] == [None, None]
        assert len(list(store.mentions.every(Filter()))) == len(wanted)


@pytest.mark.parametrize(
    "odd",
    [
        {"objectID": None},
        {"objectID": "x/../y"},
        {"created_at_i": "soon"},
        {"created_at_i": 10**18},
        {"created_at_i": -1},
        {"comment_text": {"acme": "secret"}},
        {"author": 7},
        {"parent_id": 2**70},
    ],
)
def test_an_odd_post_is_left_out_and_named_by_its_field_only(
    news: FakeHackerNews, odd: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    news.comment("acme", at=NOW - HOUR, more=odd)
    with pytest.raises(SourceUnavailable, match="nothing but posts that cannot be read"):
        run(made(news))
    fine = news.comment("acme", at=NOW - 2 * HOUR)
    caplog.clear()
    caplog.set_level(logging.DEBUG, "monitor")
    assert ids(run(made(news))) == [fine]
    assert next(iter(odd)) in caplog.text
    assert "secret" not in caplog.text


def test_hostile_text_passes_through_whole(news: FakeHackerNews) -> None:
    long = "acme " * 20_000
    news.comment("acme \0\ud800 \U0001f600 <script>evil()</script>" + "<a " * 20_000, at=NOW - MINUTE)
    news.comment(long, at=NOW - 2 * MINUTE, author="a\0b\nc")
    first, second = run(made(news))[0].mentions
    assert first.text.startswith("acme \ufffd \U0001f600 <a <a")
    assert "evil" not in first.text
    assert (second.text, second.author) == (long.strip(), "ab c")


def test_a_post_without_a_word_is_left_out(news: FakeHackerNews) -> None:
    news.comment("acme", at=NOW - HOUR, more={"comment_text": None})
    (batch,) = run(made(news, Brand("Acme", parse("acme"))))
    assert list(batch.mentions) == []


def test_numbers_below_zero_and_beyond_a_database_are_cut(news: FakeHackerNews) -> None:
    news.story("acme", at=NOW - HOUR, points=-4, comments=10**30)
    (mention,) = run(made(news))[0].mentions
    assert mention.reach == Reach(likes=0, replies=2**31)


def test_posts_of_another_time_than_was_asked_for_end_the_run(news: FakeHackerNews) -> None:
    news.cap = 1
    for number in range(2):
        news.comment("acme", at=NOW - HOUR - number * SECOND, more={"created_at_i": int(NOW.timestamp()) + 99})
    with pytest.raises(SourceUnavailable, match="another time"):
        run(made(news))


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_url": "hn.algolia.com"},
        {"item_url": "https://u:p@x.y"},
        {"overlap": -1},
        {"first_days": 0},
        {"timeout": 0},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HackerNewsOptions.model_validate(wrong)


def test_a_first_look_needs_nothing_but_a_name(news: FakeHackerNews) -> None:
    kinds: list[CollectorKind] = []
    register_collectors(kinds.append)
    (kind,) = kinds
    assert kind.first_look is not None
    found = news.story("Acme Corp", at=NOW - timedelta(days=30))
    options = {"api_url": news.search_url, **kind.first_look("Acme Corp")}
    collector = kind.build(kind.options.model_validate(options), [Brand("Acme Corp", parse('"acme corp"'))])
    (batch,) = collector.collect("Acme Corp", Position(), Free(), NOW)
    assert ids([batch]) == [found]
    assert batch.mentions[0].created_at == utc(int((NOW - timedelta(days=30)).timestamp()))
