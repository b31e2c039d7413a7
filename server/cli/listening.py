"""Listening: the address of a server, for one process or for several."""

import re
import socket
from ipaddress import ip_address
from pathlib import Path

from collab.errors import AddressUnavailable, SettingsError

BACKLOG = 2048
"""Connections the system may hold before they are accepted: a crowd that reconnects at once."""

_PORT = re.compile(r"[0-9]+")
_MAX_PORT = 65535

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
"""Where a server is found that listens on every address."""


def reserve(bind: str, *, shared: bool, any_port: bool = False) -> socket.socket:
    """Binds the address that ``--bind`` names; nobody connects before somebody listens.

    Who listens and does not accept yet has clients wait, whom a balancer would send elsewhere.

    Args:
        bind: the address.
        shared: whether several processes are to listen on it; see ``share``.
        any_port: whether to bind a free port in the place of the one it names, which may be taken.

    Raises:
        SettingsError: it is no address, or the system does not let several processes share one.
        AddressUnavailable: it cannot be bound.
    """
    (host, port), family = _read(bind)
    address = (host, 0 if any_port else port)
    if shared and not hasattr(socket, "SO_REUSEPORT"):
        raise SettingsError("expected a system with SO_REUSEPORT for several workers, got another")
    try:
        reserved = _bound(address, family)
    except OSError as error:
        raise AddressUnavailable(f"expected to listen on {bind}, got: {_reason(error)}") from error
    if shared:
        # Not before: another server that shares the address with its workers would let it in.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return reserved


def share(reserved: socket.socket) -> socket.socket:
    """Binds an address beside others who do; the system deals connections out to who listens.

    Args:
        reserved: see ``reserve``.

    Raises:
        AddressUnavailable: it cannot be bound any more.
    """
    address = reserved.getsockname()[:2]
    try:
        return _bound(address, reserved.family, shared=True)
    except OSError as error:
        where = f"{address[0]}:{address[1]}"
        raise AddressUnavailable(f"expected to listen on {where}, got: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    """Why an address cannot be bound, in the system's words without its numbers."""
    return error.strerror or str(error)


def _bound(address: tuple[str, int], family: int, *, shared: bool = False) -> socket.socket:
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound


def listen_beside(path: Path) -> socket.socket:
    """Listens on a Unix socket, for who may look into its folder."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(BACKLOG)
    return listener


def url_of(bound: socket.socket, *, tls: bool) -> str:
    """The address of a bound socket as a URL."""
    host, port = bound.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def local_url_of(bound: socket.socket, *, tls: bool) -> str:
    """The same for commands on this machine."""
    url = url_of(bound, tls=tls)
    for everywhere, here in _LOOPBACK.items():
        url = url.replace(f"//{everywhere}:", f"//{here}:")
    return url


def is_loopback(bound: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ip_address(bound.getsockname()[0]).is_loopback


def _read(bind: str) -> tuple[tuple[str, int], socket.AddressFamily]:
    host, separator, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    # A host that is not UTF-8 has lone surrogates, which `bind` takes for a mistake in the code.
    if not separator or not host.isprintable() or not host or not _PORT.fullmatch(port):
        raise SettingsError(f"expected --bind HOST:PORT, got {bind!r}")
    if int(port) > _MAX_PORT:
        raise SettingsError(f"expected a port of 0 to {_MAX_PORT} in --bind, got {bind!r}")
    return (host, int(port)), socket.AF_INET6 if ":" in host else socket.AF_INET
