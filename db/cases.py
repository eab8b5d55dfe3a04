"""The posts that wait for an answer, and what happened to them."""

from datetime import datetime

from sqlite_utils import Database

from db.desk import Case
from db.filters import Filter
from db.mentions import MATCH_COLUMNS, MATCH_TABLES, match_from_row
from db.records import Match
from db.times import from_text, to_text


class Cases:
    """The tables cases and events: posts that wait for an answer, and what happened to them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def open(self, match: Match, alert_id: int | None, reason: str, priority: float, now: datetime) -> bool:
        """Put a post on the list unless it is there; runs in the caller's transaction."""
        cursor = self._db.execute(
            """INSERT INTO cases (match_id, alert_id, reason, state, priority, created_at) VALUES (?, ?, ?, 'new', ?, ?)
            ON CONFLICT (match_id) DO NOTHING""",
            (match.id, alert_id, reason, priority, to_text(now)),
        )
        if cursor.rowcount != 1:
            return False
        self._db.execute(
            "INSERT INTO events (case_id, at, what) VALUES (?, ?, ?)",
            (cursor.lastrowid, to_text(now), f"opened: {reason}"),
        )
        return True

    def waiting(self, chosen: Filter, limit: int) -> list[Case]:
        """Return the posts that wait for an answer, worst first."""
        where, values = chosen.where("created_at", table="k.")
        rows = self._db.query(
            f"""SELECT {MATCH_COLUMNS}, c.id AS case_id, c.reason AS case_reason, c.state AS case_state,
                c.alert_id AS case_alert, c.created_at AS case_created
            FROM {MATCH_TABLES} JOIN cases c ON c.match_id = k.id
            WHERE c.state = 'new' AND {where} ORDER BY c.priority DESC, c.id LIMIT ?""",
            [*values, limit],
        )
        return [
            Case(
                row["case_id"],
                match_from_row(row),
                row["case_reason"],
                row["case_state"],
                row["case_alert"],
                from_text(row["case_created"]),
            )
            for row in rows
        ]

    def count(self, chosen: Filter) -> int:
        """Count the posts that wait for an answer."""
        where, values = chosen.where("created_at", table="k.")
        (count,) = self._db.execute(
            f"SELECT count(*) FROM {MATCH_TABLES} JOIN cases c ON c.match_id = k.id WHERE c.state = 'new' AND {where}",
            values,
        ).fetchone()
        return int(count)
