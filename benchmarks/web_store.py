"""A store of many posts over 90 days, written straight into its tables: what `make bench-web` is measured on."""

import itertools
import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from sqlite_utils import Database

from db.desk import LEVELS
from db.labels import PILLARS, SENTIMENTS, STAGES, TOUCHPOINTS
from db.schema_desk import FACETS
from db.store import Store
from db.times import to_text
from db.voices import KINDS

DAYS = 90
BRANDS = ("Acme", "Borealis", "Cumulus", "Rival")  # the last is a competitor
SOURCES = ("x", "reddit", "bluesky", "mastodon", "news")
AUTHORED = Path(__file__).parent.parent / "models" / "authored" / "posts.jsonl"
MODEL = "bundled-3"
CHUNK = 20_000
MONDAY = "'-6 days', 'weekday 1'"  # of the week of a time
CASES = 50  # posts for one that waits for an answer, or has had one
ALERTS = 120
ANSWERS = 10  # posts for one that answers another
TOPICS, WIDTH = 200, 384  # of the vectors of posts


def make(path: Path, posts: int, end: datetime, seed: int = 1) -> None:
    """Write so many posts of the days before `end`, each naming one brand and rated, with counts, cases and alerts."""
    with Store(path) as store:
        db = store._db
        numbers = iter(range(1, posts + 1))
        dice = random.Random(seed)
        while chunk := list(itertools.islice(numbers, CHUNK)):
            with store.transaction():
                _write(db, list(_rows(chunk, posts, end, dice)))
        with store.transaction():
            _count(db)
            _cases(db, posts, end, dice)
            _vectors(db, seed)
            _verdicts(db, posts, end, dice)
            _alerts(db, end, dice)
            _coverage(db, end)


def _rows(numbers: list[int], posts: int, end: datetime, dice: random.Random) -> Iterator[tuple[object, ...]]:
    texts = [json.loads(line)["text"] for line in AUTHORED.read_text(encoding="utf-8").splitlines()]
    span = timedelta(days=DAYS)
    for number in numbers:
        at = end - span + span * (number / (posts + 1))
        brand, source = dice.choices(BRANDS, (5, 3, 1, 4))[0], dice.choices(SOURCES, (8, 4, 3, 2, 1))[0]
        stage = dice.choices(STAGES, (4, 5, 4, 12, 10, 25, 3, 7, 30))[0]
        sentiment = dice.choices(SENTIMENTS, (45, 35, 20) if stage == "purchase" else (25, 45, 30))[0]
        yield (
            number,
            source,
            f"{source}-{number}",
            f"author{dice.randrange(max(posts // 5, 1))}",
            f"{brand} {number}: {dice.choice(texts)}",
            to_text(at),
            int(dice.paretovariate(0.6) * 40) % 3_000_000,
            brand,
            sentiment,
            stage,
            dice.choice(PILLARS),
            dice.choice(TOUCHPOINTS),
            dice.choices(("no", "yes"), (85, 15))[0],
            {"negative": 0.9, "neutral": 0.2, "positive": 0.03}[sentiment] * dice.random(),
            f"{source}-{dice.randrange(number)}" if not number % ANSWERS else None,
        )


def _write(db: Database, rows: list[tuple[object, ...]]) -> None:
    db.conn.executemany(
        """INSERT INTO mentions (id, source, source_id, author, text, created_at, collected_at, followers, grouped,
            checked_at, in_reply_to)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, 1, ?6, ?8)""",
        [(*row[:7], row[14]) for row in rows],
    )
    db.conn.executemany(
        f"""INSERT INTO matches (id, mention_id, source, created_at, brand, sentiment, stage, pillar, touchpoint, reply,
            negative, state, model, triaged)
        VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'rated', '{MODEL}', 1)""",
        [(row[0], row[1], row[5], *row[7:14]) for row in rows],
    )
    db.conn.executemany(
        f"""INSERT INTO scores (match_id, model, rated, language, sentiment, negative, stage, reply, pillar, touchpoint,
            probabilities, scored_at)
        VALUES (?, '{MODEL}', 1, 'en', ?, ?, ?, ?, ?, ?, ?, ?)""",
        [
            (row[0], row[8], row[13], row[9], row[12], row[10], row[11], _probabilities(str(row[8])), row[5])
            for row in rows
        ],
    )


def _probabilities(sentiment: str) -> str:
    return json.dumps({"sentiment": {label: 0.8 if label == sentiment else 0.1 for label in SENTIMENTS}})


def _count(db: Database) -> None:
    """Count as the product does, for all cells at once."""
    starts = {
        "5m": "substr(created_at, 1, 14) || printf('%02d', substr(created_at, 15, 2) / 5 * 5) || ':00Z'",
        "1h": "substr(created_at, 1, 13) || ':00:00Z'",
        "1d": "substr(created_at, 1, 10) || 'T00:00:00Z'",
        "1w": f"date(created_at, {MONDAY}) || 'T00:00:00Z'",
    }
    for span, start in starts.items():
        db.execute(
            f"""INSERT INTO buckets (span, start, brand, source, stage, negative, neutral, positive, not_rated)
            SELECT '{span}', {start} AS bucket, brand, source, stage, sum(sentiment = 'negative'),
                sum(sentiment = 'neutral'), sum(sentiment = 'positive'), 0
            FROM matches GROUP BY bucket, brand, source, stage"""
        )
    for statement in FACETS:
        db.execute(statement)
    db.execute(
        f"""INSERT INTO facets SELECT '1w', date(start, {MONDAY}) || 'T00:00:00Z' AS monday, brand, source, kind, name,
            sum(negative), sum(neutral), sum(positive), sum(not_rated)
        FROM facets WHERE span = '1d' GROUP BY monday, brand, source, kind, name"""
    )
    for kind, name in KINDS.items():
        db.execute(
            f"""INSERT INTO voices SELECT brand, {starts["5m"]} AS start, source, '{kind}', {name},
                sum(sentiment = 'negative'), sum(sentiment != 'negative')
            FROM matches GROUP BY brand, start, source, {name}"""
        )


def _cases(db: Database, posts: int, end: datetime, dice: random.Random) -> None:
    for number in range(CASES, posts + 1, CASES):
        posted = end - timedelta(days=DAYS) + timedelta(days=DAYS) * (number / (posts + 1))
        opened = posted + timedelta(minutes=dice.randrange(1, 20))
        state = dice.choices(("new", "claimed", "replied", "dismissed"), (1, 1, 30, 20))[0]
        closed = opened + timedelta(minutes=dice.randrange(5, 600)) if state in ("replied", "dismissed") else None
        at = to_text(closed) if closed else None
        case = db.execute(
            """INSERT INTO cases (match_id, reason, state, priority, created_at, level, due, closed_at, replied_at,
                triaged_at, assignee)
            VALUES (?, 'asks for an answer', ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                number,
                state,
                dice.random(),
                to_text(opened),
                dice.randrange(len(LEVELS)),
                to_text(opened + timedelta(hours=8)),
                at,
                at if state == "replied" else None,
                at,
                None if state == "new" else f"agent{dice.randrange(8)}",
            ),
        ).lastrowid
        db.execute("INSERT INTO events (case_id, at, what) VALUES (?, ?, 'opened')", (case, to_text(opened)))
        if state == "replied":
            db.execute(
                """INSERT INTO replies (case_id, author, text, state, created_at, updated_at, sent_at)
                VALUES (?, 'agent1', 'Sorry to hear that. Tell us your order and we look at it.', 'sent', ?, ?, ?)""",
                (case, at, at, at),
            )
    db.execute(
        """INSERT INTO surveys (reply_id, brand, source, kind, created_at, answered_at, score)
        SELECT r.id, k.brand, k.source, 'csat', r.sent_at, iif(r.id % 3, NULL, r.sent_at),
            iif(r.id % 3, NULL, r.id % 5 + 1)
        FROM replies r JOIN cases c ON c.id = r.case_id JOIN matches k ON k.id = c.match_id"""
    )


def _vectors(db: Database, seed: int) -> None:
    """Give vectors to the posts of cases, as many of which lie near each other as complaints do."""
    dice = np.random.default_rng(seed)
    ids = [match_id for (match_id,) in db.execute("SELECT match_id FROM cases").fetchall()]
    centres = dice.standard_normal((TOPICS, WIDTH))
    vectors = centres[dice.integers(TOPICS, size=len(ids))] + 0.3 * dice.standard_normal((len(ids), WIDTH))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = ((match_id, MODEL, one.tobytes()) for match_id, one in zip(ids, vectors.astype(np.float16), strict=True))
    db.conn.executemany("INSERT INTO embeddings (match_id, model, vector) VALUES (?, ?, ?)", rows)


def _verdicts(db: Database, posts: int, end: datetime, dice: random.Random) -> None:
    """What people said of ten posts a day for a month."""
    for number in range(300):
        said = to_text(end - timedelta(hours=2.4 * number))
        db.execute(
            """INSERT OR IGNORE INTO verdicts (match_id, reviewer, given_at, about, random, sentiment)
            VALUES (?, 'agent1', ?, 1, 1, ?)""",
            (dice.randrange(1, posts), said, dice.choice(SENTIMENTS)),
        )
    db.execute("UPDATE matches SET reviewed = 1 WHERE id IN (SELECT match_id FROM verdicts)")


def _alerts(db: Database, end: datetime, dice: random.Random) -> None:
    for number in range(ALERTS):
        starts = end - timedelta(days=DAYS * number / ALERTS, hours=3)
        alert = db.execute(
            """INSERT INTO alerts (brand, rule, starts, last_seen, ends, severity, observed, expected, factor,
                probability, window_minutes, mentions, share, usual_share, summary, in_common, found_at)
            VALUES (?, 'negative spike', ?, ?, ?, 'high', 46, 4.2, 11, 1e-9, 60, 90, 0.5, 0.2, ?, '["refund"]', ?)""",
            (
                dice.choice(BRANDS),
                to_text(starts),
                to_text(starts + timedelta(hours=2)),
                to_text(starts + timedelta(hours=2)),
                "46 negative posts in an hour",
                to_text(starts),
            ),
        ).lastrowid
        db.execute(
            """INSERT INTO alert_posts
            SELECT ?, id FROM matches WHERE created_at >= ? AND sentiment = 'negative' LIMIT 46""",
            (alert, to_text(starts)),
        )


def _coverage(db: Database, end: datetime) -> None:
    for source in SOURCES:
        db.execute("INSERT INTO sources (name, kind, last_run_at) VALUES (?, 'feed', ?)", (source, to_text(end)))
        db.conn.executemany(
            "INSERT INTO coverage_hours (source, stream, hour, state) VALUES (?, 'all', ?, ?)",
            [
                (source, to_text(end - timedelta(hours=hour)), "missing" if hour % 250 == 7 else "complete")
                for hour in range(DAYS * 24)
            ],
        )
