"""The address that a request comes from; behind a proxy it is what TRUSTED_PROXIES makes of X-Forwarded-For."""

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from litestar import Request

_IPV6_SITE_BITS = 64
"""What one customer has at the least (RFC 6177): its addresses are as good as one."""


_NO_ADDRESS = "unreadable"


def client_address(request: Request[Any, Any, Any]) -> str | None:
    """Return the caller's IPv4 address or IPv6 network of 64 bits; None where it is not known (a unix socket)."""
    return None if request.client is None else normal_address(request.client.host)


def normal_address(host: str) -> str:
    """Return the one form of an address by which callers are counted; all that is none counts as one."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return _NO_ADDRESS
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Network((address, _IPV6_SITE_BITS), strict=False))
    return str(address)
