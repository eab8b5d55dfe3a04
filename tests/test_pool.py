"""Pages lend stores that stay open: what they read is the file as it is now, and they hold nothing up."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copy

import pytest

from db.desk import User
from db.errors import DatabaseError
from db.filters import Filter
from db.posts import Wanted
from db.records import Verdict
from db.store import Store
from monitor.web.pool import MOST, Pool
from tests.case_rig import pages
from tests.support import NOW, judge, keep, mention

PAGES = (
    "/",
    "/journey",
    "/experience",
    "/compare",
    "/posts",
    "/posts?q=acme&order=negative",
    "/desk",
    "/desk?q=acme",
    "/desk/cases/1",
    "/alerts",
    "/label",
    "/care",
    "/status",
    "/api/v1/posts",
    "/api/v1/overview",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a post."""
    with Store(tmp_path / "posts.db") as store:
        keep(store, mention(1))
    return tmp_path / "posts.db"


def posts(pool: Pool) -> int:
    with pool.lend() as store:
        return store.mentions.counts()[0]


def test_a_store_is_lent_again_from_thread_to_thread(path: Path) -> None:
    pool = Pool(path)
    with pool.lend() as first:
        pass
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(posts, pool).result() == 1
    with pool.lend() as again:
        assert again is first
        with pool.lend() as other:
            assert other is not first
    pool.close()


def test_what_others_store_is_seen_at_once(path: Path) -> None:
    pool = Pool(path)
    assert posts(pool) == 1
    with Store(path) as store:
        keep(store, mention(2))
    assert posts(pool) == 2
    pool.close()


def test_the_version_changes_with_everything_that_is_stored_and_with_nothing_else(path: Path) -> None:
    pool = Pool(path)
    before = pool.version()
    assert posts(pool) == 1
    assert pool.version() == before
    with pool.lend() as store, store.transaction():
        store.mentions.add([(mention(2), ["Acme"])])
    after = pool.version()
    assert after != before
    copy(path, path.with_name("other.db"))
    os.replace(path.with_name("other.db"), path)
    assert pool.version() not in (before, after)
    pool.close()


def test_a_file_that_was_replaced_is_opened_anew(path: Path) -> None:
    pool = Pool(path)
    other = path.with_name("other.db")
    with Store(other) as store:
        keep(store, *(mention(number) for number in range(3)))
    assert posts(pool) == 1
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    os.replace(other, path)
    assert posts(pool) == 3
    path.unlink()
    assert posts(pool) == 0  # a new one, as at the first start
    pool.close()


def test_a_schema_that_was_changed_meanwhile_is_looked_at_again(path: Path) -> None:
    pool = Pool(path)
    assert posts(pool) == 1
    with sqlite3.connect(path) as newer:
        newer.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('sentimon', 'm999', '')"
        )
        newer.execute("CREATE TABLE of_the_future (id INTEGER)")
    with pytest.raises(DatabaseError, match="newer version"):
        posts(pool)


def test_a_store_that_failed_is_not_lent_again(path: Path) -> None:
    pool = Pool(path)
    used: list[Store] = []

    def fail() -> None:
        with pool.lend() as store, store.transaction():
            used.append(store)
            store.mentions.add([(mention(2), ["Acme"])])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with pool.lend() as second:
        assert second is not used[0]
        assert second.mentions.counts() == (1, 1)
    pool.close()


def test_few_stay_open_and_none_after_the_end(path: Path) -> None:
    pool = Pool(path)
    lent = [pool.lend() for _ in range(MOST + 3)]
    stores = [one.__enter__() for one in lent]
    for one in lent:
        one.__exit__(None, None, None)
    usable = [_is_open(store) for store in stores]
    assert usable.count(True) == MOST
    pool.close()
    with pool.lend() as late:
        assert late.mentions.counts() == (1, 1)
    assert not any(_is_open(store) for store in (*stores, late))


def test_a_page_leaves_nothing_open_that_would_hold_up_the_others(tmp_path: Path) -> None:
    with Store(tmp_path / "posts.db") as store:
        keep(store, *(mention(number, "awful acme, charged twice") for number in range(60)))
        judge(store)
        with store.transaction():
            post = store.posts.page(Wanted(Filter()), "newest", 1).posts[0]
            store.cases.open(post, None, "asks", 0.5, NOW)
    copy(tmp_path / "posts.db", tmp_path / "before.db")
    with pages(tmp_path, user=User(0, "vera", "admin")) as browser:
        for address in PAGES:
            assert browser.get(address).status_code == 200, address
        with Store(tmp_path / "posts.db") as store:
            keep(store, mention("late"))
            # It waits for nobody who still reads what was there before.
            assert store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def test_a_correction_counts_on_the_next_page(tmp_path: Path) -> None:
    with Store(tmp_path / "posts.db") as store:
        keep(store, *(mention(number, "awful acme") for number in range(3)))
        judge(store)
    with pages(tmp_path, user=User(0, "vera", "admin")) as browser:
        address = "/api/v1/posts?sentiment=negative&brand=Acme"
        found = browser.get(address).json()["posts"]
        assert len(found) == 3
        assert 'data-count="3"' in browser.get("/posts?sentiment=negative").text
        with Store(tmp_path / "posts.db") as store, store.transaction():
            store.verdicts.give([Verdict(found[0]["id"], "ann", NOW, {"sentiment": "positive"})])
        assert len(browser.get(address).json()["posts"]) == 2
        assert 'data-count="2"' in browser.get("/posts?sentiment=negative").text
        assert 'data-count="1"' in browser.get("/posts?sentiment=positive").text


def _is_open(store: Store) -> bool:
    try:
        return store.mentions.counts() == (1, 1)
    except sqlite3.ProgrammingError:
        return False
