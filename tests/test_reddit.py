"""The Reddit collector with the real praw against a Reddit on a loopback socket."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta

import pytest
from pydantic import ValidationError

from db.errors import InputError, SourceUnavailable
from db.records import Checked, Gap, Reach
from models.query import parse
from monitor.collectors.reddit import RedditCollector, register_collectors
from monitor.plugins import Brand, CollectorKind
from tests import fake_reddit
from tests.fake_reddit import FakeReddit
from tests.reddit_rig import ACME, NOW, SEARCH, NoBudget, collector, ids, minutes_ago, options, run


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


def test_an_imported_post_whose_id_is_none_of_reddits_is_neither_asked_for_nor_gone(reddit: FakeReddit) -> None:
    kept = reddit.submit("acme", at=minutes_ago(9))
    imported = ["1kx2ab", "row-17", "t2_user", "t3_", "t3_A b", f"{kept}\n", "t3_a,t3_b"]
    checked = collector(reddit).check([*imported, kept, "t1_unknown"], None, NoBudget(), NOW)
    assert (checked.gone, [post.source_id for post in checked.seen]) == (["t1_unknown"], [kept])
    assert [request.params["id"] for request in reddit.listings()] == [f"{kept},t1_unknown"]
    assert collector(reddit).check(imported, None, NoBudget(), NOW) == Checked()
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


# --- options and registration


@pytest.mark.parametrize("written", ["acme", "r/acme", "/r/acme/", " r/acme "])
def test_subreddits_are_named_with_or_without_r(reddit: FakeReddit, written: str) -> None:
    assert options(reddit, subreddits=[written, "R_2", "Acme"]).subreddits == ["acme", "R_2"]


@pytest.mark.parametrize("written", [[], ["a b"], ["acme/new"], ["a+b"], ["../x"], [""], ["x" * 24]])
def test_what_is_no_subreddit_is_refused(reddit: FakeReddit, written: list[str]) -> None:
    with pytest.raises(ValidationError):
        options(reddit, subreddits=written)


@pytest.mark.parametrize(
    "url", ["http://www.reddit.com", "ftp://127.0.0.1", "reddit.com", "", "https://:1", "https://a:b"]
)
def test_a_secret_is_only_sent_to_https_or_this_machine(reddit: FakeReddit, url: str) -> None:
    with pytest.raises(ValidationError):
        options(reddit, oauth_url=url)


def test_an_unknown_stream_or_option_is_refused(reddit: FakeReddit) -> None:
    with pytest.raises(InputError, match="no stream"):
        run(collector(reddit), "search:Other")
    with pytest.raises(ValidationError):
        options(reddit, passwords="x")


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
