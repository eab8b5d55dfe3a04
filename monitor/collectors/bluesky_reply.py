"""Replies on Bluesky, in the name of the source's account.

The reply's record gets a key that follows from the post and the reply, and is written only where nothing has that key
yet (`swapRecord: null`): the server itself takes a second sending for none, and tells later whether there was a first.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from db.errors import CollectorError, RateLimited, ReplyRefused, SourceUnavailable
from db.records import Mention
from jobs.collector import Meter
from jobs.replier import Replied
from monitor.collectors.bluesky_api import Account, session_ended
from monitor.collectors.bluesky_parse import COLLECTION, is_post, uri_of
from monitor.collectors.lengths import graphemes, links

LONGEST = 300  # graphemes
LONGEST_BYTES = 3_000
PUT = "com.atproto.repo.putRecord"
_SORTABLE = "234567abcdefghijklmnopqrstuvwxyz"  # the digits of a timestamp identifier, as atproto sorts them


class BlueskyReplier:
    """Answers posts; see jobs.replier.Replier and Looker."""

    platform = "bluesky"
    longest = LONGEST

    def __init__(self, account: Account) -> None:
        self._account = account

    def length(self, text: str, mention: Mention) -> int:
        """In graphemes; a text with too many bytes counts as longer than it may be."""
        beyond = len(text.encode()) - LONGEST_BYTES
        return max(graphemes(text), LONGEST + beyond if beyond > 0 else 0)

    def why_not(self, mention: Mention) -> str | None:
        return None if is_post(mention.source_id) else "This is no post of Bluesky's."

    def reply(self, mention: Mention, text: str, key: str, meter: Meter, now: datetime) -> Replied:
        """Write the record, unless it is there already."""
        with self._account:
            return self._reply(mention, text, key, meter, now)

    def found(self, mention: Mention, text: str, key: str, meter: Meter, now: datetime) -> Replied | None:
        """Ask for the record by its key."""
        with self._account:
            record = self._account.own_record(record_key(mention, key), now)
        return self._replied(mention, key) if record and record.get("text") == text else None

    def _reply(self, mention: Mention, text: str, key: str, meter: Meter, now: datetime) -> Replied:
        import httpx
        from atproto_core.exceptions import AtProtocolError

        from monitor.collectors.once import later, not_sent

        try:
            parent = self._account.shown(mention.source_id, now)
            if parent is None:
                raise ReplyRefused("Bluesky does not show the post any more, or its author has blocked the account")
            if there := self.found(mention, text, key, meter, now):
                return there
            client = self._account.log_in(now)
        except CollectorError as error:
            raise not_sent(error, now) from None
        data = {
            "repo": self._account.did,
            "collection": COLLECTION,
            "rkey": record_key(mention, key),
            "record": _record(parent, text, now),
            "swapRecord": None,
        }
        try:
            client.invoke_procedure(PUT, content=json.dumps(data).encode(), input_encoding="application/json")
        except (AtProtocolError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            if isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
                raise later("Bluesky cannot be reached", now) from None
            fault = self._account.fault(error, now)
            if isinstance(fault, RateLimited):
                raise fault from None
            if session_ended(error):
                raise later("Bluesky has ended the session", now) from None
            status = getattr(getattr(error, "response", None), "status_code", None)
            if isinstance(status, int) and 400 <= status < 500:
                raise ReplyRefused(
                    f"Bluesky refuses the reply: {fault}".removesuffix("; the next run tries again")
                ) from None
            raise SourceUnavailable(str(fault).removesuffix("; the next run tries again")) from None
        return self._replied(mention, key)

    def _replied(self, mention: Mention, key: str) -> Replied:
        did, rkey = self._account.did or "", record_key(mention, key)
        return Replied(uri_of(did, rkey), f"https://bsky.app/profile/{did}/post/{rkey}")


def record_key(mention: Mention, key: str) -> str:
    """Make a timestamp identifier of the post's second and 30 bits that follow from the reply: 13 digits of 5 bits."""
    drawn = int.from_bytes(hashlib.sha256(f"{mention.source_id} {key}".encode()).digest()[:8])
    microseconds = int(mention.created_at.timestamp()) * 1_000_000 + (drawn >> 10) % 1_000_000
    number = (microseconds << 10) | (drawn & 1023)
    return "".join(_SORTABLE[number >> shift & 31] for shift in range(60, -1, -5))


def _record(parent: Mapping[str, Any], text: str, now: datetime) -> dict[str, Any]:
    here = {"uri": parent.get("uri"), "cid": parent.get("cid")}
    above = parent.get("record")
    thread = above.get("reply") if isinstance(above, dict) else None
    root = thread.get("root") if isinstance(thread, dict) else None
    known = isinstance(root, dict) and isinstance(root.get("uri"), str) and isinstance(root.get("cid"), str)
    record: dict[str, Any] = {
        "$type": COLLECTION,
        "text": text,
        "createdAt": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "reply": {"root": {"uri": root["uri"], "cid": root["cid"]} if known and root else here, "parent": here},
    }
    found = _facets(text)
    return record | ({"facets": found} if found else {})


def _facets(text: str) -> Sequence[dict[str, Any]]:
    """Web addresses lead somewhere only where a record says so, by bytes."""
    return [
        {
            "index": {"byteStart": len(text[:start].encode()), "byteEnd": len(text[:end].encode())},
            "features": [{"$type": "app.bsky.richtext.facet#link", "uri": text[start:end]}],
        }
        for start, end in links(text)
    ]
