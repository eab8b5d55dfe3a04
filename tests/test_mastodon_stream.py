"""Listening to Mastodon's streams: what they bring beside the timelines, and that nothing rests on them."""

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from db.errors import InputError
from db.records import Batch, Position
from db.store import Store
from jobs.collect import Source, collect
from jobs.outcome import Outcome
from models.brand import Brand
from models.query import parse
from monitor.collectors.mastodon import MastodonCollector
from monitor.collectors.mastodon_live import MOST
from monitor.collectors.mastodon_stream import LISTENER
from tests.fake_mastodon import TOKEN, FakeMastodon
from tests.fake_mastodon_streams import HEARTBEAT, Listener
from tests.mastodon_rig import ACME, HOUR, MINUTE, NOW, NoBudget, ago, collector, no_naps, options, run, texts
from tests.support import rows

pytestmark = pytest.mark.filterwarnings("error")  # an error in a thread is one

LIVE = "live"
LONG = 60  # seconds, none of which is waited for: the server hangs up


@pytest.fixture
def server() -> Iterator[FakeMastodon]:
    with FakeMastodon() as fake:
        yield fake


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    no_naps(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "a.db") as opened:
        yield opened


def listening(server: FakeMastodon, query: str = "acme", **changes: Any) -> MastodonCollector:
    given = {"stream": True, "listen": LONG, "access_token": TOKEN} | changes
    return collector(server, query, **given)


def while_listening(server: FakeMastodon, *happens: Callable[[], object], streams: int = 1) -> None:
    """Let things happen as soon as all streams are open; then the server hangs up."""

    def opened(_: Listener) -> None:
        if len(server.streams.listeners) == streams:
            for each in happens:
                each()
            server.streams.hang_up()

    server.streams.opened = opened


def turn(store: Store, source: MastodonCollector, hour: int = 0) -> Outcome:
    return collect(store, Source("masto", "mastodon", source, "1"), [ACME], NOW + hour * HOUR)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("monitor.")]


def asked(server: FakeMastodon) -> int:
    return sum("/streaming/" in request.path for request in server.requests)


# --- what is heard ----------------------------------------------------------------------------------------------------


def test_what_is_posted_while_it_listens_is_heard_once_on_all_streams(server: FakeMastodon) -> None:
    while_listening(
        server,
        lambda: server.post("#acme is down", at=ago(0)),
        lambda: server.post("the acme kettle \U0001fad6", at=ago(0), author="bob@far.example"),
        lambda: server.post("nothing of note", at=ago(0)),
        streams=2,
    )
    batches = run(listening(server, timeline="federated"), LIVE)
    assert sorted(texts(batches)) == ["#acme is down", "the acme kettle \U0001fad6"]
    assert [(batch.cursor, batch.resume) for batch in batches] == [(NOW.isoformat(), None)]
    assert batches[0].fetched == 4  # one was sent on both
    assert [mention.author for mention in batches[0].mentions if "kettle" in mention.text] == ["bob@far.example"]


@pytest.mark.parametrize(("timeline", "heard"), [("local", ["acme here"]), ("federated", ["acme here", "acme there"])])
def test_the_public_stream_is_that_of_the_timeline(server: FakeMastodon, timeline: str, heard: list[str]) -> None:
    while_listening(
        server,
        lambda: server.post("acme here", at=ago(0)),
        lambda: server.post("acme there", at=ago(0), author="bob@far.example"),
    )
    assert sorted(texts(run(listening(server, hashtags=[], timeline=timeline), LIVE))) == heard


def test_an_edit_becomes_a_version(server: FakeMastodon, store: Store, tmp_path: Path) -> None:
    post = server.post("#acme leaks", at=ago(5))
    while_listening(server, lambda: server.edit(post, "#acme leaks no more"))
    outcome = turn(store, listening(server))
    assert (outcome.error, outcome.note) == (None, None)
    assert rows(tmp_path / "a.db", "SELECT text FROM mentions") == [("#acme leaks no more",)]
    assert rows(tmp_path / "a.db", "SELECT text FROM versions") == [("#acme leaks",)]


@pytest.mark.parametrize("author", ["ann", "bob@far.example"])
def test_a_deletion_takes_text_and_author_of_a_post_that_was_read_before(
    server: FakeMastodon, store: Store, tmp_path: Path, author: str
) -> None:
    source = listening(server)
    post = server.post("#acme leaks", at=ago(5), author=author)
    while_listening(server)
    turn(store, source)
    while_listening(server, lambda: server.delete(post))
    turn(store, source, hour=1)
    found = rows(tmp_path / "a.db", "SELECT source_id, text, author, gone_reason FROM mentions")
    assert found == [(post.uri, "", None, "deleted")]


def test_a_post_that_is_deleted_at_once_is_never_stored(server: FakeMastodon, store: Store, tmp_path: Path) -> None:
    while_listening(server, lambda: server.delete(server.post("#acme oops", at=ago(0))))
    turn(store, listening(server))
    assert rows(tmp_path / "a.db", "SELECT text FROM mentions") == []


def test_streams_that_are_behind_bring_nothing_back(server: FakeMastodon) -> None:
    deleted, edited = server.post("#acme oops", at=ago(5)), server.post("#acme old", at=ago(5))
    first = dict(vars_of(edited))
    while_listening(
        server,
        lambda: server.delete(deleted),
        lambda: server.streams.tell("update", deleted),
        lambda: server.edit(edited, "#acme new"),
        lambda: server.streams.tell("update", type(edited)(**first)),
    )
    (batch,) = run(listening(server), LIVE)
    assert [mention.text for mention in batch.mentions] == ["#acme new"]


def vars_of(post: Any) -> dict[str, Any]:
    return {name: getattr(post, name) for name in type(post).__slots__} | {"more": {}}


def test_a_post_that_reaches_the_server_late_is_heard(server: FakeMastodon, store: Store, tmp_path: Path) -> None:
    """Its id is that of the past, where the timeline was read already."""
    source = listening(server)
    server.post("#acme", at=ago(5))
    while_listening(server)
    turn(store, source)
    while_listening(server, lambda: server.post("#acme late", at=ago(30), author="bob@far.example"))
    turn(store, source, hour=1)
    assert ("#acme late",) in rows(tmp_path / "a.db", "SELECT text FROM mentions")


def test_a_flood_is_handed_over_in_parts_and_the_cursor_comes_last(server: FakeMastodon) -> None:
    def flood() -> None:
        for number in range(450):
            server.post(f"#acme {number}", at=NOW + number * timedelta(milliseconds=1))

    while_listening(server, flood)
    batches: list[Batch] = run(listening(server), LIVE)
    assert [len(batch.mentions) for batch in batches] == [200, 200, 50]
    assert [batch.cursor for batch in batches] == [None, None, NOW.isoformat()]


def test_more_streams_than_are_listened_to_at_once_are_told(server: FakeMastodon) -> None:
    tags = [f"acme{number}" for number in range(MOST + 5)]
    while_listening(server, streams=MOST)
    source = listening(server, hashtags=tags, first=1)
    assert run(source, LIVE)
    assert asked(server) == MOST
    (line,) = [line for line in source.explain() if line.startswith("live: ")]
    assert (
        line == f"live: 60 s a run of {', '.join(f'tag:{tag}' for tag in tags[:MOST])}, as it comes, on {server.host}"
    )


# --- nothing rests on it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["hang_up", "sever"])
def test_what_is_posted_while_nobody_listens_is_read_by_the_timeline(
    server: FakeMastodon, store: Store, tmp_path: Path, end: str
) -> None:
    source, sent = listening(server, timeline="local", first=1), 0

    def post(many: int, hour: int) -> None:
        nonlocal sent
        for _ in range(many):
            sent += 1
            server.post(f"#acme {sent}", at=NOW + hour * HOUR + sent * timedelta(milliseconds=1))

    def opened(_: Listener) -> None:
        post(3, hour)
        getattr(server.streams, end)()
        post(2, hour)  # too late to be heard

    server.streams.opened = opened
    for hour in range(4):
        assert turn(store, source, hour).error is None
        post(45, hour)
    server.streams.opened = lambda _: server.streams.hang_up()
    assert turn(store, source, 5).error is None
    found = {id for (id,) in rows(tmp_path / "a.db", "SELECT source_id FROM mentions")}
    assert found == {post.uri for post in server.posts.values()}
    assert len(found) == sent > 180


@pytest.mark.parametrize("fault", ["401", "403", "404", "422", "429:600", "500", "503", "html", "drop", "cut", "slow"])
def test_a_server_that_does_not_stream_is_read_by_its_timelines(
    server: FakeMastodon, store: Store, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    server.post("#acme", at=ago(5))
    server.stream_faults.append(fault)
    outcome = turn(store, listening(server, listen=0.3 if fault == "slow" else LONG))
    assert (outcome.error, outcome.note, outcome.counts["stored"]) == (None, None, 1)
    why = {"drop": "no answer", "slow": "no answer", "html": None, "cut": None}.get(fault, fault[:3])
    assert [f"tag:acme is not streamed ({why})" in line for line in told(caplog)] == ([True] if why else [])


def test_a_source_whose_timelines_cannot_be_read_was_not_read_though_it_listened(
    server: FakeMastodon, store: Store
) -> None:
    source = listening(server, timeline="local")
    for hour in range(3):
        server.faults.extend(["503", "503", "503"])  # both timelines, and what mentions the account
        server.stream_faults.extend(["404", "404"])
        assert "read" not in (turn(store, source, hour).error or "read")
    state = store.sources.state("masto")
    assert state is not None
    assert state.last_ok_at is None
    hours = store.sources.hours("masto", NOW, NOW + 2 * HOUR, NOW + 2 * HOUR)
    assert [hour.state for hour in hours] == ["missing", "missing"]


def test_a_server_that_streams_to_members_only_says_so(server: FakeMastodon, caplog: pytest.LogCaptureFixture) -> None:
    run(listening(server, access_token=None), LIVE)
    why = "(401): servers ask for an access_token; it is read by its timeline alone"
    assert told(caplog) == [f"{server.host}: tag:acme is not streamed {why}"]


@pytest.mark.parametrize(("fault", "left_alone"), [("404", HOUR), ("429:600", 10 * MINUTE)])
def test_a_server_that_does_not_stream_is_left_alone_for_a_while(
    server: FakeMastodon, fault: str, left_alone: timedelta
) -> None:
    server.reset = ago(1).isoformat()
    server.stream_faults.append(fault)
    source = listening(server)
    run(source, LIVE)
    before = len(server.requests)
    (batch,) = run(source, LIVE, now=NOW + left_alone - timedelta(seconds=1))
    assert (batch.cursor, len(server.requests)) == ((NOW + left_alone - timedelta(seconds=1)).isoformat(), before)
    while_listening(server, lambda: server.post("#acme", at=ago(0)))
    assert texts(run(source, LIVE, now=NOW + left_alone)) == ["#acme"]


def test_a_server_in_trouble_is_asked_again_at_the_next_run(server: FakeMastodon) -> None:
    server.stream_faults.append("503")
    source = listening(server)
    run(source, LIVE)
    while_listening(server, lambda: server.post("#acme", at=ago(0)))
    assert texts(run(source, LIVE)) == ["#acme"]


def test_one_stream_that_is_refused_stops_no_other(server: FakeMastodon) -> None:
    server.stream_faults.append("403")
    while_listening(server, lambda: server.post("#acme #acmefail", at=ago(0)))
    assert texts(run(listening(server, hashtags=["acme", "acmefail"]), LIVE)) == ["#acme #acmefail"]


@pytest.mark.parametrize(
    "raw",
    [
        b"event update\n\n",
        b"event: update\n\n",
        b"event: update\ndata: {nonsense\n\n",
        b"event: update\ndata: " + b"[" * 100_000 + b"\n\n",
        b"data: 1\n\n",
        b"\xff\xfe\n\n",
        b"event: delete\ndata: 01H7ULID\n\n",
        b"event: delete\ndata: {}\n\n",
        b"event: delete\ndata: null\n\n",
        b"event: announcement\ndata: {}\n\n",
        b"event: filters_changed\ndata: undefined\n\n",
        b"event: never.heard_of\ndata: [1]\n\n",
        b"event: notification\ndata: 7\n\n",
        b"event: any_event\ndata: 7\n\n",
        b"event: update\ndata: [1]\n\n",
        b"event: update\ndata: null\n\n",
        b'event: update\ndata: {"id": 1, "uri": "secret words"}\n\n',
        b'event: update\ndata: {"id": "1", "created_at": "9999999-01-01", "account": {"acct": []}}\n\n',
        HEARTBEAT * 500,
    ],
)
def test_an_odd_event_takes_nothing_back_and_its_words_are_not_told(
    server: FakeMastodon, caplog: pytest.LogCaptureFixture, raw: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    while_listening(server, lambda: server.post("#acme", at=ago(0)), lambda: server.streams.say(raw))
    batches = run(listening(server), LIVE)
    assert texts(batches) == ["#acme"]
    assert batches[-1].cursor == NOW.isoformat()
    assert not any("secret words" in line for line in told(caplog))


def test_odd_posts_are_told_by_their_fields(server: FakeMastodon, caplog: pytest.LogCaptureFixture) -> None:
    odd = b'event: update\ndata: {"id": "1", "uri": "quoteworthy"}\n\n'
    while_listening(server, lambda: server.streams.say(odd * 2))
    run(listening(server), LIVE)
    (line,) = told(caplog)
    assert line == f"{server.host}: 2 posts are left out, they cannot be read: account, created_at, visibility"


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(LISTENER)]


@pytest.mark.parametrize("talks", [False, True])
def test_listening_ends_when_its_time_is_up_however_much_the_server_talks(server: FakeMastodon, talks: bool) -> None:
    if talks:
        server.streams.opened = lambda listener: listener.send(HEARTBEAT * 1_000_000)
    (batch,) = run(listening(server, listen=0.2), LIVE)
    assert batch.cursor == NOW.isoformat()
    assert threads() == []


def test_a_run_that_is_cut_off_leaves_nobody_listening(server: FakeMastodon) -> None:
    def flood(_: Listener) -> None:
        for number in range(200):
            server.post(f"#acme {number}", at=ago(0))

    server.streams.opened = flood
    reading = listening(server).collect(LIVE, Position(), NoBudget(), NOW)
    assert len(next(reading).mentions) == 200
    assert threads() == [f"{LISTENER}tag:acme"]
    reading.close()
    assert threads() == []


# --- where, and as whom -----------------------------------------------------------------------------------------------


def test_a_stream_is_asked_for_by_name_with_the_token_and_the_token_is_in_no_log(
    server: FakeMastodon, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    while_listening(server, lambda: server.post("アクメ acme #アクメ", at=ago(0)), streams=1)
    assert texts(run(listening(server, hashtags=["アクメ"]), LIVE)) == ["アクメ acme #アクメ"]
    (request,) = [request for request in server.requests if "/streaming/" in request.path]
    assert (request.path, request.params) == ("/api/v1/streaming/hashtag", {"tag": "アクメ"})
    assert request.authorization == f"Bearer {TOKEN}"
    assert request.user_agent.startswith("sentimon/")
    assert TOKEN not in caplog.text


def test_streams_are_where_the_server_says(server: FakeMastodon) -> None:
    with FakeMastodon() as other:
        server.streams.address = other.url.replace("http", "ws", 1)
        while_listening(other, lambda: other.post("#acme", at=ago(0)))
        assert texts(run(listening(server), LIVE)) == ["#acme"]
        assert asked(server) == 0


def test_a_server_asked_in_secret_cannot_send_the_token_elsewhere_in_the_clear() -> None:
    import requests

    from monitor.collectors.mastodon_api import Api, Limits

    with FakeMastodon() as other, Api("https://social.example", TOKEN, 5, Limits(), NOW) as api:
        with pytest.raises(requests.exceptions.InvalidSchema):
            api._session.get(other.url)
        assert other.requests == []


@pytest.mark.parametrize("fault", ["404", "401"])
def test_a_server_that_does_not_say_where_is_asked_itself(server: FakeMastodon, fault: str) -> None:
    server.faults.extend([fault] * 3)
    while_listening(server, lambda: server.post("#acme", at=ago(0)))
    assert texts(run(listening(server), LIVE)) == ["#acme"]


def test_no_stream_is_opened_unless_asked_for(server: FakeMastodon) -> None:
    source = collector(server, timeline="local", access_token=TOKEN)
    assert LIVE not in source.streams()
    for stream in source.streams():
        run(source, stream)
    assert asked(server) == 0


def test_a_stream_has_no_past_and_something_must_be_there_to_hear(server: FakeMastodon) -> None:
    source = listening(server)
    assert source.streams()[-1] == LIVE
    assert source.oldest(LIVE, NOW) == NOW
    with pytest.raises(InputError, match="no stream 'live' whose past"):
        list(source.history(LIVE, NOW - HOUR, NOW, None, NoBudget(), NOW))
    with pytest.raises(InputError, match="nothing to listen to"):
        listening(server, hashtags=[])
    brand = Brand("Acme", parse("#acmefail"))
    assert MastodonCollector(options(server, hashtags=[], stream=True), [brand]).streams() == ("tag:acmefail", LIVE)
