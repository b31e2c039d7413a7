"""collab: a Yjs backend. Documents people edit together, kept on disk, served or embedded.

The core (this package without ``collab.client``, ``collab.server`` and ``collab.storage``) has no
tasks, no sockets, no files and no clock of its own: bytes in, values out.

``collab.connect`` and ``collab.connect_blocking`` open a document on a server; they are those of
``collab.client``, and are imported when they are first asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collab.client import connect as connect
    from collab.client import connect_blocking as connect_blocking

__all__ = ["connect", "connect_blocking"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "connect":
        from collab.client import connect

        return connect
    if name == "connect_blocking":
        from collab.client import connect_blocking

        return connect_blocking
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
