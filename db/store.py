"""The store: one SQLite file, every table behind the noun it holds. All SQL lies in this folder."""

from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from db.alerts import Alerts
from db.backfills import Backfills
from db.buckets import Buckets
from db.care import CareTimes
from db.cases import Cases
from db.conversations import Conversations
from db.copies import Copies
from db.database import open_database, schema_version, write_lock
from db.deliveries import Deliveries
from db.embeddings import Embeddings
from db.facets import Facets
from db.forgotten import Forgotten
from db.keys import Keys
from db.memory import Memories
from db.mentions import Mentions
from db.models import Models
from db.pasts import Pasts
from db.posts import Posts
from db.rematch import Rematching
from db.replies import Replies
from db.rules import Rules
from db.runs import Runs
from db.scores import Scores
from db.sessions import Sessions
from db.silences import Silences
from db.snippets import Snippets
from db.sources import Sources
from db.surveys import Surveys
from db.tokens import Tokens
from db.trends import Trends
from db.users import Users
from db.verdicts import Verdicts
from db.views import Views
from db.voices import Voices


class Store:
    """Open it where it is used: a connection belongs to one thread. One that is `lent` belongs to one at a time."""

    def __init__(self, path: Path, lent: bool = False, memories: Memories | None = None) -> None:
        """Open a file; `memories` are shared by stores of the same one."""
        self.path = path
        memories = memories or Memories()
        self._db = open_database(path, lent)
        self._schema = schema_version(self._db)
        self.mentions = Mentions(self._db)
        self.posts = Posts(self._db)
        self.rematching = Rematching(self._db)
        self.scores = Scores(self._db)
        self.verdicts = Verdicts(self._db)
        self.models = Models(self._db)
        self.buckets = Buckets(self._db)
        self.voices = Voices(self._db)
        self.pasts = Pasts(self._db)
        self.trends = Trends(self._db, memories.counts, memories.texts)
        self.facets = Facets(self._db, memories.counts)
        self.sources = Sources(self._db)
        self.backfills = Backfills(self._db)
        self.alerts = Alerts(self._db)
        self.deliveries = Deliveries(self._db)
        self.silences = Silences(self._db)
        self.cases = Cases(self._db)
        self.rules = Rules(self._db)
        self.views = Views(self._db)
        self.replies = Replies(self._db)
        self.snippets = Snippets(self._db)
        self.copies = Copies(self._db)
        self.conversations = Conversations(self._db)
        self.embeddings = Embeddings(self._db)
        self.surveys = Surveys(self._db)
        self.care = CareTimes(self._db)
        self.forgotten = Forgotten(self._db)
        self.keys = Keys(self._db)
        self.runs = Runs(self._db)
        self.users = Users(self._db)
        self.sessions = Sessions(self._db)
        self.tokens = Tokens(self._db)

    def transaction(self, durable: bool = False) -> AbstractContextManager[None]:
        """Hold the write lock: everything inside is stored together, or not at all.

        Where it is to be `durable`, it is on the disk when this ends, whatever happens to the power.
        """
        return write_lock(self._db, durable)

    def is_as_opened(self) -> bool:
        """Say whether the file has the schema that it had when it was opened, and can be read."""
        return self._schema is not None and schema_version(self._db) == self._schema

    def version(self) -> int:
        """Return a number that changes with everything that others store, as long as this store stays open."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
