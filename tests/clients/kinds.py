"""The kinds of clients: families of them, each in the versions people use, and our own."""

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import version
from pathlib import Path

_FOLDER = Path(__file__).parent
_PACKAGES = _FOLDER / "package.json"
PROVIDER = _FOLDER.parents[1] / "web-demo" / "provider"
"""Where ``collab-provider`` is made."""


class Family(StrEnum):
    """Clients that speak one dialect."""

    Y_WEBSOCKET = "y-websocket"
    HOCUSPOCUS = "hocuspocus"
    Y_SWEET = "y-sweet"
    COLLAB_PROVIDER = "collab-provider"
    COLLAB_CLIENT = "collab.client"


class Carrier(StrEnum):
    """What carries frames between a client and the server."""

    WEBSOCKET = "websocket"
    STREAM = "stream"
    POLL = "poll"


_BASES = {
    Family.Y_WEBSOCKET: "ws://127.0.0.1:{}/ws",
    Family.HOCUSPOCUS: "ws://127.0.0.1:{}/hocuspocus",
    Family.Y_SWEET: "ys://127.0.0.1:{}/y-sweet",
    Family.COLLAB_PROVIDER: "http://127.0.0.1:{}",
    Family.COLLAB_CLIENT: "http://127.0.0.1:{}",
}

_OWN_PATHS = {
    Carrier.WEBSOCKET: "/hocuspocus",
    Carrier.STREAM: "/sse",
    Carrier.POLL: "/sse?poll=1",
}

_PATHS = {
    Family.Y_WEBSOCKET: "/ws/{document}",
    Family.HOCUSPOCUS: "/hocuspocus",
    Family.Y_SWEET: "/y-sweet",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One client library in one major version.

    Attributes:
        family: what it speaks.
        version: its major version, as the driver knows it.
        package: its name on npm, or what Python imports.
        dependency: what it is called in ``package.json`` here, or where it is made.
        carrier: what carries its frames.
    """

    family: Family
    version: int
    package: str
    dependency: str
    carrier: Carrier = Carrier.WEBSOCKET

    @property
    def release(self) -> str:
        """The exact version that is tested."""
        return _releases()[self.dependency].rpartition("@")[2]

    @property
    def path(self) -> str:
        """Where it is spoken to."""
        return _PATHS.get(self.family) or _OWN_PATHS[self.carrier]

    def base(self, port: int) -> str:
        """Where it connects to a server, or to a proxy on the way there.

        Args:
            port: the port of either.
        """
        return _BASES[self.family].format(port)

    def __str__(self) -> str:
        major, minor, *_ = self.release.split(".")
        name = f"{self.package} {major if major != '0' else f'0.{minor}'}"
        return name if self.carrier is Carrier.WEBSOCKET else f"{name} by {self.carrier}"


Y_WEBSOCKET = tuple(
    Kind(Family.Y_WEBSOCKET, version, package, dependency)
    for version, package, dependency in (
        (1, "y-websocket", "y-websocket-1"),
        (2, "y-websocket", "y-websocket-2"),
        (3, "y-websocket", "y-websocket"),
        (4, "@y/websocket", "@y/websocket"),
    )
)
HOCUSPOCUS = tuple(
    Kind(Family.HOCUSPOCUS, version, "@hocuspocus/provider", dependency)
    for version, dependency in (
        (2, "hocuspocus-provider-2"),
        (3, "hocuspocus-provider-3"),
        (4, "@hocuspocus/provider"),
    )
)
Y_SWEET = Kind(Family.Y_SWEET, 0, "@y-sweet/client", "@y-sweet/client")
KINDS = (*Y_WEBSOCKET, *HOCUSPOCUS, Y_SWEET)
"""Stock clients."""
COLLAB_PROVIDER = tuple(
    Kind(Family.COLLAB_PROVIDER, 0, "collab-provider", "collab-provider", carrier)
    for carrier in Carrier
)
COLLAB_CLIENT = tuple(
    Kind(Family.COLLAB_CLIENT, 0, "collab.client", "collab-yjs", carrier)
    for carrier in (Carrier.WEBSOCKET, Carrier.STREAM)
)
OWN_KINDS = (*COLLAB_PROVIDER, *COLLAB_CLIENT)
"""What this repository brings, by WebSockets and without."""


@cache
def _releases() -> dict[str, str]:
    releases: dict[str, str] = json.loads(_PACKAGES.read_text())["dependencies"]
    provider = json.loads((PROVIDER / "package.json").read_text())
    return releases | {"collab-provider": provider["version"], "collab-yjs": version("collab-yjs")}
