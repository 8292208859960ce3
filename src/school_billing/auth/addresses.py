"""The addresses by which log-ins are counted."""

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from litestar import Request

_IPV6_CLIENT_BITS = 64  # The smallest network of one customer (RFC 6177). All its addresses count as one client.
_IPV6_SITE_BITS = 48


def client_address(request: Request[Any, Any, Any]) -> str | None:
    """Return the client's IPv4 address or IPv6 /64 network, or None on a unix socket."""
    return None if request.client is None else normal_address(request.client.host)


def site_of(address: str | None) -> str | None:
    """Return the IPv6 /48 network of a counted address, which is what one site gets (RFC 6177); None for IPv4."""
    if address is None or ":" not in address:
        return None
    return str(IPv6Network(address, strict=False).supernet(new_prefix=_IPV6_SITE_BITS))


def normal_address(host: str) -> str:
    """Return the address under which a client is counted. All unreadable addresses count as one client."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return "unreadable"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Network((address, _IPV6_CLIENT_BITS), strict=False))
    return str(address)
