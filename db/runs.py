"""How every job went."""

import json
from datetime import datetime

from sqlite_utils import Database

from db.records import JobRun
from db.times import from_text, from_text_or_none, to_text

KEPT = 20_000  # runs: some weeks of a busy installation


class Runs:
    """The table job_runs."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, run: JobRun) -> None:
        """Write a run down, and forget the oldest ones."""
        self._db.execute(
            "INSERT INTO job_runs (job, source, started_at, seconds, counts, error, note) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                run.job,
                run.source,
                to_text(run.started_at),
                run.seconds,
                json.dumps(dict(run.counts)),
                run.error,
                run.note,
            ),
        )
        self._db.execute("DELETE FROM job_runs WHERE id <= (SELECT max(id) FROM job_runs) - ?", (KEPT,))

    def first_since(self, job: str, since: datetime) -> datetime | None:
        """Return when a job was first at work since a time."""
        sql = "SELECT min(started_at) FROM job_runs WHERE job = ? AND source IS NULL AND started_at >= ?"
        return from_text_or_none(self._db.execute(sql, (job, to_text(since))).fetchone()[0])

    def failed(self, job: str, source: str | None) -> bool:
        """Say whether the last run that is known of a job ended in an error."""
        sql = "SELECT error FROM job_runs WHERE job = ? AND source IS ? ORDER BY id DESC LIMIT 1"
        row = self._db.execute(sql, (job, source)).fetchone()
        return row is not None and row[0] is not None

    def latest(self) -> list[JobRun]:
        """Return the latest run of every job and source."""
        rows = self._db.query(
            """SELECT * FROM job_runs WHERE id IN (SELECT max(id) FROM job_runs GROUP BY job, source)
            ORDER BY job, source"""
        )
        return [
            JobRun(
                row["job"],
                row["source"],
                from_text(row["started_at"]),
                row["seconds"],
                json.loads(row["counts"]),
                row["error"],
                row["note"],
            )
            for row in rows
        ]
