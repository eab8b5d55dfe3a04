"""The models that were trained here, and which of them judges."""

import json
from collections.abc import Mapping
from typing import Any

from sqlite_utils import Database

from db.errors import InputError
from db.records import Registered
from db.times import from_text, to_text


class Models:
    """The table models. None in force means the model of the configuration."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def register(self, model: Registered) -> None:
        """Add a model, and put it in force where it says so; runs in the caller's transaction.

        Raises InputError where its name is taken.
        """
        if any(known.name == model.name for known in self.all()):
            raise InputError(f"model {model.name}: registered already; give the new one another name")
        self._db.execute(
            "INSERT INTO models (name, folder, base, created_at, posts, measures) VALUES (?, ?, ?, ?, ?, ?)",
            (
                model.name,
                model.folder,
                model.base,
                to_text(model.created_at),
                model.posts,
                json.dumps(dict(model.measures)),
            ),
        )
        if model.in_force:
            self.use(model.name)

    def all(self) -> list[Registered]:
        """Return every model, in the order in which they were registered."""
        return [_model(row) for row in self._db.query("SELECT * FROM models ORDER BY rowid")]

    def in_force(self) -> Registered | None:
        """Return the model that judges."""
        return next((model for model in self.all() if model.in_force), None)

    def use(self, name: str | None) -> None:
        """Put a model in force, None for that of the configuration; runs in the caller's transaction.

        Raises InputError where no model has the name.
        """
        names = [model.name for model in self.all()]
        if name is not None and name not in names:
            raise InputError(f"model {name}: not registered; there are: {', '.join(names) or 'none yet'}")
        self._db.execute("UPDATE models SET in_force = 0 WHERE in_force")
        self._db.execute("UPDATE models SET in_force = 1 WHERE name = ?", (name,))


def _model(row: Mapping[str, Any]) -> Registered:
    return Registered(
        row["name"],
        row["folder"],
        row["base"],
        from_text(row["created_at"]),
        row["posts"],
        json.loads(row["measures"]),
        bool(row["in_force"]),
    )
