"""Where a request comes from, and under which name it asks for us."""

from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from fastapi import Request

from monitor.accounts import is_loopback
from monitor.sections import WebConfig

FORWARDED = ("forwarded", "via", "x-real-ip", "true-client-ip", "cf-connecting-ip", "x-client-ip")
NETWORK = 64  # bits of an IPv6 address that name a household: the others its devices choose themselves


def from_outside(request: Request) -> bool:
    """Whether a proxy has handed the request on: whoever is behind it is not at this machine.

    One that says nothing of itself (nginx, as it comes) speaks HTTP/1.0, which no browser does.
    """
    said = any(name in FORWARDED or name.startswith("x-forwarded") for name in request.headers)
    return said or request.scope["http_version"] == "1.0"


def at_home(request: Request, web: WebConfig) -> bool:
    """Whether somebody at this machine asks, by a name of this machine.

    A name that a stranger's DNS points here is no name of this machine.
    """
    asked = name_of(request.headers.get("host", ""))
    return is_loopback(web.host) and is_loopback(asked) and not from_outside(request)


def peer(request: Request, web: WebConfig) -> str:
    """Say from which address somebody asks.

    What a proxy says of it counts only where one is configured ([web] url) and the request comes from this machine, and
    of that the last entry: the others are what the asker wrote. Of an IPv6 address it is the network: who has one has
    as many addresses as they like.
    """
    near = _network(request.client.host if request.client else "")
    if web.url and is_loopback(near):
        said = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        return _network(said) or near
    return near


def ours(request: Request, web: WebConfig) -> set[str]:
    """Name host and port as browsers call us."""
    return {request.headers.get("host", "").lower(), address_of(web.url or "").lower()} - {""}


def is_secure(request: Request, web: WebConfig) -> bool:
    """Whether the browser talks to us, or to our proxy, by https."""
    if web.url and (from_outside(request) or not at_home(request, web)):
        return web.url.startswith("https:")
    return request.url.scheme == "https"


def path_of(request: Request, web: WebConfig) -> str:
    """Return the path below which browsers see us, for cookies: that of [web] url where the request came by it."""
    if web.url and (from_outside(request) or request.headers.get("host", "").lower() == address_of(web.url).lower()):
        return urlsplit(web.url).path or "/"
    return "/"


def address_of(url: str) -> str:
    """Take host and port from a URL, "" where it is none."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def name_of(address: str) -> str:
    """Take the name from "name:port", "" where it is none."""
    try:
        return urlsplit(f"//{address}").hostname or "" if not set(address) & set("@/?#\\") else ""
    except ValueError:
        return ""


def _network(address: str) -> str:
    """Write an address as it is counted, "" where it is none."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if found.version == 6 else None
    if found.version == 4 or mapped or found.is_loopback:
        return str(mapped or found)
    return str(ip_network((int(found), NETWORK), strict=False))
