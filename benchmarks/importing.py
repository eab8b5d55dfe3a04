"""Rows a second that are imported, beside `sqlite-utils insert` of the same file into a bare table.

Sentimon checks every row, finds the brands in it, keeps each post once and makes it searchable; the other copies.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.posts import write_csv
from benchmarks.table import Line, seconds

ROWS = 20_000
CONFIG = '[[brands]]\nname = "Norvane"\nquery = "norvane* OR @NorvaneCare"\n'
SENTIMON = (sys.executable, "-c", "from monitor.cli import main; main()", "import")
SQLITE_UTILS = (sys.executable, "-m", "sqlite_utils", "insert", "plain.db", "posts")


def measure() -> list[Line]:
    """Import the file as a person would, each time into a new database."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sentimon.toml").write_text(CONFIG)
        write_csv(folder / "posts.csv", ROWS)
        plain = seconds(lambda: _run(folder, "plain.db", *SQLITE_UTILS, "posts.csv", "--csv", "--pk", "id"), repeats=2)
        ours = seconds(lambda: _run(folder, "sentimon.db", *SENTIMON, "posts.csv"), repeats=2)
        again = seconds(lambda: _run(folder, "", *SENTIMON, "posts.csv"), repeats=1)
    return [
        Line("sqlite-utils insert", ROWS / plain, "rows/s"),
        Line("sentimon import", ROWS / ours, "rows/s", ("sqlite-utils insert",)),
        Line("sentimon import, all known", ROWS / again, "rows/s", ("sentimon import",)),
    ]


def _run(folder: Path, database: str, *command: str) -> None:
    if database:
        for path in folder.glob(f"{database}*"):
            path.unlink()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
