"""Which spans of the past are to be read, and how far that has come: the table backfills."""

from collections.abc import Collection, Mapping, Sequence
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
        self,
        source: str,
        stream: str,
        since: datetime,
        until: datetime,
        cause: str,
        now: datetime,
        again: bool = False,
        read: Sequence[tuple[datetime, datetime]] = (),
    ) -> list[Backfill]:
        """Ask for a span, `since` inclusive, `until` exclusive; return what that adds.

        What is asked for already, and open or done, is not asked for twice, but for what is done where `again` says so.
        A gap that was refused is not asked for again either: only a person does that. `read` are spans that need not
        be read.
        """
        states = {OPEN} if again else {OPEN, DONE} if cause == ASKED else {OPEN, DONE, REFUSED}
        wanted = self._without(source, stream, since, until, states, read)
        return [self._insert(source, stream, start, end, OPEN, cause, now) for start, end in wanted]

    def unread(
        self,
        source: str,
        stream: str,
        since: datetime,
        until: datetime,
        read: Sequence[tuple[datetime, datetime]] = (),
    ) -> list[tuple[datetime, datetime]]:
        """Return the parts of a span that are not done, and are not among those that were read."""
        return self._without(source, stream, since, until, {DONE}, read)

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

    def finish(self, span: Backfill) -> list[Backfill]:
        """End a span that was read, less what was left out of it; return the parts that were read, in order.

        The first of them has the counts of posts. Where nothing is left, the span is refused.
        """
        parts = [(span.since, span.until)]
        for gap in self._select(
            "WHERE source = ? AND stream = ? AND state = 'refused' AND id > ? AND since >= ? AND until <= ?",
            *(span.source, span.stream, span.id, to_text(span.since), to_text(span.until)),
        ):
            parts = [part for start, end in parts for part in _without(start, end, gap.since, gap.until)]
        if not parts:
            self.close(span, REFUSED, span.note)
            return []
        (since, until), *others = sorted(parts)
        self._db.execute(
            "UPDATE backfills SET since = ?, until = ?, state = 'done', resume = NULL, note = NULL WHERE id = ?",
            (to_text(since), to_text(until), span.id),
        )
        more = [
            self._insert(span.source, span.stream, start, end, DONE, span.cause, span.requested_at)
            for start, end in others
        ]
        return [self.named(span.id), *more]

    def put_off(self, span: Backfill, until: datetime, note: str) -> None:
        """Let a span wait until a time, as if it were asked for only then, or until ask_now."""
        self._db.execute(
            "UPDATE backfills SET requested_at = ?, note = ? WHERE id = ?", (to_text(until), note, span.id)
        )

    def ask_now(self, source: str, now: datetime) -> None:
        """Let the spans of a source that were put off wait no longer."""
        self._db.execute(
            """UPDATE backfills SET requested_at = ?1, note = NULL
            WHERE source = ?2 AND state = 'open' AND requested_at > ?1""",
            (to_text(now), source),
        )

    def leave_out(self, span: Backfill, since: datetime, until: datetime, note: str) -> None:
        """Refuse a part inside a span, for a reason; what lies around it is still to be read."""
        self._insert(span.source, span.stream, since, until, REFUSED, span.cause, span.requested_at, note)

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
        self,
        source: str,
        stream: str,
        since: datetime,
        until: datetime,
        states: Collection[str],
        read: Sequence[tuple[datetime, datetime]],
    ) -> list[tuple[datetime, datetime]]:
        """Return the parts of a span that no request in one of these states covers, and none of what was read."""
        wanted = [(from_text(to_text(since)), from_text(to_text(until)))]
        known = [(span.since, span.until) for span in self._of(source, stream) if span.state in states]
        for begin, finish in (*known, *read):
            wanted = [part for start, end in wanted for part in _without(start, end, begin, finish)]
        return sorted((start, end) for start, end in wanted if start < end)

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
