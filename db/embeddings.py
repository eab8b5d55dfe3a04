"""What posts mean to a model: the table embeddings. Like posts lie near each other.

A vector goes with the words of its post: where those change or are no longer kept, a trigger removes it.
"""

from collections.abc import Mapping, Sequence

from sqlite_utils import Database

from db.mentions import MATCH_COLUMNS, MATCH_TABLES, match_from_row
from db.records import Match


class Embeddings:
    """The table embeddings. Vectors are 16-bit floats, as bytes in the machine's order, of length 1."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def missing(self, model: str, limit: int) -> list[Match]:
        """Return posts of cases that have no vector of this model, the newest case first.

        Those whose words are no longer kept never get one.
        """
        rows = self._db.query(
            f"""SELECT {MATCH_COLUMNS} FROM cases c CROSS JOIN {MATCH_TABLES}
            WHERE k.id = c.match_id AND m.gone_at IS NULL
                AND NOT EXISTS (SELECT 1 FROM embeddings WHERE match_id = c.match_id AND model = ?)
            ORDER BY c.id DESC LIMIT ?""",
            [model, limit],
        )
        return [match_from_row(row) for row in rows]

    def missing_any(self, model: str | None) -> bool:
        """Say whether there is such a post; None stands for whatever model: a post that has no vector at all."""
        sql = """SELECT EXISTS (SELECT 1 FROM cases c CROSS JOIN matches k ON k.id = c.match_id
            JOIN mentions m ON m.id = k.mention_id WHERE m.gone_at IS NULL
                AND NOT EXISTS (SELECT 1 FROM embeddings WHERE match_id = c.match_id AND model = coalesce(?, model)))"""
        return bool(self._db.execute(sql, (model,)).fetchone()[0])

    def save(self, model: str, posts: Sequence[Match], vectors: Sequence[bytes]) -> None:
        """Keep vectors in place of those of other models; runs in the caller's transaction.

        A post whose words were changed or erased since it was read gets none.
        """
        for match, vector in zip(posts, vectors, strict=True):
            self._db.execute("DELETE FROM embeddings WHERE match_id = ?", (match.id,))
            self._db.execute(
                f"""INSERT INTO embeddings (match_id, model, vector) SELECT k.id, ?, ? FROM {MATCH_TABLES}
                WHERE k.id = ? AND m.text = ? AND m.gone_at IS NULL""",
                (model, vector, match.id, match.mention.text),
            )

    def of(self, match_id: int) -> tuple[str, bytes] | None:
        """Return the model and the vector of a post."""
        sql = "SELECT model, vector FROM embeddings WHERE match_id = ?"
        row = self._db.execute(sql, (match_id,)).fetchone()
        return (row[0], bytes(row[1])) if row else None

    def since(self, model: str, last: int) -> list[tuple[int, int, bytes]]:
        """Return vectors of a model that were kept after the one with this id: (id, match, vector), in that order."""
        sql = "SELECT id, match_id, vector FROM embeddings WHERE id > ? AND model = ? ORDER BY id"
        return self._db.execute(sql, (last, model)).fetchall()

    def count(self, model: str) -> int:
        """Count the vectors of a model."""
        return int(self._db.execute("SELECT count(*) FROM embeddings WHERE model = ?", (model,)).fetchone()[0])

    def answered(self, match_ids: Sequence[int], brands: Sequence[str]) -> Mapping[int, tuple[int, Match]]:
        """Return those of these posts that were answered, each with its case; by match.

        Less those whose words are no longer kept, that are not about the brand, or whose brand is not among these
        (none: all).
        """
        marks, values = ", ".join("?" * len(match_ids)), list[object](match_ids)
        seen = "1 = 1"
        if brands:
            seen = f"k.brand IN ({', '.join('?' * len(brands))})"
            values += brands
        rows = self._db.query(
            f"""SELECT {MATCH_COLUMNS}, c.id AS case_id FROM {MATCH_TABLES} JOIN cases c ON c.match_id = k.id
            WHERE k.id IN ({marks}) AND c.replied_at IS NOT NULL AND m.gone_at IS NULL AND k.about = 1 AND {seen}""",
            values,
        )
        return {row["match_id"]: (row["case_id"], match_from_row(row)) for row in rows}
