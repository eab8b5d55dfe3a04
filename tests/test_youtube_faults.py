"""YouTube's quota and faults: what makes a source wait, what needs a person, and that the key is never told."""

import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from db.errors import BudgetSpent, CollectorError, NotAuthorised, RateLimited, SourceUnavailable
from db.records import Position
from db.store import Store
from monitor.collectors import youtube_api
from tests.fake_youtube import CHANNEL, KEY, FakeYouTube
from tests.support import DAY, HOUR, MINUTE
from tests.youtube_rig import NOW, PLACE, Ration, ago, collector, cut_off, ids, run, stored

MIDNIGHT = datetime(2026, 11, 22, 8, tzinfo=UTC)  # in California, in winter


@pytest.fixture
def youtube() -> Iterator[FakeYouTube]:
    with FakeYouTube() as fake:
        yield fake


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
