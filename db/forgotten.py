"""People who asked to be forgotten, and posts whose text and author are no longer kept.

What is erased stays counted: the labels of a post, its time and its source are no personal data. The file is told to
overwrite what it deletes.
"""

import hashlib
import hmac
import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from db.database import write_lock
from db.emptied import empty_cases
from db.errors import DatabaseError
from db.keys import Keys
from db.times import to_text

FEW = 500  # posts in one statement


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was removed of a person: the hash that stands for them from now on, posts, and older versions of these.

    Of the desk's cases of these posts: how many there were, and the notes and replies in them that lost their words.
    """

    source: str
    author_hash: str
    at: datetime
    posts: int
    versions: int
    cases: int = 0
    notes: int = 0
    replies: int = 0


class Forgotten:
    """The tables forgotten and versions, and the erasing of posts."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._key: bytes | None = None
        self._any: bool | None = None

    def knows(self, source: str, author: str | None) -> bool:
        """Say whether the author of a post asked to be forgotten on this source."""
        if self._any is None:
            self._any = self._db.execute("SELECT EXISTS (SELECT 1 FROM forgotten)").fetchone()[0] == 1
        if not author or not self._any:
            return False
        found = self._db.execute(
            "SELECT 1 FROM forgotten WHERE source = ? AND author = ?", (source, self._hash(author))
        ).fetchone()
        return found is not None

    def erase(self, ids: Sequence[int], at: datetime, reason: str) -> int:
        """Drop text, author and address of posts, and their older versions; return how many had any.

        The words of notes and replies in their cases go too.
        `ids` are the posts' own (mentions.id). They stay counted. Runs in the caller's transaction.
        """
        self._db.execute("PRAGMA secure_delete = ON")
        erased = 0
        for start in range(0, len(ids), FEW):
            some = list(ids[start : start + FEW])
            marks = ", ".join("?" * len(some))
            erased += self._db.execute(
                f"""UPDATE mentions SET text = '', author = NULL, url = NULL, in_reply_to = NULL, followers = NULL,
                    addressed = NULL, gone_at = ?, gone_reason = ? WHERE id IN ({marks}) AND gone_at IS NULL""",
                [to_text(at), reason, *some],
            ).rowcount
            self._db.execute(f"DELETE FROM versions WHERE mention_id IN ({marks})", some)
            self._db.execute(f"DELETE FROM shingles WHERE mention_id IN ({marks})", some)
            empty_cases(self._db, some, at, reason)
        return erased

    def posts_by(self, author: str) -> Mapping[str, int]:
        """Count the stored posts of a person on each source that has any."""
        sql = "SELECT source, author, count(*) FROM mentions WHERE author IS NOT NULL GROUP BY source, author"
        found = Counter[str]()
        for source, name, count in self._db.execute(sql):
            if _folded(name) == _folded(author):
                found[source] += count
        return found

    def drop_shingles(self, before: datetime) -> int:
        """Delete what finds copies of posts from before a time; runs in the caller's transaction."""
        sql = "DELETE FROM shingles WHERE mention_id IN (SELECT id FROM mentions WHERE created_at < ?)"
        return self._db.execute(sql, (to_text(before),)).rowcount

    def erase_named(self, source: str, source_ids: Sequence[str], at: datetime, reason: str) -> int:
        """Erase posts by the platform's ids; ids that are not stored are no error."""
        ids: list[int] = []
        for start in range(0, len(source_ids), FEW):
            some = list(source_ids[start : start + FEW])
            marks = ", ".join("?" * len(some))
            rows = self._db.execute(
                f"SELECT id FROM mentions WHERE source = ? AND source_id IN ({marks}) AND gone_at IS NULL",
                [source, *some],
            ).fetchall()
            ids += [row[0] for row in rows]
        return self.erase(ids, at, reason)

    def erase_by(self, source: str, authors: Sequence[str], at: datetime, reason: str) -> int:
        """Erase all posts of authors, as the platform names them; later ones are stored again."""
        rows = self._db.execute(
            """SELECT id FROM mentions WHERE source = ? AND gone_at IS NULL
            AND author COLLATE NOCASE IN (SELECT value FROM json_each(?))""",
            (source, json.dumps(list(authors))),
        ).fetchall()
        return self.erase([post_id for (post_id,) in rows], at, reason)

    def forget(self, source: str, author: str, at: datetime) -> Receipt:
        """Erase all posts of a person on a source, also where others passed them on, and store none of them again.

        On some platforms a post's id or address names its author: it goes too, and so do others' references to it, what
        alerts and silences call it, and the ids of posts that lost their author before.
        """
        own = self._own(source, author)
        named = f"(SELECT source_id FROM mentions WHERE id IN (SELECT value FROM json_each('{own}')))"
        passed_on = self._db.execute(
            f"SELECT id FROM mentions WHERE source = ? AND repost_of IN {named}", (source,)
        ).fetchall()
        ids = [*own, *(post for (post,) in passed_on)]
        marks = f"SELECT count(*) FROM versions WHERE mention_id IN (SELECT value FROM json_each('{ids}'))"
        versions = int(self._db.execute(marks).fetchone()[0])
        for column in ("repost_of", "in_reply_to"):
            self._db.execute(f"UPDATE mentions SET {column} = NULL WHERE source = ? AND {column} IN {named}", (source,))
        self._db.execute("PRAGMA secure_delete = ON")
        emptied = empty_cases(self._db, ids, at, "forgotten")
        posts = self.erase(ids, at, "forgotten")
        for table in ("alerts", "silences"):  # on single posts: see scope_of in jobs/single.py
            self._db.execute(
                f"""UPDATE {table} SET scope = m.source || ' forgotten-' || m.id FROM mentions m
                WHERE m.source = ?1 AND m.source_id = substr(scope, length(?1) + 2)
                    AND scope = m.source || ' ' || m.source_id AND +m.id IN (SELECT value FROM json_each(?2))""",
                (source, json.dumps(own)),
            )
        self._db.execute(
            "UPDATE mentions SET source_id = 'forgotten-' || id WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(own),),
        )
        self._db.execute("DELETE FROM cursors WHERE stream = '(recheck)'")  # which names posts; it begins anew
        self._db.execute(
            """INSERT INTO forgotten (source, author, at, posts) VALUES (?, ?, ?, ?)
            ON CONFLICT (source, author) DO UPDATE SET at = excluded.at, posts = posts + excluded.posts""",
            (source, self._hash(author), to_text(at), posts),
        )
        self._any = True
        return Receipt(source, self._hash(author), at, posts, versions, emptied.cases, emptied.notes, emptied.replies)

    def scrub(self) -> bool:
        """Write the file anew, so that nothing that was erased is left in its bytes; False where that cannot be now.

        Overwriting what is deleted is not enough: SQLite leaves copies behind where it moves rows about. Not in a
        transaction. It takes the room of the whole file once more, and holds up writers meanwhile.
        """
        try:
            with write_lock(self._db):
                self._db.execute("INSERT INTO mentions_fts (mentions_fts) VALUES ('optimize')")
            self._db.execute("VACUUM")
            blocked, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (DatabaseError, sqlite3.OperationalError):  # others write or read all the while, or there is no room
            return False
        return not blocked

    def _own(self, source: str, author: str) -> list[int]:
        """Return the posts of a person, and those of theirs of which the id alone is left."""
        sql = """SELECT id, author, source_id FROM mentions
            WHERE source = ? AND (author IS NOT NULL OR gone_at IS NOT NULL)"""
        begins = _naming(author)
        return [
            post
            for post, name, key in self._db.execute(sql, (source,))
            if (key.casefold().startswith(begins) if name is None else _folded(name) == _folded(author))
        ]

    def _hash(self, author: str) -> str:
        """Stand for a person without naming them; the key never leaves this file."""
        if self._key is None:
            self._key = Keys(self._db).of("forgotten")
        return hmac.new(self._key, _folded(author).encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _folded(author: str) -> str:
    """Write a name as it is compared: without capitals, and without the sign that many put before it."""
    return author.strip().removeprefix("@").casefold()


def _naming(author: str) -> str:
    """How ids of posts begin that name their author, where they do: a DID on Bluesky, a server's user on Mastodon."""
    name, _, server = _folded(author).partition("@")
    return f"https://{server}/users/{name}/" if server else f"at://{name}/"
