"""Addresses that are bound, for one process or for several, before anybody listens on them."""

import errno
import socket

import pytest

from collab.errors import AddressUnavailable
from collab.server.cli.listening import reserve, share


def connect_to(bound: socket.socket) -> int:
    """The error number of a connection to an address; 0 where it is taken."""
    with socket.socket(bound.family) as guest:
        return guest.connect_ex(bound.getsockname()[:2])


@pytest.mark.parametrize("shared", [False, True])
def test_nobody_connects_to_a_reserved_address_before_somebody_listens(shared: bool) -> None:
    with reserve("127.0.0.1:0", shared=shared) as reserved:
        assert connect_to(reserved) == errno.ECONNREFUSED
        reserved.listen()
        assert connect_to(reserved) == 0


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "[::1]:0"])
def test_several_listen_on_an_address_that_is_shared_and_nobody_else_does(bind: str) -> None:
    with reserve(bind, shared=True) as reserved, share(reserved) as one, share(reserved) as other:
        assert connect_to(reserved) == errno.ECONNREFUSED
        one.listen()
        other.listen()
        assert connect_to(reserved) == 0
        host, port = reserved.getsockname()[:2]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        for shared in (False, True):
            with pytest.raises(
                AddressUnavailable, match=r"expected to listen on .*, got: Address already in use"
            ):
                reserve(address, shared=shared)
