"""Mastodon: hashtags and the public timeline, oldest first; with a token also what mentions the account, and search."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr, field_validator, model_validator

from db.errors import InputError, SourceUnavailable
from db.records import Batch, Checked, Gap, Mention, Position
from jobs.collector import Meter
from models.tokens import TAG_TYPED, wild
from monitor.collectors.addresses import secret_address
from monitor.collectors.dialects import mastodon_queries
from monitor.collectors.mastodon_api import PAGE, Api, Limits
from monitor.collectors.mastodon_live import Live
from monitor.collectors.mastodon_parse import (
    LATE,
    Item,
    all_before,
    hashtags,
    id_at,
    items_of,
    local_id,
    mentions_of,
    order,
    tells_time,
)
from monitor.collectors.mastodon_reply import MastodonReplier
from monitor.plugins import Brand, CollectorKind, RegisterCollector, hookimpl

LIVE = "live"
START = "0"  # below every id
KEPT = 100  # requests that looking after old posts leaves to the live runs; Mastodon allows 300 in five minutes


def _instance(text: str) -> str:
    """As an address without a path."""
    url = text.strip() if "://" in text else f"https://{text.strip()}"
    address = secret_address(url).lower()
    if urlsplit(address).path:
        raise ValueError('must be a server such as "mastodon.social", without a path')
    return address


def _tags(names: list[str]) -> list[str]:
    """Without #, in small letters, and each once."""
    for name in names:
        if not TAG_TYPED.fullmatch(f"#{name.removeprefix('#')}") or wild(name):
            raise ValueError(f'{name[:50]!r} is no hashtag: letters, digits and _ only, as in "acme"')
    return list(dict.fromkeys(name.removeprefix("#").lower() for name in names))


class MastodonOptions(BaseModel, extra="forbid", hide_input_in_errors=True):
    """The options of a source of kind "mastodon"."""

    instance: Annotated[str, AfterValidator(_instance)]
    access_token: SecretStr | None = None
    hashtags: Annotated[list[str], AfterValidator(_tags)] = []
    timeline: Literal["off", "local", "federated"] = "off"
    search: bool = False
    stream: bool = False  # listen to the hashtags and the timeline for a while, too
    listen: Annotated[float, Field(gt=0, le=300)] = 20  # seconds
    first: Annotated[int, Field(ge=1, le=1000)] = 40  # posts read of each stream at the first run
    most_pages: Annotated[int, Field(ge=1, le=1000)] = 50  # of a stream in a run
    timeout: Annotated[float, Field(gt=0, le=300)] = 15  # seconds
    replies: bool = False  # posts are answered in the name of the account whose token this is
    longest_reply: Annotated[int, Field(ge=100, le=100_000)] = 500  # characters that the server takes

    @field_validator("access_token")
    @classmethod
    def _one_word(cls, token: SecretStr | None) -> SecretStr | None:
        word = token.get_secret_value().strip() if token else None
        if word is not None and not re.fullmatch(r"[!-~]+", word):
            raise ValueError("give the application's access token: one word without spaces")
        return SecretStr(word) if word else None

    @model_validator(mode="after")
    def _search_needs_a_token(self) -> Self:
        if self.search and not self.access_token:
            raise ValueError("`search` needs an `access_token`: servers let only members search posts")
        if self.replies and not self.access_token:
            raise ValueError("`replies` needs an `access_token` that may write statuses (write:statuses)")
        return self


class MastodonCollector:
    """Reads each timeline from the last post read on; a Historian and a Checker too."""

    platform = "mastodon"
    check_size = 20

    def __init__(self, options: MastodonOptions, brands: Sequence[Brand]) -> None:
        self._options = options
        self._host = urlsplit(options.instance).netloc
        self._limits = Limits()
        self.check_prefix = f"{options.instance}/"
        asked = (tag for brand in brands for tag in hashtags(brand.query.root))
        self._tags = [f"tag:{tag}" for tag in dict.fromkeys([*options.hashtags, *asked])]
        self._searches = {f"search:{brand.name}": mastodon_queries(brand.query) for brand in brands if options.search}
        if not self.streams():
            raise InputError(
                f"nothing to read on {self._host}: add `hashtags`, `timeline` or an `access_token`, "
                "or a #hashtag without wildcards to a brand's query"
            )
        streams = {tag: tag for tag in self._tags}
        streams |= {"public": options.timeline} if options.timeline != "off" else {}
        if options.stream and not streams:
            raise InputError(f"nothing to listen to on {self._host}: add `hashtags` or `timeline`, or `stream = false`")
        self._live = Live(options.instance, self._host, streams, brands, options.listen) if options.stream else None

    def streams(self) -> Sequence[str]:
        public = ["public"] if self._options.timeline != "off" else []
        mentions = ["mentions"] if self._options.access_token else []
        return (*self._tags, *public, *mentions, *self._searches, *self.beside())

    def beside(self) -> Sequence[str]:
        """What is heard, the timelines bring; they are read whether anything is."""
        return [LIVE] if self._options.stream else []

    def explain(self) -> Sequence[str]:
        told = {"public": f"the {self._options.timeline} timeline", "mentions": "posts that mention the account"}
        told |= {stream: f"posts with #{stream.removeprefix('tag:')}" for stream in self._tags}
        told |= {stream: "search for " + " | ".join(found) for stream, found in self._searches.items()}
        told |= {LIVE: self._live.explain()} if self._live else {}
        return [f"{stream}: {told[stream]} on {self._host}" for stream in self.streams()]

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        """Read what is newer than the position, at the first run the latest posts."""
        if stream not in self.streams():
            raise InputError(f"the source has no stream {stream!r}")
        after = position.resume or position.cursor
        with self._api(now) as api:
            if stream == LIVE and self._live:
                yield from self._live.listen(api, now)
            elif stream in self._searches:
                yield from self._search(api, stream, position, now)
            elif after is None:
                yield from self._latest(api, stream, now)
            else:
                yield from self._newer(api, stream, after, now)

    def _newer(self, api: Api, stream: str, after: str, now: datetime) -> Iterator[Batch]:
        """Page from the oldest unread post to the newest: each page is complete up to its newest post."""
        for _ in range(self._options.most_pages):
            listed, found = self._page(api, stream, min_id=after)
            if not found and self._unknown(api, stream, after):
                yield from self._latest(api, stream, now, after)
                return
            newest = max((item.id for item in found), key=order, default=after)
            if order(newest) <= order(after):
                yield Batch(self._mentions(found, now), cursor=after, fetched=listed)
                return
            after = newest
            yield Batch(self._mentions(found, now), resume=after, fetched=listed)
        raise SourceUnavailable(
            f"{self._host} has more of {stream} than the {self._options.most_pages} pages of one run; nothing is lost, "
            "the next run goes on"
        )

    def _latest(self, api: Api, stream: str, now: datetime, after: str | None = None) -> Iterator[Batch]:
        """Page from the newest post back until there are enough, or to the last post read."""
        left, newest, below, before = self._options.first, after or START, None, list[str]()
        for page in count(1):
            listed, found = self._page(api, stream, **({"max_id": below} if below else {}))
            left -= listed
            ids = sorted((item.id for item in found), key=order)
            if ids and below is None:
                newest = ids[-1]
            mentions = self._mentions(found, now)
            enough = left <= 0 if after is None else bool(ids) and order(ids[0]) <= order(after)
            if enough or not ids or ids == before:
                yield Batch(mentions, cursor=newest, fetched=listed)
                return
            if after and page >= self._options.most_pages:
                oldest = min((item.status.created_at for item in found if item.status), default=now)
                gap = Gap(None, oldest, f"more than the {page} pages that a run reads, the last post read being gone")
                yield Batch(mentions, cursor=newest, fetched=listed, gap=gap)
                return
            below, before = ids[0], ids
            yield Batch(mentions, fetched=listed)

    def _unknown(self, api: Api, stream: str, after: str) -> bool:
        """Whether the server gives nothing newer than a post only since it does not know it (any more).

        Mastodon compares ids; snac, whose ids are no numbers, looks the post up.
        """
        if after.isdecimal() and after != START:
            return False
        _, found = self._page(api, stream)
        return bool(found) and after not in {item.id for item in found}

    def _search(self, api: Api, stream: str, position: Position, now: datetime) -> Iterator[Batch]:
        """Page each search from the newest post back to the last run and a little further."""
        read = datetime.fromisoformat(position.cursor) if position.cursor else None
        gap: Gap | None = None
        *_, last = self._searches[stream]
        for query in self._searches[stream]:
            seen: set[str] = set()
            for page in range(1, self._options.most_pages + 1):
                listed = api.search(query, offset=(page - 1) * PAGE)
                found = items_of(listed, notifications=False, host=self._host)
                times = [item.status.created_at for item in found if item.status and item.id not in seen]
                seen.update(item.id for item in found)
                ended = not times or (max(times) < read - LATE if read else len(seen) >= self._options.first)
                if not ended and page == self._options.most_pages:
                    ended = True
                    if read and min(times) > read and (gap is None or gap.until < min(times)):
                        gap = Gap(read, min(times), f"more than the {page} pages of a search that a run reads")
                final = ended and query == last
                cursor, told = (now.isoformat(), gap) if final else (None, None)
                yield Batch(self._mentions(found, now), cursor=cursor, fetched=len(listed), gap=told)
                if ended:
                    break

    def oldest(self, stream: str, now: datetime) -> datetime | None:
        """Timelines go back to the first post that the server has; of a search only the present is read, and heard."""
        return now if stream == LIVE or stream in self._searches else None

    def history(
        self, stream: str, since: datetime, until: datetime, resume: str | None, meter: Meter, now: datetime
    ) -> Iterator[Batch]:
        """Page from the end of the span, or from the newest post where ids do not tell time, back to its beginning."""
        if stream not in self.streams() or stream == LIVE or stream in self._searches:
            raise InputError(f"the source has no stream {stream!r} whose past can be read")
        below, before = resume, list[Item]()
        with self._api(now) as api:
            while True:
                listed, found = self._page(api, stream, **({"max_id": below} if below else {}))
                lowest = min((item.id for item in found), key=order, default=None)
                # Not by the ids: snac's are those of a second and then of chance.
                if found and [item.id for item in found] == [item.id for item in before]:
                    raise SourceUnavailable(f"{self._host} sends the same page of {stream} again and again")
                wanted = [each for each in self._mentions(found, now) if since <= each.created_at < until]
                if lowest is None or all_before(found, since):
                    yield Batch(wanted, cursor=lowest or below or START, fetched=listed)
                    return
                if below is None and tells_time(found) and order(id_at(until + LATE)) < order(lowest):
                    lowest = id_at(until + LATE)
                below, before = lowest, found
                yield Batch(wanted, resume=below, fetched=listed)

    def check(self, ids: Sequence[str], resume: str | None, meter: Meter, now: datetime) -> Checked:
        """Ask for the server's own posts; those of other servers it cannot look up, and they are left as they are."""
        gone: list[str] = []
        seen: list[Mention] = []
        with self._api(now, keep=KEPT) as api:
            for uri in ids:
                own = local_id(uri, self._options.instance)
                if own is None:
                    continue
                post = api.status(own)
                try:
                    found = [] if post is None else self._mentions(items_of([post], False, self._host), now)
                except SourceUnavailable:  # an odd post: nothing is known of it, and the others are not its fault
                    continue
                seen += [mention for mention in found if mention.source_id == uri]
                if not found:  # deleted, or no longer for everybody
                    gone.append(uri)
        return Checked(gone, seen)

    def _api(self, now: datetime, keep: int = 0) -> Api:
        options = self._options
        token = options.access_token.get_secret_value() if options.access_token else None
        return Api(options.instance, token, options.timeout, self._limits, now, keep)

    def _page(self, api: Api, stream: str, **ids: str) -> tuple[int, list[Item]]:
        listed = api.page(self._options.timeline if stream == "public" else stream, **ids)
        return len(listed), items_of(listed, stream == "mentions", self._host)

    def _mentions(self, found: Sequence[Item], now: datetime) -> list[Mention]:
        mentions = mentions_of(found, self._options.instance, now)
        if self._live:
            self._live.remember(found, mentions)
        return mentions


def _explain(options: MastodonOptions, brands: Sequence[Brand]) -> Sequence[str]:
    return MastodonCollector(options, brands).explain()


def _replier(options: MastodonOptions, brands: Sequence[Brand]) -> MastodonReplier | None:
    if not options.replies or options.access_token is None:
        return None
    token = options.access_token.get_secret_value()
    return MastodonReplier(options.instance, token, options.timeout, options.longest_reply)


def _first_look(name: str) -> Mapping[str, object]:
    tag = "".join(character for character in name if character.isalnum())
    return {"instance": "https://mastodon.social", "hashtags": [tag] if tag else []}


@hookimpl
def register_collectors(register: RegisterCollector) -> None:
    """Offer the source kind "mastodon"."""
    register(CollectorKind("mastodon", MastodonOptions, MastodonCollector, _explain, _first_look, replier=_replier))
