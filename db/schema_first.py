"""The tables of the first release: the statements of the first steps of the schema.

They stay as they were released, to the space: SQLite keeps the text of every table.
"""

MENTIONS = (
    """CREATE TABLE mentions (
            id INTEGER PRIMARY KEY,
            source TEXT NOT NULL,
            source_id TEXT NOT NULL,
            author TEXT,
            text TEXT NOT NULL,
            url TEXT,
            created_at TEXT NOT NULL,
            collected_at TEXT NOT NULL,
            language TEXT,
            in_reply_to TEXT,
            followers INTEGER,
            likes INTEGER,
            reposts INTEGER,
            replies INTEGER,
            UNIQUE (source, source_id)
        )""",
    # Source, time, label and state are copied here so that counting reads one table and one index. `sentiment`
    # and `stage` are the labels in force, `model` the one that gave them.
    """CREATE TABLE matches (
            id INTEGER PRIMARY KEY,
            mention_id INTEGER NOT NULL REFERENCES mentions (id) ON DELETE CASCADE,
            brand TEXT NOT NULL,
            source TEXT NOT NULL,
            created_at TEXT NOT NULL,
            state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'rated', 'not_rated')),
            sentiment TEXT CHECK (sentiment IN ('negative', 'neutral', 'positive')),
            stage TEXT,
            model TEXT,
            negative REAL,
            UNIQUE (mention_id, brand)
        )""",
    "CREATE INDEX matches_by_cell ON matches (brand, source, created_at)",
    "CREATE INDEX matches_by_brand ON matches (brand, created_at)",
    "CREATE INDEX matches_by_time ON matches (created_at)",
    "CREATE INDEX matches_pending ON matches (id) WHERE state = 'pending'",
    """CREATE TABLE scores (
            match_id INTEGER NOT NULL REFERENCES matches (id) ON DELETE CASCADE,
            model TEXT NOT NULL,
            rated INTEGER NOT NULL,
            language TEXT,
            sentiment TEXT,
            negative REAL,
            neutral REAL,
            positive REAL,
            stage TEXT,
            stage_probabilities TEXT,
            scored_at TEXT NOT NULL,
            PRIMARY KEY (match_id, model)
        )""",
)
BUCKETS = (
    """CREATE TABLE buckets (
            span TEXT NOT NULL CHECK (span IN ('5m', '1h', '1d')),
            start TEXT NOT NULL,
            brand TEXT NOT NULL,
            source TEXT NOT NULL,
            stage TEXT NOT NULL,
            negative INTEGER NOT NULL,
            neutral INTEGER NOT NULL,
            positive INTEGER NOT NULL,
            not_rated INTEGER NOT NULL,
            PRIMARY KEY (span, brand, source, start, stage)
        ) WITHOUT ROWID""",
    "CREATE INDEX buckets_by_time ON buckets (span, start)",
    "CREATE TABLE unwatched (brand TEXT PRIMARY KEY, since TEXT NOT NULL, changes INTEGER NOT NULL DEFAULT 1)",
)
SOURCES = (
    """CREATE TABLE sources (
            name TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            not_before TEXT,
            paused TEXT,
            options TEXT,
            last_run_at TEXT,
            last_ok_at TEXT,
            last_error TEXT
        )""",
    """CREATE TABLE cursors (
            source TEXT NOT NULL REFERENCES sources (name) ON DELETE CASCADE,
            stream TEXT NOT NULL,
            cursor TEXT,
            resume TEXT,
            PRIMARY KEY (source, stream)
        )""",
    """CREATE TABLE coverage (
            id INTEGER PRIMARY KEY,
            source TEXT NOT NULL REFERENCES sources (name) ON DELETE CASCADE,
            stream TEXT NOT NULL,
            started_at TEXT NOT NULL,
            since TEXT,
            until TEXT,
            state TEXT NOT NULL CHECK (state IN ('complete', 'partial', 'missing')),
            reason TEXT,
            fetched INTEGER NOT NULL,
            stored INTEGER NOT NULL,
            cost TEXT NOT NULL
        )""",
    "CREATE INDEX coverage_by_stream ON coverage (source, stream, state, until)",
    # Money in millionths, as whole numbers: sums stay exact.
    """CREATE TABLE spending (
            source TEXT NOT NULL REFERENCES sources (name) ON DELETE CASCADE,
            month TEXT NOT NULL,
            settled INTEGER NOT NULL DEFAULT 0,
            reserved INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (source, month)
        )""",
    """CREATE TABLE job_runs (
            id INTEGER PRIMARY KEY,
            job TEXT NOT NULL,
            source TEXT,
            started_at TEXT NOT NULL,
            seconds REAL NOT NULL,
            counts TEXT NOT NULL,
            error TEXT,
            note TEXT
        )""",
    "CREATE INDEX job_runs_by_job ON job_runs (job, source, started_at)",
)
ALERTS = (
    """CREATE TABLE alerts (
            id INTEGER PRIMARY KEY,
            brand TEXT NOT NULL,
            rule TEXT NOT NULL,
            starts TEXT NOT NULL,
            last_seen TEXT NOT NULL,
            ends TEXT,
            severity TEXT NOT NULL,
            observed INTEGER NOT NULL,
            expected REAL NOT NULL,
            factor REAL NOT NULL,
            probability REAL NOT NULL,
            window_minutes INTEGER NOT NULL,
            mentions INTEGER NOT NULL,
            share REAL NOT NULL,
            usual_share REAL NOT NULL,
            summary TEXT NOT NULL,
            in_common TEXT NOT NULL
        )""",
    "CREATE INDEX alerts_by_brand ON alerts (brand, rule, starts)",
    """CREATE TABLE alert_posts (
            alert_id INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
            match_id INTEGER NOT NULL REFERENCES matches (id) ON DELETE CASCADE,
            PRIMARY KEY (alert_id, match_id)
        ) WITHOUT ROWID""",
    """CREATE TABLE deliveries (
            id INTEGER PRIMARY KEY,
            alert_id INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
            channel TEXT NOT NULL,
            reason TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('sending', 'sent', 'failed', 'dead')),
            attempts INTEGER NOT NULL,
            observed INTEGER NOT NULL,
            created_at TEXT NOT NULL,
            next_attempt_at TEXT,
            error TEXT
        )""",
    "CREATE INDEX deliveries_by_alert ON deliveries (alert_id, channel)",
    "CREATE INDEX deliveries_open ON deliveries (id) WHERE state IN ('sending', 'failed')",
    """CREATE TABLE cases (
            id INTEGER PRIMARY KEY,
            match_id INTEGER NOT NULL UNIQUE REFERENCES matches (id) ON DELETE CASCADE,
            alert_id INTEGER REFERENCES alerts (id) ON DELETE SET NULL,
            reason TEXT NOT NULL,
            state TEXT NOT NULL,
            priority REAL NOT NULL,
            created_at TEXT NOT NULL
        )""",
    """CREATE TABLE events (
            id INTEGER PRIMARY KEY,
            case_id INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
            at TEXT NOT NULL,
            what TEXT NOT NULL,
            who TEXT
        )""",
)
