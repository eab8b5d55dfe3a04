"""Which addresses a webhook may be sent to: those of the public internet, unless the configuration says otherwise.

The addresses that a name stands for are looked up once, checked, and then connected to: a name that stands for
another address a moment later (DNS rebinding) gains nothing.
"""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_WITHOUT_A_HOST = (IPv4Network("192.0.0.0/24"), IPv4Network("168.63.129.16/32"))  # clouds answer there about themselves
_UNICAST = IPv6Network("2000::/3")  # all that is assigned for the public
_NOT_PUBLIC = (IPv6Network("2001:db8::/32"), IPv6Network("3fff::/20"))  # for documentation
_CARRIES_IPV4 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))  # the last four bytes are the address


def resolve(host: str, port: int) -> Sequence[str]:
    """Look up the addresses of a host, in the order in which to try them. Raises OSError or UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def literal(host: str) -> str | None:
    """Return the address that is written in place of a name, in any form that a computer takes; None for a name."""
    try:
        return str(ip_address(host.partition("%")[0]))
    except ValueError:
        try:
            return socket.inet_ntoa(socket.inet_aton(host))  # 127.1, 0x7f000001, 017700000001, 2130706433
        except OSError:
            return None


def is_public(address: str) -> bool:
    """Whether an address is of the public internet: not loopback, private, link-local, shared, nor for metadata."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if any(found in network for network in _CARRIES_IPV4):
            return is_public(str(IPv4Address(found.packed[-4:])))
        tunnel = found.sixtofour
        if tunnel is not None:
            return is_public(str(tunnel))
        return found in _UNICAST and found.is_global and not any(found in network for network in _NOT_PUBLIC)
    return found.is_global and not found.is_multicast and not any(found in network for network in _WITHOUT_A_HOST)
