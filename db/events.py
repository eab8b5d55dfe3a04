"""What happened to a case, what the team wrote on it, and its tags: the tables events, notes and tags.

Events are never changed, which triggers hold. They hold names, levels, labels and times, never words of posts or notes.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from db.desk import Event, Note
from db.times import from_text, to_text


def add(db: Database, event: Event) -> None:
    """Write down what happened; runs in the caller's transaction."""
    db.execute(
        "INSERT INTO events (case_id, at, what, who, detail) VALUES (?, ?, ?, ?, ?)",
        (event.case_id, to_text(event.at), event.what, event.who, json.dumps(event.detail) if event.detail else None),
    )


def of_case(db: Database, case_id: int) -> list[Event]:
    """Return all that happened to a case, in order."""
    return [_event(row) for row in db.query("SELECT * FROM events WHERE case_id = ? ORDER BY id", [case_id])]


def notes(db: Database, case_id: int) -> list[Note]:
    """Return what the team wrote on a case, in order."""
    rows = db.execute("SELECT id, case_id, who, at, text FROM notes WHERE case_id = ? ORDER BY id", (case_id,))
    return [Note(number, case, who, from_text(at), text) for number, case, who, at, text in rows.fetchall()]


def note(db: Database, case_id: int, who: str, at: datetime, text: str) -> Note:
    """Keep a note; runs in the caller's transaction."""
    cursor = db.execute(
        "INSERT INTO notes (case_id, who, at, text) VALUES (?, ?, ?, ?)", (case_id, who, to_text(at), text)
    )
    return Note(int(cursor.lastrowid or 0), case_id, who, at, text)


def tag(db: Database, case_id: int, name: str) -> bool:
    """Tag a case; False where it has that tag. Runs in the caller's transaction."""
    sql = "INSERT INTO tags (case_id, tag) VALUES (?, ?) ON CONFLICT DO NOTHING"
    return db.execute(sql, (case_id, name)).rowcount == 1


def untag(db: Database, case_id: int, name: str) -> bool:
    """Take a tag off a case; False where it does not have it. Runs in the caller's transaction."""
    return db.execute("DELETE FROM tags WHERE case_id = ? AND tag = ?", (case_id, name)).rowcount == 1


def tags(db: Database, brands: Sequence[str]) -> list[str]:
    """Return every tag in use on cases of these brands (none: all), the most used first."""
    where = f"WHERE k.brand IN ({', '.join('?' * len(brands))})" if brands else ""
    rows = db.execute(
        f"""SELECT tag FROM tags t JOIN cases c ON c.id = t.case_id JOIN matches k ON k.id = c.match_id {where}
        GROUP BY tag ORDER BY count(*) DESC, tag""",
        list(brands),
    ).fetchall()
    return [name for (name,) in rows]


def _event(row: Mapping[str, Any]) -> Event:
    detail = json.loads(row["detail"]) if row["detail"] else {}
    return Event(row["id"], row["case_id"], from_text(row["at"]), row["what"], row["who"], detail)
