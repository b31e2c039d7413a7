"""Addresses: where a request comes from, behind proxies that are trusted to tell."""

import ipaddress
from collections.abc import Iterable, Sequence

from starlette.types import Scope

from collab.errors import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_IPV6_PREFIX = 64
_MAPPED_PREFIX = 96


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
            networks.append(_unmapped(ipaddress.ip_network(text)))
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
        if _parse(hop) is None:
            break  # Nobody we trust wrote that.
        address = hop
        if not _is_within(hop, trusted):
            break
    return address


def one_client(address: str) -> str:
    """Names what counts as one client: of IPv6 a /64, as one machine may use all of it.

    Source: RFC 6177, section 2: a site is given no less.
    """
    parsed = _parse(address) if ":" in address else None
    if parsed is None:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(ipaddress.IPv6Network((int(parsed), _IPV6_PREFIX), strict=False))


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Reads an address: of IPv4 also as a socket for both shows it. None for what is none."""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


def _unmapped(network: Network) -> Network:
    """A network of IPv4 also where it is written as a socket for both shows it."""
    if isinstance(network, ipaddress.IPv4Network) or network.prefixlen < _MAPPED_PREFIX:
        return network
    first = network.network_address.ipv4_mapped
    if first is None:
        return network
    return ipaddress.IPv4Network((first, network.prefixlen - _MAPPED_PREFIX))


def _is_within(address: str, networks: Sequence[Network]) -> bool:
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in networks)
