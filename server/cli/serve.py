"""``collab serve``: the server as a process of its own."""

import contextlib
import gc
import logging
import signal
import socket

import anyio
import anyio.abc
import click
from hypercorn.config import Config

from collab.errors import SettingsError
from collab.server.app import Collab
from collab.server.cli.options import config_option, settings_of, settings_options, store_option
from collab.server.transports.frontdoor import FrontDoor

_BACKLOG = 2048
"""Connections the system may hold before they are accepted: a crowd that reconnects at once."""

_COLLECT_EVERY = 20_000
"""Objects made and kept between two looks for circular garbage; Python's own default is 700."""


@click.command()
@config_option
@store_option
@click.option(
    "--bind",
    default="127.0.0.1:8000",
    show_default=True,
    envvar="COLLAB_BIND",
    metavar="HOST:PORT",
    help="Where to listen; port 0 picks a free one.",
)
@click.option(
    "--transport",
    type=click.Choice(["native", "asgi"]),
    default="native",
    show_default=True,
    envvar="COLLAB_TRANSPORT",
    help="What carries WebSockets: picows, or Hypercorn and ASGI.",
)
@click.option(
    "--certfile",
    type=click.Path(exists=True, dir_okay=False),
    envvar="COLLAB_CERTFILE",
    help="Certificate chain (PEM): serve https and wss.",
)
@click.option(
    "--keyfile",
    type=click.Path(exists=True, dir_okay=False),
    envvar="COLLAB_KEYFILE",
    help="Private key (PEM) of the certificate.",
)
@click.option(
    "--demo/--no-demo",
    default=True,
    show_default=True,
    envvar="COLLAB_DEMO",
    help="Serve the editor demo at /.",
)
@settings_options
def serve(
    address: str,
    bind: str,
    transport: str,
    certfile: str | None,
    keyfile: str | None,
    demo: bool,
    **tuned: float,
) -> None:
    """Serve documents over WebSockets and HTTP until SIGTERM or Ctrl-C."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("collab").setLevel(logging.INFO)
    logging.getLogger("aiofastnet").setLevel(logging.ERROR)  # It warns of peers that just left.
    if (certfile is None) != (keyfile is None):
        raise SettingsError("expected --certfile and --keyfile together")
    config = Config()
    config.certfile, config.keyfile = certfile, keyfile
    config.backlog = _BACKLOG
    app = Collab(address, demo=demo, settings=settings_of(tuned))
    anyio.run(_serve, app, config, bind, transport == "native", backend_options=_loop())


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


async def _serve(app: Collab, config: Config, bind: str, native: bool) -> None:
    listener = _listen(bind)
    # Ours is the bound that answers; Hypercorn's is there in case.
    config.websocket_max_message_size = app.settings.message_max_bytes * 2
    tls = config.create_ssl_context() if config.ssl_enabled else None
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with contextlib.AsyncExitStack() as exits:
            await exits.enter_async_context(app)
            door = await exits.enter_async_context(
                FrontDoor(
                    app,
                    app.running.rooms,
                    app.authenticate,
                    app.settings,
                    config=config,
                    listener=listener,
                    native=native,
                    tls=tls,
                )
            )
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            _calm_collector()
            click.echo(f"collab: listening on {'https' if tls else 'http'}://{shown}:{port}")
            async for _ in signals:
                break
            door.stop_accepting()
            await app.running.drain()


def _listen(bind: str) -> socket.socket:
    """Binds the address that ``--bind`` names.

    Raises:
        SettingsError: it is no address, or it cannot be bound.
    """
    host, separator, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isascii() or not port.isdigit():
        raise SettingsError(f"expected --bind HOST:PORT, got {bind!r}")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise SettingsError(f"cannot listen on {bind}: {error}") from error
