"""The repository of the account of the fake of Bluesky: records that are written, and read by their keys."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fake_bluesky import FakeBluesky


def put_record(fake: "FakeBluesky", given: Mapping[str, Any]) -> dict[str, Any]:
    """Write a record of the account's; with `swapRecord: null` only where there is none."""
    from tests.fake_bluesky import COLLECTION, DID, Post

    uri = f"at://{given['repo']}/{given['collection']}/{given['rkey']}"
    if given["repo"] != DID or given["collection"] != COLLECTION or not re.fullmatch("[2-7a-z]{13}", given["rkey"]):
        raise ValueError("no record of this account's")
    with fake._lock:
        if uri in fake.posts and "swapRecord" in given:
            raise LookupError("InvalidSwap")
        fake.posts[uri] = Post(uri, given["record"], fake.now())
        fake.sent.append(uri)
    return {"uri": uri, "cid": "bafyfake"}


def get_record(fake: "FakeBluesky", params: Mapping[str, list[str]]) -> dict[str, Any]:
    uri = f"at://{params['repo'][0]}/{params['collection'][0]}/{params['rkey'][0]}"
    if uri not in fake.posts:
        raise LookupError("RecordNotFound")
    return {"uri": uri, "cid": "bafyfake", "value": fake.posts[uri].record}
