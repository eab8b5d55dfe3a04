"""Posts that say nearly the same: which is the first of them, and how a new one finds it.

`shingles` holds, for each post, the hashes of its bands (MinHash): posts that share one are likely to be alike.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from db.scores import put_in_force
from db.times import from_text, to_text

MOST_NAMED = 500  # rows asked for at once
MOST = 20  # candidates that a post is compared with
_NEWEST = f"ORDER BY mention_id DESC LIMIT {MOST}"


@dataclass(frozen=True, slots=True)
class Text:
    """A post as far as its words matter; `first` is the post that it copies, itself where it copies none."""

    id: int
    text: str
    first: int
    posted: datetime


class Copies:
    """The column mentions.copy_of and the table shingles."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def ungrouped(self, limit: int) -> list[Text]:
        """Return posts that nobody has looked at yet, in the order in which they were stored."""
        rows = self._db.execute(
            "SELECT id, text, created_at FROM mentions WHERE grouped = 0 ORDER BY id LIMIT ?", (limit,)
        ).fetchall()
        return [Text(post_id, text, post_id, from_text(posted)) for post_id, text, posted in rows]

    def originals(self, ids: Sequence[int]) -> Mapping[int, int]:
        """Return for each of the posts that pass on another post which one that is, where it is stored."""
        rows = self._db.execute(
            f"""SELECT m.id, coalesce(o.copy_of, o.id) FROM mentions m
            JOIN mentions o ON o.source = m.source AND o.source_id = m.repost_of
            WHERE m.id IN ({", ".join("?" * len(ids))})""",
            list(ids),
        ).fetchall()
        return dict(rows)

    def alike(self, bands: Sequence[int], since: datetime, until: datetime) -> list[Text]:
        """Return the posts of a span that share a band, those first that were stored first.

        Of each band the last ones are looked at: a campaign has thousands, and each names the first of them.
        """
        last = f"SELECT * FROM (SELECT mention_id FROM shingles WHERE band = ? AND hash = ? {_NEWEST})"
        keys = " UNION ".join(last for _ in bands)
        values = [value for band in enumerate(bands) for value in band]
        rows = self._db.execute(
            f"""SELECT m.id, m.text, coalesce(m.copy_of, m.id), m.created_at FROM mentions m
            WHERE m.id IN ({keys}) AND m.created_at BETWEEN ? AND ?
            ORDER BY m.id LIMIT {MOST}""",
            [*values, to_text(since), to_text(until)],
        ).fetchall()
        return [Text(post_id, text, first, from_text(posted)) for post_id, text, first, posted in rows]

    def groups(self, match_ids: Sequence[int]) -> Mapping[int, int]:
        """Return for each match the post that its post copies, or its own post: copies of one another share it."""
        found: dict[int, int] = {}
        for first in range(0, len(match_ids), MOST_NAMED):
            ids = match_ids[first : first + MOST_NAMED]
            rows = self._db.execute(
                f"""SELECT k.id, coalesce(m.copy_of, m.id) FROM matches k JOIN mentions m ON m.id = k.mention_id
                WHERE k.id IN ({", ".join("?" * len(ids))})""",
                list(ids),
            ).fetchall()
            found.update(rows)
        return found

    def save(self, post: Text, bands: Iterable[int]) -> None:
        """Note which post another one copies, and its bands; runs in the caller's transaction."""
        first = post.first if post.first != post.id else None
        (before,) = self._db.execute("SELECT copy_of FROM mentions WHERE id = ?", (post.id,)).fetchone()
        self._db.execute("UPDATE mentions SET grouped = 1, copy_of = ? WHERE id = ?", (first, post.id))
        if first != before:  # a copy is an echo
            matches = self._db.execute("SELECT id FROM matches WHERE mention_id = ? AND state = 'rated'", (post.id,))
            put_in_force(self._db, [match_id for (match_id,) in matches.fetchall()])
        self._db.execute("DELETE FROM shingles WHERE mention_id = ?", (post.id,))
        self._db.conn.executemany(
            "INSERT OR IGNORE INTO shingles (band, hash, mention_id) VALUES (?, ?, ?)",
            [(band, value, post.id) for band, value in enumerate(bands)],
        )
