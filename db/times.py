"""Times as the database keeps them: UTC, ISO 8601, to the second, so that text sorts as time does."""

from datetime import UTC, datetime, timedelta

FIVE_MINUTES = timedelta(minutes=5)


def to_text(time: datetime) -> str:
    """Write an aware time."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def to_text_or_none(time: datetime | None) -> str | None:
    """Write a time that may be missing."""
    return None if time is None else to_text(time)


def from_text(text: str) -> datetime:
    """Read a time written by to_text."""
    return datetime.fromisoformat(text)


def from_text_or_none(text: str | None) -> datetime | None:
    """Read a time that may be missing."""
    return None if text is None else from_text(text)


def monday(time: datetime) -> datetime:
    """Return the midnight (UTC) with which the week of a time began."""
    midnight = floor(time, timedelta(days=1))
    return midnight - timedelta(days=midnight.weekday())


def floor(time: datetime, step: timedelta) -> datetime:
    """Round down to a whole multiple of step since midnight UTC."""
    midnight = time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (time - midnight) // step * step
