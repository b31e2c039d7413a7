"""Real servers for tests, on free ports: our own front door, Hypercorn and uvicorn."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import anyio
import pytest
import uvicorn
from hypercorn.asyncio import serve as serve_hypercorn
from hypercorn.config import Config
from hypercorn.trio import serve as serve_hypercorn_on_trio
from starlette.types import ASGIApp

from collab.server.app import Collab
from collab.server.transports.frontdoor import FrontDoor

STREAM_WRITERS = pytest.mark.filterwarnings(
    "ignore:.*StreamWriter:pytest.PytestUnraisableExceptionWarning"
)
"""Hypercorn leaves stream writers to the collector, which may run in a worker thread."""


def listen() -> socket.socket:
    """A listening socket on a free port."""
    return socket.create_server(("127.0.0.1", 0))


@contextlib.asynccontextmanager
async def front_door(
    app: Collab,
    *,
    native: bool = True,
    tls: ssl.SSLContext | None = None,
    received_bytes: int | None = None,
) -> AsyncIterator[int]:
    """Serves as ``collab serve`` does; gives the port.

    Args:
        app: what to serve, not entered yet.
        native: whether WebSockets go to picows.
        tls: how to encrypt; None does not.
        received_bytes: how much of what comes on a connection the kernel keeps.
    """
    with listen() as listener:
        if received_bytes is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received_bytes)
        async with (
            app,
            FrontDoor(
                app,
                app.running.handshakes,
                app.running.rooms.spawn,
                app.settings,
                config=Config(),
                listener=listener,
                native=native,
                tls=tls,
            ),
        ):
            yield listener.getsockname()[1]


@contextlib.asynccontextmanager
async def hypercorn(app: ASGIApp) -> AsyncIterator[int]:
    """Serves under Hypercorn, which also tells the app when it starts and stops."""
    listener = listen()
    port: int = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]  # Hypercorn closes it.
    config.loglevel = "ERROR"
    config.graceful_timeout = 1
    stopping = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            await serve_hypercorn(app, config, shutdown_trigger=stopping.wait)  # type: ignore[arg-type]  # the same protocol, typed apart

        tasks.start_soon(run)
        yield port
        stopping.set()


@contextlib.asynccontextmanager
async def hypercorn_on_trio(app: ASGIApp) -> AsyncIterator[int]:
    """Serves under Hypercorn's trio worker, on trio."""
    listener = listen()
    port: int = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]  # Hypercorn closes it.
    config.loglevel = "ERROR"
    config.graceful_timeout = 1
    stopping = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            await serve_hypercorn_on_trio(app, config, shutdown_trigger=stopping.wait)  # type: ignore[arg-type]  # the same protocol, typed apart

        tasks.start_soon(run)
        yield port
        stopping.set()


@contextlib.asynccontextmanager
async def under_uvicorn(app: ASGIApp) -> AsyncIterator[int]:
    """Serves under uvicorn, likewise."""
    with listen() as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                app, log_level="error", ws="websockets-sansio", timeout_graceful_shutdown=1
            )
        )
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


Host = Callable[[Collab], contextlib.AbstractAsyncContextManager[int]]
HOSTS: dict[str, Host] = {
    "native": lambda app: front_door(app),
    "front door, asgi": lambda app: front_door(app, native=False),
    "hypercorn": lambda app: hypercorn(app),
    "uvicorn": lambda app: under_uvicorn(app),
}
