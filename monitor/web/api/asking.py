"""What may be asked: the parameters that several addresses share, each with what it may be."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from db.desk import User, visible
from db.errors import InputError
from db.filters import POSTING, Filter
from db.labels import COUNTED_STAGES, PILLARS, REPLIES, SENTIMENTS, TOUCHPOINTS
from db.posts import NOT_RATED
from monitor.web.auth import need_scope
from monitor.web.site import Site
from monitor.web.trends.address import check, names

MOST = 500  # rows of an answer
MOST_NAMES = 50  # values of one parameter
NAME_LENGTH = 200
LARGEST_ID = 2**53 - 1  # that every reader of JSON takes


class OneOf:
    """Marks a text as one of a few words, in the check and in the OpenAPI document."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Tell pydantic."""
        return core_schema.literal_schema(list(self.words))


def _moment(value: Any) -> Any:
    """Read a day, or a time with or without its zone (then UTC); numbers are no times here."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if len(text) < 10 or text[4:5] != "-":
        raise ValueError("write a time as 2026-03-01 or 2026-03-01T15:00:00Z")
    text = text[:17] + text[17:19].replace("60", "59") + text[19:]  # a leap second counts as the one before
    try:
        time = datetime.fromisoformat(text.replace("z", "Z").replace("t", "T"))
    except ValueError:
        raise ValueError("write a time as 2026-03-01 or 2026-03-01T15:00:00Z") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _utc(time: datetime) -> datetime:
    """Bring it to UTC, and within the times at which posts can be."""
    first, last = POSTING
    try:
        return min(max(time.astimezone(UTC), first), last)
    except OverflowError:  # the first and the last hours of the calendar have no time in UTC
        return first if time.year < last.year else last


def _storable(text: str) -> str:
    """Refuse what the database cannot take: halves of a sign."""
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError("holds half a character: send UTF-8")
    return text


def _whole(value: Any) -> Any:
    """Take 3.0 for 3, as JSON does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, Field(ge=0, le=LARGEST_ID), BeforeValidator(_whole)]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    AfterValidator(_utc),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]},
    ),
]
Words = Annotated[str, AfterValidator(_storable)]
Name = Annotated[Words, Field(max_length=NAME_LENGTH)]
Names = Annotated[list[Name], Field(max_length=MOST_NAMES)]
Stages = Annotated[list[Annotated[str, OneOf(COUNTED_STAGES)]], Field(max_length=MOST_NAMES)]
Sentiments = Annotated[list[Annotated[str, OneOf((*SENTIMENTS, NOT_RATED))]], Field(max_length=MOST_NAMES)]
Feelings = Annotated[list[Annotated[str, OneOf(SENTIMENTS)]], Field(max_length=MOST_NAMES)]
Replies = Annotated[list[Annotated[str, OneOf(REPLIES)]], Field(max_length=MOST_NAMES)]
Pillars = Annotated[list[Annotated[str, OneOf(PILLARS)]], Field(max_length=MOST_NAMES)]
Touchpoints = Annotated[list[Annotated[str, OneOf(TOUCHPOINTS)]], Field(max_length=MOST_NAMES)]
Id = Annotated[int, Path(ge=1, le=LARGEST_ID, description="Its number.", examples=[1])]


def check_order(since: datetime | None, until: datetime | None) -> None:
    """Refuse a span that ends before it begins, as the pages do: no posts would be taken for an answer."""
    if since and until and since >= until:
        raise InputError("until: the span ends before it begins; take a later end")


def check_names(site: Site, user: User, brands: Sequence[str], sources: Sequence[str]) -> None:
    """Refuse a brand or a source that there is not for somebody, as the pages do: its posts would be told as none."""
    with site.store() as store:
        known = names(site, store, user)
    given = [("brand", name) for name in brands] + [("source", name) for name in sources]
    check([(kind, name.strip()) for kind, name in given], known)


Reader = Annotated[User, Depends(need_scope("read"))]
Worker = Annotated[User, Depends(need_scope("desk"))]


class Given(BaseModel):
    """The body of a request: nothing in it is guessed at, and nothing unknown overlooked."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Span(BaseModel):
    """Posts of a span of posting time, of brands, sources and stages; what is left out stands for all."""

    model_config = ConfigDict(frozen=True)

    since: Moment | None = Field(None, description="From this time on: a day, or a time; UTC unless it has a zone.")
    until: Moment | None = Field(None, description="Up to this time, exclusive.")
    brand: Names = Field([], description="Of this brand; may be repeated.")
    source: Names = Field([], description="Of this source (x, reddit, …); may be repeated.")
    stage: Stages = Field([], description="At this stage of the journey; may be repeated.")

    def filter(self, user: User) -> Filter:
        """Return the filter, narrowed to the brands that somebody may see."""
        check_order(self.since, self.until)
        brands = visible(user, self.brand)
        return Filter(self.since, self.until, brands, tuple(self.source), tuple(self.stage))
