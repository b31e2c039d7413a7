"""A server's WebSockets, and what their clients see."""

import asyncio
import ssl

import pycrdt
import trustme
from starlette.requests import HTTPConnection
from websockets.asyncio.client import ClientConnection, connect

from collab.access import Access, Identity
from collab.protocol import yjs
from collab.protocol.messages import SyncStep2, Update
from collab.server.auth.bearer import find_token
from collab.server.settings import Settings

DEADLINE_SECONDS = 30.0


SMALL = Settings(message_max_bytes=100_000)


async def authenticate(connection: HTTPConnection) -> Identity | None:
    """Tokens: "bad" is nobody, "none" may nothing, "read" may read, others may write."""
    match find_token(connection):
        case "bad":
            return None
        case "none":
            return Identity(id="none", access=Access.NONE)
        case "read":
            return Identity(id="reader", access=Access.READ)
        case "broken":
            raise RuntimeError("the database of users is away")
        case "admin":
            return Identity(id="root", access=Access.ADMIN)
        case "ana" as token:
            return Identity(id="ana", token_id=token, expires_at=1e12)
    return Identity(id="writer")


def contexts(*protocols: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS of a server and of a client that trusts it, who both speak these protocols."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    for context in (server, client):
        context.set_alpn_protocols(protocols)
    return server, client


def url(port: int, rest: str = "ws/room") -> str:
    return f"ws://127.0.0.1:{port}/{rest}"


def socket_to(port: int, rest: str = "ws/room") -> connect:
    return connect(
        url(port, rest), compression=None, open_timeout=DEADLINE_SECONDS, close_timeout=1
    )


async def receive(socket: ClientConnection) -> bytes:
    async with asyncio.timeout(DEADLINE_SECONDS):
        frame = await socket.recv()
    assert isinstance(frame, bytes)
    return frame


async def synced(socket: ClientConnection) -> "pycrdt.Doc[pycrdt.Text]":
    """Asks for the document and waits for all of it."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    await socket.send(yjs.sync_step1(doc.get_state()))
    while True:
        message = yjs.decode(await receive(socket))
        if isinstance(message, (SyncStep2, Update)):
            doc.apply_update(message.update)
        if isinstance(message, SyncStep2):
            return doc


async def heard(socket: ClientConnection, update: bytes) -> None:
    """Waits for a change."""
    while yjs.decode(await receive(socket)) != Update(update):
        pass


async def closed_with(socket: ClientConnection) -> int:
    """Waits for the end; returns the close code that came."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code
