"""``collab list``: which documents a store has."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import anyio
import click

from collab.server.cli.options import store_option
from collab.server.cli.plain import plain
from collab.server.cli.points import in_utc
from collab.storage.address import open_store
from collab.store import Summary
from collab.trash import Tombstone

_PAGE = 1000
_Row = tuple[str, str, str, str]
_HEADINGS = ("SIZE", "UPDATED", "CHANGES", "NAME")
_DELETED_HEADINGS = ("SIZE", "DELETED", "BY", "NAME")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@click.command("list")
@click.option("--prefix", default="", metavar="P", help="Only documents whose names begin with P.")
@click.option("--deleted", is_flag=True, help="Those in the trash instead.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON array instead of a table.")
@store_option
def list_documents(prefix: str, deleted: bool, as_json: bool, address: str) -> None:
    """List the documents of a store, in order of name.

    Works beside a running server on the same store.
    """
    now = time.time()
    if deleted:
        tombstones = anyio.run(_tombstones, address, prefix)
        records = [_deleted_record(tombstone) for tombstone in tombstones]
        rows = [_DELETED_HEADINGS, *(_deleted_row(tombstone, now) for tombstone in tombstones)]
    else:
        summaries = anyio.run(_summaries, address, prefix)
        records = [_record(summary) for summary in summaries]
        rows = [_HEADINGS, *(_row(summary, now) for summary in summaries)]
    if as_json:
        click.echo(json.dumps(records, ensure_ascii=False, indent=2))
        return
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for size, moment, third, name in rows:
        click.echo(f"{size:>{widths[0]}}  {moment:<{widths[1]}}  {third:>{widths[2]}}  {name}")


async def _summaries(address: str, prefix: str) -> Sequence[Summary]:
    async with open_store(address, create=False) as store:
        summaries: list[Summary] = []
        while True:
            after = summaries[-1].document if summaries else ""
            page = await store.documents(prefix=prefix, after=after, limit=_PAGE)
            summaries += page
            if len(page) < _PAGE:
                return summaries


async def _tombstones(address: str, prefix: str) -> Sequence[Tombstone]:
    async with open_store(address, create=False) as store:
        tombstones: list[Tombstone] = []
        while True:
            after = tombstones[-1].document if tombstones else ""
            page = await store.tombstones(prefix=prefix, after=after, limit=_PAGE)
            tombstones += page
            if len(page) < _PAGE:
                return tombstones


def _record(summary: Summary) -> dict[str, str | int | None]:
    return {
        "name": summary.document,
        "bytes": summary.bytes,
        "created": _moment(summary.created_ms),
        "updated": _moment(summary.updated_ms),
        "changes": summary.seq,
        "retention": None if summary.retention is None else str(summary.retention),
    }


def _deleted_record(tombstone: Tombstone) -> dict[str, str | int | None]:
    return {
        "name": tombstone.document,
        "bytes": tombstone.bytes,
        "deleted": _moment(tombstone.deleted_ms),
        "by": tombstone.author,
    }


def _row(summary: Summary, now: float) -> _Row:
    # The name comes last: it may be long, and wider on the screen than it has characters.
    updated = _age(summary.updated_ms, now)
    return human_size(summary.bytes), updated, str(summary.seq), summary.document


def _deleted_row(tombstone: Tombstone, now: float) -> _Row:
    deleted = _age(tombstone.deleted_ms, now)
    author = plain(tombstone.author or "")
    return human_size(tombstone.bytes), deleted, author, tombstone.document


def _age(milliseconds: int, now: float) -> str:
    return human_age(in_utc(milliseconds).timestamp(), now)


def _moment(milliseconds: int) -> str:
    return in_utc(milliseconds).isoformat(timespec="milliseconds")


def human_size(size: int) -> str:
    """A number of bytes in three digits or so: ``712 B``, ``1.2 kB``, ``35 MB``."""
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.5 or unit == "TB":
            break
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"


def human_age(moment: float, now: float) -> str:
    """How long ago a moment was, or its date in UTC after a month.

    Args:
        moment: seconds since the Unix epoch.
        now: the same.
    """
    seconds = int(now - moment)
    if seconds < _MINUTE:
        return "just now"
    if seconds >= 30 * _DAY:
        return datetime.fromtimestamp(moment, UTC).date().isoformat()
    units = (("day", _DAY), ("hour", _HOUR), ("minute", _MINUTE))
    unit, length = next(pair for pair in units if seconds >= pair[1])
    count = seconds // length
    return f"{count} {unit}{'' if count == 1 else 's'} ago"
