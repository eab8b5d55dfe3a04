"""What the tests of the command line share: the command in this process and as one of its own, files, and promises."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from db.times import to_text
from monitor.cli import main
from tests.support import rows

ROOT = Path(__file__).parent.parent
BUNDLED = ROOT / "models" / "bundled"
COMMAND = (sys.executable, "-c", "from monitor.cli import main; main(prog_name='sentimon')")
QUICKLY = """
from models import classifier
from tests.support import Keywords
classifier.load = lambda *_, **__: Keywords()
from monitor.cli import main
main(prog_name='sentimon')
"""
QUICK = (sys.executable, "-c", QUICKLY)  # the command with a model that looks for words
BRAND = '[[brands]]\nname = "Acme"\nquery = "acme"\naccounts = { x = "acmehelp" }\n'
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
HEADER = "id,source,author,created_at,text"


def configure(folder: Path, *more: str, database: str = "posts.db") -> Path:
    """Write sentimon.toml with one brand and whatever else."""
    path = folder / "sentimon.toml"
    path.write_text("\n".join((f'database = "{database}"', BRAND, *more)), encoding="utf-8")
    return path


def sentimon(*args: str, stdin: str | bytes | None = None) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, args, input=stdin, prog_name="sentimon")


def environment(**more: str) -> dict[str, str]:
    """The environment of a command of its own, without a configuration that happens to lie about.

    What it compiles is kept: to compile everything anew takes a command longer than the rest of its start.
    """
    left = ("SENTIMON_CONFIG", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if name not in left}  # noqa: TID251
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def spawn(*args: str, cwd: Path, command: Sequence[str] = COMMAND, **more: Any) -> "subprocess.Popen[bytes]":
    """Start a command in a process of its own."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()}
    return subprocess.Popen([*command, *args], cwd=cwd, **{**pipes, **more})


def ran(*args: str, cwd: Path, stdin: bytes | None = None, **more: Any) -> "subprocess.CompletedProcess[bytes]":
    """Run a command in a process of its own to its end."""
    given = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    return subprocess.run(
        [*COMMAND, *args], cwd=cwd, capture_output=True, timeout=60, env=environment(), **given, **more
    )


def said(result: Result, *args: str) -> str:
    """Take the output of a command that must have worked."""
    assert result.exit_code == 0, f"{args}: {result.output}{result.exception!r}"
    return result.stdout


def told(*args: str) -> Any:
    """Run a command with --json and read what it prints."""
    return json.loads(said(sentimon(*args, "--json"), *args))


def complaint(result: Result, exit_code: int | Sequence[int] = (1, 2)) -> str:
    """Take the one line that a command must have ended in."""
    codes = [exit_code] if isinstance(exit_code, int) else exit_code
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code in codes, result.output
    return one_line(result.stderr)


def one_line(stderr: str | bytes) -> str:
    text = stderr if isinstance(stderr, str) else stderr.decode()
    assert text.count("\n") == 1, text
    assert text.endswith("\n"), text
    assert "Traceback" not in text
    assert len(text) < 500, text
    return text.strip()


def post(number: int | str, text: str = "acme is fine", ago: timedelta = timedelta(0), **more: Any) -> dict[str, Any]:
    """A row to import."""
    base = {"id": str(number), "source": "x", "author": "ann", "created_at": to_text(NOW - ago), "text": text}
    return {**base, **more}


def jsonl(*posts: Mapping[str, Any]) -> str:
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in posts)


def counts(database: Path) -> Mapping[str, int]:
    """How many rows each table of an intact database has."""
    assert rows(database, "PRAGMA integrity_check") == [("ok",)]
    tables = [name for (name,) in rows(database, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: rows(database, f"SELECT count(*) FROM '{name}'")[0][0] for name in tables}


def version_of_bundled() -> str | None:
    """Tell which weights lie in the tree: "1" are those that are shipped."""
    try:
        version = json.loads((BUNDLED / "config.json").read_text())["sentimon_version"]
    except (OSError, KeyError):
        return None
    return str(version)


def corrupt(database: Path) -> None:
    """Overwrite the database's pages, all but the first."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    whole = database.read_bytes()
    database.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))


def wait_until(seconds: float, done: Callable[[], bool]) -> bool:
    """Wait for another process; True as soon as it is done."""
    import time

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
        time.sleep(0.02)
    return done()
