"""What the soak ends with: the posts of the servers held against the database, and which differences are explained."""

import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.soak_platforms import Platform, Post
from db.coverage import COMPLETE
from db.records import Hour
from db.store import Store
from db.times import floor

HOUR = timedelta(hours=1)
MARK = re.compile(r"\bn(\d+)v(\d+)\b")


@dataclass
class Findings:
    """Of one source. All but `explained` and the counts before it must be empty."""

    name: str
    held: int = 0  # posts that the server holds and that name a brand
    stored: int = 0  # of them, with their newest text
    unseen: int = 0  # deleted before anything could be read
    explained: Counter[str] = field(default_factory=Counter)  # missing or outdated, by the cause that coverage tells
    missing: list[str] = field(default_factory=list)  # though coverage tells nothing
    outdated: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # deleted, and their text is still there
    lost: list[str] = field(default_factory=list)  # erased, though the platform shows them
    doubled: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)  # stored, though they name no brand or never were
    hours: Counter[str] = field(default_factory=Counter)
    idle: int = 0  # hours told partial or missing of which nothing is missing

    @property
    def wrong(self) -> Mapping[str, Sequence[str]]:
        """What nothing explains."""
        names = ("missing", "outdated", "kept", "lost", "doubled", "foreign")
        return {name: found for name in names if (found := getattr(self, name))}


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    text: str
    gone: bool


def check(
    platform: Platform, path: Path, read_at: Sequence[datetime], span: tuple[datetime, datetime], rechecked: bool
) -> Findings:
    """Hold what a platform was given in a span against what is stored.

    `read_at` says when all of the source was read, `rechecked` that every post was asked about since the last edit.
    """
    found = Findings(platform.name)
    hours = _hours(path, platform.name, span)
    found.hours.update(hour.state for hour in hours)
    told = {hour.start for hour in hours if hour.state != COMPLETE}
    if platform.beside:
        hours = _hours(path, platform.name, span, platform.beside)
    short = {hour.start: hour for hour in hours if hour.state != COMPLETE}
    rows = _rows(path, platform.name)
    marks: dict[int, list[Row]] = {}
    for row in rows.values():
        if mark := MARK.search(row.text):
            marks.setdefault(int(mark[1]), []).append(row)
    found.doubled += [f"{number}: {[row.id for row in same]}" for number, same in marks.items() if len(same) > 1]
    ids = {post.id: post for post in platform.posts}
    found.foreign += [id for id in rows if id not in ids or not ids[id].matches]
    needed: set[datetime] = set()
    for post in platform.posts:
        if not post.matches:
            continue
        if why := _differs(post, rows.get(post.id), read_at, found):
            hour = _explains(short, post)
            if hour is None and (rechecked or why in ("missing", "lost")):
                getattr(found, why).append(_described(post, rows.get(post.id)))
            elif hour is not None:
                found.explained[f"{why}: {hour.cause}"] += 1
                needed.add(hour.start)
    found.idle = len(told - needed)
    return found


def _hours(path: Path, source: str, span: tuple[datetime, datetime], but: str = "") -> Sequence[Hour]:
    """How far each hour was read; `but` names a stream that does not count."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        with closing(sqlite3.connect(path)) as theirs, closing(sqlite3.connect(copy)) as ours:
            theirs.backup(ours)
            for table in ("coverage", "coverage_hours"):
                ours.execute(f"DELETE FROM {table} WHERE source = ? AND stream = ?", (source, but))
            ours.commit()
        with Store(copy) as store:
            return store.sources.hours(source, span[0], span[1] - 2 * HOUR, span[1])  # the last is still being read


def _differs(post: Post, row: Row | None, read_at: Sequence[datetime], found: Findings) -> str | None:
    """Say what is wrong with a post, None where nothing is; count it."""
    if post.gone_at is None:
        found.held += 1
    if row is None:
        if post.gone_at is None or any(post.shown_at <= at < post.gone_at for at in read_at):
            return "missing"
        found.unseen += 1
        return None
    if post.gone_at is not None:
        return "kept" if not row.gone and post.followed else None
    if row.gone:
        return "lost"
    newest = MARK.search(row.text)
    if post.followed and (newest is None or not post.text.endswith(newest[0])):
        return "outdated"
    found.stored += 1
    return None


def _explains(short: Mapping[datetime, Hour], post: Post) -> Hour | None:
    """The hour of the post, its edit or its end that was not wholly read."""
    times = (post.at, post.edited_at, post.gone_at)
    return next((short[floor(at, HOUR)] for at in times if at and floor(at, HOUR) in short), None)


def _described(post: Post, row: Row | None) -> str:
    times = {"at": post.at, "shown": post.shown_at, "edited": post.edited_at, "gone": post.gone_at}
    told = ", ".join(f"{name} {at:%d %H:%M:%S}" for name, at in times.items() if at)
    return f"{post.id} {post.text[-40:]!r} ({told}); stored: {row and row.text[-30:]!r}"


def _rows(path: Path, source: str) -> dict[str, Row]:
    db = sqlite3.connect(path)
    try:
        sql = "SELECT source_id, text, gone_at IS NOT NULL FROM mentions WHERE source = ?"
        return {id: Row(id, text, bool(gone)) for id, text, gone in db.execute(sql, (source,))}
    finally:
        db.close()
