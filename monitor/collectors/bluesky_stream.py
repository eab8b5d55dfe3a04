"""Bluesky's stream of all new, changed and deleted posts (Jetstream v2), read from a time until another.

atproto's JetstreamClient is not used: its start() never returns by itself, it sleeps before it connects again, does so
for ever, takes refusals for hiccups, and prints the errors of its callback. A run needs a deadline and has to tell why
it failed, so the connection is made by websockets, on which that client is built too.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from urllib.parse import urlencode

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from db.errors import CollectorError, NotAuthorised, RateLimited, SourceUnavailable
from db.records import Batch, Gap, Mention
from models.brand import Brand, naming
from monitor.collectors.bluesky_parse import COLLECTION, Did, Rkey, fields_of, read_record, tell_odd, uri_of
from monitor.collectors.fetch import AGENT, wait_until

METHOD = "network.bsky.jetstream.subscribeEvents"
KEPT = timedelta(hours=36)  # what Jetstream gives of the past, unless its operator says otherwise
REWIND = timedelta(seconds=5)  # read again before a cursor: the machines behind one address see events at other times
MATCHED = 200  # posts that match, in a batch at most
FRAMES = 5_000  # frames that a batch stands for at most
LARGEST = 1_000_000  # bytes of a frame; the server leaves out longer ones, and no post is so long
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# What ends an account, or hides it. "desynchronized" and "throttled" are troubles of a host; and a host that gives no
# status makes no claim why it does not have the account, says the protocol.
ENDED = frozenset({"deleted", "takendown", "suspended", "deactivated"})


def to_cursor(time: datetime) -> str:
    """Write a time as Jetstream's cursor: microseconds since 1970. Unlike its numbers, it holds on every server."""
    return str((time - EPOCH) // MICROSECOND)


def from_cursor(cursor: str) -> datetime:
    """Read a time written by to_cursor."""
    return EPOCH + int(cursor) * MICROSECOND


class _Frame(BaseModel):
    kind: str = Field(alias="$type")
    payload: dict[str, Any] = {}
    error: str = ""


class _Status(BaseModel):
    active: bool
    status: str | None = None  # why it is not active, where the host says so


class _Account(BaseModel):
    did: Did
    account: _Status


class _Commit(BaseModel):
    did: Did
    rkey: Rkey
    collection: str
    operation: str
    time: AwareDatetime
    witnessed_at: AwareDatetime | None = Field(None, alias="witnessedAt")
    record: object = None

    @property
    def at(self) -> datetime:
        """When Jetstream saw it: what cursors are measured by."""
        return (self.witnessed_at or self.time).astimezone(UTC)


@dataclass
class Stream:
    """One reading of the stream at `url`, for at most `listen` seconds once connected.

    `reached` is up to where everything was read.
    """

    url: str
    timeout: float
    listen: float
    brands: Sequence[Brand]
    now: datetime
    reached: datetime | None = None
    _mentions: dict[str, Mention] = field(default_factory=dict)
    _gone: dict[str, None] = field(default_factory=dict)
    _gone_authors: dict[str, None] = field(default_factory=dict)
    _frames: int = 0
    _read: int = 0  # events that could be read, in the whole run
    _odd: Counter[str] = field(default_factory=Counter)
    _outdated: bool = False
    _gap: Gap | None = None

    def __post_init__(self) -> None:
        self._names = naming(self.brands)

    def read(self, start: datetime, end: datetime, known: datetime | None, slack: timedelta) -> Iterator[Batch]:
        """Yield what was seen from `start` until `end`; the last batch carries the cursor, those before it resume.

        `known` is up to where all was read before, None at the first time. Raises SourceUnavailable where time was up
        more than `slack` before `end`, and for a server that fails; what was yielded before counts.
        """
        from websockets.exceptions import WebSocketException

        try:
            yield from self._listen(start, end, known, slack)
        except (WebSocketException, OSError, CollectorError) as error:
            if self._frames and self.reached:
                yield self._batch(resume=True)
            raise (error if isinstance(error, CollectorError) else _fault(error, self.now)) from error
        finally:
            tell_odd(self._odd)

    def _listen(self, start: datetime, end: datetime, known: datetime | None, slack: timedelta) -> Iterator[Batch]:
        from websockets.sync.client import connect
        from websockets.typing import Subprotocol

        params = {
            "collections": COLLECTION,
            "kinds": ["commit", "account"],
            "cursor": to_cursor(start),
            "maxMessageSizeBytes": LARGEST,
        }
        idle = False
        with connect(
            f"{self.url}/{METHOD}?{urlencode(params, doseq=True)}",
            subprotocols=[Subprotocol("xrpc.v1.json")],
            user_agent_header=AGENT,
            compression=None,
            open_timeout=self.timeout,
            close_timeout=1,
            max_size=32 * LARGEST,
        ) as connection:
            deadline = monotonic() + self.listen
            while (self.reached is None or self.reached < end) and (left := deadline - monotonic()) > 0:
                try:
                    frame = connection.recv(timeout=left)
                except TimeoutError:
                    idle = left >= self.listen / 2  # all was sent; a network smaller than Bluesky's can be so quiet
                    break
                self._take(frame, known)
                if len(self._mentions) >= MATCHED or self._frames >= FRAMES:
                    yield self._batch(resume=True)
        if self._odd and not self._read:
            raise SourceUnavailable("Bluesky's Jetstream sent no post that can be read; the next run tries again")
        if self.reached is None:
            if known and start < known:  # what was read last is always sent again
                raise SourceUnavailable(
                    f"Bluesky's Jetstream sent nothing for {self.listen:g} seconds; the next run tries again"
                )
            self.reached = start
        if not idle and self.reached < end - slack:
            yield self._batch(resume=True)
            raise SourceUnavailable(
                f"Bluesky's Jetstream was read up to {self.reached:%Y-%m-%d %H:%M:%S} UTC in {self.listen:g} seconds; "
                "the next run goes on there"
            )
        yield self._batch(resume=False)

    def _batch(self, resume: bool) -> Batch:
        """Hand over what was read since the last batch."""
        cursor = to_cursor(self.reached) if self.reached else None
        batch = Batch(
            mentions=tuple(self._mentions.values()),
            cursor=None if resume else cursor,
            resume=cursor if resume else None,
            fetched=self._frames,
            gap=self._gap,
            gone=tuple(self._gone),
            gone_authors=tuple(self._gone_authors),
        )
        self._mentions, self._gone, self._gone_authors, self._frames, self._gap = {}, {}, {}, 0, None
        return batch

    def _take(self, frame: str | bytes, known: datetime | None) -> None:
        try:
            read = _Frame.model_validate(json.loads(frame))
        except ValidationError as error:
            self._odd[fields_of(error)] += 1
            return
        except (ValueError, RecursionError):
            self._odd["no JSON"] += 1
            return
        if read.kind == "error":
            raise SourceUnavailable(f"Bluesky's Jetstream ended the reading{_named(read.error)}; the next run goes on")
        kind = read.payload.get("$type")
        if kind == f"{METHOD}#info" and read.payload.get("name") == "OutdatedCursor":
            self._outdated = True
        elif kind == f"{METHOD}#account":
            try:
                self._account(_Account.model_validate(read.payload))
            except ValidationError as error:
                self._odd[fields_of(error)] += 1
        elif kind == f"{METHOD}#commit" and read.payload.get("collection") == COLLECTION:
            self._frames += 1
            try:
                self._commit(_Commit.model_validate(read.payload), known)
                self._read += 1
            except ValidationError as error:
                self._odd[fields_of(error)] += 1

    def _account(self, account: _Account) -> None:
        """An account that was deleted, closed or banned takes its posts along."""
        if account.account.active:
            self._gone_authors.pop(account.did, None)
            return
        if account.account.status not in ENDED:
            return
        self._gone_authors[account.did] = None
        for uri in [uri for uri, mention in self._mentions.items() if mention.author == account.did]:
            del self._mentions[uri]

    def _commit(self, commit: _Commit, known: datetime | None) -> None:
        if self._outdated and self.reached is None and (known is None or known < commit.at):
            self._gap = Gap(known, commit.at, "older than what Bluesky's Jetstream keeps", "capped")
        self.reached = max(self.reached or commit.at, commit.at)
        uri = uri_of(commit.did, commit.rkey)
        if commit.operation == "delete":
            self._mentions.pop(uri, None)
            self._gone[uri] = None
        elif commit.operation in ("create", "update"):
            self._gone.pop(uri, None)
            mention = read_record(commit.did, commit.rkey, commit.record, commit.at, self.now)
            if self._names(mention):
                self._mentions[uri] = mention
            else:
                self._mentions.pop(uri, None)  # edited, and no longer about any of them


def _fault(error: Exception, now: datetime) -> CollectorError:
    """One line that says what to do."""
    from websockets.exceptions import InvalidStatus

    if not isinstance(error, InvalidStatus):
        return SourceUnavailable(
            f"Bluesky's Jetstream cannot be reached, or hung up ({type(error).__name__}); the next run goes on"
        )
    status, headers = error.response.status_code, error.response.headers
    if status == 429:
        again = wait_until(_plain(headers), now)
        return RateLimited(f"Bluesky's Jetstream asks to wait until {again:%Y-%m-%d %H:%M:%S} UTC (429)", again)
    if status in (401, 403, 404, 410):
        return NotAuthorised(f"Bluesky's Jetstream refuses to be read ({status}); check `jetstream_url`")
    return SourceUnavailable(f"Bluesky's Jetstream answered {status}; the next run tries again")


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _named(error: str) -> str:
    return f" ({error})" if re.fullmatch("[A-Za-z]{1,40}", error) else ""
