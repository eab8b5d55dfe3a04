"""Bluesky's stream, through the real websockets client, against a small Bluesky on loopback; and the options."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from db.errors import InputError, RateLimited
from db.records import Gap, Mention, Position
from jobs.collector import Checker, Historian
from models.query import parse
from monitor.collectors.bluesky import BlueskyOptions, build, explain
from monitor.collectors.bluesky_stream import from_cursor, to_cursor
from monitor.plugins import Brand
from tests.bluesky_rig import BRANDS, SECOND, T0, Clock, Rig, burst, live
from tests.fake_bluesky import DID, HANDLE, METHOD, PASSWORD, SOMEONE, FakeBluesky
from tests.support import DAY, HOUR, MINUTE, rows


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeBluesky]:
    with FakeBluesky(now=clock) as fake:
        yield fake


@pytest.fixture
def stream(fake: FakeBluesky, clock: Clock, tmp_path: Path) -> Iterator[Rig]:
    """The stream alone, begun at T0 on a network that is never silent for long."""
    rig = Rig(fake, clock, tmp_path / "a.db", {})
    fake.post("somebody had lunch", T0)
    assert rig.run(timedelta(0)).error is None
    yield rig
    rig.store.close()


# --- the stream -------------------------------------------------------------------------------------------------------


def test_a_post_that_names_a_brand_is_read_from_the_stream_whole(stream: Rig) -> None:
    parent = f"at://{DID}/app.bsky.feed.post/3kparent"
    reply = {"root": {"uri": parent, "cid": "bafy"}, "parent": {"uri": parent, "cid": "bafy"}}
    card = {"$type": "app.bsky.embed.external", "external": {"title": "gadget", "uri": "https://a.test"}}
    at = T0 + 10 * SECOND
    uri = stream.fake.post("my Acme leaks", at, langs=["pt-BR", "en"], reply=reply, embed=card)
    stream.fake.post("somebody had dinner", T0 + MINUTE)
    stream.clock.now = T0 + MINUTE
    (batch,) = stream.read("posts", Position(to_cursor(T0)))
    assert batch.mentions == (
        Mention(
            source="bluesky",
            source_id=uri,
            author=SOMEONE,
            text="my Acme leaks",
            created_at=at,
            collected_at=stream.clock.now,
            url=f"https://bsky.app/profile/{SOMEONE}/post/{uri.rsplit('/', 1)[1]}",
            language="pt",
            in_reply_to=parent,
        ),
    )


def test_only_posts_that_match_are_handed_on_and_all_are_counted(stream: Rig) -> None:
    for text in ("nothing", "acme is hiring", "acme leaks", "an Other Thing", "other things", ""):
        stream.fake.post(text, T0 + SECOND)
    outcome = live(stream)
    assert stream.texts() == ["acme leaks", "an Other Thing"]
    assert outcome.counts["fetched"] == 8  # the last one of the run before comes again


def test_each_run_goes_on_where_the_last_one_ended(stream: Rig) -> None:
    for run in range(3):
        stream.fake.post(f"acme {run}", stream.clock.now + 20 * SECOND)
        live(stream)
    assert stream.texts() == ["acme 0", "acme 1", "acme 2"]
    cursors = [from_cursor(each.params["cursor"]) for each in stream.fake.calls("subscribeEvents")]
    assert cursors == [T0, *(T0 + run * MINUTE - 5 * SECOND for run in range(3))]
    assert stream.covered("posts") == [("complete", None)] * 4


def test_a_burst_that_is_cut_off_is_read_whole_and_stored_once(stream: Rig) -> None:
    burst(stream, 1000)
    stream.fake.stream_faults += ["drop:450", "error:300"]
    stream.fake.post("somebody had dinner", stream.clock.now + 3 * MINUTE)
    errors = [stream.run().error]
    assert len(stream.texts()) > 400  # what did not fill a batch is kept too
    errors += stream.until_done()
    assert stream.texts() == [f"acme {number}" for number in range(1000)]
    assert len(errors) == 2
    assert all("the next run goes on" in str(error) for error in errors)
    assert "ConsumerTooSlow" in str(errors[1])
    assert [state for state, _ in stream.covered("posts")] == ["complete", "partial", "partial", "complete"]
    second, third = stream.fake.calls("subscribeEvents")[-2:]
    assert T0 < from_cursor(second.params["cursor"]) < from_cursor(third.params["cursor"])


def test_the_batches_of_a_long_reading_say_where_to_go_on_and_the_last_moves_the_cursor(stream: Rig) -> None:
    burst(stream, 500)
    stream.fake.post("somebody had dinner", T0 + MINUTE)
    stream.clock.now = T0 + MINUTE
    batches = stream.read("posts", Position(to_cursor(T0)))
    assert [len(batch.mentions) for batch in batches] == [200, 200, 100]
    assert [batch.cursor for batch in batches] == [None, None, to_cursor(T0 + MINUTE)]
    assert all(batch.resume for batch in batches[:-1])


def test_a_deleted_post_loses_its_text_and_one_deleted_at_once_is_never_stored(stream: Rig) -> None:
    gone, kept = (stream.fake.post(f"acme {word}", T0 + SECOND) for word in ("regretted", "kept"))
    live(stream)
    stream.fake.delete(gone, stream.clock.now + SECOND)
    stream.fake.delete(stream.fake.post("acme at once", stream.clock.now + SECOND), stream.clock.now + 2 * SECOND)
    live(stream)
    found = rows(stream.path, "SELECT source_id, text, author, gone_reason FROM mentions ORDER BY id")
    assert found == [(gone, "", None, "deleted"), (kept, "acme kept", SOMEONE, None)]


@pytest.mark.parametrize("status", ["deleted", "takendown", "suspended", "deactivated"])
def test_the_posts_of_a_closed_account_lose_their_text_stored_or_not_yet(stream: Rig, status: str) -> None:
    first = stream.fake.post("acme one", T0 + SECOND)
    live(stream)
    stream.fake.post("acme two", stream.clock.now + SECOND)
    stream.fake.close_account(SOMEONE, status, at=stream.clock.now + 2 * SECOND)
    live(stream)
    assert rows(stream.path, "SELECT source_id, text, gone_reason FROM mentions") == [(first, "", "deleted")]


@pytest.mark.parametrize("status", ["desynchronized", "throttled", "of a later year", None, 7])
def test_an_account_whose_host_is_in_trouble_or_does_not_say_why_loses_nothing(stream: Rig, status: object) -> None:
    stream.fake.post("acme one", T0 + SECOND)
    live(stream)
    stream.fake.post("acme two", stream.clock.now + SECOND)
    stream.fake.close_account(SOMEONE, status, at=stream.clock.now + 2 * SECOND)
    live(stream)
    found = rows(stream.path, "SELECT text, author, gone_at FROM mentions ORDER BY id")
    assert found == [("acme one", SOMEONE, None), ("acme two", SOMEONE, None)]


def test_an_edited_post_is_read_anew_and_its_old_text_kept_as_a_version(stream: Rig) -> None:
    uri = stream.fake.post("acme is fien", T0 + SECOND)
    live(stream)
    stream.fake.edit(uri, "acme is fine", stream.clock.now + SECOND)
    live(stream)
    assert stream.texts() == ["acme is fine"]
    assert rows(stream.path, "SELECT text FROM versions") == [("acme is fien",)]


def test_a_post_that_was_edited_before_it_was_read_is_stored_as_it_reads_now(stream: Rig) -> None:
    better, other = (stream.fake.post("acme is fien", T0 + SECOND) for _ in range(2))
    stream.fake.edit(better, "acme is fine", T0 + 2 * SECOND)
    stream.fake.edit(other, "never mind", T0 + 2 * SECOND)
    live(stream)
    assert stream.texts() == ["acme is fine"]


def test_what_the_stream_keeps_no_more_is_a_gap_and_the_rest_is_read(stream: Rig) -> None:
    stream.fake.post("acme too old", T0 + MINUTE)
    stream.fake.post("acme in time", T0 + 30 * HOUR)
    outcome = live(stream, timedelta(hours=60))
    assert outcome.error is None
    assert stream.texts() == ["acme in time"]
    sql = "SELECT since, until, cause FROM coverage WHERE state = 'missing' AND since IS NOT NULL"
    assert rows(stream.path, sql) == [("2026-11-20T12:00:00Z", "2026-11-21T18:00:00Z", "capped")]


def test_a_first_run_begins_now_or_as_long_ago_as_it_is_told(fake: FakeBluesky, clock: Clock, tmp_path: Path) -> None:
    fake.post("acme before", T0 - HOUR)
    fake.post("acme now", T0)
    for replay, found in (("0s", ["acme now"]), ("2h", ["acme before", "acme now"])):
        rig = Rig(fake, clock, tmp_path / replay, {"replay": replay})
        assert [each.text for batch in rig.read("posts") for each in batch.mentions] == found
        rig.store.close()


def test_a_first_run_that_begins_before_what_is_kept_tells_from_when_on_it_read(stream: Rig) -> None:
    stream.fake.kept = 12 * HOUR  # as its operator likes
    stream.fake.post("acme is kept", T0 + 30 * HOUR)
    stream.clock.now = T0 + 36 * HOUR
    stream.fake.post("somebody had dinner", stream.clock.now)
    (batch,) = build(stream.options(replay="36h"), BRANDS).collect("posts", Position(), stream.meter, stream.clock.now)
    assert batch.gap == Gap(None, T0 + 30 * HOUR, "older than what Bluesky's Jetstream keeps", "capped")


@pytest.mark.parametrize(("replay", "told"), [("0s", ["partial"]), ("90m", ["partial", "complete"])])
def test_of_the_hour_in_which_the_first_run_begins_only_the_rest_was_read(
    fake: FakeBluesky, clock: Clock, tmp_path: Path, replay: str, told: list[str]
) -> None:
    clock.now += 10 * MINUTE
    rig = Rig(fake, clock, tmp_path / "a.db", {"replay": replay})
    fake.post("somebody had lunch", clock.now)
    assert rig.run(timedelta(0)).error is None
    for _ in range(10):
        assert live(rig, 5 * MINUTE).error is None
    found = rig.store.sources.hours("bluesky", T0 - DAY, clock.now, clock.now)
    assert [hour.state for hour in found] == [*told, *["complete"] * (replay != "0s")]
    assert found[0].reason == "the stream is read from then on, see `replay`"
    assert rig.store.sources.gaps(9) == []
    rig.store.close()


def test_a_run_that_has_not_caught_up_says_how_far_it_came_and_the_next_goes_on(stream: Rig) -> None:
    burst(stream, 2000)
    stream.collector = build(stream.options(listen=1.5), BRANDS)
    stream.fake.pace = 0.01
    outcome = live(stream, 10 * MINUTE)
    assert "read up to 2026-11-20 12:00:" in str(outcome.error)
    read = len(stream.texts())
    assert 0 < read < 2000
    stream.fake.pace = 0
    stream.collector = build(stream.options(), BRANDS)
    live(stream)
    assert stream.texts() == [f"acme {number}" for number in range(2000)]
    assert stream.covered("posts") == [("complete", None), ("partial", "unavailable"), ("complete", None)]


def test_a_quiet_network_is_caught_up_when_nothing_more_comes(stream: Rig) -> None:
    stream.collector = build(stream.options(listen=1), BRANDS)
    stream.fake.post("acme leaks", T0 + SECOND)
    assert stream.run(HOUR).error is None
    assert stream.texts() == ["acme leaks"]


def test_a_stream_that_sends_nothing_is_not_taken_for_a_quiet_one(stream: Rig) -> None:
    stream.collector = build(stream.options(listen=0.2), BRANDS)
    stream.fake.stream_faults.append("silent")
    assert "sent nothing for 0.2 seconds" in str(stream.run().error)
    assert stream.covered("posts")[-1] == ("missing", "unavailable")


@pytest.mark.parametrize("status", [500, 503, 400])
def test_a_stream_in_trouble_is_tried_again(stream: Rig, status: int) -> None:
    stream.fake.stream_faults.append(status)
    assert f"answered {status}" in str(stream.run().error)
    assert live(stream).error is None


@pytest.mark.parametrize(("fault", "wait"), [("429:90", 90 * SECOND), ("429", 15 * MINUTE)])
def test_a_stream_that_asks_to_wait_is_left_alone_so_long(stream: Rig, fault: str, wait: timedelta) -> None:
    stream.fake.stream_faults.append(fault)
    with pytest.raises(RateLimited) as limit:
        stream.read("posts", Position(to_cursor(T0)))
    assert limit.value.not_before == T0 + wait


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_stream_that_refuses_to_be_read_waits_for_a_person(stream: Rig, status: int) -> None:
    stream.fake.stream_faults.append(status)
    assert "jetstream_url" in str(stream.run().error)
    assert "paused" in str(stream.run().error)


def test_a_stream_that_is_not_there_is_tried_again(stream: Rig) -> None:
    stream.collector = build(stream.options(jetstream_url="ws://127.0.0.1:9/xrpc"), BRANDS)
    assert "cannot be reached" in str(stream.run().error)


def test_odd_frames_are_left_out_and_named_by_their_fields_only(stream: Rig, caplog: pytest.LogCaptureFixture) -> None:
    at = T0 + SECOND
    frames = [
        "no JSON, acme",
        "[1]",
        "[" * 100_000,
        '{"$type": "message", "payload": {"$type": 5, "acme": 1}}',
        f'{{"$type": "message", "payload": {{"$type": "{METHOD}#commit", "collection": "app.bsky.feed.post"}}}}',
        f'{{"$type": "message", "payload": {{"$type": "{METHOD}#news", "text": "acme"}}}}',
    ]
    for frame in frames:
        stream.fake.emit(frame, at)
    odd: list[object] = [
        {"text": ["acme"]},
        {"text": "acme", "langs": 7},
        {"text": "acme", "reply": "x"},
        "acme",
        [],
        {},
    ]
    for record in odd:
        stream.fake.post("", at, record=record)
    stream.fake.post("acme leaks", at)
    assert live(stream).error is None
    assert stream.texts() == ["acme leaks"]
    assert "cannot be read: langs" in caplog.text
    assert "cannot be read: text" in caplog.text
    assert "acme" not in caplog.text.replace("test_odd", "")


def test_a_stream_of_nothing_but_odd_posts_is_no_stream(stream: Rig) -> None:
    stream.fake.frames.clear()
    for _ in range(3):
        stream.fake.post("", T0 + SECOND, record={"text": 5})
    stream.collector = build(stream.options(listen=1), BRANDS)
    assert "no post that can be read" in str(stream.run().error)


def test_hostile_text_passes_through_whole_but_for_what_no_database_stores(stream: Rig) -> None:
    long = "acme " + "x" * 100_000
    for text in ("acme \0 \ud800 \u202e<b>", long):
        stream.fake.post(text, T0 + SECOND)
    assert live(stream).error is None
    assert stream.texts() == ["acme  \ufffd \u202e<b>", long]


@pytest.mark.parametrize(
    ("claimed", "posted"),
    [
        ("2026-11-20T11:00:00.123456789Z", T0 - HOUR),
        ("2026-11-20T13:00:00+02:00", T0 - HOUR),
        ("2099-01-01T00:00:00Z", T0 + SECOND),
        ("1970-01-01T00:00:00Z", T0 + SECOND),
        ("0001-01-01T00:00:00+14:00", T0 + SECOND),
        ("2026-11-20T11:00:00", T0 + SECOND),
        ("yesterday", T0 + SECOND),
    ],
)
def test_a_time_that_cannot_be_is_replaced_by_when_the_post_was_seen(
    stream: Rig, claimed: str, posted: datetime
) -> None:
    stream.fake.post("acme", T0 + SECOND, claimed=claimed)
    live(stream)
    ((found,),) = rows(stream.path, "SELECT created_at FROM mentions")
    assert datetime.fromisoformat(found) == posted


def test_a_post_without_a_time_counts_from_when_it_was_seen_and_stops_no_stream(stream: Rig) -> None:
    stream.fake.post("acme", T0 + SECOND, createdAt=None)
    live(stream)
    ((found,),) = rows(stream.path, "SELECT created_at FROM mentions")
    assert datetime.fromisoformat(found) == T0 + SECOND


def test_the_last_hours_of_the_stream_can_be_read_again(stream: Rig) -> None:
    for hours in (5, 3, 1):
        stream.fake.post(f"acme {hours}", T0 - hours * HOUR)
    stream.fake.frames.sort(key=lambda each: each[0])
    assert isinstance(stream.collector, Historian)
    assert stream.collector.oldest("posts", T0) == T0 - 36 * HOUR
    until = T0 - 2 * HOUR
    batches = list(stream.collector.history("posts", T0 - 4 * HOUR, until, None, stream.meter, T0))
    assert {each.text for batch in batches for each in batch.mentions if each.created_at < until} == {"acme 3"}
    assert batches[-1].cursor is not None


def test_without_an_account_stored_posts_cannot_be_checked(stream: Rig) -> None:
    assert stream.collector.streams() == ["posts"]
    assert not isinstance(stream.collector, Checker)


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"handle": HANDLE}, "together"),
        ({"app_password": "secret-word"}, "together"),
        ({"stream": False}, "nothing is left to read"),
        ({"replay": "soon"}, "number and a unit"),
        ({"replay": "37h"}, 'Jetstream keeps no more than 36 hours: give "36h" at most, not "37h"'),
        ({"jetstream_url": "https://bsky.network"}, "wss://"),
        ({"service_url": "http://bsky.social"}, "https"),
        ({"service_url": "bsky.social"}, "address"),
        ({"service_url": "https://bsky.social:https"}, "address"),
        ({"service_url": "https://bsky.social/?a=b"}, "address"),
        ({"listen": 0}, "greater than 0"),
    ],
)
def test_options_that_cannot_work_are_told(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as refused:
        BlueskyOptions.model_validate(given)
    assert "secret-word" not in str(refused.value)


def test_a_brands_own_account_is_given_by_what_the_stream_names_it() -> None:
    with pytest.raises(InputError, match=r"give its DID .*resolveHandle\?handle=acme.test"):
        build(BlueskyOptions(), [Brand("Acme", parse("acme"), accounts={"bluesky": "acme.test"})])


def test_what_the_brands_own_account_writes_is_no_mention(stream: Rig) -> None:
    stream.brands = [Brand("Acme", parse("acme"), accounts={"bluesky": DID})]
    stream.collector = build(stream.options(), stream.brands)
    stream.fake.post("acme is great", T0 + SECOND, author=DID)
    stream.fake.post("acme leaks", T0 + SECOND)
    live(stream)
    assert stream.texts() == ["acme leaks"]


def test_each_stream_is_explained_in_a_line() -> None:
    options = BlueskyOptions.model_validate({"handle": HANDLE, "app_password": PASSWORD})
    assert explain(options, BRANDS) == [
        "posts: all of jetstream.us-east.bsky.network, matched here",
        "search:Acme: acme",
        'search:Other: "other thing" | gadget',
        "notifications: mentions of acme.test, replies to it, quotes of it",
    ]
    assert explain(BlueskyOptions(), BRANDS) == ["posts: all of jetstream.us-east.bsky.network, matched here"]
