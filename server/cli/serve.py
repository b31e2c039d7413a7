"""``collab serve``: the server as a process of its own."""

import contextlib
import gc
import logging
import secrets
import signal
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import click
from hypercorn.config import Config

from collab.archive import Retention
from collab.errors import SettingsError
from collab.server.app import Collab
from collab.server.auth.operator import admit_operator
from collab.server.bus.address import open_bus
from collab.server.cli.claim import Claim
from collab.server.cli.duration import Duration
from collab.server.cli.jwt import jwt_options, tokens_of
from collab.server.cli.options import (
    RETENTION,
    config_option,
    settings_of,
    settings_options,
    store_option,
)
from collab.server.documents.seeds import SeedFiles
from collab.server.transports.frontdoor import FrontDoor
from collab.storage.address import file_of
from collab.storage.sqlite.ownership import Contact

_BACKLOG = 2048
"""Connections the system may hold before they are accepted: a crowd that reconnects at once."""

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
"""Where a server is found that listens on every address."""

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
@click.option(
    "--history",
    type=RETENTION,
    default="all",
    show_default=True,
    envvar="COLLAB_HISTORY",
    help="How long changes are kept of documents for which nothing else was said: all, none, or a "
    "span such as 30d (s, m, h, d or w). Content never goes.",
)
@jwt_options
@click.option(
    "--open-to-everyone",
    is_flag=True,
    envvar="COLLAB_OPEN_TO_EVERYONE",
    help="Listen beyond this machine although nobody is authenticated: whoever reaches the "
    "address may read, change and delete every document.",
)
@click.option(
    "--allow-origin",
    "allow_origins",
    multiple=True,
    envvar="COLLAB_ALLOW_ORIGIN",
    metavar="ORIGIN",
    help="Web pages of which origin may use the server, beside its own: https://example.org, or * "
    "for all. May be repeated; in the variable, spaces are between them.",
)
@click.option(
    "--trust-proxy",
    "trusted_proxies",
    multiple=True,
    envvar="COLLAB_TRUST_PROXY",
    metavar="NETWORK",
    help="Proxies whose word on a client's address (X-Forwarded-For) is taken: 10.0.0.0/8, or one "
    "address. May be repeated; in the variable, spaces are between them.",
)
@click.option(
    "--seed",
    "seed_path",
    type=click.Path(path_type=Path),
    envvar="COLLAB_SEED",
    metavar="PATH",
    help="What new documents begin with: a file for all, or a folder with NAME.txt, NAME.md, "
    "NAME.json or NAME.update for some.",
)
@click.option(
    "--trash",
    "trash_seconds",
    type=Duration(),
    default="30d",
    show_default=True,
    envvar="COLLAB_TRASH",
    metavar="DURATION",
    help="How long deleted documents can be brought back before they are erased.",
)
@click.option(
    "--bus",
    "bus_address",
    envvar="COLLAB_BUS",
    metavar="ADDRESS",
    help="Valkey or Redis, through which this server and others that serve the same store share "
    "documents live: redis://HOST:PORT, valkey://, or rediss:// with TLS.",
)
@settings_options
def serve(
    address: str,
    bind: str,
    transport: str,
    certfile: str | None,
    keyfile: str | None,
    demo: bool,
    trusted_proxies: tuple[str, ...],
    history: Retention,
    open_to_everyone: bool,
    seed_path: Path | None,
    allow_origins: tuple[str, ...],
    bus_address: str | None,
    **options: Any,
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
    tokens = tokens_of(options)
    secret = secrets.token_urlsafe(32)
    app = Collab(
        address,
        authenticate=admit_operator(tokens, secret),
        allow_origins=allow_origins,
        local_only=tokens is None and not open_to_everyone,
        history=history,
        demo=demo,
        trusted_proxies=trusted_proxies,
        settings=settings_of(options),
        seed=None if seed_path is None else SeedFiles(seed_path),
        bus=None if bus_address is None else open_bus(bus_address),
    )
    with _listen(bind) as listener:
        if tokens is None and not _is_loopback(listener):
            _check_openness(bind, open_to_everyone)
        anyio.run(
            _serve,
            app,
            config,
            listener,
            transport == "native",
            file_of(address),
            secret,
            backend_options=_loop(),
        )


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


async def _serve(
    app: Collab,
    config: Config,
    listener: socket.socket,
    native: bool,
    store: Path | None,
    secret: str,
) -> None:
    # Hypercorn unpacks what is compressed: a few bytes may come to much more than they are.
    config.websocket_max_message_size = app.settings.message_max_bytes
    tls = config.create_ssl_context() if config.ssl_enabled else None
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with contextlib.AsyncExitStack() as exits:
            claim = None
            if store is not None:
                # Left after the app, whose last commit comes when it is left.
                claim = exits.enter_context(Claim(store, _contact(listener, config, secret)))
            await exits.enter_async_context(app)
            if claim is not None:
                claim.insist(app.running.timers)
            door = await exits.enter_async_context(
                FrontDoor(
                    app,
                    app.running.handshakes,
                    app.running.rooms.spawn,
                    app.settings,
                    config=config,
                    listener=listener,
                    native=native,
                    tls=tls,
                )
            )
            _calm_collector()
            click.echo(f"collab: listening on {_url(listener, tls=tls is not None)}")
            async for _ in signals:
                break
            door.stop_accepting()
            await app.running.drain()


def _url(listener: socket.socket, *, tls: bool) -> str:
    host, port = listener.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _contact(listener: socket.socket, config: Config, secret: str) -> Contact:
    """How commands on this machine reach the server."""
    url = _url(listener, tls=config.certfile is not None)
    for everywhere, here in _LOOPBACK.items():
        url = url.replace(f"//{everywhere}:", f"//{here}:")
    certificate = Path(config.certfile).read_text() if config.certfile else None
    return Contact(url=url, secret=secret, certificate=certificate)


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


def _is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ip_address(listener.getsockname()[0]).is_loopback


def _check_openness(bind: str, open_to_everyone: bool) -> None:
    """Has whoever starts a server that everyone can use say that this is meant.

    Raises:
        SettingsError: it was not said.
    """
    if not open_to_everyone:
        raise SettingsError(
            f"expected --jwt-secret, --jwt-public-key or --jwks-url to listen on {bind}, got "
            "nothing that tells people apart; --open-to-everyone lets everyone do everything"
        )
    click.echo(
        f"collab: WARNING: everyone who reaches {bind} may read, change and delete every document",
        err=True,
    )
