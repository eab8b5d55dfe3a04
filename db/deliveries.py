"""What is sent to channels, written down before it is; and which channels do not work."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from db.records import Delivery, Disabled
from db.times import from_text, from_text_or_none, to_text, to_text_or_none


class Deliveries:
    """The tables deliveries and disabled."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def last(self, alert_id: int, channel: str) -> Delivery | None:
        """Return the channel's latest delivery for the alert."""
        sql = "SELECT * FROM deliveries WHERE alert_id = ? AND channel = ? ORDER BY id DESC LIMIT 1"
        return next((_delivery(row) for row in self._db.query(sql, [alert_id, channel])), None)

    def first_sent(self, alert_id: int) -> datetime | None:
        """Return when anybody was first told of an alert."""
        sql = "SELECT min(created_at) FROM deliveries WHERE alert_id = ? AND state = 'sent'"
        (at,) = self._db.execute(sql, (alert_id,)).fetchone()
        return from_text_or_none(at)

    def open(
        self, alert_id: int, channel: str, reason: str, observed: int, now: datetime, joined: int | None = None
    ) -> Delivery:
        """Write down that a notification is about to be sent, and that it overtakes those which have not arrived.

        What was to be told in the message of one that is overtaken is sent by itself.
        """
        overtaken = self._db.execute(
            """UPDATE deliveries SET state = 'dead', next_attempt_at = NULL, joined = NULL,
                error = 'overtaken by a later message'
            WHERE alert_id = ? AND channel = ? AND state IN ('sending', 'failed') RETURNING id""",
            (alert_id, channel),
        ).fetchall()
        self._db.conn.executemany("UPDATE deliveries SET joined = NULL WHERE joined = ?", overtaken)
        return self._add(Delivery(0, alert_id, channel, reason, "sending", 0, observed, now, joined=joined))

    def open_digest(self, channel: str, reason: str, since: datetime, until: datetime, now: datetime) -> Delivery:
        """Write down that a digest of a span is about to be sent."""
        return self._add(Delivery(0, None, channel, reason, "sending", 0, 0, now, since=since, until=until))

    def last_digest(self, channel: str, reason: str) -> Delivery | None:
        """Return the channel's latest digest of this kind."""
        sql = """SELECT * FROM deliveries WHERE alert_id IS NULL AND channel = ? AND reason = ?
            ORDER BY id DESC LIMIT 1"""
        return next((_delivery(row) for row in self._db.query(sql, [channel, reason])), None)

    def update(self, delivery: Delivery) -> None:
        """Write down that an attempt begins, or how it went, for all that is told in the same message."""
        self._db.execute(
            "UPDATE deliveries SET state = ?, attempts = ?, next_attempt_at = ?, error = ? WHERE id = ? OR joined = ?",
            (
                delivery.state,
                delivery.attempts,
                to_text_or_none(delivery.next_attempt_at),
                delivery.error,
                delivery.id,
                delivery.id,
            ),
        )

    def due(self, now: datetime) -> list[Delivery]:
        """Return the messages that are to be sent: new, cut off by a crash, or failed, and due."""
        sql = """SELECT * FROM deliveries WHERE state IN ('sending', 'failed') AND joined IS NULL
            AND (next_attempt_at IS NULL OR next_attempt_at <= ?) ORDER BY id"""
        return [_delivery(row) for row in self._db.query(sql, [to_text(now)])]

    def joined(self, delivery_id: int) -> list[Delivery]:
        """Return what is told in the message of a delivery beside its own alert."""
        sql = "SELECT * FROM deliveries WHERE joined = ? AND state IN ('sending', 'failed') ORDER BY id"
        return [_delivery(row) for row in self._db.query(sql, [delivery_id])]

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

    def disable(self, channel: str, reason: str, options: str, now: datetime) -> None:
        """Note that a channel does not work with these options (a fingerprint); runs in the caller's transaction."""
        self._db.execute(
            "INSERT OR REPLACE INTO disabled (channel, at, reason, options) VALUES (?, ?, ?, ?)",
            (channel, to_text(now), reason, options),
        )

    def enable(self, channel: str) -> bool:
        """Let a channel be tried again; False where it was not disabled. Runs in the caller's transaction."""
        return self._db.execute("DELETE FROM disabled WHERE channel = ?", (channel,)).rowcount > 0

    def disabled(self) -> list[tuple[Disabled, str]]:
        """Return the channels that do not work, and the fingerprint of the options with which they did not."""
        rows = self._db.execute("SELECT channel, at, reason, options FROM disabled ORDER BY channel").fetchall()
        return [(Disabled(channel, from_text(at), reason), options) for channel, at, reason, options in rows]

    def _add(self, delivery: Delivery) -> Delivery:
        cursor = self._db.execute(
            """INSERT INTO deliveries (alert_id, channel, reason, state, attempts, observed, created_at, joined, since,
                until) VALUES (?, ?, ?, 'sending', 0, ?, ?, ?, ?, ?) RETURNING *""",
            (
                delivery.alert_id,
                delivery.channel,
                delivery.reason,
                delivery.observed,
                to_text(delivery.created_at),
                delivery.joined,
                to_text_or_none(delivery.since),
                to_text_or_none(delivery.until),
            ),
        )
        names = [column[0] for column in cursor.description]
        return _delivery(dict(zip(names, cursor.fetchone(), strict=True)))


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
        row["joined"],
        from_text_or_none(row["since"]),
        from_text_or_none(row["until"]),
    )
