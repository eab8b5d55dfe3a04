"""Measure scoring, import and detection, and print one table: `make bench`, some two minutes on two cores."""

import os
import sys
import time

from benchmarks import detection, importing, scoring
from benchmarks.table import write
from db.errors import SentimonError
from monitor.cli.output import print_table


def main() -> None:
    """Run everything, each ratio within one run on one machine."""
    start = time.perf_counter()
    lines = [*scoring.measure(), *importing.measure(), *detection.measure()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    title = f"{cores} cores, {time.perf_counter() - start:.0f} s"
    print_table(title, ["what", "measured", "", "beside"], write(lines), right=["measured"])


if __name__ == "__main__":
    try:
        main()
    except SentimonError as error:
        sys.exit(f"benchmarks: {error}")
