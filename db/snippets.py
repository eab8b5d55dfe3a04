"""Saved replies."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlite_utils import Database

from db.desk import Snippet
from db.errors import InputError
from db.times import from_text, to_text_or_none


class Snippets:
    """The table snippets."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def all(self) -> list[Snippet]:
        """Return them all, by name."""
        return [_snippet(row) for row in self._db.query("SELECT * FROM snippets ORDER BY name")]

    def for_brand(self, brand: str) -> list[Snippet]:
        """Return those that replies to posts on a brand can begin with: its own, and those for all."""
        sql = "SELECT * FROM snippets WHERE brand IS NULL OR brand = ? ORDER BY name"
        return [_snippet(row) for row in self._db.query(sql, [brand])]

    def get(self, snippet_id: int) -> Snippet | None:
        """Return a saved reply."""
        return next(map(_snippet, self._db.query("SELECT * FROM snippets WHERE id = ?", [snippet_id])), None)

    def save(self, snippet: Snippet) -> Snippet:
        """Keep a new one (id 0) or a changed one; runs in the caller's transaction. Raises InputError for a name twice.

        jobs/desk/snippet.py `checked` says before whether its text can be used.
        """
        found = self._db.execute("SELECT id FROM snippets WHERE name = ?", (snippet.name,)).fetchone()
        if found and found[0] != snippet.id:
            raise InputError(f"there is a saved reply named {snippet.name!r} already; give this one another name")
        at = to_text_or_none(snippet.updated_at)
        values = (snippet.name, snippet.text, snippet.brand, snippet.updated_by, at)
        if snippet.id:
            self._db.execute(
                "UPDATE snippets SET name = ?, text = ?, brand = ?, updated_by = ?, updated_at = ? WHERE id = ?",
                (*values, snippet.id),
            )
            return snippet
        cursor = self._db.execute(
            "INSERT INTO snippets (name, text, brand, updated_by, updated_at) VALUES (?, ?, ?, ?, ?)", values
        )
        return replace(snippet, id=int(cursor.lastrowid or 0))

    def remove(self, snippet_id: int) -> bool:
        """Remove one; False where it is not there. Runs in the caller's transaction."""
        return self._db.execute("DELETE FROM snippets WHERE id = ?", (snippet_id,)).rowcount > 0


def _snippet(row: Mapping[str, Any]) -> Snippet:
    return Snippet(row["id"], row["name"], row["text"], row["brand"], row["updated_by"], from_text(row["updated_at"]))
