"""collab.server: the ASGI app, its rooms, its transports and the command line."""

from collab.server.app import Collab
from collab.server.live import LiveDocument
from collab.server.settings import Settings

__all__ = ["Collab", "LiveDocument", "Settings"]
