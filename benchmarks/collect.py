"""How fast a burst is stored and matched: `make bench-collect`.

10,000 posts of one source come in pages of a hundred, as a platform sends them. They are stored by the collect job
while another process scores, and beside that by `sqlite-utils insert`, which is what one would take for storing rows
without brands, positions, coverage and search. 200 brands' queries are matched against every post.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.table import Line, write
from db.records import Batch, Mention, Position
from db.store import Store
from db.times import to_text
from jobs.collect import Source, collect
from jobs.collector import Meter
from models.brand import Brand, naming
from models.query import parse
from monitor.cli.output import print_table

POSTS = 10_000
BRANDS = 200
PAGE = 100
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AUTHORED = Path(__file__).parent.parent / "models" / "authored" / "posts.jsonl"
SCORER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from db.store import Store
from jobs.score import score
from models.classifier import load
classifier = load("bundled")
print("ready", flush=True)
with Store(Path(sys.argv[1])) as store:
    while True:
        score(store, classifier, lambda: datetime.now(UTC), lambda: False, lambda done: None)
"""


class Burst:
    """A platform that has a burst of posts."""

    def __init__(self, posts: Sequence[Mention]) -> None:
        self._posts = posts

    def streams(self) -> Sequence[str]:
        return ["all"]

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        for start in range(0, len(self._posts), PAGE):
            page = self._posts[start : start + PAGE]
            last = start + PAGE >= len(self._posts)
            yield Batch(page, cursor="end" if last else None, resume=None if last else str(start), fetched=len(page))


def posts(count: int) -> list[Mention]:
    """Make posts of the project's own texts, each with a word that all brands' first query asks for."""
    texts = [json.loads(line)["text"] for line in AUTHORED.read_text(encoding="utf-8").splitlines()]
    return [
        Mention(
            source="burst",
            source_id=str(number),
            author=f"author{number % 997}",
            text=f"acme {number}: {texts[number % len(texts)]}",
            created_at=NOW - timedelta(seconds=number % 3600),
            collected_at=NOW,
        )
        for number in range(count)
    ]


def brands(count: int) -> list[Brand]:
    """Make brands with queries as teams write them; the first names every post."""
    names = sorted({json.loads(line)["brand"] for line in AUTHORED.read_text(encoding="utf-8").splitlines()})
    plain = [name for name in names if name.isalnum() and len(name) > 3][: count - 1]
    if len(plain) < count - 1:
        raise SystemExit(f"benchmarks: only {len(plain)} brands are named in {AUTHORED.name}")
    queries = [f'({name} OR @{name} OR "{name} app") NOT (jobs OR "we are hiring")' for name in plain]
    return [Brand("acme", parse("acme")), *(Brand(n, parse(q)) for n, q in zip(plain, queries, strict=True))]


def measure(count: int = POSTS, most_brands: int = BRANDS) -> list[Line]:
    """Time matching, storing beside scoring, and sqlite-utils, on the same posts."""
    made, watched = posts(count), brands(most_brands)
    started = time.perf_counter()
    names = naming(watched)
    named = sum(bool(names(post)) for post in made)
    matching = time.perf_counter() - started
    if named != count:
        raise SystemExit(f"benchmarks: only {named} of {count} posts were matched")
    with tempfile.TemporaryDirectory() as folder:
        storing = _stored(Path(folder) / "alone.db", made, watched[:1])
        with _scoring(Path(folder) / "beside.db"):
            beside = _stored(Path(folder) / "beside.db", made, watched)
        theirs = _sqlite_utils(Path(folder), made)
    return [
        Line("sqlite-utils insert", theirs, "s"),
        Line("collect, one brand", storing, "s", ("sqlite-utils insert",)),
        Line(f"matching {len(watched)} brands alone", matching, "s"),
        Line(f"collect, {len(watched)} brands, beside running scoring", beside, "s"),
    ]


def _stored(path: Path, made: Sequence[Mention], watched: Sequence[Brand]) -> float:
    source = Source("burst", "burst", Burst(made), "1")
    with Store(path) as store:
        started = time.perf_counter()
        outcome = collect(store, source, watched, NOW)
        took = time.perf_counter() - started
    if outcome.counts["stored"] != len(made):
        raise SystemExit(f"benchmarks: {outcome}")
    return took


@contextmanager
def _scoring(path: Path) -> Iterator[None]:
    """Keep a process at scoring whatever comes into the file."""
    Store(path).close()
    process = subprocess.Popen([sys.executable, "-c", SCORER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise SystemExit("benchmarks: the process that scores did not start")
        yield
    finally:
        process.kill()
        process.wait()


def _sqlite_utils(folder: Path, made: Sequence[Mention]) -> float:
    rows = folder / "rows.jsonl"
    with rows.open("w", encoding="utf-8") as file:
        for post in made:
            row = {k: v for k, v in asdict(post).items() if k != "reach"}
            row |= {"created_at": to_text(post.created_at), "collected_at": to_text(post.collected_at)}
            file.write(json.dumps(row) + "\n")
    command = [sys.executable, "-m", "sqlite_utils", "insert", str(folder / "rows.db"), "mentions", str(rows), "--nl"]
    started = time.perf_counter()
    subprocess.run([*command, "--pk", "source_id"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Print one table."""
    lines = measure()
    title = f"{POSTS:,} posts in a burst, {len(os.sched_getaffinity(0))} cores"
    print_table(title, ["what", "measured", "", "beside"], write(lines), right=["measured"])


if __name__ == "__main__":
    main()
