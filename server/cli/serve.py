"""``collab serve``: the server as a process of its own."""

import contextlib
import secrets
import socket
import ssl
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

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
from collab.server.cli.listening import (
    BACKLOG,
    is_loopback,
    local_url_of,
    reserve,
    share,
    url_of,
)
from collab.server.cli.logs import configure_logs, log_options
from collab.server.cli.options import (
    RETENTION,
    config_option,
    settings_of,
    settings_options,
    store_option,
)
from collab.server.cli.process import Service, run, work
from collab.server.cli.workers import Post, Work, Workers
from collab.server.open_files import raise_limit
from collab.server.rooms.seeds import SeedFiles
from collab.storage.address import file_of, is_postgres
from collab.storage.sqlite.ownership import Contact


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
    "documents live: redis://HOST:PORT, redis+sentinel://HOST:PORT,.../SERVICE or "
    "redis+cluster://HOST:PORT,...; with TLS rediss; valkey is redis.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    envvar="COLLAB_WORKERS",
    metavar="NUMBER",
    help="Processes that serve the address side by side; more than one need --bus.",
)
@log_options
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Look whether all options work, beside a running server too, and exit: with 2 where they "
    "do not. Neither the store nor the bus is opened.",
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
    workers: int,
    log_level: str,
    log_format: str,
    only_check: bool,
    **options: Any,
) -> None:
    """Serve documents over WebSockets and HTTP until SIGTERM, SIGHUP or Ctrl-C."""
    begin_log = partial(configure_logs, log_level, log_format)
    begin_log()
    raise_limit()
    if (certfile is None) != (keyfile is None):
        raise SettingsError("expected --certfile and --keyfile together, got one of them")
    _check_shareable(address, bus_address, workers)
    tokens = tokens_of(options)
    secret = secrets.token_urlsafe(32)
    settings = settings_of(options)

    def service(listener: socket.socket) -> Service:
        config = Config()
        config.certfile, config.keyfile = certfile, keyfile
        config.backlog = BACKLOG
        bus = None if bus_address is None else open_bus(bus_address)
        app = Collab(
            address,
            authenticate=admit_operator(tokens, secret),
            allow_origins=allow_origins,
            local_only=tokens is None and not open_to_everyone,
            history=history,
            demo=demo,
            trusted_proxies=trusted_proxies,
            settings=settings,
            seed=None if seed_path is None else SeedFiles(seed_path),
            bus=bus,
            # Of servers that share a secret for tokens, or a parent, each takes the others' passes.
            pass_secret=options["jwt_secret"] or secret,
        )
        return Service(
            app=app,
            config=config,
            listener=listener,
            native=transport == "native",
            tls=_tls_of(config),
            instance=None if bus is None else bus.instance,
        )

    with reserve(bind, shared=workers > 1, any_port=only_check) as bound:
        if tokens is None and not is_loopback(bound):
            _check_openness(bind, open_to_everyone)
        # For several workers, and for a check, it only shows what is wrong with the options.
        first = service(bound)
        if only_check:
            click.echo("collab: these options work")
            return
        tls = certfile is not None
        claim = None
        if (store := file_of(address)) is not None:
            certificate = Path(certfile).read_text() if certfile is not None else None
            url = local_url_of(bound, tls=tls)
            contact = Contact(url=url, secret=secret, certificate=certificate)
            claim = Claim(store, contact, others=bus_address is not None)

        def opened() -> None:
            click.echo(f"collab: listening on {url_of(bound, tls=tls)}")

        if workers == 1:
            run(first, opened, claim)
            return
        with (
            tempfile.TemporaryDirectory(prefix="collab-") as folder,
            claim or contextlib.nullcontext(),
        ):
            parent = Workers(workers, _work(service, begin_log, bound, Path(folder)), opened)
            if claim is not None:
                claim.insist(parent.call_later)
            parent.run()


def _work(
    make_service: Callable[[socket.socket], Service],
    begin_log: Callable[..., None],
    reserved: socket.socket,
    folder: Path,
) -> Work:
    """Returns what a worker does."""

    def begin(post: Post) -> None:
        begin_log(worker=post.number)
        with share(reserved) as listener:
            work(make_service(listener), post, folder)

    return begin


def _tls_of(config: Config) -> ssl.SSLContext | None:
    """How connections are encrypted; None where they are not.

    Raises:
        SettingsError: certificate and key cannot be read, or do not belong together.
    """
    if not config.ssl_enabled:
        return None
    try:
        return config.create_ssl_context()
    except OSError as error:
        raise SettingsError(
            f"expected a certificate chain and its key in PEM in {config.certfile} and "
            f"{config.keyfile}, got: {getattr(error, 'reason', None) or error.strerror}"
        ) from error


def _check_shareable(address: str, bus_address: str | None, workers: int) -> None:
    """Refuses what several servers cannot share.

    Raises:
        SettingsError: they would not have the same documents, or not see each other's changes.
    """
    sharers = f"{workers} workers" if workers > 1 else "servers on a bus"
    if (workers > 1 or bus_address) and file_of(address) is None and not is_postgres(address):
        raise SettingsError(
            f"expected --store sqlite:///FILE or postgresql://... for {sharers}, "
            f"got {address}, which no two processes share"
        )
    if workers > 1 and bus_address is None:
        raise SettingsError(
            f"expected --bus redis://HOST:PORT for {workers} workers, got none: it is what ties "
            "them together, and may be a Valkey or Redis on this machine"
        )


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
