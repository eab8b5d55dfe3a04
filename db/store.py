"""The store: one SQLite file, every table behind the noun it holds. All SQL lies in this folder."""

from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from db.alerts import Alerts
from db.backfills import Backfills
from db.buckets import Buckets
from db.cases import Cases
from db.copies import Copies
from db.database import open_database, write_lock
from db.deliveries import Deliveries
from db.forgotten import Forgotten
from db.keys import Keys
from db.mentions import Mentions
from db.models import Models
from db.pasts import Pasts
from db.rematch import Rematching
from db.runs import Runs
from db.scores import Scores
from db.silences import Silences
from db.sources import Sources
from db.trends import Trends
from db.verdicts import Verdicts
from db.voices import Voices


class Store:
    """Open it where it is used: a connection belongs to one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = open_database(path)
        self.mentions = Mentions(self._db)
        self.rematching = Rematching(self._db)
        self.scores = Scores(self._db)
        self.verdicts = Verdicts(self._db)
        self.models = Models(self._db)
        self.buckets = Buckets(self._db)
        self.voices = Voices(self._db)
        self.pasts = Pasts(self._db)
        self.trends = Trends(self._db)
        self.sources = Sources(self._db)
        self.backfills = Backfills(self._db)
        self.alerts = Alerts(self._db)
        self.deliveries = Deliveries(self._db)
        self.silences = Silences(self._db)
        self.cases = Cases(self._db)
        self.copies = Copies(self._db)
        self.forgotten = Forgotten(self._db)
        self.keys = Keys(self._db)
        self.runs = Runs(self._db)

    def transaction(self) -> AbstractContextManager[None]:
        """Hold the write lock: everything inside is stored together, or not at all."""
        return write_lock(self._db)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
