"""The sections of sentimon.toml as they are written, and what their values must be like."""

import re
from collections.abc import Mapping
from datetime import time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from db.records import NO_BRAND, RULES
from jobs.decide import Policy
from jobs.desk.hours import DAYS, Hours, holidays_of, targets
from jobs.outlet import DigestTime
from models.urgent import Urgent, shipped_lists, word_list

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
OLDEST_DAYS = 3650
OWN_WORDS = "own words"
SHORTEST, LONGEST = timedelta(seconds=30), timedelta(days=365)


def _named(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError("must not be empty")
    if len(text) > 60:
        raise ValueError(f"must not be longer than 60 characters (this one has {len(text)})")
    if not text.isprintable():
        raise ValueError("must not hold line breaks or control characters")
    if text == NO_BRAND:
        raise ValueError(f"{NO_BRAND} is taken: posts without a brand are counted under it")
    return text


def _interval(text: str) -> str:
    found = re.fullmatch(r"([0-9]{1,9})\s*([smhd])", text.strip())
    if not found:
        raise ValueError('should be a number and a unit (s, m, h or d), for example "5m"')
    if not SHORTEST <= timedelta(seconds=int(found[1]) * SECONDS[found[2]]) <= LONGEST:
        raise ValueError("should be at least 30s and at most 365d")
    return found[1] + found[2]


def _age(text: str) -> str:
    found = re.fullmatch(r"([0-9]{1,4})\s*d", text.strip())
    if not found or not 1 <= int(found[1]) <= OLDEST_DAYS:
        raise ValueError(f'should be a number of days from 1 to {OLDEST_DAYS}, for example "30d"')
    return f"{int(found[1])}d"


def _age_or_off(text: str) -> str:
    return "off" if text.strip() == "off" else _age(text)


def _handles(accounts: Mapping[str, str]) -> dict[str, str]:
    handles = {platform.strip().lower(): handle.strip().removeprefix("@") for platform, handle in accounts.items()}
    for platform, handle in handles.items():
        if not handle:
            raise ValueError(f"the account on {platform} is empty")
    return handles


def span_of(text: str) -> timedelta:
    """Return how long "5m" is."""
    return timedelta(seconds=int(text[:-1]) * SECONDS[text[-1]])


def _rules(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in RULES:
            raise ValueError(f"there is no rule {name!r}; there are: {', '.join(RULES)}")
    return names


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'there is no time zone {name!r}; write it as in "Europe/Berlin"') from None
    return name


def _clock(text: str) -> str:
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError('should be a time of day such as "08:00"')
    return text


def _open_hours(text: str) -> str:
    if re.fullmatch(r"\s*00:00\s*-\s*(24|00):00\s*", text):  # round the clock
        return "00:00-00:00"
    try:
        return _hours(text)
    except ValueError:
        raise ValueError('should be from when to when, for example "09:00-17:00", or "00:00-24:00"') from None


def _hours(text: str) -> str:
    begin, dash, end = (part.strip() for part in text.partition("-"))
    try:
        right = bool(dash) and _clock(begin) != _clock(end)
    except ValueError:
        right = False
    if not right:
        raise ValueError('should be from when to when, for example "22:00-07:00"')
    return f"{begin}-{end}"


def _holidays(text: str) -> str:
    holidays_of(text)
    return text


def _address(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s?#]+", text):
        raise ValueError('should be where the pages are seen from outside, for example "https://desk.example"')
    return text.rstrip("/")


def _issuer(text: str) -> str:
    if not re.fullmatch(r"https://[^\s?#]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?(/[^\s?#]*)?", text):
        raise ValueError('should be the address of the provider, for example "https://login.example"')
    return text


def _words(queries: tuple[str, ...]) -> tuple[str, ...]:
    word_list(OWN_WORDS, queries)
    return queries


def _language(code: str) -> str:
    if not re.fullmatch("[A-Za-z]{2,3}", code):
        raise ValueError('should be a language code such as "en"')
    return code.lower()


Name = Annotated[str, AfterValidator(_named)]
Interval = Annotated[str, AfterValidator(_interval)]
Rules = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_rules)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BrandSection(_Section):
    """A [[brands]] entry as written."""

    name: Name
    query: str
    hide: str | None = None
    role: Literal["own", "competitor"] = "own"
    accounts: Annotated[dict[str, str], AfterValidator(_handles)] = {}
    threshold: Annotated[float, Field(gt=0, le=300)] | None = None
    minimum: Annotated[int, Field(ge=1)] | None = None


class SourceSection(_Section):
    """What every [[sources]] entry can hold; the kind brings the other keys."""

    kind: Name
    name: Name | None = None
    every: Interval = "5m"
    recheck: Annotated[str, AfterValidator(_age_or_off)] = "30d"
    keep: Annotated[str, AfterValidator(_age)] | None = None


class ChannelSection(_Section):
    """What every [[channels]] entry can hold; the kind brings the other keys."""

    kind: Name = "apprise"
    name: Name | None = None
    alerts: bool = True
    severity: Literal["warning", "high", "critical"] = "warning"
    brands: Annotated[tuple[str, ...], Field(strict=False)] = ()
    rules: Rules = ()
    quiet: Annotated[str, AfterValidator(_hours)] | None = None
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    cooldown: Interval = "1h"
    repeat: Interval | None = None
    escalate_after: Interval | None = None
    digest: Literal["daily", "weekly"] | None = None
    digest_at: Annotated[str, AfterValidator(_clock)] = "08:00"

    @property
    def policy(self) -> Policy:
        """What the channel wants to hear, and when."""
        begin, _, end = (self.quiet or "").partition("-")
        return Policy(
            alerts=self.alerts,
            severity=self.severity,
            brands=self.brands,
            rules=self.rules,
            quiet=(time.fromisoformat(begin), time.fromisoformat(end)) if self.quiet else None,
            zone=ZoneInfo(self.timezone),
            cooldown=span_of(self.cooldown),
            repeat=span_of(self.repeat) if self.repeat else None,
            escalate_after=span_of(self.escalate_after) if self.escalate_after else None,
        )

    @property
    def digest_time(self) -> DigestTime | None:
        """When it gets a digest."""
        at = time.fromisoformat(self.digest_at)
        return DigestTime(self.digest, at, ZoneInfo(self.timezone)) if self.digest else None


class ModelConfig(_Section):
    """The sentiment model. `languages` is None where it rates every language."""

    name: Annotated[str, Field(min_length=1)] = "bundled"
    labels: dict[str, Literal["negative", "neutral", "positive"]] | None = None
    languages: Annotated[
        tuple[Annotated[str, AfterValidator(_language)], ...] | None, Field(strict=False, min_length=1)
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _bundled_is_english(cls, values: Any) -> Any:
        if values.get("name", "bundled") != "bundled":
            return values
        if "labels" in values:
            raise ValueError("labels is for other models; the bundled one needs none")
        return {"languages": ["en"], **values}


class AlertsConfig(_Section):
    """What becomes an alert."""

    threshold: Annotated[float, Field(gt=0, le=300)] = 4.0
    minimum: Annotated[int, Field(ge=1)] = 5
    rules: Rules = RULES
    competitors: bool = False
    stale_after: Interval = "1h"
    followers: Annotated[int, Field(ge=1)] = 50_000
    shares: Annotated[int, Field(ge=1)] = 500
    words: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_words)] = ()
    shipped_words: bool = True
    newsrooms: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @property
    def urgent(self) -> Urgent:
        """What makes a single post matter."""
        shipped = shipped_lists() if self.shipped_words else {}
        own = {OWN_WORDS: word_list(OWN_WORDS, self.words)} if self.words else {}
        handles = frozenset(handle.strip().casefold().lstrip("@") for handle in self.newsrooms)
        return Urgent(self.followers, self.shares, {**shipped, **own}, handles)


class OidcConfig(_Section):
    """[web.oidc]: a provider of OpenID Connect with which people log in."""

    issuer: Annotated[str, AfterValidator(_issuer)]
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: Annotated[str | None, Field(min_length=1, repr=False)]  # None: not there
    role: Literal["viewer", "responder", "approver", "admin"] | None = None  # of newcomers; None: there are none
    name: Annotated[str, Field(min_length=1, max_length=40)] = "single sign-on"  # on the button


class WebConfig(_Section):
    """Where the pages are served, and how people log in."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8420
    url: Annotated[str, AfterValidator(_address)] | None = None
    session: Interval = "12h"  # how long somebody who does nothing stays logged in
    oidc: OidcConfig | None = None


class DeskConfig(_Section):
    """How the team works: when it is there, how soon it answers, who looks at replies before they are sent."""

    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    hours: Annotated[str, AfterValidator(_open_hours)] = "09:00-17:00"
    days: Annotated[
        tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...], Field(strict=False, min_length=1)
    ] = (
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
    )
    holidays: Annotated[str, AfterValidator(_holidays)] | None = None  # a country, or a part of one: "DE", "US-CA"
    targets: dict[Literal["urgent", "high", "normal", "low"], Interval] = {}  # within business hours
    lease: Interval = "10m"
    approval: bool = False
    survey: Literal["csat", "ces"] | None = None

    @property
    def business(self) -> Hours:
        """When the team is there."""
        begin, _, end = self.hours.partition("-")
        return Hours(
            zone=ZoneInfo(self.timezone),
            opens=time.fromisoformat(begin),
            closes=time.fromisoformat(end),
            days=frozenset(map(DAYS.index, self.days)),
            holidays=holidays_of(self.holidays) if self.holidays else frozenset(),
        )

    @property
    def within(self) -> Mapping[str, timedelta]:
        """How soon each level is to be answered, in business time."""
        return targets(dict(self.targets.items()), self.business)


class FileSection(_Section):
    """The keys at the top of the file. The sections are read one by one, so that errors can name the entry."""

    database: Annotated[str, Field(min_length=1)] = "sentimon.db"
    monthly_budget: Annotated[float, Field(ge=0)] | None = None
    brands: Any = ()
    sources: Any = ()
    channels: Any = ()
    model: Any = {}
    alerts: Any = {}
    web: Any = {}
    desk: Any = {}
