"""Posts behind a number: the matches that a question chooses, page by page, and how many there are."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlite_utils import Database

from db.filters import Filter
from db.mentions import MATCH_COLUMNS, MATCH_TABLES, match_from_row
from db.records import Match

NOT_RATED = "not_rated"  # stands beside the sentiments: what could not be judged
ORDERS: Mapping[str, str] = {  # what the pages sort by, the largest first; ids break ties
    "newest": "k.created_at",
    "negative": "coalesce(k.negative, -1.0)",
    "reach": "coalesce(m.followers, -1)",
}
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

    def page(self, wanted: Wanted, order: str, limit: int, after: Mark | None = None) -> Page:
        """Return posts in one of ORDERS, from behind a mark on.

        Brand by brand the index has them in order of time: of a million posts, those of one page are read.
        """
        key = ORDERS[order]
        brands = wanted.chosen.brands
        each = [(brand,) for brand in brands] if order == "newest" and brands else [brands]
        found: list[Mapping[str, Any]] = []
        for names in each:
            where, values = self._where(replace(wanted, chosen=replace(wanted.chosen, brands=names)))
            if after:
                where += f" AND ({key}, k.id) < (?, ?)"
                values += [after.value, after.match_id]
            found += self._db.query(
                f"""SELECT {MATCH_COLUMNS}, {key} AS sort_key FROM {MATCH_TABLES} WHERE {where}
                ORDER BY {key} DESC, k.id DESC LIMIT ?""",
                [*values, limit + 1],
            )
        found.sort(key=lambda row: (row["sort_key"], row["match_id"]), reverse=True)
        shown = found[:limit]
        last = Mark(shown[-1]["sort_key"], shown[-1]["match_id"]) if len(found) > limit else None
        return Page([match_from_row(row) for row in shown], last)

    def count(self, wanted: Wanted) -> int:
        """Count the posts that pages have in all."""
        where, values = self._where(wanted)
        needs_text = wanted.text or wanted.author or not wanted.copies
        tables = MATCH_TABLES if needs_text else "matches k"
        return int(self._db.execute(f"SELECT count(*) FROM {tables} WHERE {where}", values).fetchone()[0])

    def named(self) -> tuple[list[str], list[str]]:
        """Name the brands and the sources that anything was counted of."""
        rows = self._db.execute("SELECT DISTINCT brand, source FROM buckets WHERE span = '1d'").fetchall()
        return sorted({brand for brand, _ in rows}), sorted({source for _, source in rows})

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
            where += " AND m.author = ?"
            values.append(wanted.author)
        words = self._db.quote_fts(wanted.text.replace("\0", " "))  # SQLite would stop reading at a NUL
        if words:
            where += " AND m.id IN (SELECT rowid FROM mentions_fts WHERE mentions_fts MATCH ?)"
            values.append(words)
        if not wanted.copies:
            where += f" AND {_ORIGINALS}"
        return where, values
