"""The timeline of mentions of a brand's own account: an "owned read", a fifth of the price of a search.

X gives the latest 800 posts of it. They are read in eight pages at most, so an interrupted run begins again at its
cursor instead of going on: what arrives meanwhile would push the rest out of reach without a sign of it.
"""

import json
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from db.errors import SourceUnavailable
from db.records import Batch, Gap, Mention, Position
from monitor.collectors.x_parse import Page, created_at, read_mentions
from monitor.collectors.x_search import FRESH, LATE, WINDOW, Mark, tell, up

if TYPE_CHECKING:
    from monitor.collectors.x_api import Api

DEPTH = 800  # posts of a timeline that X gives
SHORT = 100  # it may give as many fewer: deleted ones count
MOST_PAGES = DEPTH // 5 + 10  # where the budget buys five posts at a time


@dataclass(frozen=True, slots=True)
class Known:
    """The cursor: which account was read up to where, and the ids of own accounts, which cost money to look up."""

    account: str
    ids: Mapping[str, str] = field(default_factory=dict)
    mark: Mark | None = None

    def to_json(self) -> str:
        mark = self.mark.to_json() if self.mark else None
        return json.dumps({"account": self.account, "ids": dict(self.ids), "mark": mark})

    @classmethod
    def from_json(cls, text: str) -> Self:
        known = json.loads(text)
        return cls(known["account"], known["ids"], Mark.from_json(known["mark"]) if known["mark"] else None)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The mentions of one account. `own` are all own accounts, `ids` what the process knows of them already."""

    api: "Api"
    stream: str
    account: str
    own: Sequence[str]
    ids: MutableMapping[str, str]
    overlap: timedelta
    now: datetime

    def new(self, position: Position) -> Iterator[Batch]:
        """Read what is newer than the position, at the first run the last seven days."""
        found = [Known.from_json(text) for text in (position.cursor, position.resume) if text]
        for known in found:
            self.ids.update({name: each for name, each in known.ids.items() if name not in self.ids})
        mark = found[0].mark if position.cursor and found[0].account == self.account else None
        if any(self._id(name) is None for name in self.own):
            self._look_up()
            yield Batch((), resume=self._known(mark).to_json())  # what was paid for is kept, whatever comes next
        yield from self._read(mark)

    def past(self, since: datetime, until: datetime) -> Iterator[Batch]:
        """Read what was posted in a span, as far back as the timeline goes."""
        start = since.replace(microsecond=0)
        end = up(until) if until <= self.now - FRESH else None
        self._look_up()
        token, count, tokens = None, 0, set[str]()
        while True:
            page = self.api.mentions(self._own_id(), start_time=start, end_time=end, pagination_token=token)
            mentions = [each for each in self._mentions(page) if since <= each.created_at < until]
            count += page.fetched
            if page.next_token is None:
                gap = self._cut_off(since, page, count)
                yield Batch(mentions, cursor=until.isoformat(), fetched=page.fetched, gap=gap)
                return
            yield Batch(mentions, fetched=page.fetched)
            token = self._next(page, tokens)

    def _read(self, mark: Mark | None) -> Iterator[Batch]:
        from monitor.collectors.x_api import IdTooOld

        since = mark.newest_id if mark else None
        start = None if since is not None else mark.read - LATE if mark else self.now - WINDOW
        newest, token, count, tokens = None, None, 0, set[str]()
        while True:
            try:
                page = self.api.mentions(self._own_id(), since_id=since, start_time=start, pagination_token=token)
            except IdTooOld:
                if since is None or mark is None:
                    raise
                since, start = None, mark.read - LATE
                continue
            count += page.fetched
            newest = newest or page.newest(self.now - self.overlap)
            if page.next_token is None:
                gap = self._cut_off(mark.read, page, count) if mark else None
                reached = Mark(newest or (mark.newest_id if mark else None), self.now)
                cursor = self._known(reached).to_json()
                yield Batch(self._mentions(page), cursor=cursor, fetched=page.fetched, gap=gap)
                return
            yield Batch(self._mentions(page), resume=self._known(mark).to_json(), fetched=page.fetched)
            token = self._next(page, tokens)

    def _mentions(self, page: Page) -> list[Mention]:
        """What others wrote: neither posts of own accounts nor retweets of them."""
        tell(page, f"the mentions of @{self.account}")
        ours = {self._id(name) for name in self.own}
        passed_on = tuple(f"rt @{name}:" for name in self.own)
        return [
            replace(each, addressed=(self.account,))
            for each in read_mentions(page, self.now)
            if each.author not in ours and not (each.repost_of and each.text.casefold().startswith(passed_on))
        ]

    def _cut_off(self, read: datetime, page: Page, count: int) -> Gap | None:
        """Tell of what lies deeper than X reads, where so many posts came that there can be more."""
        oldest = min((created_at(post) for post in page.posts), default=None)
        if count <= DEPTH - SHORT or oldest is None or oldest <= read:
            return None
        return Gap(read, oldest, f"more than the {DEPTH} mentions that X gives of an account", "saturated")

    def _next(self, page: Page, tokens: set[str]) -> str:
        token = page.next_token or ""
        if token in tokens or len(tokens) == MOST_PAGES:
            raise SourceUnavailable(f"X sends the same page of {self.stream} again and again; the next run goes on")
        tokens.add(token)
        return token

    def _known(self, mark: Mark | None) -> Known:
        return Known(self.account, {name: self.ids[name] for name in self.own if name in self.ids}, mark)

    def _id(self, name: str) -> str | None:
        return name if name.isdecimal() else self.ids.get(name)

    def _own_id(self) -> str:
        return self._id(self.account) or ""

    def _look_up(self) -> None:
        """Look up the ids of own accounts that are not known, each once; one that X does not know writes nothing."""
        for name in self.own:
            if self._id(name) is None:
                found = self.api.user_id(name)
                if found is None and name == self.account:
                    raise SourceUnavailable(f"X knows no account @{name}; correct `accounts` of its brand")
                self.ids[name] = found or ""
