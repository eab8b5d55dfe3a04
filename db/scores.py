"""Judgements of matches, by model. A new model adds its scores, it never overwrites another's."""

import json
from collections.abc import Sequence
from datetime import datetime

from sqlite_utils import Database

from db.buckets import Cell, mark_unwatched, recount
from db.records import Match, Score
from db.times import to_text


class Scores:
    """The table scores, and the labels in force that it gives to matches."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def save(self, scored: Sequence[tuple[Match, Score]], now: datetime) -> None:
        """Store scores, put their labels in force and count; runs in the caller's transaction.

        A match that went while it was judged (its post has gained a brand) is left out.
        """
        scored = [(match, score) for match, score in scored if self._is_there(match)]
        self._db.conn.executemany(
            """INSERT OR REPLACE INTO scores (match_id, model, rated, language, sentiment, negative, neutral, positive,
                stage, stage_probabilities, scored_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            [
                (
                    match.id,
                    score.model,
                    score.rated,
                    score.language,
                    score.sentiment,
                    score.probabilities.get("negative"),
                    score.probabilities.get("neutral"),
                    score.probabilities.get("positive"),
                    score.stage,
                    json.dumps(dict(score.stage_probabilities)) if score.stage_probabilities else None,
                    to_text(now),
                )
                for match, score in scored
            ],
        )
        self._db.conn.executemany(
            "UPDATE matches SET state = ?, sentiment = ?, stage = ?, model = ?, negative = ? WHERE id = ?",
            [
                (
                    "rated" if score.rated else "not_rated",
                    score.sentiment,
                    score.stage or "none",  # as it is counted
                    score.model,
                    score.probabilities.get("negative"),
                    match.id,
                )
                for match, score in scored
            ],
        )
        cells = {Cell.of(match.brand, match.mention.source, match.mention.created_at) for match, _ in scored}
        recount(self._db, cells)
        mark_unwatched(self._db, cells)

    def _is_there(self, match: Match) -> bool:
        sql = "SELECT 1 FROM matches WHERE id = ? AND brand = ?"
        return self._db.execute(sql, (match.id, match.brand)).fetchone() is not None
