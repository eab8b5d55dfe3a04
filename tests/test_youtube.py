"""The YouTube collector with the real google-api-python-client against a YouTube on a loopback socket."""

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from db.errors import BudgetSpent, SourceUnavailable
from db.filters import Filter
from db.records import Position, Reach
from db.store import Store
from monitor.collectors.youtube import register_collectors
from monitor.plugins import CollectorKind
from tests.fake_youtube import CHANNEL, KEY, VIDEO, FakeYouTube
from tests.support import DAY, HOUR, MINUTE, rows
from tests.youtube_rig import ACME, NOW, PLACE, Ration, ago, collector, cut_off, ids, run, stored


@pytest.fixture
def youtube() -> Iterator[FakeYouTube]:
    with FakeYouTube() as fake:
        yield fake


# --- what is read -----------------------------------------------------------------------------------------------------


def test_a_comment_becomes_a_mention(youtube: FakeYouTube) -> None:
    id = youtube.comment("I <3 acme & co\nreally \U0001f600", at=ago(5), author="@bob", likes=7)
    reply = youtube.reply(id, "me too", at=ago(4), author="cy")
    (batch,) = run(collector(youtube))
    first, second = batch.mentions
    assert (first.source, first.source_id, first.author, first.in_reply_to) == ("youtube", id, "bob", None)
    assert first.text == "I <3 acme & co\nreally \U0001f600"
    assert first.url == f"https://www.youtube.com/watch?v={VIDEO}&lc={id}"
    assert (first.created_at, first.collected_at, first.created_at.tzinfo) == (ago(5), NOW, UTC)
    assert first.reach == Reach(likes=7, replies=1)
    assert (second.source_id, second.in_reply_to, second.author) == (reply, id, "cy")
    assert second.url == f"https://www.youtube.com/watch?v={VIDEO}&lc={reply}"
    assert second.reach == Reach(likes=0, replies=None)
    assert batch.fetched == 2


def test_a_channel_brings_the_comments_of_all_its_videos_and_a_video_its_own(youtube: FakeYouTube) -> None:
    other = youtube.video("acmevideo02", "More", at=ago(50))
    elsewhere = youtube.video("othervideo1", "Not ours", at=ago(50), channel="UC" + "b" * 22)
    one, two = youtube.comment("one", at=ago(3)), youtube.comment("two", at=ago(2), video=other)
    youtube.comment("three", at=ago(1), video=elsewhere)
    source = collector(youtube, videos=[other])
    assert source.streams() == (PLACE, f"video:{other}")
    assert ids(run(source)) == [two, one]
    assert ids(run(source, f"video:{other}")) == [two]
    assert [request.params["order"] for request in youtube.asked("commentThreads")] == ["time", "time"]


def test_replies_that_did_not_come_along_are_asked_for_page_by_page(youtube: FakeYouTube) -> None:
    top = youtube.comment("acme", at=ago(30))
    replies = [youtube.reply(top, f"reply {n}", at=ago(29 - n / 100)) for n in range(230)]
    batches = run(collector(youtube))
    assert sorted(ids(batches)) == sorted([top, *replies])
    assert len(youtube.asked("comments")) == 3
    assert all(each.in_reply_to == top for batch in batches[1:] for each in batch.mentions)
    assert all(f"watch?v={VIDEO}" in (each.url or "") for batch in batches for each in batch.mentions)


def test_replies_are_asked_for_again_only_when_there_are_more(youtube: FakeYouTube) -> None:
    top = youtube.comment("acme", at=ago(3))
    for n in range(8):
        youtube.reply(top, f"reply {n}", at=ago(2))
    source, meter = collector(youtube), Ration()
    cursor = run(source, meter=meter)[-1].cursor
    cursor = run(source, cursor=cursor, now=NOW + MINUTE, meter=meter)[-1].cursor
    assert meter.used == [1, 1, 1]  # two pages of threads, one of replies
    late = youtube.reply(top, "a ninth", at=NOW + MINUTE)
    assert late in ids(run(source, cursor=cursor, now=NOW + 2 * MINUTE, meter=meter))
    assert len(meter.used) == 5


def test_what_is_edited_within_the_overlap_is_kept_as_a_version(youtube: FakeYouTube, tmp_path: Path) -> None:
    id = youtube.comment("acme is great", at=ago(2))
    with Store(tmp_path / "s.db") as store:
        stored(youtube, store, collector(youtube))
        youtube.edit(id, "acme is awful", NOW)
        assert stored(youtube, store, collector(youtube), NOW + HOUR).error is None
        assert [match.mention.text for match in store.mentions.every(Filter())] == ["acme is awful"]
    assert rows(tmp_path / "s.db", "SELECT text FROM versions") == [("acme is great",)]


def test_a_first_reading_goes_back_a_week(youtube: FakeYouTube) -> None:
    for hours in range(0, 24 * 20, 2):
        youtube.comment(f"{hours}", at=ago(hours))
    found = ids(run(collector(youtube)))
    assert len(found) == 100  # a page holds more than the week
    assert len(youtube.requests) == 1


def test_three_runs_lose_nothing_whatever_happens_between(youtube: FakeYouTube) -> None:
    source = collector(youtube)
    found: set[str] = set()
    cursor, now = None, NOW
    for posts in (5, 730, 5):
        now += DAY
        for n in range(posts):
            youtube.comment(f"acme {n}", at=now - n * MINUTE)
        batches = run(source, cursor=cursor, now=now)
        assert [batch.cursor is not None for batch in batches] == [False] * (len(batches) - 1) + [True]
        assert len(ids(batches)) == len(set(ids(batches)))
        found |= set(ids(batches))
        cursor = batches[-1].cursor
    assert found == set(youtube.items)


def test_a_pinned_comment_at_the_top_does_not_end_the_reading(youtube: FakeYouTube) -> None:
    for n in range(150):
        youtube.comment(f"{n}", at=NOW - n * MINUTE)
    first = youtube.comment("pinned", at=NOW, more={"publishedAt": "2024-01-01T00:00:00Z"})
    assert len(ids(run(collector(youtube)))) == 151
    assert youtube.items[first]


def test_a_place_without_comments_is_read_up_to_now(youtube: FakeYouTube) -> None:
    source = collector(youtube)
    (batch,) = run(source)
    youtube.comment("late", at=NOW - 2 * DAY)
    assert batch.cursor is not None
    assert NOW.isoformat().replace("+00:00", "Z") in batch.cursor


def test_hostile_text_passes_and_what_no_database_holds_does_not(youtube: FakeYouTube) -> None:
    youtube.comment("<script>\0 \ud800 {{7*7}} " + "a" * 100_000, at=ago(1), author="\0\ud800")
    youtube.comment("   ", at=ago(1))  # a picture alone
    (batch,) = run(collector(youtube))
    (mention,) = batch.mentions
    assert mention.text.startswith("<script> � {{7*7}} aaa")
    assert len(mention.text) > 100_000
    assert mention.author == "�"


def thread(**snippet: Any) -> dict[str, Any]:
    whole = {"textDisplay": "SECRET", "publishedAt": "2026-01-01T00:00:00Z"} | snippet
    return {"snippet": {"topLevelComment": {"id": "1", "snippet": whole}}}


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        {"snippet": 5},
        {"snippet": {"topLevelComment": {"id": "", "snippet": {}}}},
        thread(textDisplay=7),
        thread(likeCount=-1),
        thread(publishedAt="now"),
        thread(publishedAt="0001-01-01T00:00:00+14:00"),
    ],
)
def test_an_odd_post_is_left_out_and_a_page_of_them_is_refused(
    youtube: FakeYouTube, odd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    youtube.odd = [odd]
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        run(collector(youtube))
    good = youtube.comment("acme", at=ago(1))
    assert ids(run(collector(youtube))) == [good]
    assert "a post is left out" in caplog.text
    assert "SECRET" not in caplog.text


def test_an_odd_reply_is_left_out_alone(youtube: FakeYouTube) -> None:
    top = youtube.comment("acme", at=ago(2))
    youtube.reply(top, "odd", at=ago(1), more={"likeCount": "many"})
    good = youtube.reply(top, "good", at=ago(1))
    assert ids(run(collector(youtube))) == [top, good]


# --- interruptions ----------------------------------------------------------------------------------------------------


def test_a_run_that_is_cut_off_goes_on_at_its_page_and_misses_nothing(youtube: FakeYouTube) -> None:
    for n in range(450):
        youtube.comment(f"acme {n}", at=ago(0.1) - n * MINUTE)
    source = collector(youtube)
    before, _ = cut_off(source, BudgetSpent, meter=Ration(3))
    assert len(ids(before)) == 300
    assert [batch.cursor for batch in before] == [None] * 3
    new = [youtube.comment(f"acme new {n}", at=NOW + n * MINUTE) for n in range(120)]
    meter = Ration()
    after = run(source, resume=before[-1].resume, now=NOW + DAY, meter=meter)
    assert set(ids(before) + ids(after)) == set(youtube.items)
    assert set(new) <= set(ids(after))
    assert after[-1].cursor
    assert [batch.cursor for batch in after[:-1]] == [None] * (len(after) - 1)
    # The rest was two pages. What is new since takes the whole overlap, which is older than all of them here.
    assert len(meter.used) == 2 + 6


def test_replies_that_were_read_before_an_interruption_are_not_asked_for_again(youtube: FakeYouTube) -> None:
    tops = [youtube.comment(f"acme {n}", at=ago(1 + n)) for n in range(3)]
    for top in tops:
        for n in range(9):
            youtube.reply(top, f"reply {n}", at=ago(0.5))
    source = collector(youtube)
    before, _ = cut_off(source, BudgetSpent, meter=Ration(3))  # the page, and the replies of two
    meter = Ration()
    after = run(source, resume=before[-1].resume, meter=meter)
    assert set(ids(before) + ids(after)) == set(youtube.items)
    assert len(youtube.asked("comments")) == 3


def test_a_page_that_youtube_forgot_is_read_from_the_start(
    youtube: FakeYouTube, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(250):
        youtube.comment(f"acme {n}", at=ago(0.1) - n * MINUTE)
    source = collector(youtube)
    before, _ = cut_off(source, BudgetSpent, meter=Ration(1))
    youtube.tokens_expired = True
    with pytest.raises(SourceUnavailable, match="400"):  # its second page is refused too
        run(source, resume=before[-1].resume)
    assert "has expired" in caplog.text
    youtube.tokens_expired = False
    assert set(ids(run(source, resume=before[-1].resume))) == set(youtube.items)


def test_cursors_that_cannot_be_read_cost_a_second_reading_only(youtube: FakeYouTube) -> None:
    id = youtube.comment("acme", at=ago(1))
    assert set(ids(run(collector(youtube), cursor="{", resume='{"stop": 5, "page": []}'))) == {id}


def test_the_same_page_again_and_again_ends_the_run(youtube: FakeYouTube) -> None:
    youtube.comment("acme", at=ago(1))
    youtube.faults.extend(["empty"] * 3)
    before, error = cut_off(collector(youtube), SourceUnavailable)
    assert "same page again" in str(error)
    assert len(before) == 2


def test_an_empty_page_that_has_a_next_one_does_not_end_the_reading(youtube: FakeYouTube) -> None:
    id = youtube.comment("acme", at=ago(1))
    youtube.faults.append("empty")
    assert ids(run(collector(youtube))) == [id]


def test_a_thread_that_is_deleted_between_two_requests_is_no_error(youtube: FakeYouTube) -> None:
    top = youtube.comment("acme", at=ago(1))
    for n in range(9):
        youtube.reply(top, f"reply {n}", at=ago(0.5))
    reading = collector(youtube).collect(PLACE, Position(), Ration(), NOW)
    first = next(reading)
    youtube.delete(top)
    rest = list(reading)
    assert len(first.mentions) == 6
    assert rest[-1].cursor is not None


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"channels": []}, "name channels or videos"),
        ({"channels": ["@acme"]}, "is not the id of a channel"),
        ({"videos": ["https://example.com/watch?v=acmevideo01"]}, "is not a video"),
        ({"api_key": "two words"}, "one word without spaces"),
        ({"api_url": "http://youtube.example"}, "must begin with https"),
        ({"api_url": "ftp://x"}, "must be an address"),
        ({"daily_units": 0}, "greater than or equal to 1"),
        ({"timeout": 0}, "greater than 0"),
        ({"surplus": 1}, "surplus"),
    ],
)
def test_options_that_cannot_work_are_refused(youtube: FakeYouTube, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        collector(youtube, **changes)
    assert KEY not in str(caught.value)


def test_channels_and_videos_may_be_given_by_address(youtube: FakeYouTube) -> None:
    source = collector(
        youtube,
        channels=[f"https://www.youtube.com/channel/{CHANNEL}", CHANNEL],
        videos=[
            "https://www.youtube.com/watch?v=acmevideo01&t=5s",
            "https://youtu.be/acmevideo02?si=x",
            "https://www.youtube.com/shorts/acmevideo03",
        ],
    )
    assert source.streams() == (PLACE, "video:acmevideo01", "video:acmevideo02", "video:acmevideo03")


def test_check_shows_what_is_read_at_what_price() -> None:
    kinds: list[CollectorKind] = []
    register_collectors(kinds.append)
    (kind,) = kinds
    options = kind.options.model_validate({"api_key": KEY, "channels": [CHANNEL], "search": True})
    assert isinstance(options.api_key, SecretStr)  # type: ignore[attr-defined]
    assert list(kind.explain(options, [ACME])) == [
        f"{PLACE}: all comments, matched here; 1 unit a page",
        'search:Acme: videos by acme|"acme phone"; 100 units every 4 h',
    ]
    assert kind.price(options) == 0
