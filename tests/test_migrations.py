"""A file is brought up to date step by step, and what is not ours is left alone."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from db.errors import DatabaseError
from db.filters import Filter
from db.migrations import migrations
from db.store import Store
from tests.support import keep, mention, rows

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
        assert store.cases.count(Filter()) == 0


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
