"""``collab export``: a document in a format to take elsewhere."""

import os
import secrets
import sys
from pathlib import Path

import anyio
import click

from collab.access import check_name
from collab.document import Document
from collab.errors import CollabError, DocumentNotFound
from collab.history.point import FORMS, Point
from collab.render.export import Format, export
from collab.server.cli.options import store_option
from collab.server.cli.points import POINT
from collab.server.documents.history import History
from collab.server.rooms.opening import open_document
from collab.storage.address import open_store


@click.command("export")
@click.argument("name")
@click.option(
    "--format",
    "form",
    type=click.Choice([form.value for form in Format]),
    default=Format.TEXT.value,
    show_default=True,
    help="What to write: 'update' is the whole state as Yjs keeps it, the others are UTF-8.",
)
@click.option(
    "--root",
    metavar="KEY",
    help="Which of the document's roots to write, as the editor named it. By default JSON has all;"
    " other formats take the only one, the one that an editor binding names so by itself, or the"
    " only text.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default="-",
    show_default=True,
    metavar="FILE",
    help="Where to write; a file appears whole or not at all. '-' is standard output.",
)
@click.option(
    "--at",
    type=POINT,
    metavar="POINT",
    help=f"Write the document as it was: {FORMS}.",
)
@store_option
def export_document(
    name: str, form: str, root: str | None, output: Path, at: Point | None, address: str
) -> None:
    """Write the document NAME, as it is stored now or as it was.

    Works beside a running server on the same store.
    """
    to_stdout = str(output) == "-"
    if form == Format.UPDATE and to_stdout and sys.stdout.isatty():
        raise click.UsageError("expected -o FILE or a pipe for binary output, got a terminal")
    if at is None:
        document = anyio.run(_load, address, check_name(name))
    else:
        document = anyio.run(_load_at, address, check_name(name), at)
    exported = export(document, form, root)
    if to_stdout:
        sys.stdout.buffer.write(exported)
        sys.stdout.flush()
        return
    try:
        _write(output, exported)
    except OSError as error:
        raise CollabError(f"expected to write {output}, got: {error.strerror or error}") from error


async def _load(address: str, name: str) -> Document:
    async with open_store(address, create=False) as store:
        opened = await open_document(store, name)
    if opened.stored.seq == 0 and opened.stored.checkpoint is None:
        raise DocumentNotFound(name)
    for what in opened.broken:
        click.echo(f"collab: {name!r} is exported from its log: {what}", err=True)
    if opened.left_out:
        click.echo(
            f"collab: {name!r} is exported without entries that do not apply"
            f" ({len(opened.left_out)}); `collab check` names them",
            err=True,
        )
    return opened.document


async def _load_at(address: str, name: str, at: Point) -> Document:
    async with open_store(address, create=False) as store:
        history = History(store)
        return await history.content(name, await history.find(name, at))


def _write(output: Path, exported: bytes) -> None:
    """Writes a file whole or not at all, through a link to what it points to."""
    target = output.resolve()
    if target.exists() and not target.is_file():  # a pipe or a device cannot be renamed over
        target.write_bytes(exported)
        return
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(exported)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
