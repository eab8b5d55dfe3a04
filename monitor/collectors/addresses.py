"""What an address in the options of a source must be like."""

import re


def web_address(url: str) -> str:
    """Return an address without a slash at its end, or raise ValueError."""
    url = url.strip()
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
        raise ValueError("give an address that starts with https:// or http://")
    return url.rstrip("/")


def feed_address(url: str) -> str:
    """Return the address of a feed, which may hold parameters, or raise ValueError."""
    url = url.strip()
    if not re.fullmatch(r"https?://[^\s/?#@]+([/?][^\s#]*)?", url):
        raise ValueError("give the address of a feed, as in https://example.org/feed.xml, without a password in it")
    return url
