"""What ``--bus`` takes, and what it makes of it."""

import pytest

from collab.errors import SettingsError
from collab.server.bus.address import open_bus
from collab.server.bus.deployment import Entrance


@pytest.mark.parametrize(
    "address",
    [
        "redis://h:1",
        "redis://h",
        "redis://[::1]:7/3",
        "valkey://ada:hunter2@h:1/2",
        "rediss://h:1?ssl_cert_reqs=none",
        "valkeys://h:1",
        "redis+sentinel://h1:1,h2/notes",
        "rediss+sentinel://ada:hunter2@h1:1,h2:2/notes/3?sentinel_password=hunter3",
        "valkey+cluster://h1:1,h2:2",
        "valkeys+cluster://h1/7",
    ],
)
def test_addresses_of_buses_are_taken(address: str) -> None:
    assert open_bus(address).failure == "not connected yet"


@pytest.mark.parametrize(
    "address",
    [
        "mysql://h:1",
        "h:1",
        "redis://",
        "redis://h:x",
        "redis://h:0",
        "redis://h:1/name",
        "redis://h:1/1/2",
        "redis://h1:1,h2:2",
        "redis+sentinel://h:1",
        "redis+sentinel://h:1/notes/name",
        "redis+sentinel://h:1,/notes",
        "redis+cluster://h:1/name",
        "redis+proxy://h:1",
    ],
)
def test_what_is_no_address_of_a_bus_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="expected a bus such as redis://HOST:PORT"):
        open_bus(address)


def test_a_refusal_does_not_show_the_password() -> None:
    with pytest.raises(SettingsError) as refused:
        open_bus("redis://ada:hunter2@h:1/name")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("entrance", "url"),
    [
        (Entrance("redis", "", ""), "redis://h:1/2?"),
        (Entrance("rediss", "ada:a%40b", "x=1"), "rediss://ada:a%40b@h:1/2?x=1"),
    ],
)
def test_an_entrance_leads_to_any_server(entrance: Entrance, url: str) -> None:
    assert entrance.url(("h", 1), 2) == url


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    assert Entrance("redis", "", "").url(("::1", 6379)) == "redis://[::1]:6379/0?"
