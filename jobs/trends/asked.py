"""What is asked of the trends: a span of time, brands, sources, stages, steps, and what to compare with.

The address of a page holds the question, so that a link keeps it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote_plus, urlencode

from db.errors import InputError
from db.filters import Filter
from db.labels import COUNTED_STAGES
from db.times import floor, to_text

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
STEPS: Mapping[str, timedelta] = {"hour": HOUR, "day": DAY, "week": WEEK}
AGAINST = ("previous", "year", "custom", "nothing")
DAYS = 28  # unless another span is asked for: whole weeks compare with whole weeks
LONGEST = timedelta(days=3660)
MOST_STEPS = 540  # ten years of weeks
MOST_NAMES = 50  # brands or sources in one question


@dataclass(frozen=True, slots=True)
class Span:
    """From a time (inclusive) to another (exclusive), both whole hours in UTC."""

    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.until - self.since


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. Empty brands are the own ones, empty sources and stages all.

    `span` ends with the hour that is going on, however late it was asked for: the span it is compared with is as long.
    `days` is set where the question goes along with time; `asked_until` is what the address says, where `span` ends
    sooner.
    """

    span: Span
    step: str  # "hour", "day" or "week", which begins on Monday
    brands: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    against: str = "previous"  # one of AGAINST
    before: Span | None = None  # what it is compared with
    days: int | None = None
    step_asked: bool = False
    asked_until: datetime | None = None

    @property
    def since(self) -> datetime:
        """From when on."""
        return self.span.since

    @property
    def until(self) -> datetime:
        """Up to when, exclusive."""
        return self.span.until

    def steps(self, span: Span | None = None) -> list[Span]:
        """Cut a span (the one asked for) into steps; the first and the last may be shorter."""
        span = span or self.span
        edges = [span.since]
        while (edge := _next(edges[-1], self.step)) < span.until:
            edges.append(edge)
        return [Span(a, b) for a, b in zip(edges, [*edges[1:], span.until], strict=True)]

    def posts(self, span: Span | None = None) -> Filter:
        """Return the filter that opens the posts behind a number; `narrowed` (jobs/trends/parts.py) narrows it."""
        span = span or self.span
        return Filter(span.since, span.until, self.brands, self.sources, self.stages)

    def of(self, brands: Sequence[str]) -> "Question":
        """Return the same question about these brands."""
        return replace(self, brands=tuple(brands))

    def to_query(self, **other: str | Iterable[str] | None) -> str:
        """Write it as the part of an address behind the question mark; `other` sets or (None) removes parameters."""
        given: dict[str, list[str]] = {}
        if self.days:
            given["days"] = [str(self.days)] if self.days != DAYS else []
        else:
            given |= {"since": [_short(self.since)], "until": [_short(self.asked_until or self.until)]}
        given |= {"brand": list(self.brands), "source": list(self.sources), "stage": list(self.stages)}
        given["step"] = [self.step] if self.step_asked else []
        given["against"] = [self.against] if self.against != "previous" else []
        if self.against == "custom" and self.before:
            given |= {"before_since": [_short(self.before.since)], "before_until": [_short(self.before.until)]}
        for name, value in other.items():
            given[name] = [] if value is None else [value] if isinstance(value, str) else list(value)
        return urlencode([(name, value) for name, values in given.items() for value in values])


def parse(values: Mapping[str, Sequence[str]], now: datetime) -> Question:
    """Read a question from the parameters of an address.

    `days` (28), or `since` and `until` (exclusive) as 2026-03-01 or 2026-03-01T15; `brand`, `source` and `stage` any
    number of times; `step`; `against` with `before_since` and `before_until` where it is "custom". Others are not
    looked at. Raises InputError where one of these makes no sense.
    """
    end = floor(now, HOUR) + HOUR
    days = None
    if _one(values, "since") or _one(values, "until"):
        asked = Span(_moment(values, "since"), _moment(values, "until", floor(now, DAY) + DAY))
    else:
        days = _whole(_one(values, "days") or str(DAYS))
        asked = Span(floor(now, DAY) - (days - 1) * DAY, floor(now, DAY) + DAY)
    _check(asked, "since", "until")
    if asked.since >= end:
        raise InputError(f"since: {_short(asked.since)} is yet to come; choose a time before now")
    span = Span(asked.since, min(asked.until, end))
    against = _among(_one(values, "against") or "previous", "against", AGAINST)
    step = _one(values, "step")
    question = Question(
        span,
        _among(step, "step", tuple(STEPS)) if step else step_for(span),
        _names(values, "brand"),
        _names(values, "source"),
        tuple(_among(stage, "stage", COUNTED_STAGES) for stage in _names(values, "stage")),
        against,
        _before(values, against, span, asked),
        days,
        bool(step),
        asked.until if span != asked else None,
    )
    check_steps(question.step, span, f"{span.length.days} days")
    return question


def check_steps(step: str, span: Span, said: str) -> None:
    """Raise InputError where a span has too many steps to be cut into them; `said` is the span in words."""
    if span.length / STEPS[step] > MOST_STEPS:
        raise InputError(f"step: {step}s are too many in {said}; choose a longer step")


@lru_cache(maxsize=4_096)  # charts write hundreds of addresses, and most of them were written before
def query_of(chosen: Filter) -> str:
    """Write a filter of posts as the part of an address behind the question mark, for the page that lists posts."""
    given: list[tuple[str, Sequence[str]]] = [
        ("since", [_short(chosen.since)] if chosen.since else []),
        ("until", [_short(chosen.until)] if chosen.until else []),
        ("brand", chosen.brands),
        ("source", chosen.sources),
        ("stage", chosen.stages),
        ("sentiment", chosen.sentiments),
        ("reply", chosen.replies),
        ("pillar", chosen.pillars),
        ("touchpoint", chosen.touchpoints),
    ]
    return "&".join(f"{name}={quote_plus(value)}" for name, names in given for value in names)


def step_for(span: Span) -> str:
    """Choose how long a step is: some dozens of them can be told apart."""
    return "hour" if span.length <= 3 * DAY else "day" if span.length <= 120 * DAY else "week"


def _before(values: Mapping[str, Sequence[str]], against: str, span: Span, asked: Span) -> Span | None:
    """Return what the span is compared with, no longer than what of it is over."""
    if against == "nothing":
        return None
    if against == "custom":
        other = Span(_moment(values, "before_since"), _moment(values, "before_until"))
        _check(other, "before_since", "before_until")
        return other
    # 52 weeks: the same days of the week, as weekends are unlike other days.
    shift = asked.length if against == "previous" else 52 * WEEK
    return Span(span.since - shift, span.until - shift)


def _check(span: Span, since: str, until: str) -> None:
    if span.since >= span.until:
        raise InputError(f"{until}: {_short(span.until)} is not after {since}, {_short(span.since)}")
    if span.length > LONGEST:
        raise InputError(f"{since}: the span is longer than ten years; choose a later time")


def _next(time: datetime, step: str) -> datetime:
    if step == "week":
        return floor(time, DAY) + (7 - time.weekday()) * DAY
    return floor(time, STEPS[step]) + STEPS[step]


def _one(values: Mapping[str, Sequence[str]], name: str) -> str:
    """Return the last value that was given; a form sends empty ones too."""
    return next((value.strip() for value in reversed(values.get(name, ())) if value.strip()), "")


def _names(values: Mapping[str, Sequence[str]], name: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(value.strip() for value in values.get(name, ()) if value.strip()))
    if len(names) > MOST_NAMES:
        raise InputError(f"{name}: {len(names)} are too many; choose {MOST_NAMES} at most")
    if any(len(one) > 200 or not one.isprintable() for one in names):
        raise InputError(f"{name}: this is no name; choose one from the list")
    return names


def _among(value: str, name: str, known: Sequence[str]) -> str:
    if value not in known:
        raise InputError(f"{name}: there is no {_shown(value)}; choose one of {', '.join(known)}")
    return value


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= LONGEST.days):
        raise InputError(f"days: {_shown(text)} is no number of days; choose one from 1 to {LONGEST.days}")
    return int(text)


def _moment(values: Mapping[str, Sequence[str]], name: str, default: datetime | None = None) -> datetime:
    text = _one(values, name)
    if not text and default:
        return default
    try:
        time = datetime.fromisoformat(text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        if not 1990 <= time.year <= 2200:
            raise ValueError
    except (ValueError, OverflowError):
        shown = _shown(text) if text else "nothing"
        raise InputError(f"{name}: {shown} is no time; write it as 2026-03-01 or 2026-03-01T15") from None
    return floor(time, HOUR)


def _short(time: datetime) -> str:
    """Write a day as such, other hours with their time."""
    time = time.astimezone(UTC)
    return time.strftime("%Y-%m-%d") if time == floor(time, DAY) else to_text(time)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 30 else text[:30] + "…")
