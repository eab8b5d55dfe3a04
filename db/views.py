"""Questions to the queue that somebody keeps: the table views."""

from sqlite_utils import Database

from db.desk import View
from db.errors import InputError

LONGEST_NAME = 60  # characters
LONGEST_QUERY = 2_000


class Views:
    """The table views. A view is its owner's; others see it where it is shared, and only its owner changes it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of(self, owner: str) -> list[View]:
        """Return somebody's own views, then those that others share, by name."""
        rows = self._db.execute(
            """SELECT id, name, owner, query, shared FROM views WHERE owner = ?1 OR shared = 1
            ORDER BY owner != ?1, name COLLATE NOCASE, owner""",
            (owner,),
        ).fetchall()
        return [View(number, name, whose, query, bool(shared)) for number, name, whose, query, shared in rows]

    def save(self, owner: str, name: str, query: str, shared: bool = False) -> View:
        """Keep a view, in place of the owner's one of that name; runs in the caller's transaction.

        Raises InputError for a name that cannot be shown and a question that is too long.
        """
        name = " ".join(name.split())
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise InputError(f"a view has a name of 1 to {LONGEST_NAME} characters")
        query = query.strip().removeprefix("?")
        if len(query) > LONGEST_QUERY or not query.isprintable():
            raise InputError(f"a view keeps up to {LONGEST_QUERY:,} characters of an address")
        (number,) = self._db.execute(
            """INSERT INTO views (owner, name, query, shared) VALUES (?, ?, ?, ?)
            ON CONFLICT (owner, name) DO UPDATE SET query = excluded.query, shared = excluded.shared RETURNING id""",
            (owner, name, query, shared),
        ).fetchone()
        return View(int(number), name, owner, query, shared)

    def delete(self, view_id: int, owner: str) -> bool:
        """Remove somebody's own view; False where it is not there or not theirs. Runs in the caller's transaction."""
        return self._db.execute("DELETE FROM views WHERE id = ? AND owner = ?", (view_id, owner)).rowcount == 1
