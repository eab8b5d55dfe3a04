"""How much memory `sentimon score` takes, however many posts it reads: `make bench-memory`, a quarter of an hour.

Posts go through a pipe, as from another program, and the largest resident set of the process is what the system says
of it. So that a million is read in minutes, few texts in a stretch of lines differ. The longer run has no texts that
the shorter one has not: what is kept for each new shape of a batch is no matter of how many posts there are.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from benchmarks.model import BRAND, WINDOW, choose
from db.errors import SentimonError
from monitor.cli.output import print_table

COLUMNS = ("posts", "resident set", "beside the first", "posts a second")
UNIT = 1 if sys.platform == "darwin" else 1024  # bytes of what the system counts in


def main(arguments: Sequence[str] | None = None) -> None:
    """Score a few posts and then many, and print what each run took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Measure the memory of scoring.")
    parser.add_argument("--posts", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--different", type=int, default=200, help=f"different texts of any {WINDOW:,} lines")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    args = parser.parse_args(arguments)
    if min(args.posts) < 1 or not 1 <= args.different <= WINDOW:
        parser.error(f"--posts must be 1 or more, --different 1 to {WINDOW}")
    found, origin = choose(args.different * math.ceil(min(args.posts) / WINDOW), args.data)
    rows: list[list[object]] = []
    first = 0
    for count in args.posts:
        start = time.perf_counter()
        most = resident(lines(found, count, args.different), count)
        rate = count / (time.perf_counter() - start)
        first = first or most
        rows.append([f"{count:,}", f"{most / 1e6:,.0f} MB", f"{most / first:.3f} times", f"{rate:,.0f}"])
    print_table(f"{origin}, {args.different} different of {WINDOW:,} lines", COLUMNS, rows, right=COLUMNS)


def lines(texts: Sequence[str], count: int, different: int) -> Iterator[bytes]:
    """Yield so many posts as JSON lines, of each WINDOW of them so many `different`, and others in the next."""
    for number in range(count):
        place = number // WINDOW * different + number % different
        post = {"id": number, "text": texts[place % len(texts)], "brand": BRAND}
        yield json.dumps(post).encode() + b"\n"


def resident(posts: Iterator[bytes], count: int) -> int:
    """Return the largest resident set, in bytes, of a `sentimon score` that judges these posts.

    Raises SentimonError where it fails, or does not answer all of them.
    """
    command = [sys.executable, "-c", "from monitor.cli import main; main(prog_name='sentimon')", "score"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    told: list[int] = []
    if process.stdin is None or process.stdout is None:
        raise SentimonError("sentimon score: no pipes")
    reader = threading.Thread(target=lambda out: told.append(sum(1 for _ in out)), args=(process.stdout,))
    reader.start()
    _feed(process.stdin, posts)
    reader.join()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for a process that is gone
    if process.returncode or told != [count]:
        raise SentimonError(f"sentimon score: exit status {process.returncode}, {told[0]} answers to {count} posts")
    return usage.ru_maxrss * UNIT


def _feed(pipe: IO[bytes], posts: Iterator[bytes]) -> None:
    try:
        with pipe:
            pipe.writelines(posts)
    except BrokenPipeError:
        pass  # it failed, which its exit status tells


if __name__ == "__main__":
    try:
        main()
    except SentimonError as error:
        sys.exit(f"benchmarks: {error}")
