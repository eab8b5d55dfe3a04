"""Posts and the brands that they name: stored once, searched, exported."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from db.buckets import Cell, mark_unwatched, recount
from db.filters import Filter
from db.forgotten import Forgotten
from db.records import NO_BRAND, Match, Mention, Reach
from db.times import from_text, from_text_or_none, to_text


@dataclass(frozen=True, slots=True)
class Added:
    """What storing a batch did: posts new and already known, and new matches with a brand."""

    stored: int = 0
    known: int = 0
    matched: int = 0

    def __add__(self, other: "Added") -> "Added":
        return Added(self.stored + other.stored, self.known + other.known, self.matched + other.matched)


class Mentions:
    """The tables mentions and matches."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(
        self,
        mentions: Iterable[tuple[Mention, Sequence[str]]],
        hides: Callable[[Mention, str], bool] = lambda mention, brand: False,
    ) -> Added:
        """Store posts with the brands that they name; a match that `hides` says is to be hidden counts nowhere.

        A post that is known already gains brands that are new. Where its text is another now, the old one is kept as a
        version, and the post is judged anew. What its author deleted stays deleted, and posts of people who asked to be
        forgotten are not stored. Runs in the caller's transaction.
        """
        added = Added()
        emptied: set[Cell] = set()
        edited: set[Cell] = set()
        forgotten = Forgotten(self._db)
        for mention, brands in mentions:
            if forgotten.knows(mention.source, mention.author):
                continue
            posted = to_text(mention.created_at)
            mention_id = self._insert(mention, posted)
            new = mention_id is not None
            if mention_id is None:
                row = self._known(mention)
                mention_id, posted = row["id"], row["created_at"]
                if row["gone_at"]:
                    brands = []
                else:
                    edited |= self._update(mention, row, hides)
                    if self._has_match(mention_id):
                        brands = [brand for brand in brands if brand != NO_BRAND]
            matched = sum(
                self._match(mention_id, mention.source, posted, brand, hides(mention, brand)) for brand in brands
            )
            if not new and matched and NO_BRAND not in brands:
                emptied |= self._drop_unbranded(mention_id)
            added += Added(int(new), int(not new), matched)
        recount(self._db, emptied | edited)
        mark_unwatched(self._db, edited)
        return added

    def pending(self, limit: int) -> list[Match]:
        """Return the oldest matches that wait for a score."""
        return [
            match_from_row(row)
            for row in self._db.query(f"{_SELECT} WHERE k.state = 'pending' ORDER BY k.id LIMIT ?", [limit])
        ]

    def pending_count(self, brands: Sequence[str] = ()) -> int:
        """Count the matches of these brands (none: all) that wait for a score."""
        where, values = Filter(brands=tuple(brands), only_about=False).where("created_at")
        sql = f"SELECT count(*) FROM matches WHERE state = 'pending' AND {where}"
        return int(self._db.execute(sql, values).fetchone()[0])

    def find(self, text: str | None, chosen: Filter, limit: int) -> list[Match]:
        """Return the newest posts that contain all the words of the text, all posts where it has none."""
        where, values = chosen.where("created_at", table="k.")
        words = self._db.quote_fts((text or "").replace("\0", " "))  # SQLite would stop reading at a NUL
        if words:
            where += " AND m.id IN (SELECT rowid FROM mentions_fts WHERE mentions_fts MATCH ?)"
            values.append(words)
        sql = f"{_SELECT} WHERE {where} ORDER BY k.created_at DESC, k.id DESC LIMIT ?"
        return [match_from_row(row) for row in self._db.query(sql, [*values, limit])]

    def named(self, source: str, source_id: str, brand: str) -> Match | None:
        """Return the one match that a post has with a brand."""
        sql = f"{_SELECT} WHERE m.source = ? AND m.source_id = ? AND k.brand = ?"
        return next(map(match_from_row, self._db.query(sql, [source, source_id, brand])), None)

    def every(self, chosen: Filter, firsts: bool = False) -> Iterator[Match]:
        """Go through the posts by time of posting, without holding them all.

        `firsts` keeps to those that the desk looks at: judged, still kept, and no repetition of another post.
        """
        where, values = chosen.where("created_at", table="k.")
        if firsts:
            where += " AND k.state != 'pending' AND m.gone_at IS NULL AND m.copy_of IS NULL AND m.repost_of IS NULL"
        for row in self._db.query(f"{_SELECT} WHERE {where} ORDER BY k.created_at, k.id", values):
            yield match_from_row(row)

    def judged_by_others(self, model: str, chosen: Filter) -> list[int]:
        """Return the ids of the matches that were judged, and last by another model, by time of posting.

        A post whose text is no longer kept cannot be judged anew: it stays as it is.
        """
        where, values = chosen.where("created_at", table="k.")
        sql = f"""SELECT k.id FROM {MATCH_TABLES} WHERE k.model != ? AND m.gone_at IS NULL AND {where}
            ORDER BY k.created_at, k.id"""
        return [match_id for (match_id,) in self._db.execute(sql, [model, *values]).fetchall()]

    def of(self, ids: Sequence[int]) -> list[Match]:
        """Return the matches with these ids, a few hundred at most, as far as they are still there."""
        sql = f"{_SELECT} WHERE k.id IN ({', '.join('?' * len(ids))}) ORDER BY k.id"
        return [match_from_row(row) for row in self._db.query(sql, list(ids))]

    def of_alert(self, alert_id: int, limit: int | None = None) -> list[Match]:
        """Return the posts that made an alert, the most negative first, less those that do not count any more.

        Of a negative spike those found not to be negative since, of every alert those found not to be about the brand.
        """
        sql = f"{_SELECT} {_OF_ALERT} ORDER BY k.negative DESC, k.id LIMIT ?"
        return [match_from_row(row) for row in self._db.query(sql, [alert_id, -1 if limit is None else limit])]

    def count_of_alert(self, alert_id: int) -> int:
        """Count the posts that of_alert returns."""
        return int(self._db.execute(f"SELECT count(*) FROM matches k {_OF_ALERT}", (alert_id,)).fetchone()[0])

    def newest(self, brand: str) -> datetime | None:
        """Return when the brand's newest rated post was posted."""
        (newest,) = self._db.execute(
            "SELECT max(created_at) FROM matches WHERE brand = ? AND state = 'rated' AND about = 1", (brand,)
        ).fetchone()
        return from_text_or_none(newest)

    def to_check(self, source: str, since: datetime, before: datetime, limit: int, begins: str = "") -> list[str]:
        """Return the platform's ids of posts to ask about again: those asked about longest ago first.

        They were posted since one time, and stored or asked about before another; their ids begin as `begins`.
        """
        sql = """SELECT source_id FROM mentions WHERE source = ? AND created_at >= ? AND gone_at IS NULL
            AND coalesce(checked_at, collected_at) < ? AND substr(source_id, 1, ?) = ?
            ORDER BY coalesce(checked_at, collected_at), id LIMIT ?"""
        values = (source, to_text(since), to_text(before), len(begins), begins, limit)
        return [source_id for (source_id,) in self._db.execute(sql, values).fetchall()]

    def checked(self, source: str, source_ids: Sequence[str], at: datetime) -> None:
        """Note that the platform was asked about posts; runs in the caller's transaction."""
        self._db.conn.executemany(
            "UPDATE mentions SET checked_at = ? WHERE source = ? AND source_id = ?",
            [(to_text(at), source, source_id) for source_id in source_ids],
        )

    def aged(self, source: str, before: datetime, limit: int) -> list[int]:
        """Return posts from before a time whose text is still kept, by mentions.id, the oldest first."""
        sql = """SELECT id FROM mentions WHERE source = ? AND created_at < ? AND gone_at IS NULL
            ORDER BY created_at LIMIT ?"""
        return [row[0] for row in self._db.execute(sql, (source, to_text(before), limit)).fetchall()]

    def counts(self, brands: Sequence[str] = ()) -> tuple[int, int]:
        """Count (posts, matches), of these brands (none: all, posts without a match too)."""
        named = f"brand IN ({', '.join('?' * len(brands))})" if brands else "brand != ''"
        (matches,) = self._db.execute(f"SELECT coalesce(sum(posts), 0) FROM totals WHERE {named}", brands).fetchone()
        return sum(self.counts_by_source(brands).values()), int(matches)

    def counts_by_source(self, brands: Sequence[str] = ()) -> Mapping[str, int]:
        """Count the posts of each source, of these brands (none: all, posts without a match too)."""
        if len(brands) > 1:  # a post may name several
            where, values = Filter(brands=tuple(brands), only_about=False).where("created_at")
            sql = (
                f"SELECT source, count(DISTINCT mention_id) FROM matches WHERE {where} GROUP BY source ORDER BY source"
            )
        else:
            sql = "SELECT source, posts FROM totals WHERE brand = ? AND posts > 0 ORDER BY source"
            values = [brands[0] if brands else ""]
        return {source: int(count) for source, count in self._db.execute(sql, values).fetchall()}

    def brands(self) -> list[str]:
        """Name every brand that a stored post was matched to."""
        return [name for (name,) in self._db.execute("SELECT DISTINCT brand FROM matches ORDER BY brand").fetchall()]

    def _known(self, mention: Mention) -> Mapping[str, Any]:
        """Return what is stored of a post that was stored before."""
        return next(
            self._db.query(
                """SELECT id, created_at, collected_at, text, gone_at, followers, likes, reposts, replies, addressed
                FROM mentions WHERE source = ? AND source_id = ?""",
                [mention.source, mention.source_id],
            )
        )

    def _insert(self, mention: Mention, posted: str) -> int | None:
        """Store a new post and return its id; None where it is known already."""
        inserted = self._db.execute(
            """INSERT INTO mentions (source, source_id, author, text, url, created_at, collected_at, language,
                in_reply_to, followers, likes, reposts, replies, repost_of, addressed)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source, source_id) DO NOTHING
            RETURNING id""",
            (
                mention.source,
                mention.source_id,
                mention.author,
                mention.text,
                mention.url,
                posted,
                to_text(mention.collected_at),
                mention.language,
                mention.in_reply_to,
                mention.reach.followers,
                mention.reach.likes,
                mention.reach.reposts,
                mention.reach.replies,
                mention.repost_of,
                _addressed_to_json(mention.addressed),
            ),
        ).fetchall()
        return int(inserted[0][0]) if inserted else None

    def _update(self, mention: Mention, row: Mapping[str, Any], hides: Callable[[Mention, str], bool]) -> set[Cell]:
        """Bring a known post up to date, unless what is known is as new; return where posts are to be judged anew."""
        read = to_text(mention.collected_at)
        told = _addressed_from_json(row["addressed"])
        if set(mention.addressed) - set(told):  # a search does not tell what a list of mentions does
            both = _addressed_to_json([*told, *mention.addressed])
            self._db.execute("UPDATE mentions SET addressed = ? WHERE id = ?", (both, row["id"]))
        if read < row["collected_at"]:  # in the same second, what comes later is newer
            return set()
        reach = (mention.reach.followers, mention.reach.likes, mention.reach.reposts, mention.reach.replies)
        if reach != (row["followers"], row["likes"], row["reposts"], row["replies"]):
            self._db.execute(
                """UPDATE mentions SET followers = coalesce(?, followers), likes = coalesce(?, likes),
                    reposts = coalesce(?, reposts), replies = coalesce(?, replies) WHERE id = ?""",
                (*reach, row["id"]),
            )
        if mention.text == row["text"]:
            return set()
        self._db.execute(
            "INSERT INTO versions (mention_id, text, until) VALUES (?, ?, ?)", (row["id"], row["text"], read)
        )
        self._db.execute(
            "UPDATE mentions SET text = ?, language = ?, collected_at = ?, grouped = 0 WHERE id = ?",
            (mention.text, mention.language, read, row["id"]),
        )
        # Without a model, the score of the old text is in force no more, also where a person says something meanwhile.
        # What a person has said stays in force; what that leaves open, the model is asked of the new text.
        rows = self._db.execute(
            """UPDATE matches SET state = 'pending', model = NULL, triaged = 0
            WHERE mention_id = ? AND state != 'pending' RETURNING brand, source, created_at""",
            (row["id"],),
        ).fetchall()
        matches = self._db.execute("SELECT id, brand FROM matches WHERE mention_id = ?", (row["id"],)).fetchall()
        self._db.conn.executemany(  # all of them wait, so that no count changes
            "UPDATE matches SET hidden = ?1, about = CASE WHEN reviewed THEN about ELSE 1 - ?1 END WHERE id = ?2",
            [(hides(mention, brand), match_id) for match_id, brand in matches],
        )
        return {Cell.of(brand, source, from_text(created_at)) for brand, source, created_at in rows}

    def _match(self, mention_id: int, source: str, posted: str, brand: str, hidden: bool) -> int:
        cursor = self._db.execute(
            """INSERT INTO matches (mention_id, brand, source, created_at, hidden, about)
            VALUES (?1, ?2, ?3, ?4, ?5, 1 - ?5)
            ON CONFLICT (mention_id, brand) DO NOTHING""",
            (mention_id, brand, source, posted, hidden),
        )
        return cursor.rowcount

    def _has_match(self, mention_id: int) -> bool:
        sql = "SELECT 1 FROM matches WHERE mention_id = ? LIMIT 1"
        return self._db.execute(sql, (mention_id,)).fetchone() is not None

    def _drop_unbranded(self, mention_id: int) -> set[Cell]:
        """A post that was kept without a brand has one now: it is counted there, and no longer under none."""
        rows = self._db.execute(
            "DELETE FROM matches WHERE mention_id = ? AND brand = ? RETURNING brand, source, created_at",
            (mention_id, NO_BRAND),
        ).fetchall()
        return {Cell.of(brand, source, from_text(created_at)) for brand, source, created_at in rows}


MATCH_COLUMNS = """k.id AS match_id, k.brand, k.sentiment, k.stage, k.model, k.negative, k.reply, k.pillar,
    k.touchpoint, k.emotion, k.offensive, k.reviewed, k.about, m.*"""
MATCH_TABLES = "matches k JOIN mentions m ON m.id = k.mention_id"
_SELECT = f"SELECT {MATCH_COLUMNS} FROM {MATCH_TABLES}"
_OF_ALERT = """JOIN alert_posts p ON p.match_id = k.id JOIN alerts a ON a.id = p.alert_id
    WHERE a.id = ? AND k.about = 1 AND (k.sentiment = 'negative' OR a.rule != 'negative spike')"""


def match_from_row(row: Mapping[str, Any]) -> Match:
    return Match(
        id=row["match_id"],
        brand=row["brand"],
        sentiment=row["sentiment"],
        stage=row["stage"],
        model=row["model"],
        negative=row["negative"],
        reply=row["reply"],
        pillar=row["pillar"],
        touchpoint=row["touchpoint"],
        emotion=row["emotion"],
        offensive=row["offensive"],
        reviewed=bool(row["reviewed"]),
        about=bool(row["about"]),
        mention=mention_from_row(row),
    )


def mention_from_row(row: Mapping[str, Any]) -> Mention:
    return Mention(
        source=row["source"],
        source_id=row["source_id"],
        author=row["author"],
        text=row["text"],
        url=row["url"],
        created_at=from_text(row["created_at"]),
        collected_at=from_text(row["collected_at"]),
        language=row["language"],
        in_reply_to=row["in_reply_to"],
        reach=Reach(row["followers"], row["likes"], row["reposts"], row["replies"]),
        repost_of=row["repost_of"],
        gone_at=from_text_or_none(row["gone_at"]),
        gone_reason=row["gone_reason"],
        addressed=_addressed_from_json(row["addressed"]),
    )


def _addressed_to_json(accounts: Sequence[str]) -> str | None:
    return json.dumps(list(dict.fromkeys(accounts))) if accounts else None


def _addressed_from_json(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()
