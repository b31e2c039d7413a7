"""A server's process: from its start to the signal that stops it, and on to its end."""

import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import anyio
from hypercorn.config import Config

from collab.server.app import Collab
from collab.server.cli.claim import Claim
from collab.server.cli.workers import Post
from collab.server.transports.frontdoor import FrontDoor

_COLLECT_EVERY = 20_000
"""Objects made and kept between two looks for circular garbage; Python's own default is 700."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a process serves, and where.

    Attributes:
        app: the app, not entered yet.
        config: Hypercorn's configuration.
        listener: the socket it listens on.
        native: whether WebSockets go to picows.
    """

    app: Collab
    config: Config
    listener: socket.socket
    native: bool


def run(service: Service, opened: Callable[[], None], claim: Claim | None) -> None:
    """Serves until SIGTERM or Ctrl-C, then ends in order; a second one ends the process at once.

    Args:
        service: what to serve.
        opened: called when connections are accepted.
        claim: the claim to the store; None where there is nothing to own.

    Raises:
        CollabError: it cannot be served.
    """
    anyio.run(_run, service, opened, claim, backend_options=_loop())


def work(service: Service, post: Post) -> None:
    """Serves as one of several workers, until SIGTERM or until the parent is gone.

    Further signals say nothing new: supervisors that send them to all processes send them again
    through the parent, which kills whom it wants to end at once.

    Args:
        service: what to serve.
        post: the worker's place.

    Raises:
        CollabError: it cannot be served.
    """
    anyio.run(_work, service, post, backend_options=_loop())


async def _run(service: Service, opened: Callable[[], None], claim: Claim | None) -> None:
    signals = (signal.SIGTERM, signal.SIGINT)
    with contextlib.ExitStack() as heeding:
        received = heeding.enter_context(anyio.open_signal_receiver(*signals))
        async with contextlib.AsyncExitStack() as exits:
            if claim is not None:
                # Left after the app, whose last commit comes when it is left.
                exits.enter_context(claim)
            await exits.enter_async_context(service.app)
            if claim is not None:
                claim.insist(service.app.running.timers.call_later)
            door = await exits.enter_async_context(_front_door(service))
            opened()
            async for _ in received:
                break
            heeding.close()
            for number in signals:
                signal.signal(number, signal.SIG_DFL)
            await _end(service, door)


async def _work(service: Service, post: Post) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as received:
        async with service.app, _front_door(service) as door:
            post.ready()
            await _told_to_stop(received, post.parent)
            await _end(service, door)


def _front_door(service: Service) -> FrontDoor:
    app, config = service.app, service.config
    # Hypercorn unpacks what is compressed: a few bytes may come to much more than they are.
    config.websocket_max_message_size = app.settings.message_max_bytes
    _calm_collector()
    return FrontDoor(
        app,
        app.running.handshakes,
        app.running.rooms.spawn,
        app.settings,
        config=config,
        listener=service.listener,
        native=service.native,
        tls=config.create_ssl_context() if config.ssl_enabled else None,
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
