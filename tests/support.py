"""What the tests of the store and the jobs share: posts, a classifier that looks for words, a collector that plays
what it is told, and a server that writes down what it is sent."""

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from db.filters import Filter
from db.labels import UNSURE
from db.records import Answer, Batch, Mention, Position, Score
from db.store import Store
from db.times import FIVE_MINUTES, floor, to_text
from jobs.collect import Source
from jobs.collector import Meter
from jobs.score import score
from models.brand import Brand
from models.classifier import Classifier, Post
from models.query import parse

if TYPE_CHECKING:
    from monitor.web.server import Server

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def mention(
    number: int | str, text: str = "acme is fine", at: datetime = NOW, source: str = "x", **more: Any
) -> Mention:
    """A post; its number is its id."""
    given = {"author": "someone", "collected_at": max(at, NOW)} | more
    return Mention(source=source, source_id=str(number), text=text, created_at=at, **given)


def brand(name: str = "Acme", query: str | None = None, **more: Any) -> Brand:
    return Brand(name, parse(query or name.lower()), **more)


def keep(store: Store, *mentions: Mention, brands: Sequence[str] = ("Acme",)) -> None:
    """Store posts under these brands."""
    with store.transaction():
        store.mentions.add([(each, brands) for each in mentions])


@dataclass(frozen=True)
class Keywords:
    """A classifier that looks for words: quick, and the same every time. Text without a letter it cannot judge."""

    name: str = "keywords-1"
    negative: Sequence[str] = ("awful", "charged twice")
    positive: Sequence[str] = ("love",)

    def score(self, posts: Sequence[Post]) -> list[Score]:
        return [self._judge(post.text.casefold()) for post in posts]

    def embed(self, posts: Sequence[Post]) -> NDArray[np.float32]:
        return bags([post.text for post in posts])

    def _judge(self, text: str) -> Score:
        if not any(ch.isalpha() for ch in text):
            return Score(self.name, rated=False, language=None)
        if any(word in text for word in self.negative):
            sentiment, probabilities = "negative", {"negative": 0.9, "neutral": 0.07, "positive": 0.03}
        elif any(word in text for word in self.positive):
            sentiment, probabilities = "positive", {"negative": 0.03, "neutral": 0.07, "positive": 0.9}
        else:
            sentiment, probabilities = "neutral", {"negative": 0.1, "neutral": 0.8, "positive": 0.1}
        stage = "purchase" if "buy" in text else "use"
        answers = {
            "sentiment": Answer(sentiment, probabilities),
            "stage": Answer(UNSURE if "perhaps" in text else stage, {stage: 1.0}),
            "reply": Answer("yes", {"no": 0.2, "yes": 0.8}) if "?" in text else Answer("no", {"no": 0.9, "yes": 0.1}),
            "pillar": _certain("process" if "charged" in text else "product"),
            "touchpoint": _certain("store" if "shop" in text else "none"),
            "emotion": _certain({"negative": "anger", "neutral": "neutral", "positive": "joy"}[sentiment]),
            "offensive": _certain("yes" if "damn" in text else "no"),
        }
        return Score(self.name, True, "en", answers)


def bags(texts: Sequence[str], size: int = 64) -> NDArray[np.float32]:
    """Count words: texts that share words lie near each other."""
    rows = np.zeros((len(texts), size), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.casefold().split():
            row[sum(map(ord, word)) % size] += 1
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _certain(label: str) -> Answer:
    return Answer(label, {label: 1.0})


def judge(store: Store, classifier: Classifier | None = None, now: datetime = NOW) -> None:
    """Score everything that waits."""
    score(store, classifier or Keywords(), lambda: now)


@dataclass
class Script:
    """A collector that plays what it is told: batches, and errors that it raises."""

    play: dict[str, list[Batch | BaseException]]
    asked: list[tuple[str, Position]] = field(default_factory=list)
    reserve: Decimal = Decimal(0)  # before each batch

    def streams(self) -> Sequence[str]:
        return list(self.play)

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        self.asked.append((stream, position))
        for step in self.play[stream]:
            if self.reserve:
                meter.reserve(self.reserve)
            if isinstance(step, BaseException):
                raise step
            if self.reserve:
                meter.settle(self.reserve)
            yield step


def source(collector: Any, name: str = "x-main", fingerprint: str = "1", budget: Decimal | None = None) -> Source:
    return Source(name, "x", collector, fingerprint, budget)


def batch(*mentions: Mention, **more: Any) -> Batch:
    return Batch(mentions, **({"fetched": len(mentions)} | more))


def let_go(server: "Server") -> None:
    """End a server while the next test begins: it waits twice for a tenth of a second."""
    threading.Thread(target=server.stop, daemon=True).start()


def rows(path: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Ask the file with nothing but sqlite3."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def ids(store: Store) -> list[str]:
    """The platform's ids of all stored posts."""
    return sorted(match.mention.source_id for match in store.mentions.every(Filter()))


def coverage(store: Store) -> list[tuple[Any, ...]]:
    """What is written down of runs, in the order of its writing."""
    return rows(
        store.path, "SELECT stream, since, until, state, reason, fetched, stored, cost FROM coverage ORDER BY id"
    )


def kept_counts(path: Path) -> set[tuple[Any, ...]]:
    """The table buckets."""
    return set(
        rows(path, "SELECT span, start, brand, source, stage, negative, neutral, positive, not_rated FROM buckets")
    )


def recounted(path: Path) -> set[tuple[Any, ...]]:
    """What the table buckets should hold, counted post by post."""
    counts: dict[tuple[str, ...], Counter[str]] = {}
    sql = "SELECT created_at, brand, source, stage, state, sentiment FROM matches WHERE state != 'pending' AND about"
    for created_at, name, platform, stage, state, sentiment in rows(path, sql):
        posted = datetime.fromisoformat(created_at)
        for span, start in (
            ("5m", floor(posted, FIVE_MINUTES)),
            ("1h", floor(posted, HOUR)),
            ("1d", floor(posted, DAY)),
            ("1w", floor(posted, DAY) - posted.weekday() * DAY),
        ):
            key = (span, to_text(start), name, platform, stage or "none")
            counts.setdefault(key, Counter())[sentiment if state == "rated" else "not_rated"] += 1
    return {(*key, of["negative"], of["neutral"], of["positive"], of["not_rated"]) for key, of in counts.items()}


def kept_voices(path: Path) -> set[tuple[Any, ...]]:
    """The table voices."""
    return set(rows(path, "SELECT start, brand, source, kind, name, negative, other FROM voices"))


def recounted_voices(path: Path) -> set[tuple[Any, ...]]:
    """What the table voices should hold, counted post by post."""
    counts: dict[tuple[str, ...], Counter[bool]] = {}
    sql = """SELECT created_at, brand, source, sentiment, stage, pillar, touchpoint FROM matches
        WHERE state = 'rated' AND about AND NOT echo"""
    for created_at, name, platform, sentiment, *slices in rows(path, sql):
        start = to_text(floor(datetime.fromisoformat(created_at), FIVE_MINUTES))
        kinds = zip(("stage", "pillar", "touchpoint"), slices, strict=True)
        for kind, label in (("all", ""), *((kind, label or "none") for kind, label in kinds)):
            counts.setdefault((start, name, platform, kind, label), Counter())[sentiment == "negative"] += 1
    return {(*key, of[True], of[False]) for key, of in counts.items()}


def echoes(path: Path) -> dict[tuple[str, str], bool]:
    """Which posts are echoes, by the platform's id and the brand."""
    sql = "SELECT m.source_id, k.brand, k.echo FROM matches k JOIN mentions m ON m.id = k.mention_id"
    return {(post, name): bool(echo) for post, name, echo in rows(path, sql)}


@dataclass(frozen=True, slots=True)
class Received:
    """One request to the hook."""

    path: str
    body: Mapping[str, Any]


@dataclass
class Hook:
    """A web hook on loopback that writes down what it is sent, and answers with the statuses that it is told."""

    received: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)  # for the coming requests; then 200

    def __enter__(self) -> Self:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.received.append(Received(self.path, json.loads(body)))
                self.send_response(hook.statuses.pop(0) if hook.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str = "hook") -> str:
        return f"json://127.0.0.1:{self._server.server_address[1]}/{path}"
