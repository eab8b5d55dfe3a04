"""The posts that everything is measured with: those of the demo."""

import csv
import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

START = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = ("id", "source", "author", "created_at", "text", "followers", "likes", "reposts", "replies")


def texts() -> list[str]:
    """All different posts of the demo."""
    return list(dict.fromkeys(str(row["text"]) for row in _rows()))


def write_csv(path: Path, count: int) -> None:
    """Write so many posts, each with an id of its own."""
    rows = _rows()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for number in range(count):
            when = START + timedelta(seconds=20 * number)
            writer.writerow({**rows[number % len(rows)], "id": f"b{number}", "created_at": when.isoformat()})


def _rows() -> list[dict[str, object]]:
    text = resources.files("monitor").joinpath("demo", "posts.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]
