"""Two people at one thing: what somebody saves is of what they saw, or nothing is saved."""

from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

from db.errors import Stale

Found = TypeVar("Found")


def version_of(*said: object) -> str:
    """Name what a thing says: where the name is another, it was changed."""
    return sha256(repr(said).encode()).hexdigest()[:16]


def as_seen(what: str, there: Found | None, version: Callable[[Found], str], seen: str) -> Found:
    """Return what is there; Stale where it is gone, or has another version than what somebody saw."""
    if there is None or version(there) != seen:
        raise Stale(f"somebody has changed this {what} meanwhile; look at it again", None)
    return there
