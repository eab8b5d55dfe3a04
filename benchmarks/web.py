"""How fast the pages are: `make bench-web`.

A store of 100,000 posts over 90 days, and one of 1,000,000, are served by `sentimon serve` in a process of its own.
Somebody who is logged in asks for pages at 20 a second, whether or not the last one has come: an answer is timed from
when it was due, so that a server that falls behind cannot hide it. Meanwhile a post comes in and is rated every 7.8
seconds, as a million in 90 days do, and one of so many opens a case as in the store: that ends what the server
remembers of the database. Beside it, in the same run, Datasette answers the overview's main question from that file.
"""

import argparse
import http.client
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from benchmarks.web_store import BRANDS, CASES, MODEL, make
from db.desk import Session, User
from db.labels import SENTIMENTS
from db.records import Answer, Mention, Score
from db.store import Store
from db.tokens import hashed
from monitor.cli.output import print_table

RATE = 20  # requests a second
ARRIVALS = 7.776  # seconds from one post that is stored to the next: a million in 90 days
KEY = "a key that only this benchmark knows"
QUESTION = """SELECT date(created_at) AS day, brand, sum(sentiment = 'positive') AS positive,
    sum(sentiment = 'negative') AS negative, count(*) AS mentions FROM matches GROUP BY day, brand"""


def main() -> None:
    """Make the stores, ask, print."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--posts", type=int, nargs="+", default=[100_000, 1_000_000])
    given.add_argument("--seconds", type=int, default=60, help="of asking, for each store")
    given.add_argument("--folder", type=Path, help="where stores are kept for the next time")
    asked = given.parse_args()
    found: dict[int, Mapping[str, list[float]]] = {}
    others: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for posts in asked.posts:
            folder = (asked.folder or Path(temporary)) / str(posts)
            began = time.perf_counter()
            _prepare(folder, posts)
            print(f"{posts:,} posts: store ready after {time.perf_counter() - began:.0f} s", file=sys.stderr)
            with _serving(folder) as address:
                pages = _pages(address, posts)
                _ask_all(address, [path for _, path in pages])  # charts and statements are prepared once
                with _posts_coming(folder):
                    found[posts] = _measure(address, pages, asked.seconds)
            others[posts] = _datasette(folder)
    _report(found, others)


def _prepare(folder: Path, posts: int) -> None:
    if (folder / "sentimon.toml").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    make(folder / "sentimon.db", posts, now)
    with Store(folder / "sentimon.db") as store, store.transaction():
        user = store.users.add(User(0, "bench", "admin"), None, now)
        store.sessions.add(Session(hashed(KEY), user.id, now, now, now + timedelta(days=365)))
    roles = {name: "competitor" if name == "Rival" else "own" for name in BRANDS}
    brands = "".join(
        f'[[brands]]\nname = "{name}"\nquery = "{name.lower()}"\nrole = "{role}"\n' for name, role in roles.items()
    )
    text = f'{brands}[web]\nport = 0\nsession = "365d"\n'
    (folder / "sentimon.toml").write_text(text, encoding="utf-8")


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent.parent)}  # noqa: TID251
    command = [sys.executable, "-u", "-c", "from monitor.cli import main; main()", "serve"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield re.findall(r"http://\S+?(?=,|\s|$)", line)[0]
        finally:
            process.terminate()


@contextmanager
def _posts_coming(folder: Path) -> Iterator[None]:
    """Store a post and its rating now and then, as the jobs do."""
    over = threading.Event()

    def write() -> None:
        dice = random.Random(13)
        with Store(folder / "sentimon.db") as store:
            while not over.wait(ARRIVALS):
                now, brand = datetime.now(UTC).replace(microsecond=0), dice.choice(BRANDS)
                post = Mention("x", f"new-{now.timestamp():.0f}", "somebody", f"{brand} again", now, now)
                with store.transaction():
                    store.mentions.add([(post, (brand,))])
                    (match,) = store.mentions.pending(1)
                    score = Score(MODEL, True, "en", {"sentiment": Answer(dice.choice(SENTIMENTS), {})})
                    store.scores.save([(match, score)], now)
                    if not dice.randrange(CASES):
                        store.cases.open(match, None, "asks for an answer", 0.5, now, due=now + timedelta(hours=8))

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write)
        try:
            yield
        finally:
            over.set()
            written.result()


def _pages(address: str, posts: int) -> list[tuple[str, str]]:
    """Name each kind of page with addresses that people ask for."""
    dice = random.Random(7)
    case = posts // 50
    found = []
    for _ in range(12):
        brand = dice.choice(BRANDS[:3])
        found += [
            ("overview, 7 days", f"/?{urlencode({'brand': brand, 'days': 7})}"),
            ("overview, 30 days", f"/?{urlencode({'brand': brand, 'days': 30})}"),
            ("overview, whole range", "/?days=90"),
            ("journey, whole range", "/journey?days=90"),
            ("experience, whole range", "/experience?days=90"),
            ("compare, whole range", "/compare?days=90"),
            ("desk", "/desk"),
            ("desk, search", f"/desk?{urlencode({'q': dice.choice(('refund', 'delivery', 'love', 'broken'))})}"),
            ("case", f"/desk/cases/{dice.randrange(1, case)}"),
            ("alerts", "/alerts"),
            ("alert", f"/alerts/{dice.randrange(1, 100)}"),
            ("posts", f"/posts?{urlencode({'brand': brand, 'sentiment': 'negative'})}"),
            ("posts, search", f"/posts?{urlencode({'q': dice.choice(('refund', 'delivery', 'love', 'broken'))})}"),
            ("label", "/label"),
            ("care", "/care"),
            ("status", "/status"),
            ("API: posts", f"/api/v1/posts?brand={quote(brand)}&limit=100"),
            ("API: overview", "/api/v1/overview?days=90"),
        ]
    return found


def _ask_all(address: str, paths: Sequence[str]) -> None:
    for path in dict.fromkeys(paths):
        status, _ = _ask(address, path)
        if status != 200:
            raise SystemExit(f"{path} answers with {status}")


def _ask(address: str, path: str) -> tuple[int, int]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        connection.request("GET", path, headers={"Cookie": f"sentimon_session={KEY}"})
        answer = connection.getresponse()
        return answer.status, len(answer.read())
    finally:
        connection.close()


def _measure(address: str, pages: Sequence[tuple[str, str]], seconds: int) -> Mapping[str, list[float]]:
    """Ask at the rate; return the seconds from when each answer was due."""
    dice = random.Random(11)
    order = [dice.choice(pages) for _ in range(RATE * seconds)]
    taken: dict[str, list[float]] = {name: [] for name, _ in pages}
    lock = threading.Lock()
    start = time.perf_counter() + 0.5

    def ask(turn: int) -> None:
        due = start + turn / RATE
        time.sleep(max(due - time.perf_counter(), 0))
        name, path = order[turn]
        status, _ = _ask(address, path)
        with lock:
            taken[name].append(time.perf_counter() - due if status == 200 else float("inf"))

    with ThreadPoolExecutor(200) as pool:
        list(pool.map(ask, range(len(order))))
    return taken


def _datasette(folder: Path) -> float:
    """Return the seconds that Datasette takes for the overview's main question; the second answer counts."""
    query = urlencode({"sql": QUESTION, "_shape": "array", "_size": "max"})
    code = """
import asyncio, sys, time
from datasette.app import Datasette
async def ask():
    datasette = Datasette([sys.argv[1]], settings={"sql_time_limit_ms": 60000, "max_returned_rows": 10000})
    for _ in range(2):
        begun = time.perf_counter()
        answer = await datasette.client.get(f"/sentimon.json?{sys.argv[2]}")
        answer.raise_for_status()
    print(time.perf_counter() - begun)
asyncio.run(ask())
"""
    command = [sys.executable, "-c", code, str(folder / "sentimon.db"), query]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _report(found: Mapping[int, Mapping[str, list[float]]], others: Mapping[int, float]) -> None:
    sizes = list(found)
    rows = []
    for name in found[sizes[-1]]:
        times = {size: sorted(found[size][name]) for size in sizes}
        ends = [_percentile(times[size], 0.95) for size in sizes]
        halves = [f"{1000 * _percentile(times[size], 0.5):.0f}" for size in sizes]
        growth = f"{ends[-1] / ends[0]:.1f} times" if len(sizes) > 1 else ""
        rows.append([name, len(times[sizes[-1]]), *halves, *(f"{1000 * end:.0f}" for end in ends), growth])
    columns = ["page", "asked", *(f"median, {s:,}" for s in sizes), *(f"95 %, {s:,}" for s in sizes), "growth"]
    print_table(f"Milliseconds at {RATE} requests a second", columns, rows, right=columns[1:])
    for size in sizes:
        whole = _percentile(sorted(found[size]["overview, whole range"]), 0.95)
        ratio = others[size] / whole
        beside = f"Datasette takes {others[size]:.2f} s for the numbers of one of its charts"
        print(f"{size:,} posts, overview of the whole range: {beside}, {ratio:.1f} times the page")


def _percentile(times: Sequence[float], share: float) -> float:
    return times[min(int(share * len(times)), len(times) - 1)] if times else float("nan")


if __name__ == "__main__":
    main()
