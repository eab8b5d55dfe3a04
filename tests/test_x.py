"""The X collector, through the real tweepy client, against a fake X on a loopback socket."""

from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from db.errors import InputError, RateLimited, SourceUnavailable
from db.records import Position
from models.query import parse
from monitor.collectors.x import build, explain, register_collectors
from monitor.collectors.x_options import XOptions
from monitor.collectors.x_parse import Unreadable, read_mentions, read_page, time_of
from monitor.collectors.x_search import Mark
from monitor.plugins import Brand, CollectorKind
from tests.fake_x import FakeX
from tests.x_rig import MINUTE, PRICE, T0, TOKEN, Clock, Job, Purse, burst, collector, options


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


# --- nothing lost, nothing doubled ----------------------------------------------------------------------------------


def test_a_burst_with_faults_on_the_way_is_read_whole_and_paid_once(fake: FakeX, job: Job, clock: Clock) -> None:
    posted = burst(fake, clock, 5)
    job.until_done()
    assert job.mentions.keys() == posted

    clock.now += timedelta(hours=1)
    posted |= burst(fake, clock, 2500)
    fake.script(503, after=3)
    fake.script(429, after=5)
    fake.script("drop", after=7)
    job.until_done()
    assert job.mentions.keys() == posted

    clock.now += timedelta(hours=1)
    posted |= burst(fake, clock, 5)
    job.until_done()
    assert job.mentions.keys() == posted
    assert job.received == fake.billed == job.fetched == 2510
    assert [type(error) for error in job.errors] == [SourceUnavailable, RateLimited, SourceUnavailable]
    assert fake.scripted == 0
    assert job.gaps == []


def test_posts_made_while_an_interrupted_run_waits_are_read_too(fake: FakeX, job: Job, clock: Clock) -> None:
    posted = burst(fake, clock, 250)
    fake.script(503, after=1)
    with pytest.raises(SourceUnavailable):
        job.run()
    assert len(job.mentions) == 100
    clock.now += timedelta(hours=1)
    posted |= burst(fake, clock, 120)
    job.run()
    assert job.mentions.keys() == posted
    assert fake.billed == 370


def test_a_second_interruption_goes_on_where_the_first_stopped(fake: FakeX, job: Job, clock: Clock) -> None:
    posted = burst(fake, clock, 450)
    job.run(stop_after=1)
    job.run(stop_after=2)
    assert len(job.mentions) == 300
    assert job.position.cursor is None
    job.run()
    assert job.mentions.keys() == posted
    assert fake.billed == 450


def test_a_run_killed_after_the_rest_of_an_old_one_still_reads_the_days_between(
    fake: FakeX, job: Job, clock: Clock
) -> None:
    posted = burst(fake, clock, 150)
    job.run(stop_after=1)
    posted.add(fake.add("acme in between", clock.now + timedelta(days=1)))
    clock.now += timedelta(days=3)
    job.run(stop_after=1)
    job.run()
    assert job.mentions.keys() == posted


def test_a_half_sent_answer_costs_no_more_than_its_page(fake: FakeX, job: Job, clock: Clock) -> None:
    posted = burst(fake, clock, 500)
    fake.script("cut", after=2)
    job.until_done()
    assert job.mentions.keys() == posted
    assert fake.billed == 600


def test_a_run_killed_before_its_last_page_does_not_move_the_cursor(fake: FakeX, job: Job, clock: Clock) -> None:
    burst(fake, clock, 5)
    job.run()
    before = job.position.cursor
    clock.now += timedelta(hours=1)
    burst(fake, clock, 250)
    job.run(stop_after=2)
    assert job.position.cursor == before
    assert job.position.resume is not None


def test_a_resume_that_cannot_be_read_is_read_again_from_the_cursor(fake: FakeX, job: Job, clock: Clock) -> None:
    posted = burst(fake, clock, 150)
    job.run(stop_after=1)
    job.position = Position(job.position.cursor, '{"version": 9}')
    job.run()
    assert job.mentions.keys() == posted


def test_a_server_that_repeats_its_next_token_ends_the_run(fake: FakeX, job: Job, clock: Clock) -> None:
    burst(fake, clock, 150)
    fake.repeat_token = True
    with pytest.raises(SourceUnavailable, match="again and again"):
        job.run()
    assert len(fake.requests) <= 3


def test_the_same_since_id_goes_with_every_page(fake: FakeX, job: Job, clock: Clock) -> None:
    burst(fake, clock, 5)
    job.run()
    newest = max(job.mentions, key=int)
    clock.now += timedelta(hours=1)
    burst(fake, clock, 250)
    job.run()
    assert [request.params.get("since_id") for request in fake.requests] == [None, newest, newest, newest]


# --- gaps -----------------------------------------------------------------------------------------------------------


def test_a_cursor_older_than_seven_days_leaves_a_gap(fake: FakeX, job: Job, clock: Clock) -> None:
    read = fake.add("acme before", clock.now - MINUTE)
    job.run()
    missed = fake.add("acme missed", clock.now + timedelta(days=1))
    clock.now += timedelta(days=10)
    seen = fake.add("acme after", clock.now - timedelta(days=6))
    job.run()
    assert job.mentions.keys() == {read, seen}
    assert missed not in job.mentions
    (gap,) = job.gaps
    assert gap.since is not None
    assert gap.since <= T0
    assert gap.until == clock.now - timedelta(days=7) + MINUTE
    job.run()
    assert len(job.gaps) == 1


def test_a_quiet_stream_read_every_day_has_no_gap(fake: FakeX, job: Job, clock: Clock) -> None:
    posted = {fake.add("acme once", clock.now - 3 * MINUTE)}
    for _ in range(20):
        job.run()
        clock.now += timedelta(days=1)
    posted.add(fake.add("acme again", clock.now - 3 * MINUTE))
    job.run()
    assert job.mentions.keys() == posted
    assert job.gaps == []
    assert fake.billed == 2


@pytest.mark.parametrize("first", [1, 1_700_000_000_000_000_000])
def test_ids_that_tell_no_time_lose_nothing(fake: FakeX, job: Job, clock: Clock, first: int) -> None:
    posted = set()
    for number in range(3):
        posted.add(fake.add(f"acme {number}", clock.now - MINUTE, number=first + number))
        job.run()
        clock.now += timedelta(hours=1)
    assert job.mentions.keys() == posted


def test_an_interruption_longer_than_seven_days_leaves_a_gap(fake: FakeX, job: Job, clock: Clock) -> None:
    burst(fake, clock, 150)
    job.run(stop_after=1)
    clock.now += timedelta(days=9)
    new = fake.add("acme is back", clock.now - MINUTE)
    job.run()
    assert new in job.mentions
    assert len(job.mentions) == 101
    assert job.gaps[0].until == T0
    assert job.gaps[-1].until == clock.now - timedelta(days=7) + MINUTE


def test_an_interruption_that_ends_in_time_after_an_old_cursor_keeps_the_gap(
    fake: FakeX, job: Job, clock: Clock
) -> None:
    job.position = Position(Mark(7, clock.now - timedelta(days=30)).to_json())
    posted = burst(fake, clock, 150)
    job.run(stop_after=1)
    assert job.gaps == []
    job.run()
    assert job.mentions.keys() == posted
    assert [gap.since for gap in job.gaps] == [clock.now - timedelta(days=30)]


@pytest.mark.parametrize("snowflakes", [True, False])
def test_the_rest_of_an_interrupted_run_that_grew_too_old_becomes_a_gap(
    fake: FakeX, job: Job, clock: Clock, snowflakes: bool
) -> None:
    step = timedelta(days=6.9) / 450
    for number in range(450):
        fake.add("acme", clock.now - MINUTE - number * step, number=None if snowflakes else 1000 - number)
    job.run(stop_after=4)
    assert len(job.mentions) == 400
    clock.now += timedelta(days=1)
    new = fake.add("acme is back", clock.now - MINUTE, number=None if snowflakes else 2000)
    job.run()
    assert new in job.mentions
    (gap,) = job.gaps
    oldest = min(mention.created_at for mention in job.mentions.values())
    assert gap.since is None
    assert abs(gap.until - (oldest if snowflakes else T0)) < timedelta(milliseconds=2)
    assert job.position.resume is None
    job.run()
    assert len(job.gaps) == 1


def test_the_rest_of_an_interrupted_run_is_read_though_its_since_id_grew_too_old(
    fake: FakeX, job: Job, clock: Clock
) -> None:
    posted = {fake.add("acme once", clock.now - MINUTE)}
    for _ in range(6):
        job.run()
        clock.now += timedelta(days=1)
    posted |= burst(fake, clock, 150)
    job.run(stop_after=1)
    clock.now += timedelta(days=1.5)
    job.run()
    assert 400 in [request.status for request in fake.requests]
    assert job.mentions.keys() == posted
    assert job.gaps == []


# --- what a mention holds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["old", "new"])
def test_a_post_becomes_a_mention_with_old_and_new_field_names(fake: FakeX, job: Job, clock: Clock, style: str) -> None:
    fake.style = style
    time = clock.now - MINUTE
    text = "acme & sons <3 " + "very " * 80 + "good"
    post = fake.add(text, time, author_id="77", lang="en", likes=3, reposts=2, replies=1, reply_to="123")
    job.run()
    mention = job.one()
    assert (mention.source, mention.source_id, mention.author) == ("x", post, "77")
    assert mention.text == text
    assert mention.url == f"https://x.com/i/web/status/{post}"
    assert (mention.created_at, mention.collected_at) == (time, clock.now)
    assert mention.created_at.tzinfo is UTC
    assert (mention.language, mention.in_reply_to) == ("en", "123")
    assert (mention.reach.likes, mention.reach.reposts, mention.reach.replies) == (3, 2, 1)
    assert mention.reach.followers is None


@pytest.mark.parametrize(("code", "language"), [("und", None), ("qme", None), ("in", "id"), ("zh-TW", "zh")])
def test_the_codes_of_x_become_languages_or_none(
    fake: FakeX, job: Job, clock: Clock, code: str, language: str | None
) -> None:
    fake.add("acme", clock.now - MINUTE, lang=code)
    job.run()
    assert job.one().language == language


def test_an_escaped_entity_in_the_text_itself_is_unescaped_once(fake: FakeX, job: Job, clock: Clock) -> None:
    text = "acme writes &lt; and &copy for < and the sign"
    fake.add(text, clock.now - MINUTE)
    job.run()
    assert job.one().text == text


def test_search_leaves_out_retweets_and_the_brands_own_posts(fake: FakeX, job: Job, clock: Clock) -> None:
    kept = fake.add("acme quoted", clock.now - MINUTE, quote_of="1")
    fake.add("RT @a: acme", clock.now - MINUTE, retweet_of="1")
    fake.add("acme news", clock.now - MINUTE, username="acmecare")
    job.run()
    assert job.mentions.keys() == {kept}
    assert job.fetched == 1


@pytest.mark.parametrize("style", ["old", "new"])
def test_a_retweet_that_comes_all_the_same_is_linked_to_its_original(
    fake: FakeX, job: Job, clock: Clock, style: str
) -> None:
    fake.style = style
    fake.leak_retweets = True
    original = fake.add("acme is down", clock.now - 4 * MINUTE)
    repost = fake.add("RT @someone: acme is down", clock.now - 3 * MINUTE, retweet_of=original)
    job.run()
    assert {number: mention.repost_of for number, mention in job.mentions.items()} == {original: None, repost: original}


def test_what_an_own_account_writes_is_a_mention_of_nobody_but_what_a_competitor_writes_is(
    fake: FakeX, clock: Clock
) -> None:
    brands = [
        Brand("Acme", parse("acme"), accounts={"x": "acmecare"}),
        Brand("Bolt", parse("bolt"), accounts={"x": "1234"}),
        Brand("Rival", parse("rival"), own=False, accounts={"x": "rivalhelp"}),
    ]
    writers: list[dict[str, Any]] = [{"username": "acmecare"}, {"author_id": "1234"}]
    for account in (*writers, {"username": "rivalhelp"}, {"username": "ann"}):
        fake.add(f"acme and bolt are better than rival, by {account}", clock.now - MINUTE, **account)
    source = build(options(fake.url), brands)
    found = {
        brand.name: [
            mention.text.partition("'")[2].split("'")[2]
            for batch in source.collect(brand.name, Position(), Purse(), clock.now)
            for mention in batch.mentions
        ]
        for brand in brands
    }
    assert found == {"Acme": ["ann", "rivalhelp"], "Bolt": ["ann", "rivalhelp"], "Rival": ["ann"]}


def test_an_odd_post_among_good_ones_is_left_out_and_told_but_a_page_of_them_is_refused() -> None:
    odd = [{"id": "8"}, {"text": "no id"}, {"id": "x", "text": "acme"}, "acme", None]
    good = {"id": "9", "text": "acme", "public_metrics": [], "referenced_tweets": 4, "author_id": None, "lang": 7}
    page = read_page({"data": [*odd, good], "meta": {}})
    assert (page.ids, page.fetched, page.errors) == ([9], 6, ["5 posts without id or text"])
    (mention,) = read_mentions(page, T0)
    assert (mention.text, mention.author, mention.created_at) == ("acme", None, time_of(9))
    wrong: list[object] = [{"data": odd, "meta": {}}, {"data": {"id": "9"}, "meta": {}}, [good], None, {"errors": [{}]}]
    for answer in wrong:
        with pytest.raises(Unreadable):
            read_page(answer)


def test_only_what_is_read_is_asked_for_and_no_user_since_users_are_billed(fake: FakeX, job: Job) -> None:
    job.run()
    params = fake.requests[0].params
    assert params["tweet.fields"] == "created_at,author_id,lang,public_metrics,referenced_tweets,note_tweet"
    assert "expansions" not in params
    assert "user.fields" not in params
    assert params["max_results"] == "100"


# --- options and registration ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"bearer_token": ""},
        {"bearer_token": f"two {TOKEN}"},
        {"api_url": "ftp://x"},
        {"api_url": "api.twitter.com"},
        {"api_url": "http://api.twitter.com"},
        {"api_url": "http://127.0.0.1.example"},
        {"api_url": "https://user@api.twitter.com"},
        {"monthly_budget": "-1"},
        {"timeout": 0},
        {"timeout": 301},
        {"budget": 5},
        {"overlap": -1},
        {"listen": 0},
        {"price_per_user": "-1"},
        {"compliance": "sometimes"},
    ],
)
def test_options_that_cannot_work_are_refused_without_telling_the_token(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        options("http://127.0.0.1:1", **wrong)
    assert TOKEN not in str(refused.value)


def test_a_token_read_from_a_file_loses_its_line_end() -> None:
    given = XOptions.model_validate({"bearer_token": f"{TOKEN}\n"})
    assert given.bearer_token.get_secret_value() == TOKEN
    assert TOKEN not in repr(given)
    assert given.price_per_post == PRICE
    assert given.api_url == "https://api.twitter.com"


def test_explain_gives_the_query_of_every_brand() -> None:
    brands = [Brand("Acme", parse("acme"), accounts={"x": "acmecare"}), Brand("Rival", parse("rival"), own=False)]
    lines = explain(options("http://127.0.0.1:1"), brands)
    assert lines == [
        "Acme: acme -from:acmecare -is:retweet (31 of 512 characters)",
        "Rival: rival -from:acmecare -is:retweet (32 of 512 characters)",
        "mentions:Acme: posts that mention @acmecare",
    ]
    assert list(build(options("http://127.0.0.1:1"), brands).streams()) == ["Acme", "Rival", "mentions:Acme"]


def test_a_query_that_x_cannot_express_is_refused_before_the_first_run() -> None:
    brands = [Brand("Acme", parse("acm*"))]
    for refuse in (build, explain):
        with pytest.raises(InputError):
            refuse(options("http://127.0.0.1:1"), brands)


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ('"acme phone" OR @acme', ["my acme phone", "thanks @acme"]),
        ("acme NOT (jobs OR hiring)", ["my acme phone", "acme and a phone", "thanks @acme"]),
        ("acme (phone OR hiring)", ["my acme phone", "acme and a phone", "acme is hiring"]),
    ],
)
def test_the_query_of_a_brand_finds_its_posts_on_x(fake: FakeX, clock: Clock, query: str, kept: list[str]) -> None:
    for text in ["my acme phone", "acme and a phone", "acme is hiring", "thanks @acme", "other phone"]:
        fake.add(text, clock.now - MINUTE)
    job = Job(collector(fake.url, query), clock)
    job.run()
    assert sorted(mention.text for mention in job.mentions.values()) == sorted(kept)


def test_the_kind_is_registered_as_x() -> None:
    kinds: list[CollectorKind] = []

    def register(kind: CollectorKind) -> None:
        kinds.append(kind)

    register_collectors(register)
    assert [(kind.kind, kind.options) for kind in kinds] == [("x", XOptions)]
