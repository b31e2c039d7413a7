"""A server's process: from its start to the signal that stops it, and on to its end."""

import contextlib
import gc
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
from hypercorn.config import Config
from starlette.types import ASGIApp

from collab.server.app import Collab
from collab.server.cli.claim import Claim
from collab.server.cli.hangups import heed_hangups, ignore_hangups
from collab.server.cli.listening import listen_beside
from collab.server.cli.workers import Post
from collab.server.siblings import Siblings, with_addresses
from collab.server.transports.frontdoor import FrontDoor

_COLLECT_EVERY = 50_000
"""Objects made and kept between two looks for circular garbage; Python's own default is 700."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a process serves, and where.

    Attributes:
        app: the app, not entered yet.
        config: Hypercorn's configuration.
        listener: the socket it listens on.
        native: whether WebSockets go to picows.
        tls: how to encrypt; None does not.
        instance: the app's name on its bus; None where it has none.
    """

    app: Collab
    config: Config
    listener: socket.socket
    native: bool
    tls: ssl.SSLContext | None
    instance: str | None


def run(service: Service, opened: Callable[[], None], claim: Claim | None) -> None:
    """Serves until SIGTERM, SIGHUP or Ctrl-C, then ends in order; a second one, at once.

    Args:
        service: what to serve.
        opened: called when connections are accepted.
        claim: the claim to the store; None where there is nothing to own.

    Raises:
        CollabError: it cannot be served.
    """
    anyio.run(_run, service, opened, claim, backend_options=_loop())


def work(service: Service, post: Post, folder: Path) -> None:
    """Serves as one of several workers, until SIGTERM or until the parent is gone.

    Further signals say nothing new: supervisors that send them to all processes send them again
    through the parent, which kills whom it wants to end at once.

    Args:
        service: what to serve.
        post: the worker's place.
        folder: where workers find each other; nobody else may look into it.

    Raises:
        CollabError: it cannot be served.
    """
    anyio.run(_work, service, post, folder, backend_options=_loop())


async def _run(service: Service, opened: Callable[[], None], claim: Claim | None) -> None:
    signals = (signal.SIGTERM, signal.SIGINT)
    with contextlib.ExitStack() as heeding:
        received = heeding.enter_context(anyio.open_signal_receiver(*signals))
        heed_hangups()
        async with contextlib.AsyncExitStack() as exits:
            if claim is not None:
                # Left after the app, whose last commit comes when it is left.
                exits.enter_context(claim)
            await exits.enter_async_context(service.app)
            if claim is not None:
                claim.insist(service.app.running.timers.call_later)
            door = await exits.enter_async_context(_front_door(service))
            _calm_collector()
            opened()
            async for _ in received:
                break
            ignore_hangups()
            heeding.close()
            for number in signals:
                signal.signal(number, signal.SIG_DFL)
            await _end(service, door)


async def _work(service: Service, post: Post, folder: Path) -> None:
    assert service.instance is not None
    siblings = Siblings(service.app, folder, post.number, service.instance)
    siblings.clear()
    with (
        anyio.open_signal_receiver(signal.SIGTERM) as received,
        listen_beside(siblings.address) as side,
    ):
        async with (
            service.app,
            _front_door(
                replace(service, listener=side, native=False, tls=None),
                with_addresses(service.app),
            ),
            _front_door(service, siblings) as door,
        ):
            _calm_collector()
            post.ready()
            await _told_to_stop(received, post.parent)
            await _end(service, door)


def _front_door(service: Service, around: ASGIApp | None = None) -> FrontDoor:
    """Makes the front door of an app that is entered, or of what stands around it."""
    app, config = service.app, service.config
    # Hypercorn unpacks what is compressed: a few bytes may come to much more than they are.
    config.websocket_max_message_size = app.settings.message_max_bytes
    return FrontDoor(
        app if around is None else around,
        app.running.handshakes,
        app.running.rooms.spawn,
        app.settings,
        config=config,
        listener=service.listener,
        native=service.native,
        tls=service.tls,
    )


async def _end(service: Service, door: FrontDoor) -> None:
    """Ends in order: clients go, then requests, which may still write, then the last commit."""
    door.stop_accepting()
    await service.app.running.leave()
    await door.finish()
    await service.app.running.drain()


async def _told_to_stop(received: AsyncIterator[signal.Signals], parent: int) -> None:
    """Returns after a signal, or when the parent is gone."""
    async with anyio.create_task_group() as tasks:

        async def outlive() -> None:
            await anyio.wait_readable(parent)
            tasks.cancel_scope.cancel()

        tasks.start_soon(outlive)
        async for _ in received:
            tasks.cancel_scope.cancel()
            break


def _loop() -> dict[str, bool]:
    """Runs on uvloop where it is installed."""
    try:
        import uvloop  # noqa: F401
    except ImportError:
        return {}
    return {"use_uvloop": True}


def _calm_collector() -> None:
    """Has Python look for circular garbage more rarely: rooms and connections hardly make any."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY, 20, 20)
