"""The firehose of a PDS (com.atproto.sync.subscribeRepos), followed from its beginning by the real atproto client."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

GONE = "~"  # the mark of an account that is no longer there; it sorts after every revision
PATIENCE = 30  # seconds until something that should have come is missed


@dataclass(frozen=True, slots=True)
class Record:
    """A record that was created or updated; deleted, where it has no `value`."""

    operation: str
    did: str
    collection: str
    rkey: str
    rev: str
    cid: str | None = None
    value: Any = None

    @property
    def uri(self) -> str:
        return f"at://{self.did}/{self.collection}/{self.rkey}"


@dataclass(frozen=True, slots=True)
class Account:
    """An account that is there (`active`) or not any more, or has another handle."""

    did: str
    active: bool | None = None
    handle: str | None = None


@dataclass
class Firehose:
    """Calls `take` with every event from the beginning on, in a thread of its own."""

    url: str
    take: Callable[[Record | Account], None]
    errors: list[BaseException] = field(default_factory=list)
    _seen: dict[str, str] = field(default_factory=dict)  # by account, the revision or status read last
    _seq: int = 0
    _news: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> Self:
        from atproto import FirehoseSubscribeReposClient

        base = self.url.replace("http", "ws", 1) + "/xrpc"
        self._client = FirehoseSubscribeReposClient({"cursor": 0}, base_uri=base)
        start = (self._read, self.errors.append)
        threading.Thread(target=self._client.start, args=start, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop()

    def wait_for(self, did: str, mark: str) -> None:
        """Wait until an account's revision, or status, has been read. Revisions are ordered as texts."""
        with self._news:
            came = self._news.wait_for(lambda: self.errors or self._seen.get(did, "") >= mark, PATIENCE)
        assert not self.errors, self.errors
        assert came, f"the firehose never told of {mark} of {did}"

    def _read(self, frame: Any) -> None:
        from atproto import CAR, parse_subscribe_repos_message

        message = parse_subscribe_repos_message(frame)
        if getattr(message, "seq", 0) <= self._seq:
            return  # after a new connection it begins anew
        self._seq = message.seq
        kind = message.py_type.partition("#")[2]
        if kind == "commit":
            blocks = CAR.from_bytes(message.blocks).blocks
            for op in message.ops:
                collection, rkey = op.path.split("/")
                value = json.loads(json.dumps(blocks[op.cid], default=_link)) if op.cid else None
                cid = str(op.cid) if op.cid else None
                self.take(Record(op.action, message.repo, collection, rkey, message.rev, cid, value))
            self._saw(message.repo, message.rev)
        elif kind == "account":
            self.take(Account(message.did, active=message.active))
            self._saw(message.did, GONE if not message.active else "")
        elif kind == "identity":
            self.take(Account(message.did, handle=message.handle))

    def _saw(self, did: str, mark: str) -> None:
        with self._news:
            self._seen[did] = mark
            self._news.notify_all()


def _link(value: bytes) -> dict[str, str]:
    """Write a link to a block as JSON does; no record of a post holds bytes of another kind."""
    from atproto import CID

    return {"$link": str(CID.from_decoded_bytes(value))}
