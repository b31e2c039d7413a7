"""Addresses of buses: what ``--bus`` takes."""

from urllib.parse import urlsplit

from collab.errors import SettingsError
from collab.server.bus.bus import Bus

_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
}
"""Schemes, and what the client calls them."""


def open_bus(address: str) -> Bus:
    """Makes a bus; it connects when it is joined.

    Args:
        address: ``redis://HOST:PORT``, ``valkey://``, or with TLS ``rediss://``, ``valkeys://``;
            user, password and the number of a database as usual.

    Raises:
        SettingsError: it is no such address, or the client library is not installed.
    """
    scheme, separator, rest = address.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise SettingsError(f"expected a bus such as redis://HOST:PORT, got {address!r}")
    try:
        parts = urlsplit(address)
        named, database = parts.port != 0 and bool(parts.hostname), parts.path.strip("/") or "0"
    except ValueError:
        named, database = False, "0"
    if not named or not (database.isascii() and database.isdigit()):
        raise SettingsError(f"expected a bus such as redis://HOST:PORT, got {address!r}")
    try:
        from collab.server.bus.valkey import ValkeyBus
    except ImportError as error:
        raise SettingsError(
            "expected the client of Valkey and Redis, got none: pip install 'collab-yjs[redis]'"
        ) from error
    return ValkeyBus(f"{_SCHEMES[scheme]}://{rest}", prefix=f"collab:{database}")
