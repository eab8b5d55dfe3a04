"""A source and a channel for sentimon: notes that people leave in a folder, and alerts appended to a file."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from db.errors import DeliveryFailed, SourceUnavailable
from db.records import Batch, Mention, Position
from jobs.channel import Message
from jobs.collector import Meter
from monitor.plugins import Brand, ChannelKind, CollectorKind, RegisterChannel, RegisterCollector, hookimpl

BATCH = 100  # posts stored in one transaction


class NotesOptions(BaseModel, extra="forbid"):
    """What a [[sources]] entry of this kind can say."""

    folder: Path  # an option that is a Path is meant from the folder of sentimon.toml


class NotesCollector:
    """Reads each *.txt file as one post, made when the file was last changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def streams(self) -> Sequence[str]:
        return ("notes",)

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        # The cursor is whatever the collector makes of it: here, when the newest note was changed.
        since = int(position.cursor or 0)
        until = int(now.timestamp() * 1_000_000_000)  # a note from the future would hide those before it
        try:
            found = sorted((path.stat().st_mtime_ns, path) for path in self._folder.iterdir() if path.suffix == ".txt")
            notes = [(changed, path) for changed, path in found if since <= changed <= until]
            while notes:
                some, notes = notes[:BATCH], notes[BATCH:]
                posts = [self._post(path, changed, now) for changed, path in some]
                # Only the last batch moves the cursor. A crash before it reads again, and stores nothing twice.
                yield Batch(posts, cursor=None if notes else str(some[-1][0]), fetched=len(posts))
        except OSError as error:
            raise SourceUnavailable(f"{self._folder} cannot be read: {error.strerror}") from error

    def _post(self, path: Path, changed: int, now: datetime) -> Mention:
        return Mention(
            source="notes",
            source_id=path.stem,
            author=None,
            text=path.read_text(encoding="utf-8", errors="replace"),
            created_at=datetime.fromtimestamp(changed // 1_000_000_000, UTC),
            collected_at=now,
        )


def build_collector(options: NotesOptions, brands: Sequence[Brand]) -> NotesCollector:
    """Make the collector. Nothing is read yet."""
    return NotesCollector(options.folder)


def explain(options: NotesOptions, brands: Sequence[Brand]) -> Sequence[str]:
    """Say for `sentimon check` what each stream reads."""
    return (f"notes: every *.txt in {options.folder}, matched here",)


@hookimpl
def register_collectors(register: RegisterCollector) -> None:
    """Offer the source kind "notes"."""
    register(CollectorKind("notes", NotesOptions, build_collector, explain))


class LogfileOptions(BaseModel, extra="forbid"):
    """What a [[channels]] entry of this kind can say."""

    path: Path


class LogfileChannel:
    """Appends each notification to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, message: Message) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"[{message.key}] {message.title}\n{message.body}\n\n")
        except OSError as error:
            raise DeliveryFailed(f"{self._path} cannot be written: {error.strerror}") from error


def build_channel(options: LogfileOptions) -> LogfileChannel:
    """Make the channel. Nothing is sent yet."""
    return LogfileChannel(options.path)


@hookimpl
def register_channels(register: RegisterChannel) -> None:
    """Offer the channel kind "logfile"."""
    register(ChannelKind("logfile", LogfileOptions, build_channel))
