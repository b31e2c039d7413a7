"""Addresses: where a request comes from, behind proxies that are trusted to tell."""

import ipaddress
from collections.abc import Iterable, Sequence

from starlette.types import Scope

from collab.errors import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Reads networks such as ``10.0.0.0/8``, ``fd00::/8`` or ``192.0.2.7``.

    Raises:
        SettingsError: one of them is no network, or they are one text and no list.
    """
    if isinstance(texts, str):  # Its characters would be read as networks.
        raise SettingsError(f"expected a list of networks such as [{texts!r}], got {texts!r}")
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise SettingsError(f"expected a network like 10.0.0.0/8, got {text!r}") from error
    return tuple(networks)


def client_address(scope: Scope, trusted: Sequence[Network]) -> str:
    """Names the address a request comes from.

    ``X-Forwarded-For`` is believed only as far as trusted proxies wrote it: from its end, the first
    address that is none of theirs.

    Args:
        scope: ASGI scope of the request.
        trusted: networks of proxies.

    Returns:
        The address, or an empty string where the server does not know it (a Unix socket).
    """
    client = scope.get("client")
    address: str = client[0] if client else ""
    if not trusted or not _is_within(address, trusted):
        return address
    forwarded = b",".join(
        value for name, value in scope["headers"] if name == b"x-forwarded-for"
    ).decode("latin-1")
    for hop in reversed([hop.strip() for hop in forwarded.split(",")]):
        if not _is_address(hop):
            break  # Nobody we trust wrote that.
        address = hop
        if not _is_within(hop, trusted):
            break
    return address


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_within(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
