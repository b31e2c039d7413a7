"""``collab inspect``: what a document, or a file with an update, is made of."""

import json
from dataclasses import asdict
from pathlib import Path

import anyio
import click

from collab.access import check_name
from collab.errors import DocumentNotFound
from collab.inspection import Inspection, inspect_update
from collab.server.cli.list import human_size
from collab.server.cli.options import store_option
from collab.server.cli.plain import plain
from collab.server.rooms.opening import open_document
from collab.storage.address import open_store

_SHOWN_CLIENTS = 20


@click.command("inspect")
@click.argument("name", required=False)
@click.option(
    "--update",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A file with an update, as `collab export --format update` writes it, in the place of a"
    " document.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object, with all clients.")
@store_option
def inspect_document(name: str | None, path: Path | None, as_json: bool, address: str) -> None:
    """Show what the document NAME is made of: its roots, its clients, what is deleted.

    Works beside a running server on the same store.
    """
    if (name is None) == (path is None):
        raise click.UsageError("expected NAME or --update FILE, got both or neither")
    changes = None
    if path is not None:
        update = path.read_bytes()
    else:
        assert name is not None
        update, changes = anyio.run(_load, address, check_name(name))
    inspection = inspect_update(update)
    if as_json:
        click.echo(json.dumps({"changes": changes} | asdict(inspection), indent=2))
        return
    if changes is not None:
        click.echo(f"changes  {changes}")
    _show(inspection)


async def _load(address: str, name: str) -> tuple[bytes, int]:
    """The whole state of a document as one update, and how many changes its log has seen."""
    async with open_store(address, create=False) as store:
        opened = await open_document(store, name)
    if opened.stored.seq == 0 and opened.stored.checkpoint is None:
        raise DocumentNotFound(name)
    return opened.document.encode(), opened.stored.seq


def _show(inspection: Inspection) -> None:
    roots = ", ".join(f"{plain(root)} ({kind})" for root, kind in inspection.roots.items())
    click.echo(f"size     {human_size(inspection.bytes)}")
    click.echo(f"roots    {roots or 'none'}")
    click.echo(f"structs  {inspection.structs}")
    click.echo(f"deleted  {inspection.deleted}")
    click.echo(f"waiting  {human_size(inspection.waiting_bytes)}")
    click.echo(f"clients  {len(inspection.shares)}")
    rows = [("CLIENT", "CLOCK", "STRUCTS")]
    shares = inspection.shares[:_SHOWN_CLIENTS]
    rows += [(str(share.client), str(share.clock), str(share.structs)) for share in shares]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)))
    if len(inspection.shares) > len(shares):
        click.echo(f"collab: {len(inspection.shares) - len(shares)} more with --json", err=True)
