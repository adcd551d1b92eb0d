"""Which address a request is counted for."""

from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from regulars.api.client_address import Network, client_address

proxies: Sequence[Network] = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def address_of(peer: str | None, *forwarded: str, trusted: Sequence[Network] = proxies) -> str:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return client_address({"type": "http", "headers": headers, "client": peer and (peer, 1)}, trusted)


def test_a_stranger_is_the_peer_whatever_the_header_says() -> None:
    assert address_of("203.0.113.9", "198.51.100.1") == "203.0.113.9"
    assert address_of("10.0.0.1", "198.51.100.1", trusted=[]) == "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (["198.51.100.1"], "198.51.100.1"),
        (["198.51.100.1, 10.0.0.7"], "198.51.100.1"),
        (["192.0.2.66, 198.51.100.1, 10.0.0.7"], "198.51.100.1"),
        (["192.0.2.66", "198.51.100.1", "10.0.0.7"], "198.51.100.1"),
        (["198.51.100.1:4711"], "198.51.100.1"),
        (["[2001:db8:1:2:3::4]:4711"], "2001:db8:1:2::/64"),
        ([" 2001:db8:1:2:3::4 "], "2001:db8:1:2::/64"),
        (["::ffff:198.51.100.1"], "198.51.100.1"),
        (["10.0.0.9"], "10.0.0.9"),
        (["unknown"], "10.0.0.1"),
        (["192.0.2.66, unknown, 10.0.0.7"], "10.0.0.7"),
        ([""], "10.0.0.1"),
        ([], "10.0.0.1"),
    ],
)
def test_behind_a_proxy_of_ours_it_is_who_the_proxy_saw(forwarded: list[str], expected: str) -> None:
    assert address_of("10.0.0.1", *forwarded) == expected
    assert address_of("::ffff:10.0.0.1", *forwarded) == expected


def test_a_subscriber_of_ipv6_counts_once_for_all_addresses() -> None:
    assert address_of("2001:db8:1:2::1") == address_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert address_of("2001:db8:1:3::1") == "2001:db8:1:3::/64"


def test_without_an_address_all_count_together() -> None:
    assert address_of(None) == address_of("a-socket") == "unknown"
