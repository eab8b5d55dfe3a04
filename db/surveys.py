"""What people said of our answers: the table surveys. Channels are kept apart: a figure is always of one source."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from db.desk import Survey
from db.times import from_text, from_text_or_none, to_text


@dataclass(frozen=True, slots=True)
class Tally:
    """What one source's answers to one kind of survey add up to; `scores` counts them by score."""

    source: str
    kind: str  # one of SURVEYS
    offered: int
    scores: tuple[tuple[int, int], ...]  # score and how often, ascending

    @property
    def answered(self) -> int:
        """How many answered."""
        return sum(count for _, count in self.scores)


class Surveys:
    """The table surveys."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def offer(self, reply_id: int, brand: str, source: str, kind: str, now: datetime) -> Survey:
        """Note that a survey is offered with a reply, once; runs in the caller's transaction.

        Asked again it returns what there is: a reply that is tried again has the same link, and asks what it says now.
        """
        self._db.execute(
            """INSERT INTO surveys (reply_id, brand, source, kind, created_at) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (reply_id) DO UPDATE SET kind = excluded.kind WHERE answered_at IS NULL""",
            (reply_id, brand, source, kind, to_text(now)),
        )
        return next(_survey(row) for row in self._db.query("SELECT * FROM surveys WHERE reply_id = ?", [reply_id]))

    def get(self, survey_id: int) -> Survey | None:
        """Return a survey."""
        return next(map(_survey, self._db.query("SELECT * FROM surveys WHERE id = ?", [survey_id])), None)

    def answer(self, survey_id: int, score: int, comment: str, now: datetime) -> None:
        """Keep an answer, in place of an earlier one; the time of the first stays. In the caller's transaction.

        Where the post is no longer kept, neither are words of its author.
        """
        self._db.execute(
            """UPDATE surveys SET score = ?, answered_at = coalesce(answered_at, ?),
                comment = CASE WHEN EXISTS (SELECT 1 FROM replies r JOIN cases c ON c.id = r.case_id
                    JOIN matches k ON k.id = c.match_id JOIN mentions m ON m.id = k.mention_id
                    WHERE r.id = surveys.reply_id AND m.gone_at IS NULL) THEN ? ELSE '' END
            WHERE id = ?""",
            (score, to_text(now), comment, survey_id),
        )

    def tallies(self, brands: Sequence[str], sources: Sequence[str], since: datetime, until: datetime) -> list[Tally]:
        """Add up the surveys that were offered in a span, by source and kind; answers of channels never mix.

        One that never reached anybody, since its reply was not sent, was not offered.
        """
        where, values = _where(brands, sources, since, until)
        rows = self._db.execute(
            f"""SELECT source, kind, score, count(*) FROM surveys WHERE {where} AND (answered_at IS NOT NULL OR EXISTS
                (SELECT 1 FROM replies r WHERE r.id = reply_id AND r.state = 'sent' AND r.survey = surveys.kind))
            GROUP BY source, kind, score ORDER BY source, kind, score""",
            values,
        ).fetchall()
        found: dict[tuple[str, str], list[tuple[int | None, int]]] = {}
        for source, kind, score, count in rows:
            found.setdefault((source, kind), []).append((score, count))
        return [
            Tally(
                source,
                kind,
                sum(count for _, count in counts),
                tuple((score, count) for score, count in counts if score is not None),
            )
            for (source, kind), counts in found.items()
        ]

    def comments(
        self, brands: Sequence[str], sources: Sequence[str], since: datetime, until: datetime, limit: int
    ) -> list[tuple[Survey, int]]:
        """Return answers with words of a span, the newest first, each with its case."""
        where, values = _where(brands, sources, since, until)
        rows = self._db.query(
            f"""SELECT surveys.*, r.case_id FROM surveys JOIN replies r ON r.id = surveys.reply_id
            WHERE comment != '' AND {where.replace("created_at", "surveys.created_at")}
            ORDER BY answered_at DESC, surveys.id DESC LIMIT ?""",
            [*values, limit],
        )
        return [(_survey(row), row["case_id"]) for row in rows]


def _where(brands: Sequence[str], sources: Sequence[str], since: datetime, until: datetime) -> tuple[str, list[object]]:
    clauses, values = ["created_at >= ?", "created_at < ?"], list[object]((to_text(since), to_text(until)))
    for column, names in (("brand", brands), ("source", sources)):
        if names:
            clauses.append(f"{column} IN ({', '.join('?' * len(names))})")
            values += names
    return " AND ".join(clauses), values


def _survey(row: dict[str, Any]) -> Survey:
    return Survey(
        row["id"],
        row["reply_id"],
        row["brand"],
        row["source"],
        row["kind"],
        from_text(row["created_at"]),
        from_text_or_none(row["answered_at"]),
        row["score"],
        row["comment"],
    )
