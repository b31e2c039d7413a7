"""Addresses: only trusted proxies are believed, and only as far as they wrote it."""

import pytest
from starlette.types import Scope

from collab.errors import SettingsError
from collab.server.app import Collab
from collab.server.limits.addresses import client_address, one_client, parse_networks
from collab.storage.memory import MemoryStore

PROXIES = parse_networks(["10.0.0.0/8", "fd00::/8"])


def request(client: str | None, *forwarded: str) -> Scope:
    return {
        "type": "http",
        "client": (client, 4711) if client is not None else None,
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
    }


@pytest.mark.parametrize(
    ("scope", "address"),
    [
        (request("192.0.2.1"), "192.0.2.1"),
        (request("192.0.2.1", "198.51.100.7"), "192.0.2.1"),
        (request("10.1.1.1", "198.51.100.7"), "198.51.100.7"),
        (request("10.1.1.1", "203.0.113.9, 198.51.100.7"), "198.51.100.7"),
        (request("10.1.1.1", "203.0.113.9", "198.51.100.7, 10.2.2.2"), "198.51.100.7"),
        (request("10.1.1.1", "198.51.100.7, not an address"), "10.1.1.1"),
        (request("10.1.1.1"), "10.1.1.1"),
        (request("fd00::1", "2001:db8::5"), "2001:db8::5"),
        (request(None, "198.51.100.7"), ""),
    ],
)
def test_the_first_hop_from_the_end_that_is_no_proxy_counts(scope: Scope, address: str) -> None:
    assert client_address(scope, PROXIES) == address


def test_nobody_is_believed_where_no_proxy_is_named() -> None:
    assert client_address(request("10.1.1.1", "198.51.100.7"), ()) == "10.1.1.1"


def test_a_proxy_is_known_by_its_ipv4_address_where_the_socket_is_for_both() -> None:
    headers = [(b"x-forwarded-for", b"192.0.2.7")]
    scope = {"client": ("::ffff:10.0.0.1", 1), "headers": headers}
    assert client_address(scope, PROXIES) == "192.0.2.7"


@pytest.mark.parametrize("network", ["::ffff:10.0.0.1", "::ffff:10.0.0.0/104"])
def test_so_is_one_that_is_written_as_such_a_socket_shows_it(network: str) -> None:
    trusted = parse_networks([network])
    for proxy in ("::ffff:10.0.0.1", "10.0.0.1"):
        assert client_address(request(proxy, "192.0.2.7"), trusted) == "192.0.2.7"
    assert client_address(request("192.0.2.1", "192.0.2.7"), trusted) == "192.0.2.1"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8::1", "2001:db8::ffff:1"),
        ("fe80::1%eth0", "fe80::2"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_what_one_machine_may_use_counts_as_one(one: str, other: str) -> None:
    assert one_client(one) == one_client(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8::1", "2001:db8:0:1::1"),
        ("192.0.2.7", "192.0.2.8"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.8"),
    ],
)
def test_others_count_apart(one: str, other: str) -> None:
    assert one_client(one) != one_client(other)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(SettingsError, match="got 'local'"):
        parse_networks(["local"])


def test_a_text_in_place_of_a_list_is_refused_as_a_whole() -> None:
    with pytest.raises(SettingsError, match=r"expected a list of networks .*, got '10.0.0.0/8'"):
        Collab(MemoryStore(), trusted_proxies="10.0.0.0/8")
