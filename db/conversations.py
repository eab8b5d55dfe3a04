"""What was said around a post, and by its author before: as far as posts and our replies are stored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from db.desk import Labels
from db.mentions import MATCH_COLUMNS, MATCH_TABLES, match_from_row
from db.records import Match, Mention
from db.times import from_text, from_text_or_none

GONE_OUT = ("sent", "by hand")  # states of replies that people can read


@dataclass(frozen=True, slots=True)
class Said:
    """A post of a conversation, or a reply of ours. `key` is the platform's id of it, `parent` of what it answers."""

    key: str
    parent: str | None
    at: datetime
    author: str | None
    text: str
    ours: bool = False
    url: str | None = None
    case_id: int | None = None  # of the post; of a reply, the one that it answers


@dataclass(frozen=True, slots=True)
class EarlierCase:
    """A case of the same author, and what became of it."""

    id: int
    match: Match
    state: str
    created_at: datetime
    dismissed_for: str | None = None
    replied_at: datetime | None = None
    replied_by: str | None = None
    reply: str | None = None  # the text of the newest that went out


@dataclass(frozen=True, slots=True)
class Author:
    """What is stored of an author on one source, as far as somebody may see it."""

    labels: Labels
    first_seen: datetime | None
    posts: Sequence[Match]  # the newest, other than the one that was asked about
    cases: Sequence[EarlierCase]


@dataclass(frozen=True, slots=True)
class Before:
    """How many posts an author wrote before one, and how many of those were answered; MANY stands for more too."""

    wrote: int
    answered: int


MANY = 100


class Conversations:
    """Questions to the tables mentions, matches, cases and replies. `brands` narrows what is shown; none: all."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def post(self, source: str, key: str, brands: Sequence[str]) -> Said | None:
        """Return a post by the platform's id, without its words where it may not be seen."""
        seen, values = _within(brands)
        row = next(
            self._db.query(
                f"""SELECT m.source_id, m.in_reply_to, m.created_at, m.author, m.text, m.url, m.gone_at, m.gone_reason,
                    m.id, EXISTS (SELECT 1 FROM matches k WHERE k.mention_id = m.id AND {seen}) AS visible,
                    (SELECT min(c.id) FROM matches k JOIN cases c ON c.match_id = k.id
                        WHERE k.mention_id = m.id AND {seen}) AS case_id
                FROM mentions m WHERE m.source = ? AND m.source_id = ?""",
                [*values, *values, source, key],
            ),
            None,
        )
        return None if row is None else _said(row, source)

    def replies_to(self, source: str, key: str, brands: Sequence[str]) -> list[Said]:
        """Return what we replied to a post, as far as it went out, the oldest first."""
        return self._replies("m.source = ? AND m.source_id = ?", [source, key], brands)

    def reply(self, source: str, remote_id: str, brands: Sequence[str]) -> Said | None:
        """Return the reply of ours that the platform knows under this id."""
        return next(iter(self._replies("m.source = ? AND r.remote_id = ?", [source, remote_id], brands)), None)

    def answers(self, source: str, key: str, most: int) -> list[str]:
        """Name the stored posts that answer one, by the platform's ids, the oldest first."""
        # The plus keeps SQLite from going through all posts of the source in order of time.
        sql = "SELECT source_id FROM mentions WHERE source = ? AND in_reply_to = ? ORDER BY +created_at, id LIMIT ?"
        return [found for (found,) in self._db.execute(sql, (source, key, most)).fetchall()]

    def author(self, match: Match, brands: Sequence[str], posts: int, cases: int) -> Author | None:
        """Return what the author of a post wrote besides, None where nobody knows who it is.

        A post on several brands is one post.
        """
        mention = match.mention
        if not mention.author or mention.gone_at is not None:
            return None
        seen, values = _within(brands)
        by = f"m.source = ? AND m.author = ? COLLATE NOCASE AND k.about = 1 AND m.source_id != ? AND {seen}"
        given = [mention.source, mention.author, mention.source_id, *values]
        once = f"""{by} AND k.id =
            (SELECT min(k.id) FROM matches k WHERE k.mention_id = m.id AND k.about = 1 AND {seen})"""
        row = next(
            self._db.query(
                f"""SELECT min(m.created_at) AS first, coalesce(sum(k.sentiment = 'negative'), 0) AS negative,
                    coalesce(sum(k.sentiment = 'neutral'), 0) AS neutral,
                    coalesce(sum(k.sentiment = 'positive'), 0) AS positive,
                    coalesce(sum(k.sentiment IS NULL), 0) AS not_rated
                FROM {MATCH_TABLES} WHERE {once}""",
                [*given, *values],
            )
        )
        found = self._db.query(
            f"""SELECT {MATCH_COLUMNS} FROM {MATCH_TABLES} WHERE {once}
            ORDER BY m.created_at DESC, k.id DESC LIMIT ?""",
            [*given, *values, posts],
        )
        return Author(
            Labels(row["negative"], row["neutral"], row["positive"], row["not_rated"]),
            from_text_or_none(row["first"]),
            [match_from_row(one) for one in found],
            list(self._cases(by, given, cases)),
        )

    def before(self, case_ids: Sequence[int], brands: Sequence[str]) -> Mapping[int, Before]:
        """Return what the authors of some cases wrote before, by case; nothing where nobody knows who wrote it."""
        seen, values = _within(brands)
        earlier = f"""FROM mentions e
            WHERE e.author = m.author COLLATE NOCASE AND e.source = m.source AND e.created_at < m.created_at
                AND EXISTS (SELECT 1 FROM matches k {{}} WHERE k.mention_id = e.id AND k.about = 1 AND {seen})
            LIMIT {MANY}"""
        rows = self._db.execute(
            f"""SELECT o.id, (SELECT count(*) FROM (SELECT 1 {earlier.format("")})),
                (SELECT count(*) FROM (SELECT 1 {
                earlier.format("JOIN cases c ON c.match_id = k.id AND c.replied_at IS NOT NULL")
            }))
            FROM cases o JOIN matches p ON p.id = o.match_id JOIN mentions m ON m.id = p.mention_id
            WHERE o.id IN ({", ".join("?" * len(case_ids))}) AND m.author IS NOT NULL AND m.gone_at IS NULL""",
            [*values, *values, *case_ids],
        ).fetchall()
        return {case_id: Before(wrote, answered) for case_id, wrote, answered in rows if wrote}

    def _cases(self, by: str, given: Sequence[object], most: int) -> Iterator[EarlierCase]:
        rows = self._db.query(
            f"""SELECT {MATCH_COLUMNS}, c.id AS case_id, c.state AS case_state, c.created_at AS case_created,
                c.dismissed_for, c.replied_at, r.text AS reply_text, r.author AS replied_by
            FROM {MATCH_TABLES} JOIN cases c ON c.match_id = k.id
                LEFT JOIN replies r ON r.id = (SELECT max(id) FROM replies WHERE case_id = c.id AND {_OUT})
            WHERE {by} ORDER BY c.created_at DESC, c.id DESC LIMIT ?""",
            [*given, most],
        )
        for row in rows:
            yield EarlierCase(
                row["case_id"],
                match_from_row(row),
                row["case_state"],
                from_text(row["case_created"]),
                row["dismissed_for"],
                from_text_or_none(row["replied_at"]),
                row["replied_by"],
                row["reply_text"],
            )

    def _replies(self, which: str, given: Sequence[object], brands: Sequence[str]) -> list[Said]:
        seen, values = _within(brands)
        rows = self._db.query(
            f"""SELECT r.id, r.remote_id, r.author, r.text, r.url, coalesce(r.sent_at, r.updated_at) AS at,
                r.case_id, m.source_id
            FROM {MATCH_TABLES} JOIN cases c ON c.match_id = k.id JOIN replies r ON r.case_id = c.id
            WHERE {which} AND {seen} AND r.{_OUT} ORDER BY at, r.id""",
            [*given, *values],
        )
        return [
            Said(
                row["remote_id"] or f"\0reply {row['id']}",  # no platform has such an id
                row["source_id"],
                from_text(row["at"]),
                row["author"],
                row["text"],
                True,
                row["url"],
                row["case_id"],
            )
            for row in rows
        ]


_OUT = f"state IN ({', '.join(repr(state) for state in GONE_OUT)})"


def _within(brands: Sequence[str]) -> tuple[str, list[object]]:
    return (f"k.brand IN ({', '.join('?' * len(brands))})", list(brands)) if brands else ("1 = 1", [])


def _said(row: Mapping[str, Any], source: str) -> Said:
    at = from_text(row["created_at"])
    if not row["visible"]:
        return Said(row["source_id"], row["in_reply_to"], at, None, HIDDEN)
    gone = from_text_or_none(row["gone_at"])
    post = Mention(
        source, row["source_id"], row["author"], row["text"], at, at, gone_at=gone, gone_reason=row["gone_reason"]
    )
    return Said(post.source_id, row["in_reply_to"], at, post.author, post.shown, False, row["url"], row["case_id"])


HIDDEN = "(a post about another brand)"
