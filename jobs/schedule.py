"""What runs when. The only module that knows APScheduler."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from db.errors import SentimonError
from db.records import JobRun
from db.store import Store
from jobs.outcome import Outcome

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
COLLECT = "collect"  # the job that has sources
ONE = {"brands": "brand", "copies": "copy", "records": "record", "requests": "request"}  # of what jobs count
BETWEEN = timedelta(seconds=0.3)  # the first turns of two jobs
LAST_WORD = 7.0  # seconds that running jobs get to end by themselves, of the ten within which everything ends


@dataclass(frozen=True, slots=True)
class Job:
    """One verb, for one source where it has one, and how often it is due.

    A run of a `quiet` job with nothing to do and nothing to say is not written down, unless the one before failed: such
    jobs run often.
    """

    name: str
    source: str | None
    every: timedelta
    run: Callable[[Store, datetime], Outcome]
    quiet: bool = False


def run_job(job: Job, store: Store, clock: Clock) -> JobRun:
    """Run a job now and write down how it went. An error that a person can act on is part of the record."""
    started_at, started = clock(), time.perf_counter()
    try:
        outcome = job.run(store, started_at)
    except SentimonError as error:
        outcome = Outcome({}, str(error))
    except Exception as bug:
        # Its text may hold anything, and the record is shown on a page without a login.
        _record(store, job, started_at, started, Outcome({}, f"bug: {type(bug).__name__}; the log has the details"))
        raise
    return _record(store, job, started_at, started, outcome)


def run_all(
    jobs: Sequence[Job], path: Path, clock: Clock, starting: Callable[[str], None] = lambda job: None
) -> Iterator[JobRun]:
    """Run every job once, in order; `starting` is told the name of each."""
    with Store(path) as store:
        for job in jobs:
            starting(f"{job.name} {job.source}" if job.source else job.name)
            yield run_job(job, store, clock)


def last_reads(store: Store) -> Mapping[str, datetime]:
    """Return when each source had its last turn.

    Runs are forgotten after a while, which a weekly source would outlive; what is remembered of a source is kept.
    """
    last = {state.name: state.last_run_at for state in store.sources.states() if state.last_run_at}
    for run in store.runs.latest():
        if run.job == COLLECT and run.source:  # also one that a bug ended, which the source does not remember
            last[run.source] = max(run.started_at, last.get(run.source, run.started_at))
    return last


def due(store: Store, every: Mapping[str, timedelta], now: datetime) -> set[str]:
    """Name the sources whose live reading is due, or at work; `every` says how often each one is read."""
    last = last_reads(store)
    return {name for name, span in every.items() if name not in last or last[name] + span <= now}


def run_until(stop: threading.Event, jobs: Sequence[Job], path: Path, clock: Clock) -> bool:
    """Run the jobs on schedule until `stop` is set; False where a job was still busy at the end.

    A source that was read shortly before the start waits for its turn, so that restarts cost nothing.
    """
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.interval import IntervalTrigger

    with Store(path) as store:
        last = last_reads(store)
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(max(len(jobs), 1))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    now = clock()
    for turn, job in enumerate(jobs):  # in the order of the pipeline, so that a first post is not a minute on its way
        soon = now + turn * BETWEEN
        due = last[job.source] + job.every if job.source and job.source in last else soon
        scheduler.add_job(
            _scheduled,
            IntervalTrigger(seconds=int(job.every.total_seconds()), timezone=UTC),
            args=(job, path, clock),
            id=f"{job.name}:{job.source or ''}",
            next_run_time=min(max(due, soon), soon + job.every),  # the clock may have been set back
        )
    scheduler.start()
    stop.wait()
    done = threading.Thread(target=scheduler.shutdown, kwargs={"wait": True}, daemon=True)
    done.start()
    done.join(LAST_WORD)
    return not done.is_alive()


def _scheduled(job: Job, path: Path, clock: Clock) -> None:
    try:
        with Store(path) as store:
            run = run_job(job, store, clock)
    except SentimonError as error:
        log.error("%s: %s", job.name, error)
        return
    except Exception:
        log.exception("%s failed", job.name)  # a bug: the traceback is wanted, and the next run is due all the same
        return
    if run.error:
        log.warning("%s", describe(run))
    elif any(run.counts.values()):
        log.info("%s", describe(run))


def describe(run: JobRun) -> str:
    """Write one line about a run."""
    name = f"{run.job} {run.source}" if run.source else run.job
    named = [(count, ONE.get(what, what) if count == 1 else what) for what, count in run.counts.items()]
    counts = ", ".join(f"{count} {what.replace('_', ' ')}" for count, what in named)
    parts = [part for part in (counts, run.error, run.note) if part]
    return f"{name}: {'; '.join(parts) or 'nothing to do'} ({run.seconds:.1f} s)"


def _record(store: Store, job: Job, started_at: datetime, started: float, outcome: Outcome) -> JobRun:
    seconds = round(time.perf_counter() - started, 3)
    run = JobRun(job.name, job.source, started_at, seconds, outcome.counts, outcome.error, outcome.note)
    says = run.error or run.note or any(run.counts.values())
    if not job.quiet or says or store.runs.failed(run.job, run.source):
        with store.transaction():
            store.runs.add(run)
    return run
