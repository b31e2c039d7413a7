"""A client of collab servers: documents that are elsewhere, edited live from Python.

It needs nothing of the server's packages.
"""

from collab.access import Access
from collab.client.blocking import BlockingDocument, connect_blocking
from collab.client.credentials import Token
from collab.client.document import RemoteDocument, connect
from collab.client.line import Status
from collab.client.timing import Timing

__all__ = [
    "Access",
    "BlockingDocument",
    "RemoteDocument",
    "Status",
    "Timing",
    "Token",
    "connect",
    "connect_blocking",
]
