"""What the desk keeps of posts whose text and author are no longer kept: when and by whom, no words.

Notes and replies may repeat what the post said or name who wrote it, and the address of a reply may hold both.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from db import events
from db.desk import Event
from db.times import to_text

_CASES = "SELECT c.id FROM json_each(:ids) JOIN cases c ON c.mention_id = value"


@dataclass(frozen=True, slots=True)
class Emptied:
    """How many cases there were, and how many notes and replies in them lost their words."""

    cases: int
    notes: int
    replies: int


def empty_cases(db: Database, ids: Sequence[int], at: datetime, reason: str) -> Emptied:
    """Blank the notes and replies in the cases of posts (mentions.id), and close them; in the caller's transaction.

    Nobody can answer these posts any more: what is open is dismissed, and what was to be sent will not be. A reply
    that is being sent at this moment keeps its state, which only the platform knows.
    """
    asked = {"ids": json.dumps(list(ids)), "at": to_text(at)}
    cases = [case_id for (case_id,) in db.execute(_CASES, asked).fetchall()]
    if not cases:
        return Emptied(0, 0, 0)
    notes = db.execute(f"UPDATE notes SET text = '' WHERE text != '' AND case_id IN ({_CASES})", asked).rowcount
    replies = db.execute(
        f"""UPDATE replies SET text = '', remark = NULL, url = NULL, version = version + 1, updated_at = :at,
            error = CASE WHEN state IN ('draft', 'waiting', 'returned', 'queued', 'failed') THEN 'the post is gone' END,
            state = CASE WHEN state IN ('draft', 'waiting', 'returned', 'queued') THEN 'failed' ELSE state END
        WHERE (text != '' OR remark IS NOT NULL OR url IS NOT NULL) AND case_id IN ({_CASES})""",
        asked,
    ).rowcount
    closed = db.execute(
        f"""UPDATE cases SET state = 'dismissed', dismissed_for = 'other', closed_at = :at, lease_until = NULL,
            snoozed_until = NULL, version = version + 1
        WHERE closed_at IS NULL AND id IN ({_CASES}) RETURNING id""",
        asked,
    ).fetchall()
    for (case_id,) in closed:
        events.add(db, Event(0, case_id, at, "post gone", None, {"why": reason}))
    return Emptied(len(cases), notes, replies)
