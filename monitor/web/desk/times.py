"""Until when a post is laid aside: an hour, the next morning, the next Monday, or a date."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from db.errors import InputError

SNOOZES: Sequence[tuple[str, str]] = (("1h", "1 hour"), ("tomorrow", "Tomorrow 9:00"), ("monday", "Monday 9:00"))
MORNING = time(9)


def until(given: str, now: datetime, zone: str) -> datetime:
    """Return the time that a form means; mornings are those of the team's time zone, dates are UTC.

    Raises InputError for what is none. That it lies ahead is for the act to say.
    """
    if given == "1h":
        return now + timedelta(hours=1)
    here = now.astimezone(ZoneInfo(zone)).date()
    if given == "tomorrow":
        return _morning(here + timedelta(days=1), zone)
    if given == "monday":
        return _morning(here + timedelta(days=7 - here.weekday()), zone)
    try:
        found = datetime.fromisoformat(given)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InputError(f"until when? {given[:30]!r} is no time; write it as 2026-03-05T09:00") from None


def _morning(day: date, zone: str) -> datetime:
    return datetime.combine(day, MORNING, ZoneInfo(zone)).astimezone(UTC)
