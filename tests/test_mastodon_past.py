"""Mastodon's past, and stored posts that are asked for again."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from db.errors import CollectorError, InputError, NotAuthorised, RateLimited, SourceUnavailable
from db.records import Batch
from jobs.collector import Checker, Historian
from monitor.collectors.mastodon import MastodonCollector
from tests.fake_mastodon import TOKEN, FakeMastodon
from tests.mastodon_rig import DAY, HOUR, MINUTE, NOW, TAG, NoBudget, ago, collector, no_naps, run, searching, texts


@pytest.fixture
def server() -> Iterator[FakeMastodon]:
    with FakeMastodon() as fake:
        yield fake


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    no_naps(monkeypatch)


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
