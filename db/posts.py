"""Posts behind a number: the matches that a question chooses, page by page, and how many there are."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlite_utils import Database

from db.filters import Filter
from db.mentions import MATCH_COLUMNS, MATCH_TABLES, match_from_row
from db.ranges import cells
from db.records import Match

NOT_RATED = "not_rated"  # stands beside the sentiments: what could not be judged
ORDERS: Mapping[str, str] = {  # what the pages sort by, the largest first; ids break ties
    "newest": "k.created_at",
    "negative": "coalesce(k.negative, -1.0)",
    "reach": "coalesce(m.followers, -1)",
}
MANY = 2_000  # posts: so many are counted one by one, or sorted, at the most, where an index can do instead
_PROBED = 300  # posts in their order that are looked through for a common word
_COMMON = 50_000  # posts that have it make a word a common one
# As db/mentions.py counts them: what was found not to be negative since is no part of a negative spike.
_OF_ALERT = """SELECT p.match_id
    FROM alert_posts p JOIN alerts a ON a.id = p.alert_id JOIN matches n ON n.id = p.match_id
    WHERE a.id = ? AND (n.sentiment = 'negative' OR a.rule != 'negative spike')"""
_ORIGINALS = "m.copy_of IS NULL AND m.repost_of IS NULL"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which posts are wanted. They are those that counts have: judged, or found to be beyond judging, and about us.

    `chosen.sentiments` may have NOT_RATED among them, other labels "none" and "unsure", as counts name them.
    """

    chosen: Filter = field(default_factory=Filter)
    text: str = ""  # words that a post or its author's name must have, all of them
    author: str = ""
    alert_id: int | None = None
    copies: bool = True  # false: posts that pass on or repeat another are left out


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page of posts ended: what its last post is sorted by, and its match."""

    value: str | float
    match_id: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some posts in their order, and where the next page begins; None after the last."""

    posts: Sequence[Match]
    after: Mark | None


class Posts:
    """The tables mentions and matches, as pages ask them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def page(self, wanted: Wanted, order: str, limit: int, after: Mark | None = None, many: bool | None = None) -> Page:
        """Return posts in one of ORDERS, from behind a mark on.

        Brand by brand an index has them in order: of a million posts, those of one page are read. In other orders than
        of time that is quicker where there are `many` (None: look) only, as few may lie anywhere in it.
        """
        words = self._words(wanted)
        common = bool(words) and self._is_common(words)
        if many is None:
            many = order != "newest" and not words and self.count(wanted) >= MANY
        found: list[tuple[Any, int]] = []
        if common:
            found = self._ordered(wanted, order, limit, after, probed=True)
        if not found:
            walked = not words and (order == "newest" or many)
            found = self._ordered(wanted, order, limit, after, walked=walked)
        shown = found[:limit]
        last = Mark(*shown[-1]) if len(found) > limit else None
        return Page(self._matches([match_id for _, match_id in shown]), last)

    def count(self, wanted: Wanted) -> int:
        """Count the posts that pages have in all, up to MANY."""
        where, values = self._where(wanted)
        tables, words = _tables(wanted), self._words(wanted)
        if words:  # begins with those that have the words, and goes no farther than it must
            tables = f"mentions_fts f CROSS JOIN {tables}"
            where, values = f"{_HAVING} AND {where}", [words, *values]
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {tables} WHERE {where} LIMIT {MANY})"
        return int(self._db.execute(sql, values).fetchone()[0])

    def named(self) -> tuple[list[str], list[str]]:
        """Name the brands and the sources that there is a post of."""
        known = json.loads(cells(self._db, (), ()))
        return sorted({brand for brand, _ in known}), sorted({source for _, source in known})

    def _ordered(
        self, wanted: Wanted, order: str, limit: int, after: Mark | None, *, walked: bool = False, probed: bool = False
    ) -> list[tuple[Any, int]]:
        """Return what a page and the beginning of the next one are sorted by, and their matches, in order.

        Where it is `walked`, the order is that of an index; where it is `probed`, that too, and only the first posts in
        it are looked through for the words: nothing is returned where these are not enough.
        """
        key, words = ORDERS[order], self._words(wanted)
        by_brand = (walked or probed) and order != "reach"
        brands = wanted.chosen.brands or (tuple(self.named()[0]) if by_brand and order == "negative" else ())
        each = [(brand,) for brand in brands] if by_brand and brands else [brands]
        tables = _tables(wanted, order, walked or probed)
        if words and not probed:
            tables = f"mentions_fts f CROSS JOIN {tables}"
        found: list[tuple[Any, int]] = []
        for names in each:
            where, values = self._where(replace(wanted, chosen=replace(wanted.chosen, brands=names)))
            if after:
                where += f" AND {key} <= ? AND ({key}, k.id) < (?, ?)"
                values += [after.value, after.value, after.match_id]
            if words and not probed:
                where, values = f"{_HAVING} AND {where}", [words, *values]
            chosen = f"FROM {tables} WHERE {where} ORDER BY {key} DESC, k.id DESC LIMIT ?"
            sql = f"SELECT {key}, k.id {chosen}"
            if probed:
                sql = f"""SELECT value, id FROM (SELECT {key} AS value, k.id, k.mention_id {chosen}) AS p
                    WHERE EXISTS (SELECT 1 FROM mentions_fts WHERE mentions_fts MATCH ? AND rowid = p.mention_id)
                    LIMIT ?"""
                values += [_PROBED, words]
            part = self._db.execute(sql, [*values, limit + 1]).fetchall()
            if probed and len(part) <= limit:  # behind those that were looked through there may be more
                return []
            found += part
        return sorted(found, reverse=True)

    def _matches(self, ids: Sequence[int]) -> list[Match]:
        sql = f"SELECT {MATCH_COLUMNS} FROM {MATCH_TABLES} WHERE k.id IN ({', '.join('?' * len(ids))})"
        found = {row["match_id"]: match_from_row(row) for row in self._db.query(sql, list(ids))}
        return [found[match_id] for match_id in ids if match_id in found]

    def _words(self, wanted: Wanted) -> str:
        """Write the words that are searched for as the index of words wants them."""
        return self._db.quote_fts(wanted.text.replace("\0", " "))  # SQLite would stop reading at a NUL

    def _is_common(self, words: str) -> bool:
        sql = "SELECT count(*) FROM (SELECT 1 FROM mentions_fts WHERE mentions_fts MATCH ? LIMIT ?)"
        return bool(self._db.execute(sql, [words, _COMMON]).fetchone()[0] == _COMMON)

    def newest_id(self) -> int:
        """Return the id of the newest match, 0 where there is none."""
        return int(self._db.execute("SELECT coalesce(max(id), 0) FROM matches").fetchone()[0])

    def likelihoods(self, matches: Sequence[Match]) -> Mapping[int, Mapping[str, Mapping[str, float]]]:
        """Return, by match and question, how likely the model in force holds each label; nothing where it gave none."""
        rows = self._db.execute(
            f"""SELECT s.match_id, s.probabilities
            FROM scores s JOIN matches k ON k.id = s.match_id AND k.model = s.model
            WHERE s.probabilities IS NOT NULL AND s.match_id IN ({", ".join("?" * len(matches))})""",
            [match.id for match in matches],
        ).fetchall()
        return {match_id: json.loads(found) for match_id, found in rows}

    def cases(self, matches: Sequence[Match]) -> Mapping[int, tuple[int, str]]:
        """Return, by match, the number and the state of the case that it has."""
        rows = self._db.execute(
            f"SELECT match_id, id, state FROM cases WHERE match_id IN ({', '.join('?' * len(matches))})",
            [match.id for match in matches],
        ).fetchall()
        return {match_id: (case_id, state) for match_id, case_id, state in rows}

    def _where(self, wanted: Wanted) -> tuple[str, list[object]]:
        chosen = wanted.chosen
        plain = replace(chosen, sentiments=(), replies=(), pillars=(), touchpoints=(), stages=())
        where, values = plain.where("created_at", table="k.")
        where += " AND k.state != 'pending'"
        for column, labels in (
            ("stage", chosen.stages),
            ("pillar", chosen.pillars),
            ("touchpoint", chosen.touchpoints),
            ("reply", chosen.replies),
        ):
            if labels:
                where += f" AND coalesce(k.{column}, 'none') IN ({', '.join('?' * len(labels))})"
                values += labels
        if chosen.sentiments:
            where += f" AND coalesce(k.sentiment, '{NOT_RATED}') IN ({', '.join('?' * len(chosen.sentiments))})"
            values += chosen.sentiments
        if wanted.alert_id is not None:
            where += f" AND k.id IN ({_OF_ALERT})"
            values.append(wanted.alert_id)
        if wanted.author:
            sources = json.dumps(chosen.sources or self.named()[1])
            where += f" AND k.mention_id IN ({_BY_AUTHOR})"
            values += [sources, wanted.author, wanted.author]
        if not wanted.copies:
            where += f" AND {_ORIGINALS}"
        return where, values


_HAVING = "f.mentions_fts MATCH ? AND k.mention_id = f.rowid"
# The index of authors knows no case.
_BY_AUTHOR = """SELECT a.id FROM json_each(?) AS s CROSS JOIN mentions a
    WHERE a.source = s.value AND a.author = ? COLLATE NOCASE AND a.author = ?"""


def _tables(wanted: Wanted, order: str = "newest", walked: bool = False) -> str:
    """Name the tables that a question needs, where it is `walked` in the order of an index."""
    if order == "reach":
        walk = "mentions m INDEXED BY mentions_by_reach CROSS JOIN matches k ON k.mention_id = m.id"
        return walk if walked else MATCH_TABLES
    first = "matches k INDEXED BY matches_by_feeling" if order == "negative" and walked else "matches k"
    return first if wanted.copies else f"{first} CROSS JOIN mentions m ON m.id = k.mention_id"
