"""The Mastodon collector with the real Mastodon.py against a Mastodon on a loopback socket."""

import importlib.util
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from db.errors import CollectorError, InputError, NotAuthorised, RateLimited, SourceUnavailable
from db.records import Batch, Mention, Position, Reach
from db.store import Store
from jobs.collect import Source, collect
from jobs.collector import Checker, Historian
from models.brand import Brand
from models.query import parse
from monitor.collectors.mastodon import MastodonCollector, MastodonOptions, register_collectors
from monitor.plugins import CollectorKind
from tests.fake_mastodon import TOKEN, FakeMastodon, Request

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ACME = Brand("Acme", parse("acme"))
TAG = "tag:acme"


class NoBudget:
    def left(self) -> Decimal | None:
        return None

    def reserve(self, most: Decimal) -> None:
        pytest.fail("Mastodon costs nothing")

    def settle(self, actual: Decimal) -> None:
        pytest.fail("Mastodon costs nothing")

    def use(self, units: int, limit: int, period: str, renewed_at: datetime) -> None:
        pytest.fail("Mastodon rations nothing")


@pytest.fixture
def server() -> Iterator[FakeMastodon]:
    with FakeMastodon() as fake:
        yield fake


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        raise AssertionError(f"something sleeps for {seconds} s")

    monkeypatch.setattr(time, "sleep", sleep)


def options(server: FakeMastodon, **changes: Any) -> MastodonOptions:
    return MastodonOptions.model_validate({"instance": server.url, "hashtags": ["acme"], "timeout": 5} | changes)


def collector(server: FakeMastodon, query: str = "acme", **changes: Any) -> MastodonCollector:
    return MastodonCollector(options(server, **changes), [Brand("Acme", parse(query))])


def run(
    source: MastodonCollector, stream: str = TAG, position: Position | None = None, now: datetime = NOW
) -> list[Batch]:
    return list(source.collect(stream, position or Position(), NoBudget(), now))


def texts(batches: Sequence[Batch]) -> list[str]:
    return [mention.text for batch in batches for mention in batch.mentions]


def ago(minutes: float) -> datetime:
    return NOW - minutes * MINUTE


def one(server: FakeMastodon, stream: str = TAG, **changes: Any) -> Mention:
    (mention,) = [each for batch in run(collector(server, **changes), stream) for each in batch.mentions]
    return mention


@dataclass
class Reader:
    """Stores batches and positions as the collect job does: both at once, and each post once."""

    source: MastodonCollector
    stream: str = TAG
    position: Position = field(default_factory=Position)
    stored: dict[str, Mention] = field(default_factory=dict)
    read_twice: int = 0

    def run(self, now: datetime = NOW, stop_after: int | None = None) -> CollectorError | None:
        try:
            for n, batch in enumerate(self.source.collect(self.stream, self.position, NoBudget(), now), 1):
                self.read_twice += sum(mention.source_id in self.stored for mention in batch.mentions)
                self.stored |= {mention.source_id: mention for mention in batch.mentions}
                self.position = Position(batch.cursor or self.position.cursor, batch.resume)
                if n == stop_after:
                    return None
        except CollectorError as error:
            return error
        return None


# --- posts ------------------------------------------------------------------------------------------------------------


def test_a_post_becomes_a_mention(server: FakeMastodon) -> None:
    post = server.post("Fish & #acme\0 \U0001f600", at=ago(5))
    mention = one(server)
    assert (mention.source, mention.source_id, mention.url) == ("mastodon", post.uri, post.url)
    assert mention.author == f"ann@{server.host}"
    assert mention.text == "Fish & #acme \U0001f600"
    assert (mention.created_at, mention.collected_at) == (ago(5), NOW)
    assert mention.created_at.tzinfo is UTC
    assert mention.language == "en"
    assert mention.reach == Reach(followers=12, likes=3, reposts=2, replies=1)
    assert mention.in_reply_to is None
    assert mention.repost_of is None


def test_markup_becomes_lines_and_a_content_warning_is_the_first(server: FakeMastodon) -> None:
    content = '<p>See <a href="https://x.org"><span class="invisible">https://</span>x.org</a></p><p>#acme<br>fails</p>'
    pictures = [{"id": "1", "type": "image", "description": "a broken kettle"}]
    server.post("#acme", at=ago(5), content=content, spoiler_text="shopping\n rant", media_attachments=pictures)
    assert one(server).text == "shopping rant\nSee https://x.org\n#acme\nfails"


def test_a_post_of_another_server_keeps_the_address_that_it_has_everywhere(server: FakeMastodon) -> None:
    post = server.post("#acme", at=ago(5), author="bob@far.example")
    mention = one(server)
    assert mention.author == "bob@far.example"
    assert mention.source_id == post.uri
    assert mention.source_id.startswith("https://far.example/users/bob/statuses/")
    with FakeMastodon() as other:
        other.post("#acme", at=ago(5), author="bob@far.example", uri=post.uri)
        assert one(other).source_id == mention.source_id


def test_a_boost_is_a_mention_of_its_own_with_the_words_of_the_original(server: FakeMastodon) -> None:
    original = server.post("acme rocks", at=ago(50), author="bob@far.example", spoiler_text="praise", language="de")
    boost = server.post("#acme", at=ago(5), boost_of=original, language=None, url=None)
    mention = one(server)
    assert (mention.source_id, mention.repost_of) == (boost.uri, original.uri)
    assert (mention.author, mention.created_at) == (f"ann@{server.host}", ago(5))
    assert (mention.text, mention.language) == ("praise\nacme rocks", "de")
    assert mention.url == original.url
    assert mention.reach == Reach(followers=12)


def test_only_what_everybody_may_read_is_kept(server: FakeMastodon) -> None:
    for visibility in ("public", "unlisted", "private", "direct"):
        server.mention(server.post(f"@acme {visibility}", at=ago(5), visibility=visibility))
    secret = server.post("acme secret", at=ago(5), visibility="private")
    server.post("#acme", at=ago(4), boost_of=secret)
    (batch,) = run(collector(server, access_token=TOKEN, first=4), "mentions")
    assert sorted(mention.text for mention in batch.mentions) == ["@acme public", "@acme unlisted"]
    assert batch.fetched == 4
    assert texts(run(collector(server))) == []


def test_a_reply_names_what_it_answers(server: FakeMastodon) -> None:
    first = server.post("#acme?", at=ago(9))
    server.post("#acme!", at=ago(8), in_reply_to_id=first.id)
    server.post("#acme.", at=ago(7), in_reply_to_id="77")
    (batch,) = run(collector(server, first=3))
    found = {mention.text: mention.in_reply_to for mention in batch.mentions}
    assert found == {"#acme?": None, "#acme!": first.uri, "#acme.": f"{server.url}/api/v1/statuses/77"}


def test_text_from_outside_passes_through_whole(server: FakeMastodon) -> None:
    server.post("#acme", at=ago(5), content="<p>" + "acme " * 20_000 + "</p>", language="zh-Hant-TW")
    server.post("#acme", at=ago(6), content="a\ud800b <script>alert(1)</script>&lt;b&gt;", language="\ud800")
    server.post("#acme", at=ago(7), url="javascript:alert(1)", favourites_count=-1, reblogs_count=10**30)
    (batch,) = run(collector(server, first=3))
    long, odd, link = batch.mentions
    assert (len(long.text), long.language) == (99_999, "zh")
    assert (odd.text, odd.language) == ("a\ufffdb <b>", None)
    assert link.url is None
    assert link.reach == Reach(followers=12, likes=None, reposts=None, replies=1)


@pytest.mark.parametrize(
    ("field_name", "value"),
    [
        ("uri", None),
        ("uri", ""),
        ("created_at", "yesterday"),
        ("created_at", "0001-01-01T00:00:00+14:00"),
        ("created_at", None),
        ("account", None),
        ("account", "ann"),
        ("visibility", None),
        ("id", "1" * 200),
        ("reblog", {"id": "1"}),
    ],
)
def test_an_odd_post_is_left_out_and_only_its_field_is_told(
    server: FakeMastodon, caplog: pytest.LogCaptureFixture, field_name: str, value: object
) -> None:
    server.post("#acme good", at=ago(5))
    server.post("#acme quoteworthy", at=ago(4)).more[field_name] = value
    with caplog.at_level(logging.WARNING, logger="monitor"):
        assert texts(run(collector(server, first=2))) == ["#acme good"]
    (warning,) = [record.getMessage() for record in caplog.records if record.name.startswith("monitor.")]
    assert field_name in warning
    assert "quoteworthy" not in warning


def test_a_page_of_nothing_but_odd_posts_is_no_answer(server: FakeMastodon) -> None:
    server.post("#acme", at=ago(5), uri=None)
    with pytest.raises(SourceUnavailable, match="no post that can be read"):
        run(collector(server))


# --- reading on -------------------------------------------------------------------------------------------------------


def test_the_first_run_reads_the_latest_posts(server: FakeMastodon) -> None:
    for n in range(100):
        server.post(f"#acme {n}", at=ago(n))
    batches = run(collector(server))
    assert len(texts(batches)) == 40
    assert [batch.cursor is not None for batch in batches] == [True]
    batches = run(collector(server, first=90))
    assert len(texts(batches)) == 100  # in whole pages
    assert [batch.cursor is not None for batch in batches] == [False, False, True]
    assert [batch.fetched for batch in batches] == [40, 40, 20]


def test_later_runs_read_oldest_first_and_lose_nothing(server: FakeMastodon) -> None:
    reader = Reader(collector(server))
    now = NOW
    for posts in (30, 0, 130, 1):
        for n in range(posts):
            server.post(f"#acme {n}", at=now - MINUTE + n * timedelta(milliseconds=10))
        assert reader.run(now) is None
        now += HOUR
    assert set(reader.stored) == {post.uri for post in server.posts.values()}
    assert reader.read_twice == 0
    (final,) = run(reader.source, position=reader.position)
    assert (final.mentions, final.cursor) == ([], reader.position.cursor)


def test_posts_that_come_while_a_burst_is_read_are_not_lost(server: FakeMastodon) -> None:
    reader = Reader(collector(server))
    server.post("#acme first", at=ago(60))
    reader.run()
    for n in range(200):
        server.post(f"#acme {n}", at=ago(50) + n * timedelta(seconds=1))

    def publish(_: Request) -> None:
        if len(server.posts) < 220:
            server.post("#acme between", at=ago(10) + len(server.posts) * timedelta(seconds=1))

    server.before_answer = publish
    assert reader.run() is None
    server.before_answer = None
    assert reader.run() is None
    assert set(reader.stored) == {post.uri for post in server.posts.values()}


def test_a_run_that_is_cut_off_goes_on_where_it_stopped(server: FakeMastodon) -> None:
    reader = Reader(collector(server))
    server.post("#acme first", at=ago(60))
    reader.run()
    for n in range(130):
        server.post(f"#acme {n}", at=ago(50) + n * timedelta(seconds=1))
    reader.run(stop_after=2)
    assert len(reader.stored) == 81
    server.faults.extend(["503"])
    assert isinstance(reader.run(), SourceUnavailable)
    assert reader.run() is None
    assert len(reader.stored) == 131
    assert reader.read_twice == 0


def test_a_burst_beyond_the_pages_of_a_run_is_read_in_several(server: FakeMastodon) -> None:
    reader = Reader(collector(server, most_pages=2))
    server.post("#acme first", at=ago(60))
    reader.run()
    for n in range(180):
        server.post(f"#acme {n}", at=ago(50) + n * timedelta(seconds=1))
    told = [reader.run() for _ in range(3)]
    assert [str(error) for error in told if error] == [
        f"{server.host} has more of tag:acme than the 2 pages of one run; nothing is lost, the next run goes on"
    ] * 2
    assert len(reader.stored) == 181


def test_a_first_run_that_is_cut_off_begins_again(server: FakeMastodon) -> None:
    for n in range(100):
        server.post(f"#acme {n}", at=ago(n))
    reader = Reader(collector(server, first=100))
    reader.run(stop_after=1)
    assert reader.position == Position()
    assert reader.run() is None
    assert len(reader.stored) == 100


def test_an_empty_timeline_is_read_from_its_beginning_later(server: FakeMastodon) -> None:
    reader = Reader(collector(server))
    assert reader.run() is None
    for n in range(90):
        server.post(f"#acme {n}", at=ago(n))
    assert reader.run() is None
    assert len(reader.stored) == 90


def test_a_server_that_does_not_know_min_id_is_not_asked_for_ever(server: FakeMastodon) -> None:
    server.ignores = {"min_id", "max_id"}
    for n in range(60):
        server.post(f"#acme {n}", at=ago(n))
    reader = Reader(collector(server, first=100))
    assert reader.run() is None
    server.post("#acme new", at=ago(-1))
    assert reader.run() is None
    assert len(server.requests) == 4
    assert "#acme new" in [mention.text for mention in reader.stored.values()]


def test_an_edited_post_that_is_shown_again_carries_its_new_words(server: FakeMastodon, tmp_path: Path) -> None:
    post = server.post("#acme kettle", at=ago(5))
    source = Source("masto", "mastodon", collector(server), "1")
    with Store(tmp_path / "a.db") as store:
        collect(store, source, [ACME], NOW)
        post.more["content"] = "<p>#acme toaster</p>"
        found = source.collector.check([post.uri], None, NoBudget(), NOW + DAY).seen  # type: ignore[attr-defined]
        with store.transaction():
            store.mentions.add([(mention, ["Acme"]) for mention in found])
        assert [match.mention.text for match in store.mentions.pending(9)] == ["#acme toaster"]


# --- streams ----------------------------------------------------------------------------------------------------------


def test_hashtags_come_from_the_options_and_from_the_queries(server: FakeMastodon) -> None:
    query = 'acme AND (#AcmeFail OR "so #acmeGo" OR #wild*) NOT #jobs'
    source = collector(server, query, hashtags=["#Acme", "acme", "アクメ"])
    assert list(source.streams()) == ["tag:acme", "tag:アクメ", "tag:acmefail", "tag:acmego"]
    server.post("アクメ #アクメ", at=ago(5))
    assert texts(run(source, "tag:アクメ")) == ["アクメ #アクメ"]


def test_the_public_timeline_is_read_where_asked_for(server: FakeMastodon) -> None:
    server.post("here", at=ago(5))
    server.post("there", at=ago(4), author="bob@far.example")
    assert "public" not in collector(server).streams()
    assert texts(run(collector(server, timeline="local"), "public")) == ["here"]
    assert texts(run(collector(server, timeline="federated"), "public")) == ["there", "here"]


def test_posts_that_mention_the_account_are_read_with_a_token(server: FakeMastodon) -> None:
    server.ignores = {"types[]"}
    reader = Reader(collector(server, access_token=TOKEN), "mentions")
    for n in range(90):
        post = server.post(f"@acme {n}", at=ago(200 - n))
        server.mention(post, "mention" if n % 3 else "favourite")
        if n == 40:
            assert reader.run() is None
    deleted = server.post("@acme gone", at=ago(1))
    server.mention(deleted)
    server.delete(deleted)
    assert reader.run() is None
    assert reader.run() is None
    assert len(reader.stored) == 60
    assert {request.authorization for request in server.requests} == {f"Bearer {TOKEN}"}


def test_the_token_is_not_taken_for_the_name_of_a_file(
    server: FakeMastodon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / TOKEN).write_text("https://elsewhere.example\nanother\n")
    run(collector(server, access_token=TOKEN))
    assert server.requests[0].authorization == f"Bearer {TOKEN}"


def test_each_page_is_one_request_that_names_the_program(server: FakeMastodon) -> None:
    server.post("#acme", at=ago(5))
    source = searching(server, timeline="local", first=1)
    server.mention(server.post("@acme", at=ago(4)))
    for stream in source.streams():
        run(source, stream)
    assert [request.path for request in server.requests] == [
        "/api/v1/timelines/tag/acme",
        "/api/v1/timelines/public",
        "/api/v1/notifications",
        "/api/v2/search",
    ]
    assert all(request.user_agent.startswith("sentimon/") for request in server.requests)


# --- search -----------------------------------------------------------------------------------------------------------


def searching(server: FakeMastodon, query: str = "acme", **changes: Any) -> MastodonCollector:
    return collector(server, query, access_token=TOKEN, search=True, **changes)


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("acme", ["acme"]),
        ("(acme AND kettle) OR (acme NOT jobs)", ["acme"]),
        ("acme AND (kettle OR toaster)", ["acme kettle", "acme toaster"]),
        ("(acme OR akme) AND (kettle OR pan)", ["acme kettle", "acme pan", "akme kettle", "akme pan"]),
        (
            'acme OR "acme kettle" OR @acme_help@x.org OR #acmefail',
            ["acme", '"acme kettle"', '"acme_help"', "acmefail"],
        ),
        ("acme NEAR/5 (refund OR money)", ["acme refund", "acme money"]),
        ('"the acme* kettle"', ["the kettle"]),
        ("AT&T NOT (jobs AND hiring)", ['"AT&T"']),
        ("acme NOT (NOT kettle)", ["acme kettle"]),
        ("acme AND kett*", ["acme"]),
    ],
)
def test_the_search_asks_for_more_than_the_query_never_for_less(
    server: FakeMastodon, query: str, sent: list[str]
) -> None:
    run(searching(server, query), "search:Acme")
    assert [request.params["q"] for request in server.requests] == sent
    assert {request.params["type"] for request in server.requests} == {"statuses"}


def test_what_search_cannot_express_is_refused_with_a_way_out(server: FakeMastodon) -> None:
    with pytest.raises(InputError, match="cannot search wildcards"):
        searching(server, "acme OR organi*")
    with pytest.raises(InputError, match="set search = false"):
        searching(server, " OR ".join(f"word{n}" for n in range(50)))
    assert collector(server, "acme OR organi*").streams()


def test_search_reads_back_to_the_last_run_and_a_little_further(server: FakeMastodon) -> None:
    reader = Reader(searching(server), "search:Acme")
    old = server.post("acme late in the index", at=ago(20), searchable=False)
    server.post("acme first", at=ago(30))
    assert reader.run() is None
    old.searchable = True
    for n in range(120):
        server.post(f"acme {n}", at=NOW + n * MINUTE)
    asked = len(server.requests)
    assert reader.run(NOW + 2 * HOUR) is None
    assert set(reader.stored) == {post.uri for post in server.posts.values()}
    assert len(server.requests) - asked == 5  # 40 posts a page, and one that is empty
    assert reader.position == Position((NOW + 2 * HOUR).isoformat())


def test_the_cursor_of_search_moves_with_the_last_page_of_the_last_search(server: FakeMastodon) -> None:
    for n in range(100):
        server.post(f"acme {n} akme", at=ago(n))
    batches = run(searching(server, "acme OR akme", first=80), "search:Acme")
    assert [batch.cursor for batch in batches] == [None, None, None, NOW.isoformat()]


def test_more_than_search_gives_in_a_run_is_told_as_a_gap(server: FakeMastodon) -> None:
    for n in range(100):
        server.post(f"acme {n}", at=ago(n))
    position = Position(ago(500).isoformat())
    batches = run(searching(server, most_pages=2), "search:Acme", position)
    (gap,) = [batch.gap for batch in batches if batch.gap]
    assert (gap.since, gap.until, gap.cause) == (ago(500), ago(79), "saturated")
    assert batches[-1].cursor == NOW.isoformat()


def test_a_search_that_repeats_its_page_ends(server: FakeMastodon) -> None:
    server.ignores = {"offset"}
    for n in range(60):
        server.post(f"acme {n}", at=ago(n))
    run(searching(server), "search:Acme", Position(ago(500).isoformat()))
    assert len(server.requests) == 2


# --- faults and limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["500", "502", "503", "504", "418", "html", "json", "drop", "cut", "slow"])
def test_a_fault_ends_the_run_and_the_next_one_goes_on(server: FakeMastodon, fault: str) -> None:
    reader = Reader(collector(server, timeout=0.3))
    server.post("#acme", at=ago(5))
    server.faults.append(fault)
    error = reader.run()
    assert isinstance(error, SourceUnavailable)
    assert server.host in str(error)
    assert len(server.requests) == 1
    assert reader.run() is None
    assert len(reader.stored) == 1


@pytest.mark.parametrize("fault", ["500", "html", "json", "drop"])
def test_a_fault_of_the_search_is_no_empty_result(server: FakeMastodon, fault: str) -> None:
    server.faults.append(fault)
    with pytest.raises(SourceUnavailable):
        run(searching(server), "search:Acme")


def test_a_server_that_is_not_there_is_said_to_be(server: FakeMastodon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(SourceUnavailable, match=f"127.0.0.1:{port} did not answer"):
        run(collector(server, instance=f"http://127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("fault", "reset", "wait"),
    [
        ("429", (NOW + 4 * MINUTE).isoformat().replace("+00:00", "Z"), 4 * MINUTE),
        ("429", int((NOW + 3 * MINUTE).timestamp()), 3 * MINUTE),
        ("429", "soon", 15 * MINUTE),
        ("429:7", "9" * 400, timedelta(seconds=7)),
        ("429:7", (NOW - HOUR).isoformat(), timedelta(seconds=7)),
        ("429-bare", None, 15 * MINUTE),
        ("429:99999999999", "²", 15 * MINUTE),
    ],
)
def test_a_limit_is_a_wait(server: FakeMastodon, fault: str, reset: Any, wait: timedelta) -> None:
    source = collector(server)
    server.faults.append(fault)
    server.reset = reset
    with pytest.raises(RateLimited) as error:
        run(source)
    assert error.value.not_before == NOW + wait
    assert len(server.requests) == 1
    with pytest.raises(RateLimited):
        run(source, now=NOW + wait - timedelta(seconds=1))
    assert len(server.requests) == 1
    run(source, now=NOW + wait)
    assert len(server.requests) == 2


def test_the_limit_is_kept_ahead_of_time(server: FakeMastodon) -> None:
    server.reset = (NOW + 5 * MINUTE).isoformat()
    reader = Reader(collector(server))
    server.post("#acme", at=ago(90))
    reader.run()
    for n in range(150):
        server.post(f"#acme {n}", at=ago(80) + n * timedelta(seconds=1))
    server.remaining = 2
    error = reader.run()
    assert isinstance(error, RateLimited)
    assert error.not_before == NOW + 5 * MINUTE
    assert len(reader.stored) == 81  # the page that used up the limit is kept
    assert "429" not in [request.answer for request in server.requests]
    server.remaining = 300
    assert reader.run(NOW + 5 * MINUTE) is None
    assert len(reader.stored) == 151


@pytest.mark.parametrize("reset", ["nonsense", "", "1e999", "0"])
def test_an_odd_reset_time_is_no_fault(server: FakeMastodon, reset: str) -> None:
    server.post("#acme", at=ago(5))
    server.reset = reset
    assert len(texts(run(collector(server)))) == 1


@pytest.mark.parametrize(
    ("token", "fault", "told"),
    [
        (TOKEN, "401", "refuses the access token"),
        (TOKEN, "403", "refuses the access token"),
        (None, "401", "add an `access_token`"),
        (None, "422", "add an `access_token`"),
        (None, "404", "check `instance`"),
        (None, "410", "check `instance`"),
    ],
)
def test_what_a_person_must_mend_pauses_the_source(
    server: FakeMastodon, token: str | None, fault: str, told: str
) -> None:
    server.faults.append(fault)
    with pytest.raises(NotAuthorised, match=told):
        run(collector(server, access_token=token))


def test_a_wrong_token_is_refused_and_never_told(server: FakeMastodon, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(NotAuthorised) as error:
        run(collector(server, access_token="wrong-secret"))
    for text in (str(error.value), repr(error.value.__cause__), caplog.text, repr(options(server, access_token=TOKEN))):
        assert "wrong-secret" not in text
        assert TOKEN not in text


# --- the past ---------------------------------------------------------------------------------------------------------


def past(source: MastodonCollector, since: datetime, until: datetime, resume: str | None = None) -> list[Batch]:
    return list(source.history(TAG, since, until, resume, NoBudget(), NOW))


@pytest.mark.parametrize("snowflakes", [True, False])
def test_a_span_of_the_past_is_read_wholly_and_nothing_else(snowflakes: bool) -> None:
    with FakeMastodon(snowflakes) as server:
        for hour in range(500, 0, -1):
            server.post(f"#acme {hour}", at=NOW - hour * HOUR)
        batches = past(collector(server), NOW - 450 * HOUR, NOW - 350 * HOUR)
        assert sorted(texts(batches)) == sorted(f"#acme {hour}" for hour in range(351, 451))
        assert [batch.cursor is not None for batch in batches] == [False] * (len(batches) - 1) + [True]
        assert all(batch.resume for batch in batches[:-1])
        assert len(server.requests) == (5 if snowflakes else 13)  # where ids tell the time, it goes there at once


def test_posts_that_came_late_belong_to_when_they_were_made(server: FakeMastodon) -> None:
    for hour in range(400):
        server.post(f"#acme {hour}", at=NOW - hour * HOUR)
    server.post("#acme late", at=NOW - 200 * HOUR, arrived=NOW - 200 * HOUR + 50 * MINUTE)
    for n in range(40):  # a page of posts that an outage held back for days
        server.post(f"#acme old {n}", at=NOW - 350 * HOUR, arrived=NOW - 205.5 * HOUR + n * timedelta(seconds=1))
    batches = past(collector(server), NOW - 210 * HOUR, NOW - 199.5 * HOUR)
    assert sorted(texts(batches)) == sorted([f"#acme {hour}" for hour in range(200, 211)] + ["#acme late"])


def test_an_interrupted_reading_of_the_past_goes_on(server: FakeMastodon) -> None:
    for hour in range(130):
        server.post(f"#acme {hour}", at=NOW - hour * HOUR)
    source = collector(server)
    first = past(source, NOW - 100 * HOUR, NOW)[:2]
    rest = past(source, NOW - 100 * HOUR, NOW, first[-1].resume)
    assert sorted(texts(first + rest)) == sorted(f"#acme {hour}" for hour in range(1, 101))


def test_the_past_ends_with_the_first_post(server: FakeMastodon) -> None:
    assert [batch.cursor is not None for batch in past(collector(server), NOW - DAY, NOW)] == [True]
    server.post("#acme", at=NOW - HOUR)
    assert texts(past(collector(server), NOW - DAY, NOW)) == ["#acme"]


def test_a_server_that_repeats_its_page_does_not_pretend_to_a_past(server: FakeMastodon) -> None:
    server.ignores = {"max_id"}
    for hour in range(50):
        server.post(f"#acme {hour}", at=NOW - hour * HOUR)
    with pytest.raises(SourceUnavailable, match="again and again"):
        past(collector(server), NOW - 90 * DAY, NOW)


def test_search_has_no_past(server: FakeMastodon) -> None:
    source = searching(server)
    assert isinstance(source, Historian)
    assert source.oldest("search:Acme", NOW) == NOW
    assert source.oldest(TAG, NOW) is None
    with pytest.raises(InputError):
        list(source.history("search:Acme", NOW - DAY, NOW, None, NoBudget(), NOW))


# --- asking again -----------------------------------------------------------------------------------------------------


def test_deleted_hidden_and_edited_posts_are_told(server: FakeMastodon) -> None:
    deleted, hidden, edited, kept = (server.post(f"#acme {n}", at=ago(n)) for n in range(4))
    foreign = server.post("#acme", at=ago(9), author="bob@far.example")
    server.delete(deleted)
    hidden.visibility = "private"
    edited.text = "#acme new words"
    source = collector(server, access_token=TOKEN)
    assert isinstance(source, Checker)
    checked = source.check([p.uri for p in (deleted, hidden, edited, kept, foreign)], None, NoBudget(), NOW)
    assert list(checked.gone) == [deleted.uri, hidden.uri]
    assert [(mention.source_id, mention.text) for mention in checked.seen] == [
        (edited.uri, "#acme new words"),
        (kept.uri, "#acme 3"),
    ]
    assert len(server.requests) == 4  # nobody is asked about other servers' posts


def test_a_boost_is_asked_for_by_its_own_id(server: FakeMastodon) -> None:
    boost = server.post("#acme", at=ago(5), boost_of=server.post("acme", at=ago(9)))
    assert [each.source_id for each in collector(server).check([boost.uri], None, NoBudget(), NOW).seen] == [boost.uri]


@pytest.mark.parametrize(
    ("fault", "error"),
    [("html404", NotAuthorised), ("503", SourceUnavailable), ("401", NotAuthorised), ("429", RateLimited)],
)
def test_only_mastodon_itself_can_say_that_a_post_is_gone(
    server: FakeMastodon, fault: str, error: type[CollectorError]
) -> None:
    post = server.post("#acme", at=ago(5))
    server.faults.append(fault)
    with pytest.raises(error):
        collector(server).check([post.uri], None, NoBudget(), NOW)


def test_looking_after_old_posts_leaves_requests_to_the_live_runs(server: FakeMastodon) -> None:
    server.reset = (NOW + 5 * MINUTE).isoformat()
    posts = [server.post(f"#acme {n}", at=ago(n)) for n in range(20)]
    source = collector(server)
    server.remaining = 110
    with pytest.raises(RateLimited) as error:
        source.check([post.uri for post in posts], None, NoBudget(), NOW)
    assert error.value.not_before == NOW + 5 * MINUTE
    assert server.remaining == 100
    assert len(texts(run(source))) == 20


@pytest.mark.parametrize(
    "uri",
    [
        "{url}/objects/6c1f-uuid",
        "{url}.evil.example/users/ann/statuses/1",
        "https://ann@far.example/users/ann/statuses/1",
        "{url}/users/ann/statuses/1/../2",
        "{url}/@ann",
        "tag:{host},2016:objectId=1",
        "https://[broken/users/ann/statuses/1",
        "",
    ],
)
def test_addresses_that_name_no_post_of_this_server_are_not_asked_about(server: FakeMastodon, uri: str) -> None:
    checked = collector(server).check([uri.format(url=server.url, host=server.host)], None, NoBudget(), NOW)
    assert (list(checked.gone), list(checked.seen), server.requests) == ([], [], [])


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("mastodon.social", "https://mastodon.social"),
        ("https://Social.Example/", "https://social.example"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_the_instance_is_a_name_or_an_address(given: str, meant: str) -> None:
    assert MastodonOptions.model_validate({"instance": given, "hashtags": ["a"]}).instance == meant


@pytest.mark.parametrize(
    "changes",
    [
        {"instance": "http://mastodon.social"},
        {"instance": "https://user:word@mastodon.social"},
        {"instance": "https://mastodon.social/about"},
        {"instance": "ftp://mastodon.social"},
        {"instance": ""},
        {"hashtags": ["two words"]},
        {"hashtags": ["acme*"]},
        {"hashtags": ["../../v1/accounts"]},
        {"access_token": f"{TOKEN} {TOKEN}"},
        {"search": True},
        {"timeline": "home"},
        {"first": 0},
        {"most_pages": 0},
        {"timeout": 0},
        {"token": "x"},
    ],
)
def test_options_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as error:
        MastodonOptions.model_validate({"instance": "mastodon.social", "hashtags": ["acme"]} | changes)
    assert TOKEN not in str(error.value)


def test_a_source_that_would_read_nothing_is_refused(server: FakeMastodon) -> None:
    with pytest.raises(InputError, match="nothing to read"):
        collector(server, hashtags=[])
    with pytest.raises(InputError, match="no stream"):
        run(collector(server), "tag:other")


def registered() -> CollectorKind:
    kinds: list[CollectorKind] = []
    register_collectors(kinds.append)
    (kind,) = kinds
    return kind


def test_every_stream_is_explained(server: FakeMastodon) -> None:
    given = options(server, access_token=TOKEN, search=True, timeline="local")
    assert registered().explain(given, [Brand("Acme", parse("acme OR akme"))]) == [
        f"tag:acme: posts with #acme on {server.host}",
        f"public: the local timeline on {server.host}",
        f"mentions: posts that mention the account on {server.host}",
        f"search:Acme: search for acme | akme on {server.host}",
    ]


@pytest.mark.parametrize(("name", "tag"), [("Acme", "acme"), ("Ben & Jerry's", "benjerrys"), ("Éclair 24", "éclair24")])
def test_a_first_look_needs_no_key(name: str, tag: str) -> None:
    kind = registered()
    look: Callable[[str], Any] | None = kind.first_look
    assert look is not None
    source = kind.build(kind.options.model_validate(look(name)), [Brand(name, parse(f'"{name}"'))])
    assert list(source.streams()) == [f"tag:{tag}"]
    assert list(kind.explain(kind.options.model_validate(look(name)), [])) == [
        f"tag:{tag}: posts with #{tag} on mastodon.social"
    ]


# --- the job, and another server --------------------------------------------------------------------------------------


def test_the_job_stores_each_post_once_though_two_streams_show_it(server: FakeMastodon, tmp_path: Path) -> None:
    for n in range(30):
        server.post(f"#acme #acmefail {n}", at=ago(n))
    source = Source("masto", "mastodon", collector(server, hashtags=["acme", "acmefail"], timeline="local"), "1")
    with Store(tmp_path / "a.db") as store:
        outcome = collect(store, source, [ACME], NOW)
        assert outcome.error is None
        assert (outcome.counts["stored"], outcome.counts["known"]) == (30, 60)
        server.faults.append("429")
        server.reset = (NOW + HOUR + 5 * MINUTE).isoformat()
        outcome = collect(store, source, [ACME], NOW + HOUR)
        assert outcome.error is None
        assert outcome.note is not None
        outcome = collect(store, source, [ACME], NOW + 2 * HOUR)
        assert (outcome.error, outcome.note, outcome.counts["stored"]) == (None, None, 0)


@contextmanager
def mastodon_mock() -> Iterator[str]:
    """A mastodon-mock of its own, with an empty store in memory."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mastodon_mock", "serve", "--in-memory", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--domain", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "mastodon-mock does not start"
            pause()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()  # all it has is in memory
        process.wait()


def pause(wait: Callable[[float], None] = time.sleep) -> None:
    """For a process to start; bound before `no_sleep` forbids it."""
    wait(0.1)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mastodon_mock") is None, reason="mastodon-mock is not installed")
def test_mastodon_mock_is_read_as_well() -> None:
    import mastodon

    with mastodon_mock() as url:
        client = mastodon.Mastodon(access_token="mock_token", api_base_url=url, request_timeout=15)
        given = {
            "instance": url,
            "hashtags": ["acme"],
            "timeline": "local",
            "access_token": "mock_token",
            "search": True,
        }
        source = MastodonCollector(MastodonOptions.model_validate(given), [ACME])
        readers = {stream: Reader(source, stream) for stream in source.streams()}
        now = datetime.now(UTC)
        for posts in (3, 90, 1):
            made = [client.status_post(f"#acme {posts}: {n}") for n in range(posts)]
            now += HOUR
            for stream, reader in readers.items():
                assert reader.run(now) is None, stream
        assert [len(readers[stream].stored) for stream in (TAG, "public")] == [94, 94]
        assert made[0].uri in readers["search:Acme"].stored
        client.status_delete(made[0].id)
        checked = source.check([made[0].uri], None, NoBudget(), now)
        assert list(checked.gone) == [made[0].uri]
        assert len(texts(list(source.history(TAG, now - DAY, now + DAY, None, NoBudget(), now)))) == 93
