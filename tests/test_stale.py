"""A source that is not read any more is told once, and is over when it is read again."""

from datetime import datetime, timedelta

import pytest

from db.errors import NotAuthorised, RateLimited, SourceUnavailable, StreamRefused
from db.filters import Filter
from db.records import Alert, Batch
from db.store import Store
from jobs.collect import collect
from jobs.outcome import Outcome
from jobs.rules import Watching
from jobs.schedule import Job, run_job
from jobs.stale import stale
from tests.support import DAY, HOUR, MINUTE, NOW, Script, batch, source

QUARTER = 15 * MINUTE
DOWN = SourceUnavailable("the platform did not answer <b>@everyone</b> " + "x" * 500)


def read(store: Store, now: datetime, error: Exception | None = None, name: str = "x-main") -> None:
    collect(store, source(Script({"main": [error or batch(cursor="1")]}), name), [], now)


def look(store: Store, now: datetime, every: timedelta = QUARTER, **watching: object) -> list[Alert]:
    """Run the jobs as they are run, stale before notify; return what is open."""
    given = {"names": ("stale source",), "every": {"x-main": every}} | watching
    outcome = stale(store, Watching(**given), now)  # type: ignore[arg-type]
    assert outcome.error is None
    note_run(store, now)
    return store.alerts.open()


def note_run(store: Store, now: datetime) -> None:
    """Jobs are at work: stale tells it by the runs of notify."""
    run_job(Job("notify", None, MINUTE, lambda store, now: Outcome({})), store, lambda: now)


def at_work(store: Store, start: datetime, end: datetime, step: timedelta = QUARTER, **watching: object) -> list[Alert]:
    """Look from time to time, while the source does not answer."""
    found: list[Alert] = []
    while start <= end:
        read(store, start, DOWN)
        found = look(store, start, **watching)  # type: ignore[arg-type]
        start += step
    return found


def test_a_source_that_does_not_answer_is_told_after_an_hour_once_and_is_over_when_it_is_read(store: Store) -> None:
    read(store, NOW)
    assert at_work(store, NOW + QUARTER, NOW + HOUR) == []
    (alert,) = at_work(store, NOW + HOUR + QUARTER, NOW + 3 * HOUR)
    assert (alert.brand, alert.rule, alert.scope, alert.severity) == ("", "stale source", "x-main", "warning")
    assert (alert.starts, alert.last_seen, alert.window_minutes) == (NOW, NOW + 3 * HOUR, 180)
    assert alert.found_at == NOW + HOUR + QUARTER
    read(store, NOW + 4 * HOUR)
    assert look(store, NOW + 4 * HOUR) == []
    (over,) = store.alerts.find(Filter())
    assert (over.id, over.ends) == (alert.id, NOW + 4 * HOUR)


def test_what_the_platform_says_is_told_without_its_power_and_cut(store: Store) -> None:
    read(store, NOW)
    (alert,) = at_work(store, NOW + QUARTER, NOW + 2 * HOUR)
    assert "the platform did not answer b@\u200beveryone/b xxx" in alert.summary
    assert len(alert.summary) < 300


def test_after_twelve_hours_it_is_severe(store: Store) -> None:
    read(store, NOW)
    assert at_work(store, NOW + QUARTER, NOW + 12 * HOUR - QUARTER)[0].severity == "warning"
    assert at_work(store, NOW + 12 * HOUR, NOW + 12 * HOUR)[0].severity == "high"


@pytest.mark.parametrize("every", [2 * HOUR, 24 * HOUR])
def test_a_source_may_miss_three_of_its_turns(store: Store, every: timedelta) -> None:
    read(store, NOW)
    assert at_work(store, NOW + HOUR, NOW + 3 * every, HOUR, every=every) == []
    assert len(at_work(store, NOW + 3 * every + HOUR, NOW + 3 * every + HOUR, every=every)) == 1


def test_a_team_says_how_long_is_long(store: Store) -> None:
    read(store, NOW)
    assert at_work(store, NOW + QUARTER, NOW + 4 * HOUR, stale_after=4 * HOUR) == []
    assert len(at_work(store, NOW + 4 * HOUR + QUARTER, NOW + 5 * HOUR, stale_after=4 * HOUR)) == 1


def test_while_sentimon_was_not_running_no_source_was_stale(store: Store) -> None:
    read(store, NOW)
    look(store, NOW)
    restart = NOW + 9 * HOUR
    assert look(store, restart) == []
    read(store, restart + MINUTE)
    assert look(store, restart + HOUR) == []
    assert store.alerts.find(Filter()) == []


def test_a_source_that_does_not_answer_after_a_restart_is_told_when_jobs_were_at_work_for_a_while(store: Store) -> None:
    read(store, NOW)
    restart = NOW + 9 * HOUR
    assert at_work(store, restart, restart + 30 * MINUTE) == []
    (alert,) = at_work(store, restart + 45 * MINUTE, restart + 45 * MINUTE)
    assert alert.starts == NOW


def test_a_restart_ends_no_alert_on_a_source_that_is_not_read_yet(store: Store) -> None:
    read(store, NOW)
    (alert,) = at_work(store, NOW + QUARTER, NOW + 2 * HOUR)
    restart = NOW + 9 * HOUR
    assert [found.id for found in at_work(store, restart, restart + 2 * HOUR)] == [alert.id]
    assert len(store.alerts.find(Filter())) == 1


def test_run_once_every_15_minutes_by_cron_tells_it_too(store: Store) -> None:
    for turn in range(9):  # a few seconds early or late
        now = NOW + turn * QUARTER + (turn % 3) * timedelta(seconds=7)
        read(store, now, DOWN if turn else None)
        look(store, now)
    (alert,) = store.alerts.open()
    assert alert.found_at is not None
    assert HOUR < alert.found_at - NOW <= HOUR + 2 * QUARTER


def test_a_paused_source_says_why(store: Store) -> None:
    read(store, NOW)
    read(store, NOW + QUARTER, NotAuthorised("the token was revoked"))
    for turn in range(2, 7):
        look(store, NOW + turn * QUARTER)
    (alert,) = store.alerts.open()
    assert "the token was revoked" in alert.summary
    with store.transaction():
        store.sources.resume("x-main")
    read(store, NOW + 2 * HOUR)
    assert look(store, NOW + 2 * HOUR) == []


def test_a_source_that_could_never_be_read_is_told_from_its_first_try_on(store: Store) -> None:
    (alert,) = at_work(store, NOW, NOW + 2 * HOUR)
    assert alert.starts == NOW


def test_a_source_that_nobody_has_tried_to_read_is_not_told(store: Store) -> None:
    for turn in range(9):
        assert look(store, NOW + turn * QUARTER) == []
    with store.transaction():
        store.sources.configured("x-main", "x", "1")
    assert look(store, NOW + 3 * HOUR) == []


@pytest.mark.parametrize("change", [{"every": None}, {"names": ("silence",)}], ids=["the source", "the rule"])
def test_what_is_gone_from_the_configuration_is_over(store: Store, change: dict[str, object]) -> None:
    read(store, NOW)
    assert len(at_work(store, NOW + QUARTER, NOW + 2 * HOUR)) == 1
    given = {"names": ("stale source",), "every": {"x-main": QUARTER}} | change
    given["every"] = given["every"] or {"reddit": QUARTER}
    stale(store, Watching(**given), NOW + 3 * HOUR)  # type: ignore[arg-type]
    (alert,) = store.alerts.find(Filter())
    assert alert.ends == NOW + 3 * HOUR


def test_each_source_has_its_own_alert_and_who_took_it_keeps_it(store: Store) -> None:
    every = {"x-main": QUARTER, "forum": QUARTER}
    given = Watching(("stale source",), every=every)
    for name in every:
        read(store, NOW, name=name)
    for turn in range(1, 8):
        for name in every:
            read(store, NOW + turn * QUARTER, DOWN, name)
        stale(store, given, NOW + turn * QUARTER)
        note_run(store, NOW + turn * QUARTER)
    one, other = store.alerts.open()
    assert {one.scope, other.scope} == {"x-main", "forum"}
    with store.transaction():
        store.alerts.take(one.id, "ann", NOW)
    stale(store, given, NOW + 3 * HOUR)
    assert [alert.taken_by for alert in store.alerts.open()] == ["ann", None]


# --- one stream of several --------------------------------------------------------------------------------------------

GONE = StreamRefused("the feed example.org/b has nothing at this address (404)")
ONE, OTHER = "https://example.org/a", "https://example.org/b?key=secret"


def read_two(store: Store, now: datetime, **other: Exception | None) -> None:
    """Read a source of two feeds; what is given is raised: by `one`, by the `other`, or by both."""
    both = other.get("both")
    given = {ONE: other.get("one") or both, OTHER: other.get("other") or both}
    play: dict[str, list[Batch | BaseException]] = {name: [error or batch(cursor="1")] for name, error in given.items()}
    collect(store, source(Script(play)), [], now)


def turns(store: Store, start: datetime, end: datetime, **other: Exception | None) -> list[Alert]:
    """Read the two feeds and look, in every turn."""
    found: list[Alert] = []
    while start <= end:
        read_two(store, start, **other)
        found = look(store, start)
        start += QUARTER
    return found


def test_a_feed_that_is_gone_is_told_as_long_after_its_last_reading_as_a_source_would_be(store: Store) -> None:
    read_two(store, NOW)
    assert turns(store, NOW + QUARTER, NOW + HOUR, other=GONE) == []
    (alert,) = turns(store, NOW + HOUR + QUARTER, NOW + 3 * HOUR, other=GONE)
    assert (alert.brand, alert.rule, alert.severity) == ("", "stale source", "warning")
    assert (alert.scope, alert.stream) == (f"x-main\n{OTHER}", OTHER)
    assert (alert.starts, alert.last_seen, alert.found_at) == (NOW, NOW + 3 * HOUR, NOW + HOUR + QUARTER)
    assert turns(store, NOW + 4 * HOUR, NOW + 4 * HOUR) == []
    (over,) = store.alerts.find(Filter())
    assert (over.id, over.ends) == (alert.id, NOW + 4 * HOUR)


def test_it_is_named_without_the_parameters_of_its_address_and_with_why(store: Store) -> None:
    read_two(store, NOW)
    (alert,) = turns(store, NOW + QUARTER, NOW + 2 * HOUR, other=GONE)
    plain = alert.summary.replace("\u200b", "")
    assert plain.startswith("x-main (https://example.org/b?…): not read since Wed 2026-03-04 12:00 UTC: the feed")
    assert "(404)" in plain
    assert "secret" not in plain


def test_a_feed_that_could_never_be_read_is_told_from_its_first_try_on(store: Store) -> None:
    (alert,) = turns(store, NOW, NOW + 2 * HOUR, other=DOWN)
    assert (alert.stream, alert.starts) == (OTHER, NOW)


def test_after_twelve_hours_one_feed_is_severe_too(store: Store) -> None:
    read_two(store, NOW)
    (alert,) = turns(store, NOW + QUARTER, NOW + 12 * HOUR, other=GONE)
    assert alert.severity == "high"


def test_where_nothing_of_a_source_is_read_one_alert_tells_it_whichever_feed_failed_first(store: Store) -> None:
    read_two(store, NOW)
    read_two(store, NOW + QUARTER, other=DOWN)
    (alert,) = turns(store, NOW + 2 * QUARTER, NOW + 4 * HOUR, both=DOWN)
    assert (alert.scope, alert.starts) == ("x-main", NOW + QUARTER)


def test_what_stays_unread_when_the_rest_of_a_source_is_read_again_is_told_then(store: Store) -> None:
    read_two(store, NOW)
    (whole,) = turns(store, NOW + QUARTER, NOW + 3 * HOUR, both=DOWN)
    (alert,) = turns(store, NOW + 4 * HOUR, NOW + 4 * HOUR, other=DOWN)
    assert (alert.stream, alert.starts) == (OTHER, NOW)
    (over,) = (each for each in store.alerts.find(Filter()) if each.id == whole.id)
    assert over.ends == NOW + 4 * HOUR


def test_the_alert_on_a_feed_goes_on_while_the_whole_source_is_away_and_after(store: Store) -> None:
    read_two(store, NOW)
    (alert,) = turns(store, NOW + QUARTER, NOW + 2 * HOUR, other=GONE)
    during = turns(store, NOW + 2 * HOUR + QUARTER, NOW + 4 * HOUR, both=DOWN)
    assert [each.scope for each in during] == [alert.scope, "x-main"]
    (after,) = turns(store, NOW + 5 * HOUR, NOW + 5 * HOUR, other=GONE)
    assert (after.id, after.starts) == (alert.id, NOW)


def test_a_feed_that_is_no_longer_configured_is_over_with_the_next_reading_of_the_others(store: Store) -> None:
    read_two(store, NOW)
    assert len(turns(store, NOW + QUARTER, NOW + 2 * HOUR, other=GONE)) == 1
    collect(store, source(Script({ONE: [batch(cursor="2")], "new": [GONE]}), fingerprint="2"), [], NOW + 3 * HOUR)
    assert look(store, NOW + 3 * HOUR) == []


def test_a_run_that_a_limit_ends_before_a_feed_raises_nothing_on_it(store: Store) -> None:
    read_two(store, NOW)
    for turn in range(1, 4):
        limit = RateLimited("wait", NOW + turn * QUARTER)
        assert turns(store, NOW + turn * QUARTER, NOW + turn * QUARTER, one=limit) == []
    assert turns(store, NOW + HOUR, NOW + HOUR) == []


def test_each_feed_has_its_own_alert(store: Store) -> None:
    play = {name: [batch(cursor="1")] for name in ("a", "b", "c")}
    for turn in range(7):
        broken: dict[str, list[Batch | BaseException]] = {"a": [GONE], "b": [DOWN]} if turn else {}
        collect(store, source(Script(play | broken)), [], NOW + turn * QUARTER)
        look(store, NOW + turn * QUARTER)
    assert {alert.stream for alert in store.alerts.open()} == {"a", "b"}
    with store.transaction():
        store.sources.configured("x-main", "x", "2")
    collect(store, source(Script(play), fingerprint="2"), [], NOW + DAY)
    assert look(store, NOW + DAY) == []
