"""The YouTube collector with the real google-api-python-client against a YouTube on a loopback socket."""

import logging
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from db.errors import BudgetSpent, CollectorError, InputError, NotAuthorised, RateLimited, SourceUnavailable
from db.filters import Filter
from db.records import Batch, Position, Reach
from db.store import Store
from jobs.collect import Source, collect
from jobs.collector import Checker, Historian
from models.query import parse
from monitor.collectors import youtube_api
from monitor.collectors.youtube import YouTubeCollector, YouTubeOptions, register_collectors
from monitor.collectors.youtube_search import youtube_query
from monitor.plugins import Brand, CollectorKind
from tests.fake_youtube import CHANNEL, KEY, VIDEO, FakeYouTube
from tests.support import DAY, HOUR, MINUTE, rows

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACME = Brand("Acme", parse('acme OR "acme phone"'))
PLACE = f"channel:{CHANNEL}"
MIDNIGHT = datetime(2026, 11, 22, 8, tzinfo=UTC)  # in California, in winter


class Ration:
    """A meter that counts units and has no end, unless it is given one."""

    def __init__(self, units: int | None = None) -> None:
        self.used: list[int] = []
        self.periods: set[tuple[str, datetime]] = set()
        self.units = units

    def left(self) -> Decimal | None:
        return None

    def reserve(self, most: Decimal) -> None:
        pytest.fail("YouTube costs no money")

    def settle(self, actual: Decimal) -> None:
        pytest.fail("YouTube costs no money")

    def use(self, units: int, limit: int, period: str, renewed_at: datetime) -> None:
        if sum(self.used) + units > (limit if self.units is None else self.units):
            raise BudgetSpent("used up", renewed_at)
        self.used.append(units)
        self.periods.add((period, renewed_at))


@pytest.fixture
def youtube() -> Iterator[FakeYouTube]:
    with FakeYouTube() as fake:
        yield fake


def collector(youtube: FakeYouTube, brands: Sequence[Brand] = (ACME,), **changes: Any) -> YouTubeCollector:
    given = {"api_key": KEY, "channels": [CHANNEL], "api_url": youtube.url, "timeout": 5}
    return YouTubeCollector(YouTubeOptions.model_validate(given | changes), brands)


def run(
    source: YouTubeCollector,
    stream: str = PLACE,
    cursor: str | None = None,
    now: datetime = NOW,
    resume: str | None = None,
    meter: Ration | None = None,
) -> list[Batch]:
    return list(source.collect(stream, Position(cursor, resume), meter or Ration(), now))


def cut_off(
    source: YouTubeCollector, error: type[CollectorError], stream: str = PLACE, **more: Any
) -> tuple[list[Batch], Any]:
    """What a run brings until an error ends it, and the error."""
    position = Position(more.pop("cursor", None), more.pop("resume", None))
    batches: list[Batch] = []
    try:
        for batch in source.collect(stream, position, more.get("meter") or Ration(), more.get("now", NOW)):
            batches.append(batch)
    except error as caught:
        return batches, caught
    pytest.fail(f"no {error.__name__}")


def ids(batches: Sequence[Batch]) -> list[str]:
    return [mention.source_id for batch in batches for mention in batch.mentions]


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def stored(youtube: FakeYouTube, store: Store, source: YouTubeCollector, now: datetime = NOW) -> Any:
    return collect(store, Source("youtube", "youtube", source, "1"), [ACME], now)


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


# --- the quota --------------------------------------------------------------------------------------------------------


def test_units_are_taken_before_each_request_and_the_day_ends_at_midnight_in_california(youtube: FakeYouTube) -> None:
    meter = Ration()
    run(collector(youtube), meter=meter)
    assert meter.periods == {("2026-11-21 Pacific", MIDNIGHT)}
    summer = datetime(2026, 7, 1, 6, 59, tzinfo=UTC)
    assert youtube_api.day_of(summer) == ("2026-06-30 Pacific", datetime(2026, 7, 1, 7, tzinfo=UTC))
    assert youtube_api.day_of(summer + MINUTE)[0] == "2026-07-01 Pacific"
    with pytest.raises(BudgetSpent):
        run(collector(youtube, daily_units=1), meter=meter)
    assert len(youtube.requests) == 1


def test_a_day_whose_units_are_used_up_ends_in_a_wait_and_is_never_overdrawn(
    youtube: FakeYouTube, tmp_path: Path
) -> None:
    for n in range(1000):
        youtube.comment(f"acme {n}", at=NOW - n * MINUTE)
    source = collector(youtube, daily_units=4)
    with Store(tmp_path / "s.db") as store:
        first = stored(youtube, store, source)
        assert first.error is None
        assert "4 units is used up until 2026-11-22 08:00 UTC" in (first.note or "")
        assert first.counts["stored"] == 400
        assert "waits until" in (stored(youtube, store, source, NOW + HOUR).note or "")
        assert youtube.used == 4
        for day in range(1, 4):  # each day reads on where the last one stopped
            stored(youtube, store, source, NOW + day * DAY)
        assert store.mentions.counts()[0] == 1000
        assert youtube.used <= 16


@pytest.mark.parametrize("fault", ["quota", "quota-new"])
def test_a_quota_that_youtube_says_is_used_up_waits_for_midnight_there(youtube: FakeYouTube, fault: str) -> None:
    youtube.faults.append(fault)
    _, error = cut_off(collector(youtube), RateLimited)
    assert error.not_before == MIDNIGHT


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("503", SourceUnavailable, "answered 503"),
        ("500", SourceUnavailable, "answered 500"),
        ("html", SourceUnavailable, "cannot be read"),
        ("html-503", SourceUnavailable, "answered 503"),
        ("html-403", NotAuthorised, "403"),
        ("json", SourceUnavailable, "cannot be read"),
        ("other", NotAuthorised, "403"),
        ("401", NotAuthorised, "401"),
        ("blocked", NotAuthorised, "may use the YouTube Data API"),
        ("redirect", SourceUnavailable, "answered 302"),
        ("400", SourceUnavailable, "400"),
        ("404", SourceUnavailable, "answered 404"),
        ("drop", SourceUnavailable, "did not answer"),
        ("rate", RateLimited, "asks to wait until 2026-11-21 12:15:00"),
        ("429", RateLimited, "asks to wait until 2026-11-21 12:15:00"),
        ("429:7", RateLimited, "asks to wait until 2026-11-21 12:00:07"),
    ],
)
def test_each_fault_is_one_of_our_errors_in_one_line(
    youtube: FakeYouTube, fault: str, kind: type[CollectorError], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for n in range(250):
        youtube.comment(f"acme {n}", at=NOW - n * MINUTE)
    meter, source = Ration(), collector(youtube)
    reading = source.collect(PLACE, Position(), meter, NOW)
    first = next(reading)
    youtube.faults.extend([fault] * 3)  # httplib2 tries a dropped connection again
    with pytest.raises(kind) as caught:
        next(reading)
    assert type(caught.value) is kind or kind is SourceUnavailable
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(first.mentions) == 100
    youtube.faults.clear()
    assert len(set(ids([first]) + ids(run(source, resume=first.resume)))) == 250
    assert KEY not in caplog.text + "".join(traceback.format_exception(caught.value))


def test_a_server_that_does_not_answer_in_time_is_left(youtube: FakeYouTube) -> None:
    youtube.faults.extend(["slow"] * 3)
    _, error = cut_off(collector(youtube, timeout=0.1), SourceUnavailable)
    assert "did not answer (TimeoutError)" in str(error)


def test_nothing_is_tried_again_within_a_run_and_no_redirect_is_followed(youtube: FakeYouTube) -> None:
    youtube.faults.extend(["503", "redirect"])
    for _ in range(2):
        cut_off(collector(youtube), SourceUnavailable)
    assert [request.answer for request in youtube.requests] == ["503", "302"]


def test_a_wrong_key_pauses_the_source_and_says_what_to_check(youtube: FakeYouTube, tmp_path: Path) -> None:
    with Store(tmp_path / "s.db") as store:
        done = stored(youtube, store, collector(youtube, api_key="AIzaWrongButSecret"))
        assert "check api_key" in (done.error or "")
        assert "AIzaWrong" not in (done.error or "")
        assert "paused" in (stored(youtube, store, collector(youtube)).error or "")


def test_the_key_is_in_no_log_at_any_level_and_in_no_traceback(
    youtube: FakeYouTube, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("", "googleapiclient", "googleapiclient.discovery", "googleapiclient.http", "httplib2"):
        caplog.set_level(logging.DEBUG, logger=name)
    youtube.comment("acme", at=ago(1))
    run(collector(youtube))
    _, error = cut_off(collector(youtube, api_key="AIzaWrongButSecret"), NotAuthorised)
    told = caplog.text + "".join(traceback.format_exception(error)) + "".join(capfd.readouterr())
    assert "URL being requested" in caplog.text  # the client's own line, without the key
    assert KEY not in told
    assert "AIzaWrong" not in told
    assert youtube.requests[0].params["key"] == KEY


def test_a_video_whose_comments_are_turned_off_has_nothing_and_holds_up_nothing(
    youtube: FakeYouTube, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    silent = youtube.video("silentvideo", "No comments", at=ago(9), comments=False)
    youtube.comment("acme", at=ago(1))
    with Store(tmp_path / "s.db") as store:
        done = stored(youtube, store, collector(youtube, videos=[silent]))
        assert (done.error, done.counts["stored"]) == (None, 1)
    assert "comments are turned off there" in caplog.text


def test_a_channel_or_video_that_is_not_there_is_named_and_the_others_are_read(
    youtube: FakeYouTube, tmp_path: Path
) -> None:
    youtube.comment("acme", at=ago(1))
    for more in ({"videos": ["missingvid1"]}, {"channels": ["UC" + "z" * 22, CHANNEL]}):
        with Store(tmp_path / f"{len(more['videos' if 'videos' in more else 'channels'])}.db") as store:
            done = stored(youtube, store, collector(youtube, **more))
            assert "YouTube does not show" in (done.error or "")
            assert "deleted, private or misspelt" in (done.error or "")
            assert done.counts["stored"] == 1
            assert not store.sources.states()[0].paused


# --- search -----------------------------------------------------------------------------------------------------------


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


# --- the past, and what became of posts -------------------------------------------------------------------------------


def test_the_past_is_read_back_to_its_beginning_and_no_further(youtube: FakeYouTube) -> None:
    for n in range(600):
        youtube.comment(f"acme {n}", at=ago(n))
    old = youtube.items[next(iter(youtube.items))]
    for n in range(9):
        youtube.reply(old.id, f"new reply {n}", at=NOW)
    source, meter = collector(youtube), Ration()
    assert isinstance(source, Historian)
    assert source.oldest(PLACE, NOW) is None
    batches = list(source.history(PLACE, ago(450), ago(150), None, meter, NOW))
    times = [each.created_at for batch in batches for each in batch.mentions]
    assert len(times) == 300
    assert (min(times), max(times)) == (ago(450), ago(151))
    assert [batch.cursor is not None for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert len(meter.used) == 5  # pages; the replies to what is newer are spared


def test_the_past_goes_on_where_it_was_cut_off(youtube: FakeYouTube) -> None:
    for n in range(600):
        youtube.comment(f"acme {n}", at=ago(n))
    source, meter = collector(youtube), Ration()
    first = next(source.history(PLACE, ago(450), NOW, None, meter, NOW))
    second = next(source.history(PLACE, ago(450), NOW, first.resume, meter, NOW))
    assert not set(ids([first])) & set(ids([second]))
    rest = list(source.history(PLACE, ago(450), NOW, second.resume, meter, NOW + HOUR))
    assert len(set(ids([first, second, *rest]))) == 450
    assert len(meter.used) == 5


def test_what_a_search_would_have_found_has_no_past(youtube: FakeYouTube) -> None:
    source = collector(youtube, search=True)
    assert source.oldest("search:Acme", NOW) == NOW
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        next(source.history("search:Acme", ago(9), NOW, None, Ration(), NOW))
    with pytest.raises(InputError, match="no stream"):
        next(source.history("video:nowhere", ago(9), NOW, None, Ration(), NOW))


@pytest.mark.parametrize("strict", [False, True])
def test_a_check_tells_what_was_deleted_and_what_comments_say_now(youtube: FakeYouTube, strict: bool) -> None:
    source, meter = collector(youtube), Ration()
    youtube.strict_ids = strict
    assert isinstance(source, Checker)
    top = youtube.comment("acme is great", at=ago(2))
    there = [top, *(youtube.reply(top, f"reply {n}", at=ago(1)) for n in range(source.check_size - 2))]
    gone = youtube.comment("acme is bad", at=ago(2))
    youtube.delete(gone)
    youtube.edit(top, "acme is awful", NOW)
    told = source.check([*there[:20], gone, *there[20:]], None, meter, NOW)
    assert told.gone == [gone]
    assert {each.source_id for each in told.seen} == set(there)
    assert next(each.text for each in told.seen if each.source_id == top) == "acme is awful"
    assert all(len(request.params["id"]) <= 2000 for request in youtube.asked("comments"))
    assert strict or meter.used == [1, 1]  # so many long ids take two requests


def test_fifty_comments_are_checked_for_one_unit(youtube: FakeYouTube) -> None:
    all_ids = [youtube.comment(f"{n}", at=ago(1)) for n in range(50)]
    meter = Ration()
    told = collector(youtube).check(all_ids, None, meter, NOW)
    assert (told.gone, len(told.seen), meter.used) == ([], 50, [1])


def test_a_comment_that_cannot_be_read_is_not_taken_for_deleted(youtube: FakeYouTube) -> None:
    odd = youtube.comment("acme", at=ago(1), more={"publishedAt": 5.5e300})
    good = youtube.comment("acme", at=ago(1))
    told = collector(youtube).check([odd, good], None, Ration(), NOW)
    assert (told.gone, [each.source_id for each in told.seen]) == ([], [good])


@pytest.mark.parametrize("fault", ["503", "html", "json", "empty"])
def test_a_check_without_an_answer_takes_nothing_for_deleted(youtube: FakeYouTube, fault: str) -> None:
    id = youtube.comment("acme", at=ago(1))
    youtube.faults.append(fault)
    with pytest.raises(SourceUnavailable):
        collector(youtube).check([id], None, Ration(), NOW)


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
