"""Servers for clients without WebSockets, and what such clients see."""

import contextlib
from collections.abc import AsyncIterator

import httpx
import pycrdt
from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.lib0 import write_var_string
from collab.protocol import hocuspocus, yjs
from collab.protocol.messages import SyncStep2, Update
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.server.fallback import DEADLINE_SECONDS, FallbackClient
from tests.server.hosts import front_door

SMALL = Settings(message_max_bytes=100_000)


APPLIED, REFUSED = b"\x08\x01", b"\x08\x00"


READ_WRITE = hocuspocus.authenticated(may_write=True)


READ_ONLY = hocuspocus.authenticated(may_write=False)


SHOWS_ITSELF = yjs.awareness(b"\x01\x07\x00\x02{}")


IS_SHOWN = yjs.awareness(
    b"\x01\x07\x00" + write_var_string('{"user":{"id":"writer","name":"writer"}}')
)
"""The same as others see it: with the identity it is of."""


async def authenticate(connection: HTTPConnection) -> Identity | None:
    """Tokens: "bad" is nobody, "none" may nothing, "read" may read, others may write."""
    match connection.headers.get("authorization"):
        case "Bearer bad":
            return None
        case "Bearer none":
            return Identity(id="none", access=Access.NONE)
        case "Bearer read":
            return Identity(id="reader", access=Access.READ)
    return Identity(id="writer")


@contextlib.asynccontextmanager
async def http_to(port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE_SECONDS
    ) as client:
        yield client


@contextlib.asynccontextmanager
async def http_from(port: int, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """The same from some address, as a proxy says."""
    async with http_to(port) as client:
        client.headers["X-Forwarded-For"] = address
        yield client


@contextlib.asynccontextmanager
async def serving(settings: Settings = SMALL) -> AsyncIterator[httpx.AsyncClient]:
    """One server, as ``collab serve`` has it, where the server makes no difference."""
    app = Collab(MemoryStore(), settings=settings, authenticate=authenticate)
    async with front_door(app) as port, http_to(port) as client:
        yield client


async def synced(client: FallbackClient) -> "pycrdt.Doc[pycrdt.Text]":
    """Asks for the document and waits for all of it."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    await client.say(yjs.sync_step1(doc.get_state()))
    while True:
        frame = await client.frame()
        message = yjs.decode(frame) if frame[0] in (0, 1) else None
        if isinstance(message, (SyncStep2, Update)):
            doc.apply_update(message.update)
        if isinstance(message, SyncStep2):
            return doc


def text_of(doc: "pycrdt.Doc[pycrdt.Text]") -> str:
    return str(doc.get("text", type=pycrdt.Text))
