"""Alerts, the posts that made them, what was sent about them, and the posts that wait for an answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from db.filters import Filter
from db.mentions import MATCH_COLUMNS, MATCH_TABLES, match_from_row
from db.records import Alert, Case, Delivery, Match
from db.times import from_text, from_text_or_none, to_text, to_text_or_none


class Alerts:
    """The tables alerts and alert_posts."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def save(self, alert: Alert, posts: Sequence[Match]) -> Alert:
        """Insert an alert (id 0) or bring it up to date, and add its posts; runs in the caller's transaction."""
        values = (
            alert.brand,
            alert.rule,
            to_text(alert.starts),
            to_text(alert.last_seen),
            to_text_or_none(alert.ends),
            alert.severity,
            alert.observed,
            alert.expected,
            alert.factor,
            alert.probability,
            alert.window_minutes,
            alert.mentions,
            alert.share,
            alert.usual_share,
            alert.summary,
            json.dumps(list(alert.in_common)),
        )
        if alert.id:
            self._db.execute(
                """UPDATE alerts SET brand = ?, rule = ?, starts = ?, last_seen = ?, ends = ?, severity = ?,
                    observed = ?, expected = ?, factor = ?, probability = ?, window_minutes = ?, mentions = ?,
                    share = ?, usual_share = ?, summary = ?, in_common = ? WHERE id = ?""",
                (*values, alert.id),
            )
        else:
            cursor = self._db.execute(
                """INSERT INTO alerts (brand, rule, starts, last_seen, ends, severity, observed, expected, factor,
                    probability, window_minutes, mentions, share, usual_share, summary, in_common)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                values,
            )
            alert = replace(alert, id=int(cursor.lastrowid or 0))
        self._db.conn.executemany(
            "INSERT OR IGNORE INTO alert_posts (alert_id, match_id) VALUES (?, ?)", [(alert.id, m.id) for m in posts]
        )
        return alert

    def find(self, chosen: Filter, limit: int | None = None) -> list[Alert]:
        """Return alerts of the brands that were going on in the span, newest first."""
        clauses, values = ["1 = 1"], list[object]()
        if chosen.brands:
            clauses.append(f"brand IN ({', '.join('?' * len(chosen.brands))})")
            values.extend(chosen.brands)
        if chosen.since:
            clauses.append("last_seen >= ?")
            values.append(to_text(chosen.since))
        if chosen.until:
            clauses.append("starts < ?")
            values.append(to_text(chosen.until))
        sql = f"SELECT * FROM alerts WHERE {' AND '.join(clauses)} ORDER BY starts DESC, id DESC LIMIT ?"
        return [_alert(row) for row in self._db.query(sql, [*values, -1 if limit is None else limit])]


class Deliveries:
    """The table deliveries: written before anything is sent."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def last(self, alert_id: int, channel: str) -> Delivery | None:
        """Return the channel's latest delivery for the alert."""
        sql = "SELECT * FROM deliveries WHERE alert_id = ? AND channel = ? ORDER BY id DESC LIMIT 1"
        return next((_delivery(row) for row in self._db.query(sql, [alert_id, channel])), None)

    def open(self, alert_id: int, channel: str, reason: str, observed: int, now: datetime) -> Delivery:
        """Write down that a notification is about to be sent, and that it overtakes those which have not arrived."""
        self._db.execute(
            """UPDATE deliveries SET state = 'dead', next_attempt_at = NULL, error = 'overtaken by a later message'
            WHERE alert_id = ? AND channel = ? AND state IN ('sending', 'failed')""",
            (alert_id, channel),
        )
        cursor = self._db.execute(
            """INSERT INTO deliveries (alert_id, channel, reason, state, attempts, observed, created_at)
            VALUES (?, ?, ?, 'sending', 0, ?, ?)""",
            (alert_id, channel, reason, observed, to_text(now)),
        )
        return Delivery(int(cursor.lastrowid or 0), alert_id, channel, reason, "sending", 0, observed, now)

    def update(self, delivery: Delivery) -> None:
        """Write down that an attempt begins, or how it went."""
        self._db.execute(
            "UPDATE deliveries SET state = ?, attempts = ?, next_attempt_at = ?, error = ? WHERE id = ?",
            (
                delivery.state,
                delivery.attempts,
                to_text_or_none(delivery.next_attempt_at),
                delivery.error,
                delivery.id,
            ),
        )

    def due(self, now: datetime) -> list[Delivery]:
        """Return what is to be sent: new, cut off by a crash, or failed, and due."""
        sql = """SELECT * FROM deliveries WHERE state IN ('sending', 'failed')
            AND (next_attempt_at IS NULL OR next_attempt_at <= ?) ORDER BY id"""
        return [_delivery(row) for row in self._db.query(sql, [to_text(now)])]

    def troubled(self) -> list[Delivery]:
        """Return what has not arrived."""
        return [
            _delivery(row)
            for row in self._db.query("SELECT * FROM deliveries WHERE state != 'sent' ORDER BY id DESC LIMIT 50")
        ]

    def of_alert(self, alert_id: int) -> list[Delivery]:
        """Return everything sent about one alert."""
        sql = "SELECT * FROM deliveries WHERE alert_id = ? ORDER BY id"
        return [_delivery(row) for row in self._db.query(sql, [alert_id])]


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


def _alert(row: Mapping[str, Any]) -> Alert:
    return Alert(
        row["id"],
        row["brand"],
        row["rule"],
        from_text(row["starts"]),
        from_text(row["last_seen"]),
        from_text_or_none(row["ends"]),
        row["severity"],
        row["observed"],
        row["expected"],
        row["factor"],
        row["probability"],
        row["window_minutes"],
        row["mentions"],
        row["share"],
        row["usual_share"],
        row["summary"],
        tuple(json.loads(row["in_common"])),
    )


def _delivery(row: Mapping[str, Any]) -> Delivery:
    return Delivery(
        row["id"],
        row["alert_id"],
        row["channel"],
        row["reason"],
        row["state"],
        row["attempts"],
        row["observed"],
        from_text(row["created_at"]),
        from_text_or_none(row["next_attempt_at"]),
        row["error"],
    )
