"""Posts that X finds late, searches that are split, spans of the past, counts, and rate limits that are seen coming."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from db.errors import BudgetSpent, InputError, RateLimited, SourceUnavailable
from db.records import Batch, Mention, Position
from db.store import Store
from jobs.collect import Source, collect
from jobs.collector import Historian
from models.query import parse
from monitor.collectors.x import XCollector, build, explain
from monitor.collectors.x_parse import read_mentions, read_page
from monitor.plugins import Brand
from tests.fake_x import FakeX
from tests.x_rig import MINUTE, PRICE, T0, TOKEN, Clock, Job, Purse, burst, collector, options

LONG = [f"brandname{number:03}" for number in range(60)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeX]:
    with FakeX(token=TOKEN, now=clock) as fake:
        yield fake


@pytest.fixture
def job(fake: FakeX, clock: Clock) -> Job:
    return Job(collector(fake.url), clock)


# --- late posts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [0.5, 1, 15])
def test_posts_that_x_finds_late_and_out_of_order_are_not_missed(
    fake: FakeX, job: Job, clock: Clock, every: float
) -> None:
    posted = set()
    for number in range(30):
        posted.add(fake.add(f"acme {number}", clock.now - 10 * timedelta(seconds=1), late=90 if number % 3 else 0))
        job.run()
        clock.now += every * MINUTE
    clock.now += 5 * MINUTE
    job.run()
    assert job.mentions.keys() == posted


def test_without_an_overlap_a_late_post_would_be_missed(fake: FakeX, clock: Clock) -> None:
    job = Job(collector(fake.url, overlap=0), clock)
    late = fake.add("acme late", clock.now - 2 * MINUTE, late=150)
    fake.add("acme", clock.now - MINUTE)
    job.run()
    clock.now += 5 * MINUTE
    job.run()
    assert late not in job.mentions


def test_a_post_is_paid_for_twice_at_most_and_an_old_one_once(fake: FakeX, job: Job, clock: Clock) -> None:
    young = [fake.add("acme young", clock.now + number * 15 * MINUTE - MINUTE) for number in range(8)]
    old = [fake.add("acme old", clock.now + number * 15 * MINUTE - 3 * MINUTE) for number in range(8)]
    for _ in range(40):
        job.run()
        clock.now += 15 * MINUTE
    assert job.mentions.keys() == {*young, *old}
    assert fake.billed == job.fetched == 2 * len(young) + len(old)
    assert job.meter.spent == fake.billed * PRICE


def test_a_late_post_is_found_though_the_run_before_was_interrupted(fake: FakeX, job: Job, clock: Clock) -> None:
    posted = burst(fake, clock, 250)
    posted |= {fake.add("acme now", clock.now - MINUTE), fake.add("acme late", clock.now - 1.5 * MINUTE, late=100)}
    job.run(stop_after=1)
    clock.now += MINUTE
    job.run(stop_after=1)
    clock.now += 15 * MINUTE
    job.run()
    assert job.mentions.keys() == posted


def test_the_cursor_of_an_earlier_release_goes_on(fake: FakeX, job: Job, clock: Clock) -> None:
    read = fake.add("acme read", clock.now - 10 * MINUTE)
    new = fake.add("acme new", clock.now - 5 * MINUTE)
    job.position = Position(f'{{"newest_id": "{read}", "read": "{(T0 - 6 * MINUTE).isoformat()}"}}')
    job.run()
    assert job.mentions.keys() == {new}


def test_the_resume_of_an_earlier_release_goes_on(fake: FakeX, job: Job, clock: Clock) -> None:
    posted = sorted(burst(fake, clock, 50), key=int)
    span = f'{{"since": null, "newest_id": "{posted[-1]}", "until_id": "{posted[20]}", "begun": "{T0.isoformat()}"}}'
    job.position = Position(None, span)
    job.run()
    assert job.mentions.keys() == set(posted[:20])


# --- edits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["old", "new"])
def test_an_edit_is_the_same_post_with_another_text(fake: FakeX, clock: Clock, tmp_path: Path, style: str) -> None:
    fake.style = style
    first = fake.add("acme is grate", clock.now - 5 * MINUTE)
    brands = [Brand("Acme", parse("acme"))]
    source = Source("x", "x", collector(fake.url), "1")
    with Store(tmp_path / "posts.db") as store:
        collect(store, source, brands, clock.now)
        clock.now += 15 * MINUTE
        fake.edit(first, "acme is great")
        clock.now += 15 * MINUTE
        collect(store, source, brands, clock.now)
        (post,) = store.rematching.mentions(None)
    assert (post.source_id, post.text) == (first, "acme is great")


# --- searches that are split ----------------------------------------------------------------------------------------


def test_a_long_query_becomes_streams_that_find_all_its_posts_and_the_first_keeps_its_name(
    fake: FakeX, clock: Clock
) -> None:
    brands = [Brand("Acme", parse(" OR ".join(LONG))), Brand("Bolt", parse("bolt"))]
    source = build(options(fake.url), brands)
    assert list(source.streams()) == ["Acme", "Acme 2", "Bolt"]
    posted = {fake.add(f"about {name}", clock.now - MINUTE) for name in LONG}
    assert {post.source_id for post in read(source, "Acme", "Acme 2")} == posted
    lines = explain(options(fake.url), brands)
    assert [line.partition(": ")[0] for line in lines] == ["Acme", "Acme 2", "Bolt"]
    for line in lines:
        query, _, length = line.partition(": ")[2].removesuffix(" of 512 characters)").rpartition(" (")
        assert len(query) == int(length) <= 512


def test_no_stream_takes_the_name_of_another_brand() -> None:
    brands = [
        Brand("Acme", parse(" OR ".join(LONG)), accounts={"x": "acmecare"}),
        Brand("Acme 2", parse("b")),
        Brand("mentions:Acme", parse("c")),
        Brand("filtered", parse("d")),
    ]
    streams = build(options("http://127.0.0.1:1", stream=True), brands).streams()
    assert streams == ["Acme", "Acme 2'", "Acme 2", "mentions:Acme", "filtered", "mentions:Acme'", "filtered'"]


def read(source: object, *streams: str) -> list[Mention]:
    assert isinstance(source, XCollector)
    found = [source.collect(stream, Position(), Purse(), T0) for stream in streams]
    return [mention for batches in found for batch in batches for mention in batch.mentions]


# --- the past -------------------------------------------------------------------------------------------------------


def past(source: object, since: timedelta, until: timedelta, resume: str | None = None) -> Iterator[Batch]:
    assert isinstance(source, Historian)
    return source.history("Acme", T0 - since, T0 - until, resume, Purse(), T0)


def test_a_span_of_the_past_is_read_page_by_page_and_goes_on_after_an_interruption(fake: FakeX, clock: Clock) -> None:
    source = collector(fake.url)
    hours = {fake.add(f"acme {number}", T0 - number * MINUTE): number for number in range(1, 600)}
    expected = {post for post, number in hours.items() if 100 < number <= 400}
    found: set[str] = set()
    resume = None
    while True:  # killed after each batch
        batch = next(past(source, 400 * MINUTE, 100 * MINUTE, resume))
        found |= {mention.source_id for mention in batch.mentions}
        resume = batch.resume
        if batch.cursor is not None:
            break
    assert found == expected
    assert fake.billed == len(expected)
    assert len(fake.requests) == 3


def test_the_past_goes_back_seven_days_and_the_rest_is_told(fake: FakeX) -> None:
    source = collector(fake.url)
    assert isinstance(source, Historian)
    oldest = source.oldest("Acme", T0)
    assert oldest is not None
    assert timedelta(days=6.9) < T0 - oldest < timedelta(days=7)
    inside = fake.add("acme", T0 - timedelta(days=6))
    fake.add("acme", T0 - timedelta(days=8))
    (batch,) = past(source, timedelta(days=9), timedelta(days=1))
    assert [mention.source_id for mention in batch.mentions] == [inside]
    assert batch.gap is not None
    assert (batch.gap.since, batch.gap.until, batch.gap.cause) == (T0 - timedelta(days=9), oldest, "capped")
    (batch,) = past(source, timedelta(days=9), timedelta(days=8))
    assert batch.gap is not None
    assert (batch.gap.until, batch.fetched, len(fake.requests)) == (T0 - timedelta(days=8), 0, 1)


def test_the_rest_of_a_span_that_grew_too_old_is_told(fake: FakeX, clock: Clock) -> None:
    source = collector(fake.url)
    for number in range(150):
        fake.add("acme", T0 - timedelta(days=6) + number * MINUTE)
    first = next(past(source, timedelta(days=6), timedelta(days=1)))
    assert first.resume is not None
    clock.now = T0 + timedelta(days=2)
    assert isinstance(source, Historian)
    since, until = T0 - timedelta(days=6), T0 - timedelta(days=1)
    (batch,) = source.history("Acme", since, until, first.resume, Purse(), clock.now)
    assert batch.gap is not None
    assert batch.gap.until >= first.mentions[-1].created_at


def test_a_stream_without_a_past_is_refused(fake: FakeX) -> None:
    source = build(options(fake.url, stream=True), [Brand("Acme", parse("acme"))])
    assert isinstance(source, XCollector)
    assert source.oldest("filtered", T0) == T0
    with pytest.raises(InputError, match="no stream 'filtered' whose past"):
        list(source.history("filtered", T0 - MINUTE, T0, None, Purse(), T0))
    with pytest.raises(InputError, match="no stream 'nobody'"):
        list(source.collect("nobody", Position(), Purse(), T0))


# --- counts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["old", "new"])
def test_posts_are_counted_for_the_price_of_one_request(fake: FakeX, clock: Clock, style: str) -> None:
    fake.style = style
    burst(fake, clock, 250)
    purse = Purse()
    source = collector(fake.url, price_per_count="0.007")
    assert isinstance(source, XCollector)
    assert source.count("Acme", T0 - 60 * MINUTE, T0, purse, T0) == 250
    assert source.count("Acme", T0 - 8 * timedelta(days=1), T0 - 8 * MINUTE, purse, T0) == 125
    assert str(purse.spent) == "0.014"
    assert fake.bill == {"count": 2}
    with pytest.raises(InputError, match="counts posts of a search only"):
        source.count("mentions:Acme", T0 - 60 * MINUTE, T0, purse, T0)


def test_a_count_that_cannot_be_paid_is_not_asked_for(fake: FakeX) -> None:
    source = collector(fake.url)
    assert isinstance(source, XCollector)
    with pytest.raises(BudgetSpent):
        source.count("Acme", T0 - 60 * MINUTE, T0, Purse(PRICE / 2), T0)
    assert fake.requests == []


@pytest.mark.parametrize("fault", ["ok", 403, 503])
def test_looking_first_counts_once_where_there_are_pages_and_reads_on_in_any_case(
    fake: FakeX, clock: Clock, fault: int | str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    job = Job(collector(fake.url, look_first=True), clock)
    posted = burst(fake, clock, 50)
    job.run()
    assert fake.asked("counts") == []
    clock.now += 30 * MINUTE
    posted |= burst(fake, clock, 350)
    fake.script(fault, on="counts")
    job.run()
    assert job.mentions.keys() == posted
    assert len(fake.asked("counts")) == 1
    assert job.meter.spent == 400 * PRICE + (PRICE if fault == "ok" else 0)
    assert ("about 350 posts for Acme" if fault == "ok" else "does not tell how many posts") in caplog.text


# --- rate limits ----------------------------------------------------------------------------------------------------


def test_the_request_that_x_would_refuse_is_not_made(fake: FakeX, job: Job, clock: Clock) -> None:
    posted = burst(fake, clock, 450)
    fake.limit = 3
    with pytest.raises(RateLimited) as limited:
        job.run()
    assert limited.value.not_before == T0 + 15 * MINUTE
    with pytest.raises(RateLimited):
        job.run()
    assert [request.status for request in fake.requests] == [200, 200, 200]
    assert job.meter.spent == 300 * PRICE
    clock.now = limited.value.not_before
    fake.limit = 10
    job.run()
    assert job.mentions.keys() == posted
    assert 429 not in [request.status for request in fake.requests]


def test_a_limit_of_one_kind_of_request_holds_back_no_other(fake: FakeX, clock: Clock) -> None:
    fake.limit = 1
    source = collector(fake.url)
    assert isinstance(source, XCollector)
    assert source.count("Acme", T0 - 60 * MINUTE, T0, Purse(), T0) == 0
    assert len(list(source.collect("Acme", Position(), Purse(), T0))) == 1
    with pytest.raises(RateLimited, match="allows no further counts before 2026-11-20 12:15:00 UTC"):
        source.count("Acme", T0 - 60 * MINUTE, T0, Purse(), T0)


# --- hostile posts --------------------------------------------------------------------------------------------------


def test_hostile_posts_pass_whole_or_lose_what_no_database_holds() -> None:
    text = "acme \0 \ud800 =cmd() \u202e" + "x" * 100_000
    odd: dict[str, object] = {
        "id": "9",
        "text": text,
        "author_id": {"a": 1},
        "lang": "\0\0",
        "created_at": "0001-01-01T00:00:00+14:00",
        "public_metrics": {"like_count": "many", "retweet_count": -1, "reply_count": 2**80},
        "referenced_tweets": [{"type": "retweeted", "id": {}}, {"type": "replied_to", "id": "1; DROP"}, 7],
        "edit_history_tweet_ids": ["x", None, 5],
        "note_tweet": {"text": 7},
    }
    (mention,) = read_mentions(read_page({"data": [odd], "meta": {}}), T0)
    assert mention.text == text.replace("\0", "").replace("\ud800", "\ufffd")
    assert (mention.source_id, mention.author, mention.language, mention.in_reply_to) == ("5", None, None, None)
    assert (mention.repost_of, mention.reach.likes, mention.reach.reposts, mention.reach.replies) == (None,) * 4
    page = read_page({"data": [odd, {"id": "٣", "text": "acme"}, {"id": "9" * 5000, "text": "acme"}], "meta": {}})
    assert (page.ids, page.errors) == ([9], ["2 posts without id or text"])


def test_an_error_of_x_keeps_its_stream_and_names_no_other(fake: FakeX, job: Job) -> None:
    fake.script(400, on="counts")
    source = job.collector
    assert isinstance(source, XCollector)
    with pytest.raises(SourceUnavailable, match=r"X refuses a request for counts \(400\)"):
        source.count("Acme", T0 - 60 * MINUTE, T0, Purse(), T0)
