"""What an address in the options of a source must be like."""

import re
from urllib.parse import urlsplit

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def web_address(url: str) -> str:
    """Return an address without a slash at its end, or raise ValueError."""
    url = url.strip()
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
        raise ValueError("give an address that starts with https:// or http://")
    return url.rstrip("/")


def secret_address(url: str) -> str:
    """Return the address of a service that is sent a secret, without a slash at its end, or raise ValueError.

    Only on this machine may it go in the clear.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # a port that is no number raises
    except ValueError:
        host = None
    if not host or not re.fullmatch(r"https?://[^\s/?#@\\]+(/[^\s?#]*)?", url, re.IGNORECASE):
        raise ValueError("must be an address such as https://api.example.org")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise ValueError("must begin with https: a secret is sent there")
    return url.rstrip("/")


def feed_address(url: str) -> str:
    """Return the address of a feed, which may hold parameters, or raise ValueError."""
    url = url.strip()
    if not re.fullmatch(r"https?://[^\s/?#@]+([/?][^\s#]*)?", url):
        raise ValueError("give the address of a feed, as in https://example.org/feed.xml, without a password in it")
    return url
