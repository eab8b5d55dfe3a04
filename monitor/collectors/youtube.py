"""YouTube: comments on a channel's videos, on single videos and, if wished, on the videos that a search finds."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from db.errors import InputError, SourceUnavailable
from db.records import Batch, Checked, Position
from jobs.collector import Collector, Meter
from monitor.collectors.addresses import secret_address
from monitor.collectors.youtube_parse import ids_of, mention_of, read_comments
from monitor.collectors.youtube_read import Mark, Rest, begin, parsed, read
from monitor.collectors.youtube_search import SEARCH_EVERY, collect_found, youtube_query
from monitor.plugins import Brand, CollectorKind, RegisterCollector, hookimpl

if TYPE_CHECKING:
    from monitor.collectors.youtube_api import Api

log = logging.getLogger(__name__)

LONGEST_IDS = 1500  # characters: the client turns a request with a long address into another kind of request

_CHANNEL = re.compile(r"(?:https?://(?:www\.|m\.)?youtube\.com/channel/)?(UC[\w-]{22})/?", re.ASCII)
_VIDEO = re.compile(
    r"(?:https?://(?:(?:www\.|m\.)?youtube\.com/(?:watch\?v=|shorts/|live/)|youtu\.be/))?([\w-]{11})(?:[?&]\S*)?",
    re.ASCII,
)
# Comments are Ug… in 26 letters, those of years ago z… in small letters and digits; replies have a dot and more.
_COMMENT = re.compile(r"(?:Ug[\w-]{12,}|z[0-9a-z]{20,})(?:\.[\w-]+)?", re.ASCII)


def _channels(names: list[str]) -> list[str]:
    return _each(names, _CHANNEL, "the id of a channel: UC and 22 letters (its page, About, Share, Copy channel ID)")


def _videos(names: list[str]) -> list[str]:
    return _each(names, _VIDEO, "a video: its address, or the 11 letters after v=")


def _each(names: list[str], form: re.Pattern[str], what: str) -> list[str]:
    found: dict[str, None] = {}
    for name in names:
        match = form.fullmatch(name.strip())
        if not match:
            raise ValueError(f"{name!r} is not {what}")
        found[match[1]] = None
    return list(found)


def _key(key: SecretStr) -> SecretStr:
    word = key.get_secret_value().strip()
    if not re.fullmatch(r"[!-~]+", word):
        raise ValueError("give the API key: one word without spaces")
    return SecretStr(word)


class YouTubeOptions(BaseModel, extra="forbid", hide_input_in_errors=True):
    """The options of a source of kind "youtube"."""

    api_key: Annotated[SecretStr, AfterValidator(_key)]
    channels: Annotated[list[str], AfterValidator(_channels)] = []
    videos: Annotated[list[str], AfterValidator(_videos)] = []
    search: bool = False
    daily_units: Annotated[int, Field(ge=1)] = 10_000
    overlap: Annotated[int, Field(ge=0, le=43_200)] = 1440  # minutes
    api_url: Annotated[str, AfterValidator(secret_address)] = "https://youtube.googleapis.com"
    timeout: Annotated[float, Field(gt=0, le=300)] = 15  # seconds

    @model_validator(mode="after")
    def _something_to_read(self) -> Self:
        if not (self.channels or self.videos or self.search):
            raise ValueError("name channels or videos, or set search = true")
        return self


class YouTubeCollector:
    """Reads threads, newest first, and their replies; the collect job matches what was read."""

    platform = "youtube"
    check_size = 50

    def __init__(self, options: YouTubeOptions, brands: Sequence[Brand]) -> None:
        self._options = options
        self._overlap = timedelta(minutes=options.overlap)
        self._places = {f"channel:{each}": {"allThreadsRelatedToChannelId": each} for each in options.channels}
        self._places |= {f"video:{each}": {"videoId": each} for each in options.videos}
        self._queries = {f"search:{brand.name}": youtube_query(brand.query) for brand in brands if options.search}

    def streams(self) -> Sequence[str]:
        return (*self._places, *self._queries)

    def explain(self) -> Sequence[str]:
        hours = int(SEARCH_EVERY.total_seconds() // 3600)
        return (
            *(f"{place}: all comments, matched here; 1 unit a page" for place in self._places),
            *(f"{stream}: videos by {q}; 100 units every {hours} h" for stream, q in self._queries.items()),
        )

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        """First the rest of an interrupted run, then what is new."""
        if stream in self._queries:
            with self._api(meter, now) as api:
                yield from collect_found(api, stream, self._queries[stream], self._overlap, position, now)
            return
        with self._api(meter, now) as api:
            rest = parsed(Rest, position.resume, stream)
            mark = parsed(Mark, position.cursor, stream) or Mark()
            if rest is not None:
                for batch, _ in self._read(api, stream, rest, now):
                    yield replace(batch, resume=rest.model_dump_json())
                mark = rest.mark(now)
            rest = begin(mark, self._overlap, now)
            for batch, last in self._read(api, stream, rest, now):
                if last:
                    yield replace(batch, cursor=rest.mark(now).model_dump_json())
                else:
                    yield replace(batch, resume=rest.model_dump_json())

    def oldest(self, stream: str, now: datetime) -> datetime | None:
        """All comments on a channel or video are given; what a search would have found is not."""
        return now if stream in self._queries else None

    def history(
        self, stream: str, since: datetime, until: datetime, resume: str | None, meter: Meter, now: datetime
    ) -> Iterator[Batch]:
        """Page back to `since`: also through what is newer than `until`, since YouTube can be asked in no other way."""
        if stream in self._queries:
            raise SourceUnavailable(f"YouTube: the past of {stream} cannot be read, name its videos in `videos`")
        rest = parsed(Rest, resume, stream) or Rest(stop=since)
        with self._api(meter, now) as api:
            for batch, last in self._read(api, stream, rest, now, until):
                mentions = [each for each in batch.mentions if since <= each.created_at < until]
                cursor, further = ("read", None) if last else (None, rest.model_dump_json())
                yield replace(batch, mentions=mentions, cursor=cursor, resume=further)

    def _read(
        self, api: "Api", stream: str, rest: Rest, now: datetime, until: datetime | None = None
    ) -> Iterator[tuple[Batch, bool]]:
        from monitor.collectors.youtube_api import CommentsOff

        if stream not in self._places:
            raise InputError(f"the source has no stream {stream!r}")
        try:
            yield from read(api, stream, self._places[stream], rest, now, until)
        except CommentsOff:
            log.warning("YouTube: %s has nothing to read: comments are turned off there", stream)
            yield Batch(()), True

    def check(self, ids: Sequence[str], resume: str | None, meter: Meter, now: datetime) -> Checked:
        """Ask which comments are still there, and what they say now."""
        gone: list[str] = []
        seen = []
        asked = [each for each in ids if _COMMENT.fullmatch(each)]  # others were imported
        with self._api(meter, now) as api:
            for some in _portions(asked):
                there = self._ask(api, some)
                known = ids_of(there)
                gone += [each for each in some if each not in known]
                seen += [mention_of(each, None, None, now) for each in read_comments(there)]
        return Checked(gone=gone, seen=[each for each in seen if each])

    def _ask(self, api: "Api", ids: Sequence[str]) -> Sequence[object]:
        """The comments that are there. YouTube may refuse all for one that is not: then half are asked for."""
        from monitor.collectors.youtube_api import NotThere

        try:
            page = api.comments(ids)
            if page.next is not None and not page.items:  # what was asked for by id has no pages: this is no answer
                raise SourceUnavailable("YouTube sent an empty page in place of comments; the next run tries again")
            return page.items
        except NotThere:
            if len(ids) == 1:
                return ()
            half = len(ids) // 2
            return [*self._ask(api, ids[:half]), *self._ask(api, ids[half:])]

    def _api(self, meter: Meter, now: datetime) -> "Api":
        from monitor.collectors.youtube_api import Api

        options = self._options
        key = options.api_key.get_secret_value()
        return Api(options.api_url, key, options.timeout, meter, options.daily_units, now)


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Divide ids so that no request grows too long."""
    some: list[str] = []
    for each in ids:
        if some and sum(len(one) + 3 for one in some) + len(each) > LONGEST_IDS:
            yield some
            some = []
        some.append(each)
    if some:
        yield some


def build(options: YouTubeOptions, brands: Sequence[Brand]) -> Collector:
    return YouTubeCollector(options, brands)


def explain(options: YouTubeOptions, brands: Sequence[Brand]) -> Sequence[str]:
    return YouTubeCollector(options, brands).explain()


@hookimpl
def register_collectors(register: RegisterCollector) -> None:
    register(CollectorKind("youtube", YouTubeOptions, build, explain))
