"""A file is brought up to date step by step, and what is not ours is left alone."""

import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlite_utils import Database

from db.errors import DatabaseError
from db.filters import Filter
from db.migrations import migrations
from db.records import Verdict
from db.store import Store
from tests.support import NOW, judge, keep, kept_counts, mention, recounted, rows

pytestmark = pytest.mark.usefixtures("from_nothing")

TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%fts%' AND name NOT LIKE 'sqlite_%'"


def opened(path: Path) -> str:
    """The one line that opening the file ends in."""
    with pytest.raises(DatabaseError) as refused:
        Store(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    return str(refused.value)


def test_a_new_file_has_every_step(tmp_path: Path) -> None:
    Store(tmp_path / "new.db").close()
    names = [name for (name,) in rows(tmp_path / "new.db", "SELECT name FROM _sqlite_migrations ORDER BY id")]
    assert names == [step.name for step in migrations._migrations]


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sentimon.db"
    with Store(path) as store:
        keep(store, mention(1))
    before = path.read_bytes()
    with Store(path) as store:
        assert store.mentions.counts() == (1, 1)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "sentimon.db"
    with Store(path) as store:
        store._db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('sentimon', 'm999_later', '2030')"
        )
    before = path.read_bytes()
    assert "newer version" in opened(path)
    assert path.read_bytes() == before


def test_migrations_of_another_program_are_no_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "sentimon.db"
    with Store(path) as store:
        store._db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('other', 'm999_later', '2030')"
        )
    Store(path).close()


@pytest.mark.parametrize("broken", range(len(migrations._migrations)))
def test_a_crash_within_a_step_leaves_the_earlier_schema_and_the_next_open_completes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    path = tmp_path / "sentimon.db"
    step = migrations._migrations[broken]
    whole = step.fn

    def half(db: Database) -> None:
        whole(db)
        raise KeyboardInterrupt

    monkeypatch.setattr(step, "fn", half)
    with pytest.raises(KeyboardInterrupt):
        Store(path)
    assert rows(path, TABLES) == []
    monkeypatch.undo()
    with Store(path) as store:
        keep(store, mention(1))
        assert len(store.mentions.find("acme", Filter(), 5)) == 1
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_file_of_an_earlier_version_keeps_its_posts(tmp_path: Path) -> None:
    path = tmp_path / "sentimon.db"
    connection = sqlite3.connect(path)
    db = Database(connection)
    migrations.apply(db, stop_before="m002_buckets")
    db.execute(
        "INSERT INTO mentions (source, source_id, text, created_at, collected_at) "
        "VALUES ('x', '1', 'acme', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z')"
    )
    connection.close()
    with Store(path) as store:
        assert store.mentions.counts() == (1, 0)
        assert store.cases.count() == 0


CARE = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND (name LIKE 'care_%' OR name LIKE 'tides_%')"
OLD_ROWS = """
    INSERT INTO mentions (id, source, source_id, text, created_at, collected_at) VALUES
        (1, 'x', 'a', 'awful acme', '2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z'),
        (2, 'x', 'b', 'acme acme', '2026-01-01T00:02:00Z', '2026-01-01T00:03:00Z'),
        (3, 'x', 'c', '12345', '2026-01-01T00:03:00Z', '2026-01-01T00:03:00Z'),
        (4, 'x', 'd', 'acme waits', '2026-01-01T00:04:00Z', '2026-01-01T00:05:00Z');
    INSERT INTO matches (id, mention_id, brand, source, created_at, state, sentiment, stage, model, negative) VALUES
        (1, 1, 'Acme', 'x', '2026-01-01T00:00:00Z', 'rated', 'negative', 'use', 'old-1', 0.9),
        (2, 2, 'Acme', 'x', '2026-01-01T00:02:00Z', 'rated', 'positive', 'none', 'old-2', 0.1),
        (3, 3, 'Acme', 'x', '2026-01-01T00:03:00Z', 'not_rated', NULL, 'none', 'old-1', NULL),
        (4, 4, 'Acme', 'x', '2026-01-01T00:04:00Z', 'pending', NULL, NULL, NULL, NULL);
    INSERT INTO scores VALUES
        (1, 'old-1', 1, 'en', 'negative', 0.9, 0.06, 0.04, 'use', '{"use": 0.8, "none": 0.2}', '2026-01-01T00:05:00Z'),
        (2, 'old-2', 1, 'es', 'positive', 0.1, 0.1, 0.8, NULL, NULL, '2026-01-01T00:05:00Z'),
        (3, 'old-1', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-01-01T00:05:00Z');
    INSERT INTO buckets VALUES
        ('5m', '2026-01-01T00:00:00Z', 'Acme', 'x', 'none', 0, 0, 1, 1),
        ('5m', '2026-01-01T00:00:00Z', 'Acme', 'x', 'use', 1, 0, 0, 0);
    INSERT INTO alerts VALUES (1, 'Acme', 'negative spike', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', NULL,
        'high', 9, 1.0, 9.0, 0.001, 60, 9, 1.0, 0.1, 'Acme: a spike', '[]');
    INSERT INTO alert_posts VALUES (1, 1);
    INSERT INTO cases VALUES (1, 1, 1, 'a spike', 'new', 0.9, '2026-01-01T00:05:00Z');
"""


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    """A file as the first release left it, with rows."""
    path = tmp_path / "sentimon.db"
    with closing(sqlite3.connect(path)) as connection:
        migrations.apply(Database(connection), stop_before="m005_verdicts")
        connection.executescript(OLD_ROWS)
        connection.commit()
    return path


def test_a_file_of_the_first_release_keeps_its_labels_alerts_and_cases(old_file: Path) -> None:
    queries = {
        table: f"SELECT {', '.join(row[1] for row in rows(old_file, f'PRAGMA table_info({table})'))} FROM {table}"
        for table in ("mentions", "buckets", "alerts", "cases")
    }
    before = {table: rows(old_file, query) for table, query in queries.items()}
    with Store(old_file) as store:
        found = {match.id: match for match in store.mentions.every(Filter())}
        assert [(m.sentiment, m.stage, m.model, m.negative) for m in found.values()] == [
            ("negative", "use", "old-1", 0.9),
            ("positive", "none", "old-2", 0.1),
            (None, "none", "old-1", None),
            (None, None, None, None),
        ]
        assert {(m.reply, m.emotion, m.reviewed, m.about) for m in found.values()} == {(None, None, False, True)}
        assert [match.id for match in store.mentions.of_alert(1)] == [1]
        assert [case.match.id for case in store.cases.waiting(Filter(), 9)] == [1]
        assert store.mentions.pending_count() == 1
    assert {table: rows(old_file, query) for table, query in queries.items()} == before
    assert rows(old_file, "PRAGMA foreign_key_check") == []


def test_a_file_of_the_first_desk_gets_weeks_and_cases_that_know_their_posts(tmp_path: Path) -> None:
    path = tmp_path / "sentimon.db"
    now_there: list[tuple[object, ...]] = []
    with Store(path) as store:
        keep(store, *(mention(n, "acme is awful", NOW - n * timedelta(days=2), author=f"a{n}") for n in range(9)))
        judge(store)
        with store.transaction():
            for match in store.mentions.every(Filter()):
                store.cases.open(match, None, "asked", 1.0, NOW)
        now_there = store._db.execute("SELECT id, source, posted, mention_id, brand, about FROM cases").fetchall()
        facets = set(store._db.execute("SELECT * FROM facets").fetchall())
    with closing(sqlite3.connect(path)) as connection:  # as the step before left it
        connection.executescript(
            "".join(f"DROP TRIGGER {name};" for (name,) in connection.execute(CARE).fetchall())
            + """DROP TABLE care; DROP TABLE tides;
            DELETE FROM buckets WHERE span = '1w'; DELETE FROM facets WHERE span = '1w';
            DROP TRIGGER cases_come; DROP INDEX cases_by_post; DROP INDEX cases_by_mention; DROP INDEX events_reopened;
            DROP INDEX embeddings_by_model; CREATE INDEX cases_by_time ON cases (created_at);
            ALTER TABLE cases DROP COLUMN source; ALTER TABLE cases DROP COLUMN posted;
            ALTER TABLE cases DROP COLUMN mention_id;
            CREATE TRIGGER cases_come AFTER INSERT ON cases BEGIN SELECT 1; END;
            DELETE FROM _sqlite_migrations WHERE name = 'm009_cases';"""
        )
        connection.commit()
    with Store(path) as store:
        assert kept_counts(path) == recounted(path)
        assert set(rows(path, "SELECT * FROM facets")) == facets
        assert rows(path, "SELECT id, source, posted, mention_id, brand, about FROM cases") == now_there
        assert all(all(value is not None for value in row) for row in now_there)
        assert store.cases.count() == 9


def test_old_scores_are_read_like_new_ones_and_give_way_to_a_person(old_file: Path) -> None:
    with Store(old_file) as store:
        scores = {match.id: score for match, score in store.verdicts.sample(9, None, seed=1)}
        assert scores.keys() == {1, 2}
        assert scores[1].probabilities("sentiment") == {"negative": 0.9, "neutral": 0.06, "positive": 0.04}
        assert (scores[1].label("stage"), scores[1].probabilities("stage")) == ("use", {"use": 0.8, "none": 0.2})
        assert (scores[2].label("sentiment"), scores[2].label("stage")) == ("positive", None)
        with store.transaction():
            store.verdicts.give([Verdict(1, "ann", NOW, {"sentiment": "neutral"}), Verdict(2, "ann", NOW, {})])
        one, two, *_ = store.mentions.every(Filter())
        assert (one.sentiment, one.stage, one.negative, one.reviewed) == ("neutral", "use", 0.0, True)
        assert (two.sentiment, two.stage, two.negative, two.reviewed) == ("positive", "none", 0.1, True)
        judge(store)
    assert kept_counts(old_file) == recounted(old_file)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes\n" * 500)
    before = path.read_bytes()
    opened(path)
    assert path.read_bytes() == before


def test_a_database_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sentimon.db"
    Store(path).close()
    path.write_bytes(path.read_bytes()[:5000])
    opened(path)


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    opened(tmp_path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    opened(tmp_path / "nowhere" / "sentimon.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "sentimon.db"
    if exists:
        Store(path).close()
        path.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        opened(path)
    finally:
        tmp_path.chmod(0o700)


def test_the_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "their.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE songs (title TEXT)")
        theirs.commit()
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match="another program"):
        Store(path)
    assert path.read_bytes() == before
