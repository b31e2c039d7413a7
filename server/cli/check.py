"""``collab check``: whether all that is stored is whole, and how to make it so."""

import json
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from collab.access import check_name
from collab.errors import DocumentNotFound, SettingsError, StoreError
from collab.quarantine import Refused
from collab.server.cli.options import store_option
from collab.storage.address import file_of, is_postgres
from collab.storage.sqlite.connection import connect_reader, connect_writer, prepare, store_errors
from collab.storage.sqlite.integrity import check_document, check_file
from collab.storage.sqlite.log_reader import read_names
from collab.storage.sqlite.ownership import owned
from collab.storage.sqlite.quarantine import read_quarantine
from collab.storage.sqlite.repair import repair

_BUSY_SECONDS = 10.0


@dataclass(slots=True, kw_only=True)
class _Report:
    """What is said about one document.

    Attributes:
        name: document name.
        entries: how many entries its log has.
        faults: what is wrong with it, in words.
        repaired: whether that was mended.
        quarantine: what is kept aside under its name.
    """

    name: str
    entries: int = 0
    faults: Sequence[str] = ()
    repaired: bool = False
    quarantine: Sequence[Refused] = ()


@click.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--repair",
    "mend",
    is_flag=True,
    help="Mend what is broken: entries that apply stay, the others go to the quarantine. Not while"
    " a server runs.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@store_option
def check(names: Sequence[str], mend: bool, as_json: bool, address: str) -> None:
    """Check that all documents of a store are whole, or those that are NAMEd.

    Every entry of every log must be there, be readable and apply; checkpoints must be what the log
    gives. Works beside a running server, and changes nothing without --repair. Exits with 1 where
    something is broken, or still is after a repair.
    """
    path = file_of(address)
    if is_postgres(address):
        raise SettingsError(
            "expected a store in a file, got one on Postgres: the database checks its own pages"
        )
    if path is None:
        raise SettingsError(f"expected the address of a store in a file, got {address!r}")
    path = path.absolute()
    for name in names:
        check_name(name)
    prepare(path, create=False, busy_seconds=_BUSY_SECONDS)
    with owned(path) if mend else nullcontext(), store_errors(path), _connected(path, mend) as file:
        file_faults = check_file(file)
        if file_faults and mend:
            raise StoreError(
                f"expected a file that SQLite can read, got {path}: {file_faults[0]};"
                " put a backup in its place"
            )
        reports = []
        deleted = []
        for name in _shown(list(names) or read_names(file)):
            try:
                reports.append(_check(file, name, mend=mend))
            except DocumentNotFound:
                if names:
                    raise
                deleted.append(name)
    for name in deleted:
        click.echo(f"collab: {name}: deleted meanwhile", err=True)
    if as_json:
        _write_json(file_faults, reports)
    else:
        _write_lines(path, file_faults, reports)
    if file_faults or any(report.faults and not report.repaired for report in reports):
        sys.exit(1)


@contextmanager
def _connected(path: Path, mend: bool) -> Iterator[sqlite3.Connection]:
    if mend:
        connection = connect_writer(path, synchronous="FULL", busy_seconds=_BUSY_SECONDS)
    else:
        connection = connect_reader(path, busy_seconds=_BUSY_SECONDS)
    with closing(connection):
        yield connection


def _shown(names: Sequence[str]) -> Iterator[str]:
    """Hands out names and shows on standard error how far that is, where somebody looks."""
    with click.progressbar(
        names, label="checking", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as shown:
        yield from shown


def _check(file: sqlite3.Connection, name: str, *, mend: bool) -> _Report:
    """Checks a document in one transaction, and repairs it in the same."""
    report = _Report(name=name)
    file.execute("BEGIN IMMEDIATE" if mend else "BEGIN")
    try:
        findings = check_document(file, name)
        report.entries = findings.entries
        report.faults = [str(fault) for fault in findings.faults]
        if mend and findings.faults:
            repair(file, findings, time.time_ns() // 1_000_000)
            file.execute("COMMIT")
            report.repaired = True
        report.quarantine = read_quarantine(file, name)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        report.faults = [*report.faults, f"cannot be read: {error}"]
    except StoreError as error:
        if not mend or not report.faults:
            raise
        report.faults = [*report.faults, f"not repaired: {error}"]
    finally:
        if file.in_transaction:
            file.execute("ROLLBACK")
    return report


def _write_lines(path: Path, file_faults: Sequence[str], reports: Sequence[_Report]) -> None:
    for fault in file_faults:
        click.echo(f"{path}: {fault}")
    for report in reports:
        for fault in report.faults:
            click.echo(f"{report.name}: {fault}")
        if report.quarantine:
            click.echo(f"{report.name}: {_count(report.quarantine, 'update')} in the quarantine")
        if report.repaired:
            click.echo(f"{report.name}: repaired")
    broken = sum(bool(report.faults) and not report.repaired for report in reports)
    click.echo(f"{_count(reports, 'document')} checked, {broken or 'none'} broken")


def _count(things: Sequence[object], one: str) -> str:
    return f"{len(things)} {one}{'' if len(things) == 1 else 's'}"


def _write_json(file_faults: Sequence[str], reports: Sequence[_Report]) -> None:
    said: dict[str, Any] = {
        "file": list(file_faults),
        "checked": len(reports),
        "documents": [_record(report) for report in reports if report.faults or report.quarantine],
    }
    click.echo(json.dumps(said, ensure_ascii=False, indent=2))


def _record(report: _Report) -> dict[str, Any]:
    return {
        "name": report.name,
        "entries": report.entries,
        "faults": list(report.faults),
        "repaired": report.repaired,
        "quarantine": [
            {
                "seq": refused.seq,
                "time_ms": refused.time_ms,
                "author": refused.author,
                "reason": refused.reason,
                "bytes": len(refused.update),
            }
            for refused in report.quarantine
        ],
    }
