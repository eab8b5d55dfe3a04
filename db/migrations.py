"""The schema, one step after the other. Steps are only ever added, at the end.

Each runs in a transaction with its own record.
"""

import math

from sqlite_utils import Database, Migrations

from db.schema_desk import CARE, CASES, DESK, LISTS, TIDES, WEEKS
from db.schema_first import ALERTS, BUCKETS, MENTIONS, SOURCES

migrations = Migrations("sentimon")


@migrations()
def m001_mentions(db: Database) -> None:
    """Posts as collected, and the brands that each one names."""
    _run(db, *MENTIONS)
    db.table("mentions").enable_fts(["text", "author"], create_triggers=True, tokenize="unicode61 remove_diacritics 2")


@migrations()
def m002_buckets(db: Database) -> None:
    """Counts by time of posting, and from when on a brand's counts have changed since they were last watched."""
    _run(db, *BUCKETS)


@migrations()
def m003_sources(db: Database) -> None:
    """Where reading stands, what each run covered, what it cost, and how every job went."""
    _run(db, *SOURCES)


@migrations()
def m004_alerts(db: Database) -> None:
    """Alerts, what was sent about them, and the posts that wait for an answer."""
    _run(db, *ALERTS)


@migrations()
def m005_verdicts(db: Database) -> None:
    """Every question that a model answers, people's word on posts, and the models that were trained here."""
    _run(
        db,
        *(
            f"ALTER TABLE {table} ADD COLUMN {column} TEXT"
            for table in ("scores", "matches")
            for column in ("reply", "pillar", "touchpoint", "emotion", "offensive")
        ),
        "ALTER TABLE scores ADD COLUMN reply_probability REAL",
        # {question: {label: probability}}, of every question.
        "ALTER TABLE scores ADD COLUMN probabilities TEXT",
        """UPDATE scores SET probabilities = CASE WHEN stage_probabilities IS NULL
            THEN json_object('sentiment', json_object('negative', negative, 'neutral', neutral, 'positive', positive))
            ELSE json_object('sentiment', json_object('negative', negative, 'neutral', neutral, 'positive', positive),
                'stage', json(stage_probabilities)) END
        WHERE rated""",
        # `about` is 0 where a person found the post not to be about the brand, `reviewed` 1 where a person's word is
        # in force.
        "ALTER TABLE matches ADD COLUMN about INTEGER NOT NULL DEFAULT 1 CHECK (about IN (0, 1))",
        "ALTER TABLE matches ADD COLUMN reviewed INTEGER NOT NULL DEFAULT 0 CHECK (reviewed IN (0, 1))",
        """CREATE TABLE verdicts (
            id INTEGER PRIMARY KEY,
            match_id INTEGER NOT NULL REFERENCES matches (id) ON DELETE CASCADE,
            reviewer TEXT NOT NULL,
            given_at TEXT NOT NULL,
            about INTEGER NOT NULL CHECK (about IN (0, 1)),
            random INTEGER NOT NULL CHECK (random IN (0, 1)),
            sentiment TEXT CHECK (sentiment IN ('negative', 'neutral', 'positive')),
            stage TEXT,
            reply TEXT,
            pillar TEXT,
            touchpoint TEXT
        )""",
        "CREATE INDEX verdicts_by_match ON verdicts (match_id, given_at)",
        """CREATE TABLE models (
            name TEXT PRIMARY KEY,
            folder TEXT NOT NULL,
            base TEXT NOT NULL,
            created_at TEXT NOT NULL,
            posts INTEGER NOT NULL,
            measures TEXT NOT NULL,
            in_force INTEGER NOT NULL DEFAULT 0 CHECK (in_force IN (0, 1))
        )""",
        "CREATE UNIQUE INDEX models_in_force ON models (in_force) WHERE in_force",  # one at most
    )


@migrations()
def m006_sources(db: Database) -> None:
    """What became of a post since it was read, how each hour was read, and which spans of the past are to be read."""
    _run(
        db,
        "ALTER TABLE mentions ADD COLUMN repost_of TEXT",
        "ALTER TABLE mentions ADD COLUMN gone_at TEXT",
        "ALTER TABLE mentions ADD COLUMN gone_reason TEXT",
        "ALTER TABLE mentions ADD COLUMN checked_at TEXT",  # when the platform was last asked whether it still shows it
        # The first of the posts that say nearly the same, where this one is not the first; NULL until it was looked at
        # (`grouped` 0) as well.
        "ALTER TABLE mentions ADD COLUMN copy_of INTEGER REFERENCES mentions (id)",
        # 1 where the brand's `hide` query holds: kept, and counted nowhere, unless a person says it is about the brand.
        "ALTER TABLE matches ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0 CHECK (hidden IN (0, 1))",
        "ALTER TABLE mentions ADD COLUMN grouped INTEGER NOT NULL DEFAULT 0 CHECK (grouped IN (0, 1))",
        "CREATE INDEX mentions_by_author ON mentions (author COLLATE NOCASE)",
        "CREATE INDEX mentions_by_time ON mentions (source, created_at)",
        # The index of words is written anew for a post only where its words change.
        "DROP TRIGGER mentions_au",
        """CREATE TRIGGER mentions_au AFTER UPDATE OF text, author ON mentions BEGIN
            INSERT INTO mentions_fts (mentions_fts, rowid, text, author)
            VALUES ('delete', old.rowid, old.text, old.author);
            INSERT INTO mentions_fts (rowid, text, author) VALUES (new.rowid, new.text, new.author);
        END""",
        "CREATE INDEX mentions_ungrouped ON mentions (id) WHERE grouped = 0",
        "CREATE INDEX mentions_copies ON mentions (copy_of) WHERE copy_of IS NOT NULL",
        # What a post said before it was edited.
        """CREATE TABLE versions (
            id INTEGER PRIMARY KEY,
            mention_id INTEGER NOT NULL REFERENCES mentions (id) ON DELETE CASCADE,
            text TEXT NOT NULL,
            until TEXT NOT NULL
        )""",
        "CREATE INDEX versions_by_mention ON versions (mention_id)",
        # Posts whose words fall into the same band are likely to say nearly the same (MinHash).
        """CREATE TABLE shingles (
            band INTEGER NOT NULL,
            hash INTEGER NOT NULL,
            mention_id INTEGER NOT NULL REFERENCES mentions (id) ON DELETE CASCADE,
            PRIMARY KEY (band, hash, mention_id)
        ) WITHOUT ROWID""",
        "CREATE INDEX shingles_by_mention ON shingles (mention_id)",
        # People who asked to be forgotten, known by a keyed hash only: what they write later is not stored.
        """CREATE TABLE forgotten (
            source TEXT NOT NULL,
            author TEXT NOT NULL,
            at TEXT NOT NULL,
            posts INTEGER NOT NULL,
            PRIMARY KEY (source, author)
        )""",
        "CREATE TABLE keys (name TEXT PRIMARY KEY, value BLOB NOT NULL)",
        "ALTER TABLE coverage ADD COLUMN cause TEXT",
        # How far each hour of posting time was read, made again from `coverage` whenever that changes.
        """CREATE TABLE coverage_hours (
            source TEXT NOT NULL REFERENCES sources (name) ON DELETE CASCADE,
            stream TEXT NOT NULL,
            hour TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('complete', 'partial', 'missing')),
            cause TEXT,
            reason TEXT,
            PRIMARY KEY (source, hour, stream)
        ) WITHOUT ROWID""",
        "ALTER TABLE spending ADD COLUMN calls INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE spending ADD COLUMN posts INTEGER NOT NULL DEFAULT 0",
        # What a platform allows by the day in its own units.
        """CREATE TABLE quotas (
            source TEXT NOT NULL REFERENCES sources (name) ON DELETE CASCADE,
            period TEXT NOT NULL,
            used INTEGER NOT NULL,
            PRIMARY KEY (source, period)
        )""",
        """CREATE TABLE backfills (
            id INTEGER PRIMARY KEY,
            source TEXT NOT NULL REFERENCES sources (name) ON DELETE CASCADE,
            stream TEXT NOT NULL,
            since TEXT NOT NULL,
            until TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('open', 'done', 'refused')),
            cause TEXT NOT NULL CHECK (cause IN ('asked', 'gap')),
            requested_at TEXT NOT NULL,
            resume TEXT,
            reached TEXT,
            fetched INTEGER NOT NULL DEFAULT 0,
            stored INTEGER NOT NULL DEFAULT 0,
            note TEXT
        )""",
        "CREATE INDEX backfills_open ON backfills (source, id) WHERE state = 'open'",
    )


@migrations()
def m007_alerts(db: Database) -> None:
    """Counts that hear each person once, what is remembered of each brand's past, and all that becomes of an alert."""
    _run(
        db,
        # 1 where a post says again what its author, or the post that it copies, has said: detection leaves it out.
        "ALTER TABLE matches ADD COLUMN echo INTEGER NOT NULL DEFAULT 0 CHECK (echo IN (0, 1))",
        """UPDATE matches SET echo = 1 WHERE mention_id IN (SELECT id FROM mentions WHERE copy_of IS NOT NULL)""",
        """UPDATE matches SET echo = 1 WHERE id IN (
            SELECT id FROM (
                SELECT k.id, k.created_at, lag(k.created_at) OVER (
                    PARTITION BY k.brand, k.source, m.author COLLATE NOCASE, k.sentiment IS 'negative'
                    ORDER BY k.created_at, m.id
                ) AS before
                FROM matches k JOIN mentions m ON m.id = k.mention_id
                WHERE m.author != '' AND m.copy_of IS NULL AND k.sentiment IS NOT NULL AND k.about = 1
            ) WHERE before >= strftime('%Y-%m-%dT%H:%M:%SZ', created_at, '-3 hours')
        )""",
        # Five-minute counts of rated posts without echoes: of all (kind 'all'), and by stage, pillar and touchpoint.
        """CREATE TABLE voices (
            brand TEXT NOT NULL,
            start TEXT NOT NULL,
            source TEXT NOT NULL,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            negative INTEGER NOT NULL,
            other INTEGER NOT NULL,
            PRIMARY KEY (brand, start, source, kind, name)
        ) WITHOUT ROWID""",
        *(
            f"""INSERT INTO voices SELECT brand,
                substr(created_at, 1, 14) || printf('%02d', substr(created_at, 15, 2) / 5 * 5) || ':00Z' AS start,
                source, '{kind}', {name}, sum(sentiment IS 'negative'), sum(sentiment IS NOT 'negative')
            FROM matches WHERE state = 'rated' AND about = 1 AND echo = 0 GROUP BY brand, start, source, {name}"""
            for kind, name in (
                ("all", "''"),
                ("stage", "coalesce(stage, 'none')"),
                ("pillar", "coalesce(pillar, 'none')"),
                ("touchpoint", "coalesce(touchpoint, 'none')"),
            )
        ),
        # What a detector remembers of a series at the start of a day, as models/state.py packs it.
        """CREATE TABLE pasts (
            id INTEGER PRIMARY KEY,
            detector TEXT NOT NULL,
            brand TEXT NOT NULL,
            slice TEXT NOT NULL,
            day TEXT NOT NULL,
            state BLOB NOT NULL,
            UNIQUE (brand, detector, day, slice)
        )""",
        "ALTER TABLE alerts ADD COLUMN scope TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE alerts ADD COLUMN score REAL NOT NULL DEFAULT 0",
        "ALTER TABLE alerts ADD COLUMN low REAL NOT NULL DEFAULT 0",
        "ALTER TABLE alerts ADD COLUMN high REAL NOT NULL DEFAULT 0",
        "ALTER TABLE alerts ADD COLUMN story TEXT",
        "ALTER TABLE alerts ADD COLUMN found_at TEXT",
        "ALTER TABLE alerts ADD COLUMN held TEXT",
        "ALTER TABLE alerts ADD COLUMN taken_by TEXT",
        "ALTER TABLE alerts ADD COLUMN taken_at TEXT",
        """UPDATE alerts SET ends = last_seen WHERE ends IS NULL AND id NOT IN
            (SELECT max(id) FROM alerts WHERE ends IS NULL GROUP BY brand, rule)""",
        "CREATE UNIQUE INDEX alerts_open ON alerts (brand, rule, scope) WHERE ends IS NULL",
        """CREATE TABLE silences (
            id INTEGER PRIMARY KEY,
            starts TEXT NOT NULL,
            ends TEXT NOT NULL,
            author TEXT NOT NULL,
            comment TEXT NOT NULL,
            brand TEXT,
            rule TEXT,
            scope TEXT
        )""",
        """CREATE TABLE feedback (
            id INTEGER PRIMARY KEY,
            alert_id INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
            who TEXT NOT NULL,
            at TEXT NOT NULL,
            word TEXT NOT NULL CHECK (word IN ('useful', 'noise', 'known')),
            note TEXT NOT NULL
        )""",
        "CREATE INDEX feedback_by_alert ON feedback (alert_id, id)",
        "CREATE TABLE disabled (channel TEXT PRIMARY KEY, at TEXT NOT NULL, reason TEXT NOT NULL, options TEXT)",
        # A digest is a delivery without an alert.
        """CREATE TABLE deliveries_now (
            id INTEGER PRIMARY KEY,
            alert_id INTEGER REFERENCES alerts (id) ON DELETE CASCADE,
            channel TEXT NOT NULL,
            reason TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('sending', 'sent', 'failed', 'dead')),
            attempts INTEGER NOT NULL,
            observed INTEGER NOT NULL,
            created_at TEXT NOT NULL,
            next_attempt_at TEXT,
            error TEXT,
            joined INTEGER REFERENCES deliveries (id) ON DELETE CASCADE,
            since TEXT,
            until TEXT
        )""",
        """INSERT INTO deliveries_now (id, alert_id, channel, reason, state, attempts, observed, created_at,
            next_attempt_at, error)
        SELECT id, alert_id, channel, reason, state, attempts, observed, created_at, next_attempt_at, error
        FROM deliveries""",
        "DROP TABLE deliveries",
        "ALTER TABLE deliveries_now RENAME TO deliveries",
        "CREATE INDEX deliveries_by_alert ON deliveries (alert_id, channel)",
        "CREATE INDEX deliveries_open ON deliveries (id) WHERE state IN ('sending', 'failed')",
        "CREATE INDEX deliveries_joined ON deliveries (joined) WHERE joined IS NOT NULL",
        # Questions about coverage are answered from these alone, however many runs it holds.
        "DROP INDEX coverage_by_stream",
        "CREATE INDEX coverage_by_stream ON coverage (source, stream, state, until, since, started_at)",
        "CREATE INDEX coverage_by_start ON coverage (source, started_at, cost)",
        "CREATE INDEX coverage_short ON coverage (id) WHERE state != 'complete'",
        # Posts whose text is still kept, by age.
        "CREATE INDEX mentions_kept ON mentions (source, created_at) WHERE gone_at IS NULL",
        # What an author wrote lately is looked up for each post that is scored.
        "DROP INDEX mentions_by_author",
        "CREATE INDEX mentions_by_author ON mentions (source, author COLLATE NOCASE, created_at)",
    )
    for alert_id, probability in db.execute("SELECT id, probability FROM alerts").fetchall():
        # Not in SQL: the mathematical functions of SQLite are not in every build.
        db.execute("UPDATE alerts SET score = ? WHERE id = ?", (-math.log10(max(probability, 1e-300)), alert_id))


@migrations()
def m008_desk(db: Database) -> None:
    """Who may log in, what becomes of a case, replies, and counts by pillar, touchpoint and need of an answer."""
    _run(db, *DESK)


@migrations()
def m009_cases(db: Database) -> None:
    """Cases are counted and searched without their posts; counts of weeks."""
    _run(db, *CASES, *CARE, *WEEKS, *TIDES)


@migrations()
def m010_lists(db: Database) -> None:
    """Lists of alerts in their order."""
    _run(db, *LISTS)


def _run(db: Database, *statements: str) -> None:
    for statement in statements:
        db.execute(statement)
