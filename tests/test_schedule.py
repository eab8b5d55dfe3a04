"""Jobs run when they are due, one at a time each, and every run is written down."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db.errors import SourceUnavailable
from db.records import JobRun
from db.store import Store
from jobs import schedule
from jobs.outcome import Outcome
from jobs.schedule import Job, describe, last_reads, run_all, run_job, run_until
from tests.support import HOUR, NOW, rows

Run = Callable[[Store, datetime], Outcome]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Store(tmp_path / "sentimon.db").close()
    return tmp_path / "sentimon.db"


def utc_now() -> datetime:
    return datetime.now(UTC)


def job(run: Run, name: str = "score", source: str | None = None, every: timedelta = HOUR) -> Job:
    return Job(name, source, every, run)


def latest(path: Path) -> list[JobRun]:
    with Store(path) as store:
        return store.runs.latest()


# --- one run --------------------------------------------------------------------------------------------------------


def test_a_run_is_written_down_with_its_counts_and_its_time(path: Path) -> None:
    with Store(path) as store:
        told = run_job(job(lambda store, now: Outcome({"rated": 3}), source="x-main"), store, lambda: NOW)
        assert store.runs.latest() == [told]
    assert (told.job, told.source, told.started_at, told.counts, told.error) == (
        "score",
        "x-main",
        NOW,
        {"rated": 3},
        None,
    )
    assert 0 <= told.seconds < 1


def test_a_job_is_told_the_time_at_which_it_began(path: Path) -> None:
    seen: list[datetime] = []
    with Store(path) as store:
        run_job(job(lambda store, now: seen.append(now) or Outcome({})), store, lambda: NOW)  # type: ignore[func-returns-value]
    assert seen == [NOW]


def test_an_error_that_a_person_can_act_on_is_part_of_the_record(path: Path) -> None:
    def fail(store: Store, now: datetime) -> Outcome:
        raise SourceUnavailable("x: away")

    with Store(path) as store:
        assert run_job(job(fail), store, lambda: NOW).error == "x: away"
    assert [run.error for run in latest(path)] == ["x: away"]


def test_a_quiet_job_is_written_down_when_it_does_something_fails_or_works_again(path: Path) -> None:
    outcomes = [Outcome({"sent": 0}), Outcome({"sent": 1}), Outcome({"sent": 0}), Outcome({"sent": 0}, "no")]
    outcomes += [Outcome({"sent": 0}), Outcome({"sent": 0})]
    with Store(path) as store:
        for outcome in outcomes:
            run_job(Job("reply", None, HOUR, lambda store, now, told=outcome: told, quiet=True), store, lambda: NOW)
    assert rows(path, "SELECT counts, error FROM job_runs ORDER BY id") == [
        ('{"sent": 1}', None),
        ('{"sent": 0}', "no"),
        ('{"sent": 0}', None),
    ]


def test_a_bug_is_written_down_and_raised(path: Path) -> None:
    def fail(store: Store, now: datetime) -> Outcome:
        with store.transaction():
            raise ZeroDivisionError("by nought")

    with Store(path) as store, pytest.raises(ZeroDivisionError):
        run_job(job(fail), store, lambda: NOW)
    # Its text, which may hold anything, is for the log: runs are shown on a page without a login.
    assert [run.error for run in latest(path)] == ["bug: ZeroDivisionError; the log has the details"]


def test_all_jobs_run_once_in_order_and_meet_in_tables_only(path: Path) -> None:
    order: list[str] = []

    def step(name: str) -> Run:
        return lambda store, now: order.append(name) or Outcome({})  # type: ignore[func-returns-value]

    runs = list(run_all([job(step(name), name) for name in ("collect", "score", "watch")], path, lambda: NOW))
    assert order == [run.job for run in runs] == ["collect", "score", "watch"]


def test_the_latest_run_of_each_job_and_source_is_shown(path: Path) -> None:
    with Store(path) as store:
        for number in range(3):
            for name, source in (("collect", "a"), ("collect", "b"), ("score", None)):
                store.runs.add(JobRun(name, source, NOW + number * HOUR, 0.1, {"n": number}))
    assert [(run.job, run.source, run.counts["n"]) for run in latest(path)] == [
        ("collect", "a", 2),
        ("collect", "b", 2),
        ("score", None, 2),
    ]


def test_old_runs_are_forgotten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.runs.KEPT", 5)
    with Store(path) as store:
        for _ in range(12):
            store.runs.add(JobRun("score", None, NOW, 0.1, {}))
    assert rows(path, "SELECT count(*) FROM job_runs") == [(5,)]


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (JobRun("score", None, NOW, 1.25, {"rated": 5, "not_rated": 1}), "score: 5 rated, 1 not rated (1.2 s)"),
        (JobRun("collect", "x", NOW, 0.04, {}, "x: away"), "collect x: x: away (0.0 s)"),
        (JobRun("watch", None, NOW, 0, {}), "watch: nothing to do (0.0 s)"),
    ],
)
def test_a_run_is_told_in_one_line(run: JobRun, line: str) -> None:
    assert describe(run) == line


# --- the schedule ---------------------------------------------------------------------------------------------------


@contextmanager
def scheduled(path: Path, *jobs: Job) -> Iterator[tuple[threading.Event, list[bool]]]:
    """Run the jobs beside the test; `stop` ends it, `ended` holds what run_until said."""
    stop, ended = threading.Event(), list[bool]()
    thread = threading.Thread(target=lambda: ended.append(run_until(stop, jobs, path, utc_now)))
    thread.start()
    try:
        yield stop, ended
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def test_it_runs_at_once_and_stops_soon_after_it_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "LAST_WORD", 3600)  # an idle job is not waited for, `scheduled` fails otherwise
    ran = threading.Event()
    with scheduled(path, job(lambda store, now: ran.set() or Outcome({"rated": 1}))) as (_, ended):  # type: ignore[func-returns-value]
        assert ran.wait(5)
    assert ended == [True]
    assert [run.counts for run in latest(path)] == [{"rated": 1}]


def test_a_job_that_is_busy_at_the_end_is_finished_first(path: Path) -> None:
    busy, release = threading.Event(), threading.Event()

    def slow(store: Store, now: datetime) -> Outcome:
        busy.set()
        release.wait(5)
        return Outcome({"rated": 7})

    with scheduled(path, job(slow)) as (stop, ended):
        assert busy.wait(5)
        stop.set()
        release.set()
    assert ended == [True]
    assert [run.counts for run in latest(path)] == [{"rated": 7}]


def test_a_job_that_hangs_does_not_keep_it_from_stopping(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "LAST_WORD", 0.1)
    busy, release = threading.Event(), threading.Event()

    def hang(store: Store, now: datetime) -> Outcome:
        busy.set()
        release.wait(10)
        return Outcome({})

    try:
        with scheduled(path, job(hang)) as (_, ended):
            assert busy.wait(5)
        assert ended == [False]
    finally:
        release.set()


def test_a_job_slower_than_its_interval_does_not_overlap_with_itself(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at_work, most, release = [], [0], threading.Event()

    def slow(store: Store, now: datetime) -> Outcome:
        at_work.append(now)
        most[0] = max(most[0], len(at_work))
        release.wait(5)
        at_work.pop()
        return Outcome({})

    skipped = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "maximum number of running instances" in record.getMessage():
                skipped.set()

    listener = Listener()
    logging.getLogger("apscheduler.scheduler").addHandler(listener)
    try:
        with scheduled(path, job(slow, every=timedelta(seconds=1))):
            assert skipped.wait(5)  # it came due while it was at work
            release.set()
    finally:
        logging.getLogger("apscheduler.scheduler").removeHandler(listener)
    assert most == [1]


def test_one_slow_job_does_not_hold_the_others(path: Path) -> None:
    ran, release = threading.Event(), threading.Event()

    def slow(store: Store, now: datetime) -> Outcome:
        release.wait(5)
        return Outcome({})

    jobs = [job(slow, "collect", f"s{number}") for number in range(12)]
    with scheduled(path, *jobs, job(lambda store, now: ran.set() or Outcome({}))):  # type: ignore[func-returns-value]
        assert ran.wait(5)
        release.set()


def test_a_bug_does_not_end_the_schedule(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    times: list[datetime] = []
    again = threading.Event()

    def fail(store: Store, now: datetime) -> Outcome:
        times.append(now)
        if len(times) == 2:
            again.set()
        raise ZeroDivisionError("by nought")

    with scheduled(path, job(fail, every=timedelta(seconds=1))):
        assert again.wait(5)
    assert "by nought" in caplog.text
    assert "Traceback" in caplog.text


def test_a_source_read_shortly_before_the_start_waits_for_its_turn(path: Path) -> None:
    read, scored = threading.Event(), threading.Event()
    with Store(path) as store:
        store.runs.add(JobRun("collect", "fresh", utc_now(), 0.1, {}))
        store.runs.add(JobRun("collect", "stale", utc_now() - 2 * HOUR, 0.1, {}))
        store.runs.add(JobRun("score", None, utc_now(), 0.1, {}))

    early: list[datetime] = []
    jobs = [
        job(lambda store, now: early.append(now) or Outcome({}), "collect", "fresh"),
        job(lambda store, now: read.set() or Outcome({}), "collect", "stale"),  # type: ignore[func-returns-value]
        job(lambda store, now: scored.set() or Outcome({})),  # type: ignore[func-returns-value]
    ]
    with scheduled(path, *jobs):
        assert read.wait(5)
        assert scored.wait(5)
    assert early == []  # restarts cost nothing


def test_a_weekly_source_outlives_the_record_of_its_runs(path: Path) -> None:
    scored = threading.Event()
    with Store(path) as store:
        store.sources.configured("weekly", "x", "1")
        store.sources.succeeded("weekly", utc_now() - timedelta(days=6))
        assert store.runs.latest() == []

    early: list[datetime] = []
    jobs = [
        job(lambda store, now: early.append(now) or Outcome({}), "collect", "weekly", timedelta(days=7)),
        job(lambda store, now: scored.set() or Outcome({})),  # type: ignore[func-returns-value]
    ]
    with scheduled(path, *jobs):
        assert scored.wait(5)
    assert early == []


def test_a_bug_counts_as_a_turn_of_its_source(path: Path) -> None:
    with Store(path) as store:
        store.sources.configured("x-main", "x", "1")
        store.sources.succeeded("x-main", NOW - 2 * HOUR)
        store.runs.add(JobRun("collect", "x-main", NOW, 0.1, {}, "bug: ValueError; the log has the details"))
        assert last_reads(store) == {"x-main": NOW}


def test_a_clock_that_was_set_back_does_not_silence_a_source(path: Path) -> None:
    read = threading.Event()
    with Store(path) as store:
        store.runs.add(JobRun("collect", "x-main", utc_now() + timedelta(days=400), 0.1, {}))
    run = job(lambda store, now: read.set() or Outcome({}), "collect", "x-main", timedelta(seconds=1))  # type: ignore[func-returns-value]
    with scheduled(path, run):
        assert read.wait(3)


def test_a_database_that_cannot_be_used_is_told_in_one_line_and_tried_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ran = threading.Event()
    spoilt = threading.Event()

    def run(store: Store, now: datetime) -> Outcome:
        if not spoilt.is_set():
            spoilt.set()
            store._db.execute("INSERT INTO _sqlite_migrations VALUES (99, 'sentimon', 'm999_later', '2030')")
            return Outcome({})
        ran.set()
        return Outcome({})

    with scheduled(path, job(run, every=timedelta(seconds=1))):
        assert spoilt.wait(5)
        deadline = time.monotonic() + 5
        while "newer version" not in caplog.text and time.monotonic() < deadline:
            ran.wait(0.02)
        assert "newer version" in caplog.text
        connection = sqlite3.connect(path)
        connection.execute("DELETE FROM _sqlite_migrations WHERE id = 99")
        connection.commit()
        connection.close()
        assert ran.wait(5)
    assert "Traceback" not in caplog.text
