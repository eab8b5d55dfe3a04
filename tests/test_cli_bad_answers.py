"""Answers of platforms that cannot be used end in one line, and the database stays whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_rig import (
    configure,
    counts,
    jsonl,
    one_line,
    post,
    said,
    sentimon,
)
from tests.fake_reddit import CLIENT_ID, CLIENT_SECRET, FakeReddit
from tests.fake_x import FakeX
from tests.support import Keywords

SECRET = "AAAA-do-not-print-me"
X = '[[sources]]\nkind = "x"\nbearer_token = "t"\n'


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration, the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    configure(tmp_path)
    return tmp_path


@pytest.fixture
def folder(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One with a few scored posts, which must all be there afterwards."""
    monkeypatch.setattr("models.classifier.load", lambda *_, **__: Keywords())
    (bare / "good.jsonl").write_text(jsonl(post(1), post(2, "acme is awful")))
    said(sentimon("import", "good.jsonl"))
    said(sentimon("run", "--once"))
    before = counts(bare / "posts.db")
    yield bare
    after = counts(bare / "posts.db")
    # What a job that failed writes down is no damage.
    grown = {"job_runs", "coverage", "coverage_hours", "sources", "cursors", "spending", "sqlite_sequence"}
    assert {table: count for table, count in after.items() if table not in grown} == {
        table: count for table, count in before.items() if table not in grown
    }


def x_source(fake: FakeX, token: str = "test-token") -> str:
    place = f'bearer_token = "{token}"\napi_url = "{fake.url}"\ntimeout = 2\nmentions = false'
    return f'[[sources]]\nkind = "x"\nname = "search"\n{place}'


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (401, "X refuses the bearer token (401)"),
        (402, "credits are used up (402)"),
        (403, "X refuses the bearer token (403)"),
        (500, "X answered 500"),
        ("html200", "X could not be read"),
        ("html503", "X answered 503"),
        ("drop", "the next run tries again"),
        ("cut", "the next run tries again"),
        ("list", "X answered 503"),
    ],
)
def test_an_answer_of_x_that_is_no_page_of_posts(folder: Path, fault: int | str, says: str) -> None:
    with FakeX() as fake:
        fake.script(*[fault] * 5)
        configure(folder, x_source(fake))
        result = sentimon("run", "--once", "--job", "collect")
        assert fake.requests
    line = one_line(result.stderr)
    assert result.exit_code == 1
    assert line.startswith("collect search: ")
    assert says in line
    assert "Traceback" not in result.output


@pytest.mark.parametrize(("fault", "says"), [(429, "X asks to wait until"), ("429-cap", "the month's cap is used up")])
def test_a_rate_limit_is_told_and_is_no_failure(folder: Path, fault: int | str, says: str) -> None:
    with FakeX() as fake:
        configure(folder, x_source(fake))
        fake.script(fault)
        line = said(sentimon("run", "--once", "--job", "collect"))
        asked = len(fake.requests)
        said(sentimon("run", "--once", "--job", "collect"))  # it waits, and does not ask again
        assert len(fake.requests) == asked == 1
    assert line.startswith("collect search: ")
    assert says in line
    assert line.count("\n") == 1


def test_a_source_that_was_refused_waits_until_it_is_resumed(folder: Path) -> None:
    with FakeX() as fake:
        configure(folder, x_source(fake))
        fake.script(401)
        assert sentimon("run", "--once", "--job", "collect").exit_code == 1
        asked = len(fake.requests)
        line = one_line(sentimon("run", "--once", "--job", "collect").stderr)
        assert line.startswith("collect search: paused: X refuses the bearer token (401)")
        assert "`sentimon resume search`" in line
        assert len(fake.requests) == asked
        assert "PAUSED" in said(sentimon("status"))
        assert said(sentimon("resume", "search")) == "search is read again at its next turn\n"
        assert "PAUSED" not in said(sentimon("status"))
        said(sentimon("run", "--once", "--job", "collect"))
        assert len(fake.requests) == asked + 1


def test_a_platform_that_is_not_there(folder: Path) -> None:
    with FakeX() as fake:
        source = x_source(fake)
    configure(folder, source)
    result = sentimon("run", "--once", "--job", "collect")
    assert result.exit_code == 1
    assert one_line(result.stderr).partition("; ")[2].startswith("X did not answer")


@pytest.mark.parametrize(("fault", "says"), [("403", "403"), ("html", "Reddit"), ("json", "Reddit"), ("404", "404")])
def test_an_answer_of_reddit_that_is_no_listing(
    folder: Path, fault: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with FakeReddit() as fake:
        fake.faults.extend([fault] * 20)
        configure(
            folder,
            f'[[sources]]\nkind = "reddit"\nsubreddits = ["acme"]\nclient_id = "{CLIENT_ID}"\ntimeout = 2',
            f'client_secret = "{CLIENT_SECRET}"\nreddit_url = "{fake.url}"\noauth_url = "{fake.url}"',
        )
        result = sentimon("run", "--once", "--job", "collect")
    assert result.exit_code == 1
    line = one_line(result.stderr)
    assert line.startswith("collect reddit: ")
    assert says in line
    assert CLIENT_SECRET not in result.output


def test_a_file_source_without_its_file(folder: Path) -> None:
    configure(folder, '[[sources]]\nkind = "file"\npath = "gone.csv"')
    result = sentimon("run", "--once", "--job", "collect")
    assert result.exit_code == 1
    assert "gone.csv cannot be read: No such file" in one_line(result.stderr)
