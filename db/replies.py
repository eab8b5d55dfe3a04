"""Answers to posts, from the first draft to what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from db.desk import Reply
from db.times import from_text, from_text_or_none, to_text, to_text_or_none

UNSETTLED = ("queued", "sending", "unknown")  # on its way, or perhaps sent: no other reply may be sent meanwhile


class Replies:
    """The table replies. Each change raises `version`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, reply_id: int) -> Reply | None:
        """Return a reply."""
        return next(map(_reply, self._db.query("SELECT * FROM replies WHERE id = ?", [reply_id])), None)

    def of_case(self, case_id: int) -> list[Reply]:
        """Return the replies to a post, the oldest first."""
        return [_reply(row) for row in self._db.query(f"{_OF_CASE} ORDER BY id", [case_id])]

    def last(self, case_id: int) -> Reply | None:
        """Return the latest reply to a post."""
        return next(map(_reply, self._db.query(f"{_OF_CASE} ORDER BY id DESC LIMIT 1", [case_id])), None)

    def in_states(self, states: Sequence[str], limit: int = 200) -> list[Reply]:
        """Return the replies in these states, the oldest first."""
        sql = f"SELECT * FROM replies WHERE state IN ({', '.join('?' * len(states))}) ORDER BY id LIMIT ?"
        return [_reply(row) for row in self._db.query(sql, [*states, limit])]

    def due(self, now: datetime, limit: int) -> list[Reply]:
        """Return the replies that are to be sent now, the oldest first."""
        sql = """SELECT * FROM replies WHERE state = 'queued' AND (not_before IS NULL OR not_before <= ?)
            ORDER BY id LIMIT ?"""
        return [_reply(row) for row in self._db.query(sql, [to_text(now), limit])]

    def save(self, reply: Reply) -> Reply:
        """Keep a new reply (id 0), or what has changed of one; runs in the caller's transaction."""
        values = {
            "case_id": reply.case_id,
            "author": reply.author,
            "text": reply.text,
            "state": reply.state,
            "created_at": to_text(reply.created_at),
            "updated_at": to_text(reply.updated_at),
            "decided_by": reply.decided_by,
            "decided_at": to_text_or_none(reply.decided_at),
            "remark": reply.remark,
            "not_before": to_text_or_none(reply.not_before),
            "sending_at": to_text_or_none(reply.sending_at),
            "sent_at": to_text_or_none(reply.sent_at),
            "remote_id": reply.remote_id,
            "url": reply.url,
            "error": reply.error,
            "survey": reply.survey,
        }
        if reply.id:
            changes = ", ".join(f"{name} = ?" for name in values)
            self._db.execute(
                f"UPDATE replies SET {changes}, version = version + 1 WHERE id = ?", [*values.values(), reply.id]
            )
            return replace(reply, version=reply.version + 1)
        cursor = self._db.execute(
            f"INSERT INTO replies ({', '.join(values)}, version) VALUES ({', '.join('?' * len(values))}, 1)",
            list(values.values()),
        )
        return replace(reply, id=int(cursor.lastrowid or 0), version=1)


_OF_CASE = "SELECT * FROM replies WHERE case_id = ?"


def _reply(row: Mapping[str, Any]) -> Reply:
    return Reply(
        id=row["id"],
        case_id=row["case_id"],
        author=row["author"],
        text=row["text"],
        state=row["state"],
        created_at=from_text(row["created_at"]),
        updated_at=from_text(row["updated_at"]),
        version=row["version"],
        decided_by=row["decided_by"],
        decided_at=from_text_or_none(row["decided_at"]),
        remark=row["remark"],
        sending_at=from_text_or_none(row["sending_at"]),
        sent_at=from_text_or_none(row["sent_at"]),
        remote_id=row["remote_id"],
        url=row["url"],
        error=row["error"],
        survey=row["survey"],
        not_before=from_text_or_none(row["not_before"]),
    )
