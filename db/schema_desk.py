"""The tables of the desk, and counts by pillar, touchpoint and reply: the statements of a step of the schema."""

# Counts everything anew, into an empty table.
FACETS = tuple(
    f"""INSERT INTO facets SELECT '{span}', substr(created_at, 1, {digits}) || '{rest}' AS start, brand, source,
        '{kind}', coalesce({kind}, 'none'), sum(sentiment IS 'negative'), sum(sentiment IS 'neutral'),
        sum(sentiment IS 'positive'), sum(state = 'not_rated')
    FROM matches WHERE state != 'pending' AND about = 1 GROUP BY start, brand, source, coalesce({kind}, 'none')"""
    for span, digits, rest in (("1h", 13, ":00:00Z"), ("1d", 10, "T00:00:00Z"))
    for kind in ("pillar", "touchpoint", "reply")
)
DESK = (
    """CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        password TEXT,
        subject TEXT UNIQUE,
        role TEXT NOT NULL CHECK (role IN ('viewer', 'responder', 'approver', 'admin')),
        brands TEXT,
        created_at TEXT NOT NULL,
        disabled_at TEXT
    )""",
    # Cookies and tokens are kept as hashes: who reads this file cannot act as anybody.
    """CREATE TABLE sessions (
        key TEXT PRIMARY KEY,
        user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        created_at TEXT NOT NULL,
        seen_at TEXT NOT NULL,
        ends_at TEXT NOT NULL,
        device TEXT NOT NULL DEFAULT ''
    ) WITHOUT ROWID""",
    "CREATE INDEX sessions_by_user ON sessions (user_id)",
    "CREATE TABLE attempts (id INTEGER PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL, at TEXT NOT NULL)",
    "CREATE INDEX attempts_by_time ON attempts (at)",
    """CREATE TABLE tokens (
        id INTEGER PRIMARY KEY,
        user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        key TEXT NOT NULL UNIQUE,
        scopes TEXT NOT NULL,
        created_at TEXT NOT NULL,
        ends_at TEXT,
        used_at TEXT
    )""",
    "ALTER TABLE cases ADD COLUMN version INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE cases ADD COLUMN level INTEGER NOT NULL DEFAULT 1",  # its place in db.desk.LEVELS
    *(
        f"ALTER TABLE cases ADD COLUMN {column} TEXT"
        for column in (
            "assignee",
            "lease_until",
            "due",
            "snoozed_until",
            "triaged_at",
            "replied_at",
            "closed_at",
            "dismissed_for",
        )
    ),
    "ALTER TABLE cases ADD COLUMN escalated INTEGER NOT NULL DEFAULT 0 CHECK (escalated IN (0, 1))",
    "ALTER TABLE cases ADD COLUMN rule_id INTEGER",
    # Its brand, and whether it is about it, as the match says: the queue is asked by these, and read in the order of
    # one index, however many cases are open.
    "ALTER TABLE cases ADD COLUMN brand TEXT",
    "ALTER TABLE cases ADD COLUMN about INTEGER NOT NULL DEFAULT 1",
    "UPDATE cases SET (brand, about) = (SELECT brand, about FROM matches WHERE id = match_id)",
    """CREATE TRIGGER cases_come AFTER INSERT ON cases
        BEGIN UPDATE cases SET (brand, about) = (SELECT brand, about FROM matches WHERE id = NEW.match_id)
            WHERE id = NEW.id; END""",
    """CREATE TRIGGER cases_about AFTER UPDATE OF about ON matches WHEN NEW.about IS NOT OLD.about
        BEGIN UPDATE cases SET about = NEW.about WHERE match_id = NEW.id; END""",
    """CREATE INDEX cases_open ON cases (level DESC, due, priority DESC, id, brand, about, state, snoozed_until,
        assignee, escalated, match_id) WHERE closed_at IS NULL""",
    "CREATE INDEX cases_closed ON cases (closed_at DESC, id DESC, brand, state) WHERE closed_at IS NOT NULL",
    "CREATE INDEX cases_asleep ON cases (snoozed_until) WHERE state = 'snoozed'",
    "CREATE INDEX cases_leased ON cases (lease_until) WHERE state = 'claimed'",
    "CREATE INDEX cases_undue ON cases (id) WHERE closed_at IS NULL AND due IS NULL",
    "CREATE INDEX cases_astray ON cases (id) WHERE closed_at IS NULL AND about = 0",
    "CREATE INDEX cases_by_alert ON cases (alert_id) WHERE alert_id IS NOT NULL",
    "CREATE INDEX cases_by_time ON cases (created_at)",
    "CREATE INDEX cases_by_reply ON cases (replied_at) WHERE replied_at IS NOT NULL",
    "ALTER TABLE events ADD COLUMN detail TEXT",
    "CREATE INDEX events_by_case ON events (case_id, id)",
    # What happened is not changed afterwards. It goes only with its case, whose post lost its brand.
    """CREATE TRIGGER events_stay BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'events are never changed'); END""",
    """CREATE TRIGGER events_are_new BEFORE INSERT ON events WHEN EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'events are never changed'); END""",
    """CREATE TRIGGER events_remain BEFORE DELETE ON events
        WHEN EXISTS (SELECT 1 FROM cases WHERE id = OLD.case_id)
        BEGIN SELECT RAISE(ABORT, 'events are never removed'); END""",
    """CREATE TABLE tags (
        case_id INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
        tag TEXT NOT NULL,
        PRIMARY KEY (case_id, tag)
    ) WITHOUT ROWID""",
    "CREATE INDEX tags_by_name ON tags (tag)",
    """CREATE TABLE notes (
        id INTEGER PRIMARY KEY,
        case_id INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
        who TEXT NOT NULL,
        at TEXT NOT NULL,
        text TEXT NOT NULL
    )""",
    "CREATE INDEX notes_by_case ON notes (case_id)",
    """CREATE TABLE replies (
        id INTEGER PRIMARY KEY,
        case_id INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
        author TEXT NOT NULL,
        text TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN
            ('draft', 'waiting', 'returned', 'queued', 'sending', 'sent', 'failed', 'unknown', 'by hand')),
        version INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        decided_by TEXT,
        decided_at TEXT,
        remark TEXT,
        not_before TEXT,
        sending_at TEXT,
        sent_at TEXT,
        remote_id TEXT,
        url TEXT,
        error TEXT,
        survey TEXT CHECK (survey IN ('csat', 'ces'))
    )""",
    "CREATE INDEX replies_by_case ON replies (case_id, id)",
    "CREATE INDEX replies_by_remote ON replies (remote_id) WHERE remote_id IS NOT NULL",
    "CREATE INDEX replies_open ON replies (state, id) WHERE state IN ('waiting', 'queued', 'sending', 'unknown')",
    """CREATE TABLE snippets (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        text TEXT NOT NULL,
        brand TEXT,
        updated_by TEXT NOT NULL,
        updated_at TEXT NOT NULL
    )""",
    """CREATE TABLE desk_rules (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        position INTEGER NOT NULL,
        enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
        conditions TEXT NOT NULL,
        level INTEGER,
        assignee TEXT,
        tag TEXT,
        ignore INTEGER NOT NULL DEFAULT 0 CHECK (ignore IN (0, 1))
    )""",
    """CREATE TABLE views (
        id INTEGER PRIMARY KEY,
        owner TEXT NOT NULL,
        name TEXT NOT NULL,
        query TEXT NOT NULL,
        shared INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1)),
        UNIQUE (owner, name)
    )""",
    """CREATE TABLE surveys (
        id INTEGER PRIMARY KEY,
        reply_id INTEGER NOT NULL UNIQUE REFERENCES replies (id) ON DELETE CASCADE,
        brand TEXT NOT NULL,
        source TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('csat', 'ces')),
        created_at TEXT NOT NULL,
        answered_at TEXT,
        score INTEGER,
        comment TEXT NOT NULL DEFAULT ''
    )""",
    # What a post means to the model, as 16-bit floats: like posts lie near each other.
    # An id is never used again: who remembers vectors asks for those after the last one.
    """CREATE TABLE embeddings (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        match_id INTEGER NOT NULL REFERENCES matches (id) ON DELETE CASCADE,
        model TEXT NOT NULL,
        vector BLOB NOT NULL,
        UNIQUE (match_id, model)
    )""",
    # A vector tells of the words that it was made from, a comment is by its author: both go with the post's words.
    """CREATE TRIGGER embeddings_go AFTER UPDATE OF text ON mentions WHEN NEW.text IS NOT OLD.text
        BEGIN DELETE FROM embeddings WHERE match_id IN (SELECT id FROM matches WHERE mention_id = NEW.id); END""",
    """CREATE TRIGGER comments_go AFTER UPDATE OF gone_at ON mentions WHEN NEW.gone_at IS NOT NULL
        BEGIN UPDATE surveys SET comment = '' WHERE comment != '' AND reply_id IN (
            SELECT r.id FROM matches k JOIN cases c ON c.match_id = k.id JOIN replies r ON r.case_id = c.id
            WHERE k.mention_id = NEW.id); END""",
    # 1 once the desk has looked at a match, as at all that were rated before there was one.
    "ALTER TABLE matches ADD COLUMN triaged INTEGER NOT NULL DEFAULT 0 CHECK (triaged IN (0, 1))",
    "UPDATE matches SET triaged = 1 WHERE state != 'pending'",
    "CREATE INDEX matches_untriaged ON matches (id) WHERE triaged = 0 AND state != 'pending'",
    # In which orders pages list posts, beside that of time.
    """CREATE INDEX matches_by_feeling ON matches (brand, coalesce(negative, -1.0))
        WHERE about = 1 AND state != 'pending'""",
    "CREATE INDEX mentions_by_reach ON mentions (coalesce(followers, -1))",
    # How many posts there are by source: in all (brand ''), and of each brand. To count them would take longest of all.
    """CREATE TABLE totals (
        brand TEXT NOT NULL,
        source TEXT NOT NULL,
        posts INTEGER NOT NULL,
        PRIMARY KEY (brand, source)
    ) WITHOUT ROWID""",
    "INSERT INTO totals SELECT '', source, count(*) FROM mentions GROUP BY source",
    "INSERT INTO totals SELECT brand, source, count(*) FROM matches GROUP BY brand, source",
    *(
        f"""CREATE TRIGGER totals_{table}_{event.lower()} AFTER {event} ON {table} BEGIN
            INSERT INTO totals VALUES ({brand}, {row}.source, {change})
                ON CONFLICT (brand, source) DO UPDATE SET posts = posts + excluded.posts; END"""
        for event, row, change in (("INSERT", "NEW", 1), ("DELETE", "OLD", -1))
        for table, brand in (("mentions", "''"), ("matches", f"{row}.brand"))
    ),
    # Which of a brand's accounts a post mentions or answers, as JSON; X lets an app answer no other posts.
    "ALTER TABLE mentions ADD COLUMN addressed TEXT",
    "CREATE INDEX mentions_answers ON mentions (source, in_reply_to) WHERE in_reply_to IS NOT NULL",
    # Counts of hours and days by pillar, touchpoint and reply, as `buckets` has them by stage.
    """CREATE TABLE facets (
        span TEXT NOT NULL CHECK (span IN ('1h', '1d')),
        start TEXT NOT NULL,
        brand TEXT NOT NULL,
        source TEXT NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        negative INTEGER NOT NULL,
        neutral INTEGER NOT NULL,
        positive INTEGER NOT NULL,
        not_rated INTEGER NOT NULL,
        PRIMARY KEY (span, brand, source, start, kind, name)
    ) WITHOUT ROWID""",
    "CREATE INDEX facets_by_time ON facets (span, start)",
    *FACETS,
)

_SUMS = "sum(negative), sum(neutral), sum(positive), sum(not_rated)"
_MONDAY = "date(start, '-6 days', 'weekday 1') || 'T00:00:00Z'"


def _with_weeks(table: str, names: str, spans: str) -> tuple[str, ...]:
    """Make a table of counts anew, in which there may be weeks too, and add up the days of each."""
    columns = "".join(f"{name} TEXT NOT NULL, " for name in names.split(", "))
    return (
        f"""CREATE TABLE {table}_now (
            span TEXT NOT NULL CHECK (span IN ({spans}, '1w')),
            start TEXT NOT NULL,
            brand TEXT NOT NULL,
            source TEXT NOT NULL,
            {columns}
            negative INTEGER NOT NULL,
            neutral INTEGER NOT NULL,
            positive INTEGER NOT NULL,
            not_rated INTEGER NOT NULL,
            PRIMARY KEY (span, brand, source, start, {names})
        ) WITHOUT ROWID""",
        f"""INSERT INTO {table}_now (span, start, brand, source, {names}, negative, neutral, positive, not_rated)
        SELECT span, start, brand, source, {names}, negative, neutral, positive, not_rated FROM {table}""",
        f"DROP TABLE {table}",
        f"ALTER TABLE {table}_now RENAME TO {table}",
        f"CREATE INDEX {table}_by_time ON {table} (span, start)",
        f"""INSERT INTO {table} SELECT '1w', {_MONDAY} AS monday, brand, source, {names}, {_SUMS}
        FROM {table} WHERE span = '1d' GROUP BY monday, brand, source, {names}""",
    )


# A question about a year reads 52 weeks instead of 365 days.
WEEKS = (
    *_with_weeks("buckets", "stage", "'5m', '1h', '1d'"),
    *_with_weeks("facets", "kind, name", "'1h', '1d'"),
)

# Drawn at random each time: in a file that was put back from a copy no number stands for something else than before.
_MARK = "random() & 0xffffffffff"


def _turn(row: str) -> str:
    """Give the week of a match another mark."""
    monday = f"date({row}.created_at, '-6 days', 'weekday 1') || 'T00:00:00Z'"
    return f"""INSERT INTO tides VALUES ({row}.brand, {monday}, {_MARK})
        ON CONFLICT (brand, week) DO UPDATE SET mark = excluded.mark;"""


# Whether anything has changed among the posts of a brand's week: what was found of them before is right until then.
TIDES = (
    """CREATE TABLE tides (
        brand TEXT NOT NULL,
        week TEXT NOT NULL,
        mark INTEGER NOT NULL,
        PRIMARY KEY (brand, week)
    ) WITHOUT ROWID""",
    f"""INSERT INTO tides SELECT brand, date(created_at, '-6 days', 'weekday 1') || 'T00:00:00Z' AS monday, {_MARK}
        FROM matches GROUP BY brand, monday""",
    f"CREATE TRIGGER tides_come AFTER INSERT ON matches BEGIN {_turn('NEW')} END",
    f"CREATE TRIGGER tides_go AFTER DELETE ON matches BEGIN {_turn('OLD')} END",
    f"""CREATE TRIGGER tides_turn AFTER UPDATE OF mention_id, brand, source, created_at, state, about, sentiment, stage,
        pillar, touchpoint, reply ON matches BEGIN {_turn("OLD")} {_turn("NEW")} END""",
    f"""CREATE TRIGGER tides_words AFTER UPDATE OF text, copy_of, repost_of, gone_at ON mentions BEGIN
        INSERT INTO tides SELECT brand, date(created_at, '-6 days', 'weekday 1') || 'T00:00:00Z', {_MARK}
        FROM matches WHERE mention_id = NEW.id ON CONFLICT (brand, week) DO UPDATE SET mark = excluded.mark; END""",
)

# Changes with all that the figures of care are made of: they are remembered while posts come in and claims are renewed.
CARE = (
    "CREATE TABLE care (mark INTEGER NOT NULL)",
    f"INSERT INTO care VALUES ({_MARK})",
    *(
        f"CREATE TRIGGER care_{table}_{event.lower()} AFTER {event}{columns} ON {table} "
        f"BEGIN UPDATE care SET mark = {_MARK}; END"
        for table, of in (
            (
                "cases",
                "state, created_at, due, triaged_at, replied_at, closed_at, dismissed_for, brand, source, posted",
            ),
            ("replies", "case_id, author, state, survey"),
            ("surveys", "brand, source, kind, created_at, answered_at, score, comment"),
        )
        for event, columns in (("INSERT", ""), ("UPDATE", f" OF {of}"), ("DELETE", ""))
    ),
)

# Cases know of their posts what they are counted and searched by, so that no post has to be read for it.
CASES = (
    "ALTER TABLE cases ADD COLUMN source TEXT",
    "ALTER TABLE cases ADD COLUMN posted TEXT",
    "ALTER TABLE cases ADD COLUMN mention_id INTEGER",
    """UPDATE cases SET (source, posted, mention_id) =
        (SELECT source, created_at, mention_id FROM matches WHERE id = match_id)""",
    "DROP TRIGGER cases_come",
    """CREATE TRIGGER cases_come AFTER INSERT ON cases
        BEGIN UPDATE cases SET (brand, about, source, posted, mention_id) =
            (SELECT brand, about, source, created_at, mention_id FROM matches WHERE id = NEW.match_id)
            WHERE id = NEW.id; END""",
    "DROP INDEX cases_by_time",
    "CREATE INDEX cases_by_post ON cases (posted)",
    "CREATE INDEX cases_by_mention ON cases (mention_id)",
    "CREATE INDEX embeddings_by_model ON embeddings (model)",
    "CREATE INDEX events_reopened ON events (case_id, at) WHERE what = 'reopened'",
)

# Lists of alerts are read in their order, as far as they are shown. What a list is narrowed by stands in the index: in
# the table it lies behind the story of each alert.
LISTS = (
    "CREATE INDEX alerts_by_start ON alerts (starts, id, held, brand, rule, severity)",
    "DROP INDEX alerts_by_brand",
    "CREATE INDEX alerts_by_cause ON alerts (brand, rule, scope, starts, ends)",
)
