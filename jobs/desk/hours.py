"""Business time: when an answer is due, and how long somebody had to wait while anybody was there.

A day's hours begin on that day and end on the same day, or on the next where they pass midnight. They are told by the
clocks of the place, and lengths are measured in real time: a night in which the clocks are changed is shorter, or
longer.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from db.errors import InputError

DAY = timedelta(days=1)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FARTHEST = timedelta(days=366 * 30)  # within which there is a day that is no holiday
TARGETS: Mapping[str, str] = {"urgent": "30m", "high": "2h", "normal": "8h", "low": "3d"}  # where nothing else is said
UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}


@dataclass(frozen=True)
class Hours:
    """When the team is there. `days` counts from Monday, 0; on `holidays` nobody is.

    Where `opens` is `closes`, it is there round the clock from then on.
    """

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    opens: time = time(9)
    closes: time = time(17)
    days: frozenset[int] = frozenset(range(5))
    holidays: Container[date] = frozenset()

    @property
    def length(self) -> timedelta:
        """How long a usual day is."""
        today = datetime.combine(date(2000, 1, 3), self.closes) - datetime.combine(date(2000, 1, 3), self.opens)
        return today if today > timedelta(0) else today + DAY

    def spans(self, since: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the spans in which somebody is there, in UTC, from the one on that has not ended by a time."""
        day = since.astimezone(self.zone).date() - 2 * DAY  # hours that began yesterday may go on today
        last = day + FARTHEST
        while day < last:
            if day.weekday() in self.days and day not in self.holidays:
                end = day if self.opens < self.closes else day + DAY
                opens, closes = self._at(day, self.opens), self._at(end, self.closes)
                if opens < closes and closes > since:
                    yield opens, closes
            day += DAY

    def _at(self, day: date, clock: time) -> datetime:
        # A time that the clocks skip is taken as if they had not been changed yet; of one that comes twice, the first.
        return datetime.combine(day, clock, self.zone).astimezone(UTC)


def due(received: datetime, target: timedelta, hours: Hours) -> datetime:
    """Return the first moment, in UTC, by which `target` of business time has passed since a post was received."""
    left = target
    if left <= timedelta(0):
        return received.astimezone(UTC)
    for opens, closes in hours.spans(received):
        begins = max(opens, received.astimezone(UTC))
        if left <= closes - begins:
            return begins + left
        left -= closes - begins
    raise InputError("the business hours have no day on which anybody is there")


def working(since: datetime, until: datetime, hours: Hours) -> timedelta:
    """Return how much business time lies between two moments, none where the second is not later."""
    total = timedelta(0)
    if until <= since:
        return total
    for opens, closes in hours.spans(since):
        if opens >= until:
            break
        total += min(closes, until) - max(opens, since)
    return total


def targets(written: Mapping[str, str], hours: Hours) -> Mapping[str, timedelta]:
    """Return how soon each level is to be answered; a "d" is a day of work, as long as the business hours of a day."""
    return {level: _span(written.get(level, usual), hours) for level, usual in TARGETS.items()}


def _span(text: str, hours: Hours) -> timedelta:
    return int(text[:-1]) * (hours.length if text[-1] == "d" else UNITS[text[-1]])


def holidays_of(place: str) -> Container[date]:
    """Return the holidays of a country ("DE") or of a part of one ("DE-BY"), for any year.

    Raises ValueError where none are known.
    """
    import holidays

    country, _, part = place.partition("-")
    try:
        return holidays.country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        raise ValueError(
            f'no holidays are known of {place[:30]!r}; give a country or a part of one, for example "DE" or "US-CA"'
        ) from None
