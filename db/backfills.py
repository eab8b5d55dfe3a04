"""Which spans of the past are to be read, and how far that has come: the table backfills."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from db.records import Backfill
from db.times import from_text, from_text_or_none, to_text, to_text_or_none

OPEN, DONE, REFUSED = "open", "done", "refused"
ASKED, GAP = "asked", "gap"


class Backfills:
    """Every method that writes runs in the caller's transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def request(
        self, source: str, stream: str, since: datetime, until: datetime, cause: str, now: datetime, again: bool = False
    ) -> list[Backfill]:
        """Ask for a span, `since` inclusive, `until` exclusive; return what that adds.

        What is asked for already, and open or done, is not asked for twice, but for what is done where `again` says so.
        A gap that was refused is not asked for again either: only a person does that.
        """
        states = {OPEN} if again else {OPEN, DONE} if cause == ASKED else {OPEN, DONE, REFUSED}
        wanted = self._without(source, stream, since, until, states)
        return [self._insert(source, stream, start, end, OPEN, cause, now) for start, end in wanted]

    def unread(self, source: str, stream: str, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
        """Return the parts of a span that are not done."""
        return self._without(source, stream, since, until, {DONE})

    def open(self) -> list[Backfill]:
        """Return the spans that are still to be read, the oldest request first."""
        return self._select("WHERE state = 'open'")

    def all(self) -> list[Backfill]:
        """Return every span, the oldest request first."""
        return self._select("")

    def named(self, backfill_id: int) -> Backfill:
        """Return the span with this id, which must be there."""
        return self._select("WHERE id = ?", backfill_id)[0]

    def progress(self, span: Backfill, resume: str | None, oldest: datetime | None, fetched: int, stored: int) -> None:
        """Note what one more batch of a span brought, and where reading goes on after it."""
        self._db.execute(
            """UPDATE backfills SET resume = ?1, reached = min(coalesce(reached, ?2), coalesce(?2, reached)),
                fetched = fetched + ?3, stored = stored + ?4, note = NULL WHERE id = ?5""",
            (resume, to_text_or_none(oldest), fetched, stored, span.id),
        )

    def close(self, span: Backfill, state: str, note: str | None = None) -> None:
        """End a span: it is done, or refused for a reason."""
        self._db.execute("UPDATE backfills SET state = ?, resume = NULL, note = ? WHERE id = ?", (state, note, span.id))

    def note(self, span: Backfill, note: str | None) -> None:
        """Say why a span waits, None where nothing is known to be in the way. It goes with the next progress."""
        self._db.execute("UPDATE backfills SET note = ? WHERE id = ?", (note, span.id))

    def cut(self, span: Backfill, at: datetime, note: str) -> Backfill:
        """Refuse what lies before `at`, inside the span, for a reason; return what is left to be read."""
        self._insert(span.source, span.stream, span.since, at, REFUSED, span.cause, span.requested_at, note)
        self._db.execute("UPDATE backfills SET since = ? WHERE id = ?", (to_text(at), span.id))
        return self.named(span.id)

    def forget(self, before: datetime) -> int:
        """Delete the spans that were asked for before a time and have ended; return how many."""
        sql = "DELETE FROM backfills WHERE state != 'open' AND requested_at < ?"
        return self._db.execute(sql, (to_text(before),)).rowcount

    def _without(
        self, source: str, stream: str, since: datetime, until: datetime, states: Collection[str]
    ) -> list[tuple[datetime, datetime]]:
        """Return the parts of a span that no request in one of these states covers."""
        wanted = [(from_text(to_text(since)), from_text(to_text(until)))]
        for known in self._of(source, stream):
            if known.state in states:
                wanted = [part for start, end in wanted for part in _without(start, end, known.since, known.until)]
        return [(start, end) for start, end in wanted if start < end]

    def _of(self, source: str, stream: str) -> list[Backfill]:
        return self._select("WHERE source = ? AND stream = ?", source, stream)

    def _select(self, where: str, *values: object) -> list[Backfill]:
        return [_backfill(row) for row in self._db.query(f"SELECT * FROM backfills {where} ORDER BY id", list(values))]

    def _insert(
        self,
        source: str,
        stream: str,
        since: datetime,
        until: datetime,
        state: str,
        cause: str,
        now: datetime,
        note: str | None = None,
    ) -> Backfill:
        row = self._db.execute(
            """INSERT INTO backfills (source, stream, since, until, state, cause, requested_at, note)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id""",
            (source, stream, to_text(since), to_text(until), state, cause, to_text(now), note),
        ).fetchone()
        return self.named(row[0])


def _without(start: datetime, end: datetime, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """Take one span out of another: what is left before it, and after it."""
    if until <= start or since >= end:
        return [(start, end)]
    return [(start, since)] * (start < since) + [(until, end)] * (until < end)


def _backfill(row: Mapping[str, Any]) -> Backfill:
    return Backfill(
        row["id"],
        row["source"],
        row["stream"],
        from_text(row["since"]),
        from_text(row["until"]),
        row["state"],
        row["cause"],
        from_text(row["requested_at"]),
        row["resume"],
        from_text_or_none(row["reached"]),
        row["fetched"],
        row["stored"],
        row["note"],
    )
