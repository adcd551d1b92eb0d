"""Whose request it is, as far as the network tells.

The peer of the connection, unless it is a proxy of ours: then what the proxy says in X-Forwarded-For, read from the
end, for as long as whoever wrote an entry is a proxy of ours too. What a stranger puts into the header is not reached.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

subscriber_bits = 64


def client_address(scope: Scope, trusted: Sequence[Network]) -> str:
    """The address that limits are counted for; of IPv6 the subscriber's network, where any may be taken."""
    peer: tuple[str, int] | None = scope.get("client")
    address = _address(peer[0]) if peer else None
    if address is None:
        return "unknown"
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
    for entry in reversed(forwarded):
        before = _address(entry)
        if before is None or not any(address in network for network in trusted):
            break
        address = before
    return str(ip_network((address, subscriber_bits), strict=False) if address.version == 6 else address)


def is_proxy(scope: Scope, trusted: Sequence[Network]) -> bool:
    """Whether the peer of the connection is a proxy of ours, so that its own address says nothing."""
    peer: tuple[str, int] | None = scope.get("client")
    address = _address(peer[0]) if peer else None
    return address is not None and any(address in network for network in trusted)


def _address(text: str) -> Address | None:
    """An address, with IPv4 in its own form; some proxies add a port."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
