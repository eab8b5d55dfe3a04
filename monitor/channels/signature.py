"""Signatures after Standard Webhooks 1.0 (standardwebhooks.com): HMAC-SHA256 over id, time and body."""

import base64
import binascii
import hashlib
import hmac

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes of a key


def keys_of(secret: str) -> list[bytes]:
    """Read the keys of a secret: one, or several with spaces between them. Raises ValueError."""
    keys = [_key(text) for text in secret.split()]
    if not keys:
        raise ValueError("is empty")
    return keys


def sign(key: bytes, id: str, timestamp: str, body: bytes) -> str:
    """Return the signature as it stands in the header."""
    digest = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode("ascii")


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(
            f"should be {PREFIX} and {SHORTEST} to {LONGEST} random bytes in base64; "
            "docs/channels.md shows how to make one"
        )
    return key
