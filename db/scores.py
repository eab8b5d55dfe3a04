"""Judgements of matches, by model, and the labels in force.

A new model adds its scores, it never overwrites another's.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlite_utils import Database

from db.buckets import Cell, mark_unwatched, recount
from db.echoes import settle
from db.labels import SENTIMENTS
from db.mentions import MATCH_COLUMNS, MATCH_TABLES, match_from_row
from db.records import Match, Score
from db.said import NEWEST_VERDICT, SAID
from db.times import from_text, to_text

# What people say to each question. It is looked for where anybody has said anything, which is seldom.
_SAID: Mapping[str, str] = {question: f"CASE WHEN v.id IS NOT NULL THEN {said} END" for question, said in SAID.items()}

# What has not asked for an answer and now does, or is found to be about the brand after all, the desk looks at again.
# A match that is not rated has the stage "none", as it is counted.
_PUT_IN_FORCE = f"""UPDATE matches SET
        state = CASE WHEN s.match_id IS NULL THEN 'pending'
            WHEN s.rated OR {_SAID["sentiment"]} IS NOT NULL THEN 'rated' ELSE 'not_rated' END,
        sentiment = coalesce({_SAID["sentiment"]}, s.sentiment),
        negative = CASE WHEN {_SAID["sentiment"]} IS NULL THEN s.negative ELSE {_SAID["sentiment"]} = 'negative' END,
        stage = coalesce({_SAID["stage"]}, s.stage, CASE WHEN s.match_id IS NOT NULL THEN 'none' END),
        reply = coalesce({_SAID["reply"]}, s.reply),
        pillar = coalesce({_SAID["pillar"]}, s.pillar),
        touchpoint = coalesce({_SAID["touchpoint"]}, s.touchpoint),
        emotion = s.emotion,
        offensive = s.offensive,
        about = coalesce(v.about, 1 - k.hidden),
        reviewed = v.id IS NOT NULL,
        triaged = k.triaged AND (k.reply IS 'yes' OR coalesce({_SAID["reply"]}, s.reply) IS NOT 'yes')
            AND coalesce(v.about, 1 - k.hidden) <= k.about
    FROM matches k
        LEFT JOIN scores s ON s.match_id = k.id AND s.model = k.model
        LEFT JOIN verdicts v ON v.id = {NEWEST_VERDICT}
    WHERE matches.id = ? AND k.id = matches.id
    RETURNING brand, source, created_at"""


def put_in_force(db: Database, match_ids: Iterable[int]) -> None:
    """Work out the labels of matches from their score and what people say, and count; in the caller's transaction.

    This is the one place where a person's word wins: for every question that somebody answered.
    """
    ids = list(match_ids)
    changed = [row for match_id in ids for row in db.execute(_PUT_IN_FORCE, (match_id,)).fetchall()]
    changed += settle(db, ids)
    cells = {Cell.of(brand, source, from_text(created_at)) for brand, source, created_at in changed}
    recount(db, cells)
    mark_unwatched(db, cells)


class Scores:
    """The table scores."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def save(self, scored: Sequence[tuple[Match, Score]], now: datetime) -> None:
        """Store scores, put their labels in force where no person's are, and count; runs in the caller's transaction.

        A match that went while it was judged (its post has gained a brand), or whose post was edited, is left out.
        """
        scored = [(match, score) for match, score in scored if self._is_there(match)]
        self._db.conn.executemany(
            """INSERT OR REPLACE INTO scores (match_id, model, rated, language, sentiment, negative, neutral, positive,
                stage, stage_probabilities, reply, reply_probability, pillar, touchpoint, emotion, offensive,
                probabilities, scored_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            [_row(match, score, now) for match, score in scored],
        )
        self._db.conn.executemany(
            "UPDATE matches SET model = ? WHERE id = ?", [(score.model, match.id) for match, score in scored]
        )
        put_in_force(self._db, [match.id for match, _ in scored])

    def surest(self, sentiment: str, limit: int) -> list[Match]:
        """Return the posts of a sentiment, those first whose model is surest of it."""
        if sentiment not in SENTIMENTS:
            raise ValueError(f"{sentiment} is no sentiment")  # it becomes the name of a column
        sql = f"""SELECT {MATCH_COLUMNS} FROM {MATCH_TABLES} JOIN scores s ON s.match_id = k.id AND s.model = k.model
            WHERE k.sentiment = ? AND k.about = 1 ORDER BY s.{sentiment} DESC, k.id LIMIT ?"""
        return [match_from_row(row) for row in self._db.query(sql, [sentiment, limit])]

    def _is_there(self, match: Match) -> bool:
        sql = """SELECT 1 FROM matches k JOIN mentions m ON m.id = k.mention_id
            WHERE k.id = ? AND k.brand = ? AND m.text = ?"""
        return self._db.execute(sql, (match.id, match.brand, match.mention.text)).fetchone() is not None


def _row(match: Match, score: Score, now: datetime) -> tuple[object, ...]:
    sentiments, stages = score.probabilities("sentiment"), score.probabilities("stage")
    probabilities = {question: dict(answer.probabilities) for question, answer in score.answers.items()}
    return (
        match.id,
        score.model,
        score.rated,
        score.language,
        score.label("sentiment"),
        sentiments.get("negative"),
        sentiments.get("neutral"),
        sentiments.get("positive"),
        score.label("stage"),
        json.dumps(dict(stages)) if stages else None,
        score.label("reply"),
        score.probabilities("reply").get("yes"),
        score.label("pillar"),
        score.label("touchpoint"),
        score.label("emotion"),
        score.label("offensive"),
        json.dumps(probabilities, separators=(",", ":")) if probabilities else None,
        to_text(now),
    )
