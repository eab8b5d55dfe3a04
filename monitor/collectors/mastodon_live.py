"""What a Mastodon server's streams bring: posts, edits and deletions as they happen, beside what its timelines hold.

Nothing rests on it: the timelines are read from the last post read on, whatever was heard. So a stream may be cut off,
refused or missing. It brings what the timelines do not show: edits, deletions, and posts that reach the server late.
"""

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError

from db.records import Batch, Mention
from models.brand import Brand, naming
from monitor.collectors.markup import clean
from monitor.collectors.mastodon_api import Api, Refusal
from monitor.collectors.mastodon_parse import Item, fields_of, item_of, mentions_of, tell_odd

log = logging.getLogger(__name__)

MOST = 20  # streams that are listened to at once
HELD = 200  # posts of a batch
EVENTS = 5_000  # that a batch stands for at most
REMEMBERED = 20_000  # posts by whose ids deletions are told


class Live:
    """Listens for one source; remembers the posts on its brands, and which streams the server refuses.

    `streams` says for each what `Api.listen` calls it.
    """

    def __init__(
        self, instance: str, host: str, streams: Mapping[str, str], brands: Sequence[Brand], seconds: float
    ) -> None:
        self._instance, self._host, self._seconds = instance, host, seconds
        self._streams = dict(list(streams.items())[:MOST])
        self._names: Callable[[Mention], list[str]] = naming(brands)
        self._uris: OrderedDict[str, str] = OrderedDict()  # by the server's own id, which is all that a deletion names
        self._refused: dict[str, Refusal] = {}

    def explain(self) -> str:
        return f"{self._seconds:g} s a run of {', '.join(self._streams)}, as it comes,"

    def remember(self, items: Sequence[Item], mentions: Sequence[Mention]) -> list[Mention]:
        """Remember the ids of the posts that name a brand, and return these."""
        named = [mention for mention in mentions if self._names(mention)]
        known = {mention.source_id for mention in named}
        for item in items:
            if item.status and clean(item.status.uri) in known:
                self._uris.pop(item.status.id, None)  # to the end: the oldest go first
                self._uris[item.status.id] = clean(item.status.uri)
        while len(self._uris) > REMEMBERED:
            self._uris.popitem(last=False)
        return named

    def listen(self, api: Api, now: datetime) -> Iterator[Batch]:
        """Yield what comes; the last batch carries a cursor."""
        from monitor.collectors.mastodon_stream import Listening

        streams = [what for what in self._streams if what not in self._refused or self._refused[what].again <= now]
        hearing = _Hearing(self, self._instance, now)
        if streams:
            api.find_streams()
            asked = {self._streams[stream]: stream for stream in streams}
            with Listening(api, list(asked), self._seconds) as listening:
                for kind, told in listening.events():
                    hearing.take(kind, told)
                    if len(hearing.items) >= HELD or hearing.events >= EVENTS:
                        yield hearing.batch(None)
            for stream in streams:
                self._refused.pop(stream, None)
            for what, refusal in list(listening.refused.items()):
                self._refused[asked[what]] = refusal
                log.warning(
                    "%s: %s is not streamed (%s)%s; it is read by its timeline alone",
                    self._host,
                    asked[what],
                    refusal.status or "no answer",
                    ": servers ask for an access_token" if refusal.status in (401, 403) else "",
                )
        tell_odd(hearing.odd, self._host)
        yield hearing.batch(now.isoformat())

    def uri(self, id: str) -> str | None:
        """Name the post that the server calls by this id, None where it was not read since sentimon runs."""
        return self._uris.get(id)


class _Hearing:
    """What was heard since the last batch. Streams overlap, and none waits for another: a deletion holds whatever is
    heard later, and so does an edit."""

    def __init__(self, live: Live, instance: str, now: datetime) -> None:
        self._live, self._instance, self._now = live, instance, now
        self._deleted: set[str] = set()
        self._edited: set[str] = set()
        self._gone: dict[str, None] = {}
        self.items: dict[str, Item] = {}
        self.events = 0
        self.odd: Counter[str] = Counter()

    def take(self, kind: str, told: object) -> None:
        self.events += 1
        if kind == "delete":
            self._delete(str(told))
            return
        try:
            item = item_of(told, notification=False)
        except ValidationError as error:
            self.odd[fields_of(error)] += 1
            return
        if item.id in self._deleted or (kind == "new" and item.id in self._edited):
            return
        if kind == "edit":
            self._edited.add(item.id)
        self.items[item.id] = item

    def _delete(self, id: str) -> None:
        self._deleted.add(id)
        heard = self.items.pop(id, None)
        uri = self._live.uri(id) or (clean(heard.status.uri) if heard and heard.status else None)
        if uri:
            self._gone[uri] = None

    def batch(self, cursor: str | None) -> Batch:
        """Hand over what was heard."""
        items = list(self.items.values())
        mentions = self._live.remember(items, mentions_of(items, self._instance, self._now))
        batch = Batch(mentions, cursor=cursor, fetched=self.events, gone=list(self._gone))
        self.items, self._gone, self.events = {}, {}, 0
        return batch
