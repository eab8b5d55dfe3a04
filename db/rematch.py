"""Posts as they are stored, with the brands that they are matched to: for queries to be tried on and applied to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from db.buckets import Cell, mark_unwatched, recount
from db.echoes import settle
from db.mentions import mention_from_row
from db.records import Mention
from db.times import from_text, to_text

PAGE = 500  # posts read at once: a reader that stays open would let the write-ahead log grow


@dataclass(frozen=True, slots=True)
class Matched:
    """A match as far as queries decide on it. `reviewed`: a person has said whether it is about the brand."""

    id: int
    brand: str
    hidden: bool
    reviewed: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """A post with its matches."""

    id: int
    mention: Mention
    matches: tuple[Matched, ...]


class Rematching:
    """The tables mentions and matches, post by post. Posts whose text is no longer kept are left out."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def count(self) -> int:
        """Count the posts."""
        return int(self._db.execute("SELECT count(*) FROM mentions WHERE gone_at IS NULL").fetchone()[0])

    def mentions(self, since: datetime | None = None) -> Iterator[Mention]:
        """Go through the posts of a time on, in the order in which they were stored, without holding them all."""
        after, posted = 0, to_text(since) if since else ""
        sql = "SELECT * FROM mentions WHERE id > ? AND created_at >= ? AND gone_at IS NULL ORDER BY id LIMIT ?"
        while rows := list(self._db.query(sql, [after, posted, PAGE])):
            yield from map(mention_from_row, rows)
            after = rows[-1]["id"]

    def posts(self, after: int, limit: int) -> list[Stored]:
        """Return the next posts behind the one with this id (mentions.id), a few hundred at most."""
        sql = "SELECT * FROM mentions WHERE id > ? AND gone_at IS NULL ORDER BY id LIMIT ?"
        rows = list(self._db.query(sql, [after, limit]))
        matches: dict[int, list[Matched]] = {row["id"]: [] for row in rows}
        found = self._db.execute(
            f"""SELECT mention_id, id, brand, hidden, reviewed FROM matches
            WHERE mention_id IN ({", ".join("?" * len(rows))}) ORDER BY id""",
            list(matches),
        ).fetchall()
        for post, match_id, brand, hidden, reviewed in found:
            matches[post].append(Matched(match_id, brand, bool(hidden), bool(reviewed)))
        return [Stored(row["id"], mention_from_row(row), tuple(matches[row["id"]])) for row in rows]

    def hide(self, match_ids: Sequence[int], hidden: bool) -> None:
        """Take matches out of every count, or bring them back, and count again; runs in the caller's transaction.

        Where a person's word is in force it stays so. A match that waits for its score goes on waiting.
        """
        changed = [
            row
            for match_id in match_ids
            for row in self._db.execute(
                """UPDATE matches SET hidden = ?1, about = CASE WHEN reviewed THEN about ELSE 1 - ?1 END,
                    triaged = triaged AND (reviewed OR 1 - ?1 <= about)
                WHERE id = ?2 RETURNING brand, source, created_at""",
                (hidden, match_id),
            ).fetchall()
        ]
        changed += settle(self._db, match_ids)
        cells = {Cell.of(brand, source, from_text(created_at)) for brand, source, created_at in changed}
        recount(self._db, cells)
        mark_unwatched(self._db, cells)
