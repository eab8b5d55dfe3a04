"""Reddit's faults and limits: what ends a run in one line, what makes it wait, and that no secret is told."""

import logging
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from db.errors import CollectorError, NotAuthorised, RateLimited, SourceUnavailable
from db.records import Position
from tests.fake_reddit import CLIENT_ID, CLIENT_SECRET, FakeReddit
from tests.reddit_rig import NOW, SEARCH, NoBudget, collector, ids, minutes_ago, options, run


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
