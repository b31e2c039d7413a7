"""``collab backup`` and ``collab restore-backup``: a store in one file, and back."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from collab.errors import SettingsError, StoreError
from collab.server.cli.list import human_size
from collab.server.cli.options import store_option
from collab.storage.address import file_of, is_postgres
from collab.storage.sqlite.backup import restore_backup, write_backup
from collab.storage.sqlite.store_copy import Progress


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE where it is there already.")
@store_option
def back_up(file: Path, force: bool, address: str) -> None:
    """Copy the store into FILE, as it is at this moment.

    Works beside a running server, which goes on meanwhile: everything acknowledged before is in
    FILE. The copy is checked, and FILE appears whole or not at all.
    """
    store = _file(address)
    if file.exists() and not force:
        raise StoreError(f"expected --force to replace {file.absolute()}, got none")
    with _progress("copying") as progress:
        backup = write_backup(store, file, overwrite=force, progress=progress)
    plural = "" if backup.documents == 1 else "s"
    click.echo(f"backed up {backup.documents} document{plural}, {human_size(backup.bytes)}")


@click.command("restore-backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@store_option
def restore(file: Path, address: str) -> None:
    """Put the backup FILE in the store's place.

    Refuses while a server, or anybody, has the store open: stop it first. FILE is checked before
    anything is touched. The store there was is kept beside the new one.
    """
    store = _file(address)
    with _progress("copying") as progress:
        aside = restore_backup(file, store, progress=progress)
    click.echo("restored" if aside is None else f"restored; what was there is now {aside}")


def _file(address: str) -> Path:
    path = file_of(address)
    if is_postgres(address):
        raise SettingsError(
            "expected a store in a file, got one on Postgres: pg_dump and pg_restore copy it"
        )
    if path is None:
        raise SettingsError(f"expected a store in a file, got {address!r}")
    return path


@contextmanager
def _progress(label: str) -> Iterator[Progress]:
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield show
