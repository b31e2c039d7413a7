"""The kinds of stock clients: families of them, each in the versions people use."""

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

_PACKAGES = Path(__file__).parent / "package.json"


class Family(StrEnum):
    """Clients that speak one dialect."""

    Y_WEBSOCKET = "y-websocket"
    HOCUSPOCUS = "hocuspocus"
    Y_SWEET = "y-sweet"


_BASES = {
    Family.Y_WEBSOCKET: "ws://127.0.0.1:{}/ws",
    Family.HOCUSPOCUS: "ws://127.0.0.1:{}/hocuspocus",
    Family.Y_SWEET: "ys://127.0.0.1:{}/y-sweet",
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
        package: its name on npm.
        dependency: what it is called in ``package.json`` here.
    """

    family: Family
    version: int
    package: str
    dependency: str

    @property
    def release(self) -> str:
        """The exact version that is tested."""
        return _releases()[self.dependency].rpartition("@")[2]

    @property
    def path(self) -> str:
        """Where it is spoken to."""
        return _PATHS[self.family]

    def base(self, port: int) -> str:
        """Where it connects to a server, or to a proxy on the way there.

        Args:
            port: the port of either.
        """
        return _BASES[self.family].format(port)

    def __str__(self) -> str:
        major, minor, *_ = self.release.split(".")
        return f"{self.package} {major if major != '0' else f'0.{minor}'}"


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


@cache
def _releases() -> dict[str, str]:
    releases: dict[str, str] = json.loads(_PACKAGES.read_text())["dependencies"]
    return releases
