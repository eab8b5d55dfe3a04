"""The Mastodon collector with the real Mastodon.py against a Mastodon on a loopback socket."""

import logging
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from db.errors import SourceUnavailable
from db.records import Position, Reach
from db.store import Store
from jobs.collect import Source, collect
from models.brand import Brand
from models.query import parse
from tests.fake_mastodon import TOKEN, FakeMastodon, Request
from tests.mastodon_rig import (
    ACME,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    NoBudget,
    Reader,
    ago,
    collector,
    no_naps,
    one,
    run,
    searching,
    texts,
)


@pytest.fixture
def server() -> Iterator[FakeMastodon]:
    with FakeMastodon() as fake:
        yield fake


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    no_naps(monkeypatch)


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


def test_a_server_that_looks_ids_up_is_read_from_its_beginning_too(server: FakeMastodon) -> None:
    server.looks_up = True
    reader = Reader(collector(server, most_pages=2))
    assert reader.run() is None
    for n in range(60):
        server.post(f"#acme {n}", at=ago(n))
    assert reader.run() is None
    assert reader.run() is None
    assert len(reader.stored) == 60


def test_more_than_a_run_reads_of_such_a_server_is_told_as_a_gap(server: FakeMastodon) -> None:
    server.looks_up = True
    reader = Reader(collector(server, most_pages=2))
    reader.run()
    for n in range(100):
        server.post(f"#acme {n}", at=ago(n))
    *_, last = run(reader.source, position=reader.position)
    assert last.gap is not None
    assert (last.gap.since, last.gap.until, last.gap.cause) == (None, ago(79), "saturated")


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


def test_what_mentions_a_brands_own_account_is_kept_whatever_it_says(server: FakeMastodon, tmp_path: Path) -> None:
    own = {"id": "7", "username": "acme", "acct": "acme"}
    told = [[own], [own | {"acct": "acme@elsewhere.example"}], [None, {"acct": 5}], "odd"]
    for number, mentions in enumerate(told):
        post = server.post(f"where is parcel {number}?", at=ago(5))
        post.more["mentions"] = mentions
        server.mention(post)
    acme = Brand("Acme", parse("acme"), accounts={"mastodon": f"Acme@{server.host}"})
    with Store(tmp_path / "a.db") as store:
        collect(store, Source("masto", "mastodon", collector(server, access_token=TOKEN), "1"), [acme], NOW)
        assert [match.mention.text for match in store.mentions.pending(9)] == ["where is parcel 0?"]


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
