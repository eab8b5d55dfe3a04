"""The Reddit collector with the real praw against a Reddit on a loopback socket."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from db.errors import CollectorError, InputError, NotAuthorised, RateLimited, SourceUnavailable
from db.records import Batch, Gap, Position, Reach
from models.query import parse
from monitor.collectors.reddit import RedditCollector, RedditOptions, register_collectors
from monitor.plugins import Brand, CollectorKind
from tests import fake_reddit
from tests.fake_reddit import CLIENT_ID, CLIENT_SECRET, FakeReddit

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACME = Brand("Acme", parse('acme OR "acme phone"'))
SEARCH = "search:Acme"


class NoBudget:
    def left(self) -> Decimal | None:
        return None

    def use(self, units: int, limit: int, period: str, renewed_at: datetime) -> None:
        pytest.fail("Reddit has no rations")

    def reserve(self, most: Decimal) -> None:
        pytest.fail("Reddit costs nothing")

    def settle(self, actual: Decimal) -> None:
        pytest.fail("Reddit costs nothing")


@pytest.fixture
def reddit() -> Iterator[FakeReddit]:
    with FakeReddit() as fake:
        yield fake


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """praw sleeps between its own tries; here it only says for how long."""
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    return naps


def options(reddit: FakeReddit, **changes: Any) -> RedditOptions:
    given = {
        "subreddits": ["r/acme", "phones"],
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "reddit_url": reddit.url,
        "oauth_url": reddit.url,
        "timeout": 5,
    }
    return RedditOptions.model_validate({**given, **changes})


def collector(reddit: FakeReddit, **changes: Any) -> RedditCollector:
    return RedditCollector(options(reddit, **changes), [ACME])


def run(
    source: RedditCollector, stream: str = SEARCH, cursor: str | None = None, now: datetime = NOW
) -> Sequence[Batch]:
    return list(source.collect(stream, Position(cursor), NoBudget(), now))


def ids(batches: Sequence[Batch]) -> list[str]:
    return [mention.source_id for batch in batches for mention in batch.mentions]


def minutes_ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def test_a_submission_becomes_a_mention(reddit: FakeReddit) -> None:
    name = reddit.submit("Acme & me", "It <broke>\0 \U0001f600", at=minutes_ago(5), author="bob", score=7, comments=3)
    (batch,) = run(collector(reddit))
    (mention,) = batch.mentions
    assert (mention.source, mention.source_id, mention.author) == ("reddit", name, "bob")
    assert mention.text == "Acme & me\n\nIt <broke> \U0001f600"
    assert mention.url == f"https://www.reddit.com/r/acme/comments/{name[3:]}/_/"
    assert (mention.created_at, mention.collected_at) == (minutes_ago(5), NOW)
    assert mention.created_at.tzinfo is UTC
    assert mention.reach == Reach(likes=7, replies=3)
    assert mention.in_reply_to is None
    assert batch.cursor == minutes_ago(5).isoformat()


def test_comments_are_read_whole_and_know_their_parent(reddit: FakeReddit) -> None:
    post = reddit.submit("Which phone?", at=minutes_ago(9))
    first = reddit.comment("Not acme", post, at=minutes_ago(8), score=-4, subreddit="Phones")
    second = reddit.comment("anything", first, at=minutes_ago(7), more={"score_hidden": True})
    reddit.comment("elsewhere", first, at=minutes_ago(7), subreddit="cats")
    (batch,) = run(collector(reddit), "comments")
    assert [(m.source_id, m.in_reply_to, m.text) for m in batch.mentions] == [
        (second, first, "anything"),
        (first, post, "Not acme"),
    ]
    assert [m.reach.likes for m in batch.mentions] == [None, 0]


def test_the_search_is_sent_as_lucene_within_the_subreddits(reddit: FakeReddit) -> None:
    wanted = reddit.submit("The ACME phone", at=minutes_ago(5))
    reddit.submit("Other phone", at=minutes_ago(4))
    reddit.submit("Acme elsewhere", at=minutes_ago(3), subreddit="cats")
    assert ids(run(collector(reddit))) == [wanted]
    (request,) = reddit.listings()
    assert request.path == "/r/acme+phones/search/"
    assert request.params.keys() == {"q", "restrict_sr", "sort", "syntax", "t", "limit", "raw_json"}
    assert (request.params["sort"], request.params["syntax"], request.params["limit"]) == ("new", "lucene", "100")
    assert request.user_agent.startswith("sentimon/0.1 ")


def test_one_poll_reads_all_submissions_for_every_brand(reddit: FakeReddit) -> None:
    mine = reddit.submit("acme phone", at=minutes_ago(5))
    other = reddit.submit("bolt phone", at=minutes_ago(4))
    elsewhere = reddit.submit("acme", at=minutes_ago(3), subreddit="cats")
    source = RedditCollector(options(reddit, submissions="all"), [ACME, Brand("Bolt", parse("bolt"))])
    assert source.streams() == ("submissions", "comments")
    assert ids(run(source, "submissions")) == [other, mine]
    assert elsewhere not in ids(run(source, "submissions"))
    assert [request.path for request in reddit.listings()] == ["/r/acme+phones/new/"] * 2


def test_a_check_tells_what_was_deleted_removed_and_edited(reddit: FakeReddit) -> None:
    kept = reddit.submit("acme", "is fine", at=minutes_ago(9))
    edited = reddit.comment("acme is bad", kept, at=minutes_ago(8))
    deleted = reddit.comment("acme!", kept, at=minutes_ago(7))
    removed = reddit.submit("acme spam", at=minutes_ago(6), more={"removed_by_category": "moderator"})
    reddit.items[edited].text = "acme is good"
    reddit.items[deleted].text = "[deleted]"
    checked = collector(reddit).check([kept, edited, deleted, removed, "t3_unknown"], None, NoBudget(), NOW)
    assert checked.gone == [deleted, removed, "t3_unknown"]
    assert {mention.source_id: mention.text for mention in checked.seen} == {
        kept: "acme\n\nis fine",
        edited: "acme is good",
    }
    assert checked.resume is None
    assert len(reddit.listings()) == 1


def test_a_check_that_fails_says_nothing_of_deletions(reddit: FakeReddit) -> None:
    kept = reddit.submit("acme", at=minutes_ago(9))
    reddit.faults.extend(["503"] * 3)
    with pytest.raises(SourceUnavailable):
        collector(reddit).check([kept], None, NoBudget(), NOW)
    reddit.faults.append("json")
    with pytest.raises(SourceUnavailable):
        collector(reddit).check([kept], None, NoBudget(), NOW)


def test_a_post_that_cannot_be_read_is_not_taken_for_deleted(reddit: FakeReddit) -> None:
    kept = reddit.comment("acme", "t3_1", at=NOW)
    odd = reddit.comment("acme", "t3_1", at=NOW, more={"created_utc": None})
    checked = collector(reddit).check([kept, odd, "t1_unknown"], None, NoBudget(), NOW)
    assert (checked.gone, [post.source_id for post in checked.seen]) == (["t1_unknown"], [kept])


def test_what_was_deleted_or_removed_is_left_out_but_counted(reddit: FakeReddit) -> None:
    reddit.submit("Acme one", "[removed]", at=minutes_ago(1))
    reddit.submit("Acme two", "text", at=minutes_ago(2), more={"removed_by_category": "moderator"})
    orphan = reddit.submit("Acme three", at=minutes_ago(3), author="[deleted]")
    (batch,) = run(collector(reddit))
    assert [(m.source_id, m.author, m.text) for m in batch.mentions] == [(orphan, None, "Acme three")]
    assert batch.fetched == 3
    reddit.comment("[deleted]", orphan, at=minutes_ago(1))
    assert ids(run(collector(reddit), "comments")) == []


def test_only_requests_for_listings_are_made(reddit: FakeReddit) -> None:
    for n in range(120):
        reddit.submit(f"acme {n}", at=minutes_ago(n), more={"subreddit": None, "permalink": ""})
    batches = run(collector(reddit))
    assert [request.path for request in reddit.requests] == ["/api/v1/access_token", *["/r/acme+phones/search/"] * 2]
    assert all(mention.url is None for mention in batches[0].mentions)


def test_the_cursor_is_on_the_last_batch_only(reddit: FakeReddit) -> None:
    for n in range(250):
        reddit.submit(f"acme {n}", at=minutes_ago(n))
    batches = run(collector(reddit))
    assert [len(batch.mentions) for batch in batches] == [100, 100, 50]
    assert [batch.cursor for batch in batches] == [None, None, NOW.isoformat()]
    assert [batch.gap for batch in batches] == [None] * 3


def test_three_runs_lose_nothing_and_read_twice_only_the_overlap(reddit: FakeReddit) -> None:
    source = collector(reddit, overlap=60)
    stored: set[str] = set()
    cursor, now, fetched = None, NOW, []
    for posts in (5, 700, 5):
        now += timedelta(days=1)
        for n in range(posts):
            reddit.submit(f"acme {n}", at=now - timedelta(minutes=n))
        batches = run(source, cursor=cursor, now=now)
        found = ids(batches)
        assert len(found) == len(set(found))
        assert not any(batch.gap for batch in batches)
        stored.update(found)
        fetched.append(len(found))
        cursor = batches[-1].cursor
    assert stored == set(reddit.items)
    assert fetched[:2] == [5, 705]
    assert fetched[2] == 5 + 61  # the last hour of the 700 once more


def test_a_post_that_search_shows_late_is_found_within_the_overlap(reddit: FakeReddit) -> None:
    source = collector(reddit)
    reddit.submit("acme first", at=minutes_ago(10))
    cursor = run(source)[-1].cursor
    late = reddit.submit("acme late", at=minutes_ago(40))
    too_late = reddit.submit("acme too late", at=minutes_ago(80))
    found = ids(run(source, cursor=cursor))
    assert late in found
    assert too_late not in found


def test_reading_stops_at_the_page_that_reaches_the_cursor(reddit: FakeReddit) -> None:
    for n in range(900):
        reddit.submit(f"acme {n}", at=minutes_ago(n))
    run(collector(reddit), cursor=minutes_ago(60).isoformat())
    assert len(reddit.listings()) == 2


def test_an_old_post_at_the_top_does_not_end_the_reading(reddit: FakeReddit) -> None:
    for n in range(150):
        reddit.submit(f"acme {n}", at=minutes_ago(n))
    pinned = reddit.submit("acme pinned", at=NOW, more={"created_utc": minutes_ago(90_000).timestamp()})
    found = ids(run(collector(reddit), cursor=minutes_ago(80).isoformat()))
    assert pinned not in found
    assert len(found) == 141


def test_a_listing_that_ends_before_the_cursor_is_written_down_as_a_gap(reddit: FakeReddit) -> None:
    for n in range(1100):
        reddit.submit(f"acme {n}", at=minutes_ago(n))
    cursor = minutes_ago(5000)
    batches = run(collector(reddit), cursor=cursor.isoformat())
    assert len(ids(batches)) == 1000
    assert [batch.gap for batch in batches[:-1]] == [None] * 9
    gap = batches[-1].gap
    assert isinstance(gap, Gap)
    assert (gap.since, gap.until) == (cursor, minutes_ago(999))
    assert "1,000" in gap.reason
    assert batches[-1].cursor == NOW.isoformat()


def test_a_first_run_and_a_short_listing_leave_no_gap(reddit: FakeReddit) -> None:
    for n in range(1100):
        reddit.submit(f"acme {n}", at=minutes_ago(n))
    assert run(collector(reddit))[-1].gap is None
    reddit.items.clear()
    reddit.submit("acme again", at=minutes_ago(1))
    assert run(collector(reddit), cursor=minutes_ago(99).isoformat())[-1].gap is None


def test_an_empty_listing_keeps_the_cursor_and_a_first_one_begins_now(reddit: FakeReddit) -> None:
    (first,) = run(collector(reddit))
    assert (first.mentions, first.cursor) == ((), NOW.isoformat())
    (later,) = run(collector(reddit), cursor=minutes_ago(30).isoformat())
    assert later.cursor == minutes_ago(30).isoformat()


# --- faults


@pytest.mark.parametrize(
    ("faults", "error", "says"),
    [
        (["503", "502", "500"], SourceUnavailable, "500"),
        (["drop"] * 3, SourceUnavailable, "ConnectionError"),
        (["503", "503", "drop"], SourceUnavailable, "ConnectionError"),
        (["html"], SourceUnavailable, "cannot be read"),
        (["json"], SourceUnavailable, "cannot be read"),
        (["400"], SourceUnavailable, "400"),
        (["418"], SourceUnavailable, "418"),
        (["401"] * 3, NotAuthorised, "credentials"),
        (["401-bare"] * 3, NotAuthorised, "credentials"),
        (["403"], NotAuthorised, "private"),
        (["451"], NotAuthorised, "forbids"),
        (["404"], NotAuthorised, "no such subreddit"),
        (["429"], RateLimited, "429"),
    ],
)
def test_a_fault_ends_in_one_line_and_the_next_run_goes_on(
    reddit: FakeReddit, faults: list[str], error: type[CollectorError], says: str
) -> None:
    wanted = reddit.submit("acme", at=minutes_ago(1))
    source = collector(reddit)
    reddit.faults.extend(faults)
    with pytest.raises(error, match=says) as caught:
        run(source)
    assert "\n" not in str(caught.value)
    assert not reddit.faults
    assert ids(run(source, now=NOW + timedelta(days=1))) == [wanted]


def test_an_odd_post_is_left_out_and_told_without_its_text_but_a_page_of_them_is_refused(
    reddit: FakeReddit, caplog: pytest.LogCaptureFixture
) -> None:
    secret = {"private": "words"}
    reddit.submit("acme odd", at=minutes_ago(1), more={"title": None, "selftext": secret})
    reddit.submit("acme odd", at=minutes_ago(2), more={"created_utc": None})
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        run(collector(reddit))
    good = reddit.submit("acme good", at=minutes_ago(3))
    (batch,) = run(collector(reddit))
    assert [mention.source_id for mention in batch.mentions] == [good]
    assert batch.cursor == minutes_ago(3).isoformat()
    told = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert [line.partition("read: ")[2] for line in told] == ["selftext, title", "created_utc"]
    assert "private" not in caplog.text


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("401", NotAuthorised),
        ("401-bare", NotAuthorised),
        ("403", NotAuthorised),
        ("503", SourceUnavailable),
        ("html", SourceUnavailable),
        ("json", SourceUnavailable),
        ("429", RateLimited),
    ],
)
def test_a_fault_at_the_token_is_told_apart_too(reddit: FakeReddit, fault: str, error: type[CollectorError]) -> None:
    reddit.token_faults.append(fault)
    source = collector(reddit)
    with pytest.raises(error):
        run(source)
    run(source, now=NOW + timedelta(days=1))


@pytest.mark.parametrize("faults", [["503", "503"], ["drop"], ["401"]])
def test_a_passing_fault_is_survived_within_the_run(reddit: FakeReddit, faults: list[str]) -> None:
    wanted = reddit.submit("acme", at=minutes_ago(1))
    reddit.faults.extend(faults)
    assert ids(run(collector(reddit))) == [wanted]


def test_a_slow_reddit_is_given_up_after_the_timeout(reddit: FakeReddit) -> None:
    reddit.faults.extend(["slow"] * 3)
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match="Timeout"):
        run(collector(reddit, timeout=0.1))
    assert time.monotonic() - started < 3


def test_a_reddit_that_is_not_there_is_unavailable() -> None:
    with FakeReddit() as gone:
        source = collector(gone)
    with pytest.raises(SourceUnavailable, match="did not answer"):
        run(source)


def test_wrong_credentials_need_a_person(reddit: FakeReddit) -> None:
    with pytest.raises(NotAuthorised, match="client_id"):
        run(collector(reddit, client_secret="wrong"))


def test_missing_and_private_subreddits_need_a_person(reddit: FakeReddit) -> None:
    reddit.missing |= {"acme", "phones"}
    with pytest.raises(NotAuthorised, match=r"no such subreddit.*r/acme\+phones"):
        run(collector(reddit))
    reddit.private.add("acme")
    with pytest.raises(NotAuthorised, match="private"):
        run(collector(reddit), "comments")


def test_what_came_before_a_fault_is_kept_without_a_cursor(reddit: FakeReddit) -> None:
    for n in range(150):
        reddit.submit(f"acme {n}", at=minutes_ago(n))
    batches = collector(reddit).collect(SEARCH, Position(), NoBudget(), NOW)
    first = next(batches)
    reddit.faults.append("429:30")
    with pytest.raises(RateLimited) as caught:
        next(batches)
    assert (len(first.mentions), first.cursor) == (100, None)
    assert caught.value.not_before == NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        ("429:7", timedelta(seconds=7)),
        ("429", timedelta(minutes=10)),
        ("429:99999999", timedelta(days=1)),
        ("429:nan", timedelta(minutes=10)),
        ("429:Sat, 21 Nov 2026 12:02:00 GMT", timedelta(minutes=2)),
    ],
)
def test_a_rate_limit_says_when_to_come_back(reddit: FakeReddit, fault: str, wait: timedelta) -> None:
    reddit.faults.append(fault)
    with pytest.raises(RateLimited) as caught:
        run(collector(reddit))
    assert caught.value.not_before == NOW + wait


def test_nothing_is_asked_and_nobody_sleeps_while_no_request_is_left(reddit: FakeReddit, slept: list[float]) -> None:
    for n in range(250):
        reddit.submit(f"acme {n}", at=minutes_ago(n))
    reddit.remaining = 2
    source = collector(reddit)
    with pytest.raises(RateLimited) as caught:
        run(source)
    assert caught.value.not_before == NOW + timedelta(seconds=400)
    with pytest.raises(RateLimited):
        run(source, "comments", now=NOW + timedelta(seconds=399))
    assert len(reddit.listings()) == 2
    reddit.remaining = None
    assert len(ids(run(source, now=NOW + timedelta(seconds=400)))) == 250
    assert slept == []


def test_the_last_request_left_is_still_good_for_a_whole_run(reddit: FakeReddit) -> None:
    wanted = reddit.submit("acme", at=minutes_ago(1))
    reddit.remaining = 1
    batches = run(collector(reddit))
    assert ids(batches) == [wanted]
    assert batches[-1].cursor


def test_requests_are_not_spread_over_the_window(reddit: FakeReddit, slept: list[float]) -> None:
    for n in range(450):
        reddit.submit(f"acme {n}", at=minutes_ago(n))
    reddit.remaining = 300  # 700 of 1,000 used with 400 s to go: praw would sleep 10 s before each request
    assert len(ids(run(collector(reddit)))) == 450
    assert slept == []


def test_a_server_error_with_nothing_left_is_not_slept_out(reddit: FakeReddit, slept: list[float]) -> None:
    reddit.faults.append("exhausted")
    with pytest.raises(RateLimited) as caught:
        run(collector(reddit))
    assert caught.value.not_before == NOW + timedelta(seconds=400)
    assert slept == []


def test_what_praw_says_of_its_own_tries_is_told_to_those_who_look_for_a_fault_only(
    reddit: FakeReddit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reddit.faults.extend(["drop"] * 9)
    with pytest.raises(SourceUnavailable, match="Reddit did not answer"):
        run(collector(reddit))
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []
    told = [each.getMessage() for each in caplog.records if each.name == "monitor.collectors.reddit"]
    assert set(told) == {"prawcore: Retrying due to ConnectionError"}


def test_no_secret_is_logged_or_told(reddit: FakeReddit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    reddit.submit("acme", at=minutes_ago(1))
    told: list[str] = [repr(options(reddit))]
    for faults in ([], ["503"] * 3, ["drop"] * 3, ["html"], ["401"] * 3, ["429:1"], ["403"]):
        source = collector(reddit)
        reddit.faults.extend(faults)
        try:
            run(source)
        except CollectorError as error:
            told.append(str(error))
    assert len(told) == 7
    assert "search" in caplog.text  # the libraries did log
    assert reddit.tokens
    for secret in (CLIENT_ID, CLIENT_SECRET, *reddit.tokens):
        assert secret not in caplog.text
        assert not any(secret in line for line in told)


# --- options and registration


@pytest.mark.parametrize("written", ["acme", "r/acme", "/r/acme/", " r/acme "])
def test_subreddits_are_named_with_or_without_r(reddit: FakeReddit, written: str) -> None:
    assert options(reddit, subreddits=[written, "R_2", "Acme"]).subreddits == ["acme", "R_2"]


@pytest.mark.parametrize("written", [[], ["a b"], ["acme/new"], ["a+b"], ["../x"], [""], ["x" * 24]])
def test_what_is_no_subreddit_is_refused(reddit: FakeReddit, written: list[str]) -> None:
    with pytest.raises(ValidationError):
        options(reddit, subreddits=written)


@pytest.mark.parametrize("url", ["http://www.reddit.com", "ftp://127.0.0.1", "reddit.com", ""])
def test_a_secret_is_only_sent_to_https_or_this_machine(reddit: FakeReddit, url: str) -> None:
    with pytest.raises(ValidationError):
        options(reddit, oauth_url=url)


def test_an_unknown_stream_or_option_is_refused(reddit: FakeReddit) -> None:
    with pytest.raises(InputError, match="no stream"):
        run(collector(reddit), "search:Other")
    with pytest.raises(ValidationError):
        options(reddit, password="x")


def test_an_account_in_the_environment_is_not_used(reddit: FakeReddit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("praw_username", "someone")
    monkeypatch.setenv("praw_password", "word")
    assert run(collector(reddit))


def test_the_kind_builds_and_explains_without_a_request(reddit: FakeReddit) -> None:
    kinds: list[CollectorKind] = []
    register_collectors(lambda kind: kinds.append(kind))
    (kind,) = kinds
    assert kind.kind == "reddit"
    assert kind.build(options(reddit), [ACME]).streams() == (SEARCH, "comments")
    search, comments = kind.explain(options(reddit), [ACME])
    assert search.startswith("search:Acme: ")
    assert search.endswith(" in r/acme+phones")
    assert comments == "comments: all in r/acme+phones, matched here"
    assert reddit.requests == []


# --- the fake itself


@pytest.mark.parametrize(
    ("query", "title", "found"),
    [
        ("acme", "Acme!", True),
        ("acme", "acmeist", False),
        ('"acme phone"', "my acme-phone", True),
        ('"acme phone"', "phone acme", False),
        ("acme phone", "phone by acme", True),
        ("acme OR phone cat", "acme", True),
        ("(acme OR phone) AND cat", "acme", False),
        ("acme NOT cat", "acme cat", False),
        ("acme -cat", "acme dog", True),
        ('acme NOT (cat OR "a dog")', "acme has a dog", False),
    ],
)
def test_the_fake_understands_a_little_lucene(query: str, title: str, found: bool) -> None:
    matches: Callable[[list[str]], bool] = fake_reddit.parse(query)
    assert matches(fake_reddit.Item("t3_a", "acme", "ann", NOW, title).words()) is found
