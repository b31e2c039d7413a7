"""Addresses of buses: what ``--bus`` takes."""

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from collab.errors import SettingsError
from collab.server.bus.bus import Bus

_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
}
"""Schemes, and what the client calls them."""

_PORTS = {"": 6379, "cluster": 6379, "sentinel": 26379}
"""Kinds of deployments, and where their servers listen as a rule."""

_CREDENTIALS = ("username", "password")


def open_bus(address: str) -> Bus:
    """Makes a bus; it connects when it is joined.

    Args:
        address: ``redis://HOST:PORT`` for one server, ``redis+sentinel://HOST:PORT,.../SERVICE``
            for what sentinels watch, ``redis+cluster://HOST:PORT,...`` for a cluster. ``rediss``
            and ``valkeys`` are with TLS, ``valkey`` is ``redis``. User, password and the number of
            a database as usual. ``sentinel_username`` and ``sentinel_password`` of the query are
            what sentinels are asked with.

    Raises:
        SettingsError: it is no such address, or the client library is not installed.
    """
    scheme, separator, rest = address.partition("://")
    scheme, _, kind = scheme.partition("+")
    if not separator or scheme not in _SCHEMES or kind not in _PORTS:
        raise _unexpected(address)
    try:
        parts = urlsplit(f"//{rest}")
        credentials, _, named = parts.netloc.rpartition("@")
        hosts = [_read_host(host, _PORTS[kind]) for host in named.split(",")]
    except ValueError:
        raise _unexpected(address) from None
    path = [unquote(part) for part in parts.path.split("/")[1:] if part]
    service = path.pop(0) if kind == "sentinel" and path else ""
    database = path.pop(0) if path else "0"
    digits = database.isascii() and database.isdigit()
    if path or not digits or (kind == "sentinel") != bool(service) or (not kind and hosts[1:]):
        raise _unexpected(address)
    try:
        from collab.server.bus.deployment import (
            Cluster,
            Deployment,
            Entrance,
            Sentinels,
            Standalone,
        )
        from collab.server.bus.valkey import ValkeyBus
    except ImportError as error:
        raise SettingsError(
            "expected the client of Valkey and Redis, got none: pip install 'collab-yjs[redis]'"
        ) from error
    options = dict(parse_qsl(parts.query))
    user, password = (quote(options.pop(f"sentinel_{name}", "")) for name in _CREDENTIALS)
    entrance = Entrance(_SCHEMES[scheme], credentials, urlencode(options))
    deployment: Deployment
    if kind == "sentinel":
        watchers = Entrance(
            _SCHEMES[scheme], f"{user}:{password}" * bool(password), entrance.options
        )
        deployment = Sentinels(watchers, hosts, service, entrance, int(database))
    elif kind == "cluster":
        deployment = Cluster(entrance, hosts)
    else:
        deployment = Standalone(entrance, hosts[0], int(database))
    return ValkeyBus(deployment, prefix=f"collab:{int(database)}")


def _read_host(text: str, port: int) -> tuple[str, int]:
    """Reads ``HOST:PORT``.

    Raises:
        ValueError: it is something else.
    """
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.port == 0:
        raise ValueError(text)
    return parts.hostname, parts.port or port


def _unexpected(address: str) -> SettingsError:
    shown = address.rpartition("@")[2]  # Without the password.
    return SettingsError(
        "expected a bus such as redis://HOST:PORT, redis+sentinel://HOST:PORT/SERVICE or "
        f"redis+cluster://HOST:PORT,HOST:PORT, got {shown!r}"
    )
