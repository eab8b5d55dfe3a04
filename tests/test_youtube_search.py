"""Searching YouTube: which videos are found and followed, at what price, and how a query is written."""

from collections.abc import Iterator

import pytest

from db.errors import BudgetSpent, CollectorError, InputError, SourceUnavailable
from models.query import parse
from monitor.collectors.youtube_search import youtube_query
from monitor.plugins import Brand
from tests.fake_youtube import FakeYouTube
from tests.support import DAY, HOUR, MINUTE
from tests.youtube_rig import NOW, PLACE, Ration, ago, collector, cut_off, ids, run


@pytest.fixture
def youtube() -> Iterator[FakeYouTube]:
    with FakeYouTube() as fake:
        yield fake


def test_a_search_finds_videos_and_their_comments_are_read_for_days(youtube: FakeYouTube) -> None:
    found = youtube.video("found000001", "My acme review", at=ago(20), channel="UC" + "b" * 22)
    youtube.video("other000001", "Something else", at=ago(20))
    youtube.video("old00000001", "acme long ago", at=NOW - 30 * DAY)
    first = youtube.comment("mine broke", at=ago(2), video=found)
    source, meter, stream = collector(youtube, channels=[], search=True), Ration(), "search:Acme"
    assert source.streams() == (stream,)
    batches = run(source, stream, meter=meter)
    assert ids(batches) == [first]
    assert meter.used == [100, 1]
    second = youtube.comment("mine too", at=NOW + HOUR, video=found)
    again = run(source, stream, cursor=batches[-1].cursor, now=NOW + 2 * HOUR, meter=meter)
    assert second in ids(again)
    assert meter.used == [100, 1, 1]  # the search itself is not due yet
    third = youtube.video("found000002", "acme acme", at=NOW + 3 * HOUR, channel="UC" + "b" * 22)
    late = youtube.comment("hello", at=NOW + 3 * HOUR, video=third)
    third_run = run(source, stream, cursor=again[-1].cursor, now=NOW + 5 * HOUR, meter=meter)
    assert late in ids(third_run)
    assert meter.used == [100, 1, 1, 100, 1, 1]
    last = run(source, stream, cursor=third_run[-1].cursor, now=NOW + 8 * DAY, meter=meter)
    assert found not in (last[-1].cursor or "")


def test_a_search_that_is_cut_off_is_not_paid_for_twice(youtube: FakeYouTube) -> None:
    for n in range(4):
        youtube.video(f"found00000{n}", "acme", at=ago(n + 1))
        for m in range(130):
            youtube.comment(f"{m}", at=NOW - m * MINUTE, video=f"found00000{n}")
    source = collector(youtube, channels=[], search=True)
    before, _ = cut_off(source, BudgetSpent, "search:Acme", meter=Ration(103))
    meter = Ration()
    after = run(source, "search:Acme", resume=before[-1].resume, now=NOW + HOUR, meter=meter)
    assert set(ids(before) + ids(after)) == set(youtube.items)
    assert set(meter.used) == {1}
    assert [batch.cursor is not None for batch in after] == [False] * (len(after) - 1) + [True]


def test_more_videos_than_a_search_gives_are_told_as_a_gap(youtube: FakeYouTube) -> None:
    for n in range(230):
        youtube.video(f"found{n:06d}", "acme", at=ago(1) - n * MINUTE)
    gaps = [batch.gap for batch in run(collector(youtube, channels=[], search=True), "search:Acme") if batch.gap]
    (gap,) = gaps
    assert (gap.since, gap.until, gap.cause) == (NOW - 7 * DAY, ago(1) - 199 * MINUTE, "saturated")


def test_found_videos_without_comments_or_gone_again_are_passed_over(youtube: FakeYouTube) -> None:
    silent = youtube.video("silent00001", "acme", at=ago(2), comments=False)
    found = youtube.video("found000001", "acme", at=ago(3))
    id = youtube.comment("hm", at=ago(1), video=found)
    source = collector(youtube, channels=[], search=True)
    batches = run(source, "search:Acme")
    assert ids(batches) == [id]
    assert silent not in (batches[-1].cursor or "")
    del youtube.videos[found]
    youtube.items.clear()
    assert run(source, "search:Acme", cursor=batches[-1].cursor, now=NOW + HOUR)[-1].cursor


def four_videos(youtube: FakeYouTube) -> list[str]:
    """Found in this order, each with a comment."""
    videos = [youtube.video(f"found00000{n}", "acme", at=ago(n + 1)) for n in range(4)]
    for video in videos:
        youtube.comment(f"on {video}", at=ago(0.5), video=video)
    return videos


@pytest.mark.parametrize("fault", ["400", "503", "html"])
def test_a_video_that_cannot_be_read_keeps_no_other_from_its_turn(youtube: FakeYouTube, fault: str) -> None:
    bad, *others = four_videos(youtube)
    source, stream = collector(youtube, channels=[], search=True), "search:Acme"
    youtube.spoilt[bad] = fault
    batches, error = cut_off(source, SourceUnavailable, stream)
    assert str(error).startswith(f"video:{bad} cannot be read: YouTube")
    assert "\n" not in str(error)
    assert {youtube.items[id].video for id in ids(batches)} == set(others)
    assert all(batch.cursor is None for batch in batches)
    new = youtube.comment("new", at=NOW + MINUTE, video=others[0])
    asked = len(youtube.requests)
    batches, _ = cut_off(source, SourceUnavailable, stream, resume=batches[-1].resume, now=NOW + HOUR)
    assert new in ids(batches)
    assert len(youtube.requests) - asked == 4  # nothing is searched before it is due, and no video is tried twice
    youtube.spoilt.clear()
    batches = run(source, stream, resume=batches[-1].resume, now=NOW + 2 * HOUR)
    assert bad in {youtube.items[id].video for id in ids(batches)}
    assert batches[-1].cursor


def test_youtube_in_trouble_is_left_after_three_videos_and_the_next_run_begins_with_others(
    youtube: FakeYouTube,
) -> None:
    *bad, good = four_videos(youtube)
    source, stream = collector(youtube, channels=[], search=True), "search:Acme"
    youtube.spoilt |= dict.fromkeys(bad, "503")
    batches, error = cut_off(source, SourceUnavailable, stream)
    assert str(error) == "YouTube answered 503; the next run tries again"
    assert ids(batches) == []
    assert len(youtube.requests) == 4
    batches, _ = cut_off(source, SourceUnavailable, stream, resume=batches[-1].resume, now=NOW + HOUR)
    assert {youtube.items[id].video for id in ids(batches)} == {good}


def test_a_video_that_failed_on_its_way_goes_on_there_and_from_the_start_where_that_fails_again(
    youtube: FakeYouTube,
) -> None:
    video = youtube.video("found000001", "acme", at=ago(3))
    for n in range(250):
        youtube.comment(f"acme {n}", at=NOW - n * MINUTE, video=video)
    source, stream = collector(youtube, channels=[], search=True), "search:Acme"

    def fails(at: int, resume: str | None, hour: int) -> tuple[list[str], str | None]:
        """Let the request with this number fail."""
        youtube.faults.extend(["ok"] * (at - 1) + ["503"])
        batches, _ = cut_off(source, SourceUnavailable, stream, resume=resume, now=NOW + hour * HOUR)
        return ids(batches), batches[-1].resume

    first, resume = fails(4, None, 0)  # the search and two pages
    assert len(first) == 200
    none, resume = fails(1, resume, 1)
    assert none == []
    again, resume = fails(2, resume, 2)
    assert again == first[:100]
    rest = run(source, stream, resume=resume, now=NOW + 3 * HOUR)
    assert set(again + ids(rest)) == set(youtube.items)


@pytest.mark.parametrize("fault", ["429", "401"])
def test_what_stops_the_source_is_not_held_against_a_video(youtube: FakeYouTube, fault: str) -> None:
    four_videos(youtube)
    source = collector(youtube, channels=[], search=True)
    batches = run(source, "search:Acme")
    youtube.faults.append(fault)
    asked = len(youtube.requests)
    cut_off(source, CollectorError, "search:Acme", cursor=batches[-1].cursor, now=NOW + HOUR)
    assert len(youtube.requests) == asked + 1


@pytest.mark.parametrize(
    ("query", "written"),
    [
        ("acme", "acme"),
        ('acme OR "acme corp"', 'acme|"acme corp"'),
        ("acme AND (phone OR tablet) NOT job", "acme"),
        ("@acme OR #acmephone", "acme|acmephone"),
        ("acm* AND phone", "phone"),
        ("acme NEAR/5 phone", "acme"),
        ("(acme OR emca) AND (a OR b OR c)", "acme|emca"),
    ],
)
def test_a_query_is_written_wider_for_the_search(query: str, written: str) -> None:
    assert youtube_query(parse(query)) == written


def test_a_query_of_wildcards_cannot_be_searched(youtube: FakeYouTube) -> None:
    wild = [Brand("Acme", parse("acm* OR emca"))]
    with pytest.raises(InputError, match="without wildcards"):
        collector(youtube, wild, search=True)
    assert collector(youtube, wild).streams() == (PLACE,)
