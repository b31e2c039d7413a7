"""``collab import``: documents that another package keeps."""

import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPMethod, HTTPStatus
from pathlib import Path

import anyio
import click

from collab.access import check_name
from collab.document import Document
from collab.errors import (
    BrokenDocument,
    CollabError,
    DocumentDeleted,
    InvalidName,
    RequestRefused,
    SourceError,
)
from collab.intake import Refused, take_in
from collab.merging import merge
from collab.ndjson import MEDIA_TYPE, encode_entries
from collab.server.cli.options import store_option
from collab.server.cli.through import RunningServer, document_path, reach
from collab.server.settings import Settings
from collab.storage.importing.open import open_source
from collab.storage.importing.source import Kind, Source
from collab.store import Append, NewEntry, Store

_OF_THE_DOCUMENT = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.GONE,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    }
)
"""Refusals that concern one document, not all that follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What became of a document's changes: how many were new, and which were refused."""

    added: int
    refused: Sequence[Refused]


_Take = Callable[[str, Sequence[NewEntry]], Awaitable[_Taken]]


@click.command("import")
@click.option(
    "--from",
    "kind",
    type=click.Choice([kind.value for kind in Kind]),
    required=True,
    help="What SOURCE is: the database of pycrdt-store or its files, the database of Hocuspocus' "
    "SQLite extension, what docs/how-to/y-leveldb-dump.mjs prints, or files with a Yjs update (v1) "
    "each, named like the documents.",
)
@click.option(
    "--name",
    metavar="NAME",
    help="What to call the document, where SOURCE has a single one.",
)
@click.argument("source", type=click.Path(path_type=Path))
@store_option
def import_documents(kind: str, name: str | None, source: Path, address: str) -> None:
    """Bring in the documents of SOURCE, which another package has written.

    Updates become entries of the history, with their times where SOURCE has them. Each document
    comes in whole or not at all, and what is there already stays as it is: run it again after an
    interruption, or to bring in what was added. What cannot be taken in is named and left out; the
    exit code is then 1.

    Works beside a running server on the same store, through that server.
    """
    anyio.run(_import, Kind(kind), name, source, address)


async def _import(kind: Kind, name: str | None, path: Path, address: str) -> None:
    with open_source(kind, path, now_ms=time.time_ns() // 1_000_000) as source:
        names = source.names()
        if name is not None and len(names) != 1:
            raise SourceError(f"expected one document to call {name!r}, got {len(names)}")
        async with reach(address, create=True) as place:
            take: _Take = (
                partial(_ask, place)
                if isinstance(place, RunningServer)
                else partial(_append, place)
            )
            await _take_all(source, names, name, take)


async def _take_all(source: Source, names: Sequence[str], name: str | None, take: _Take) -> None:
    added = documents = unchanged = refusals = 0
    with click.progressbar(names, label="importing", file=sys.stderr, show_pos=True) as bar:
        for kept_as in bar:
            taken, complaints = await _take_one(source, kept_as, name or kept_as, take)
            for complaint in complaints:
                click.echo(f"collab: {complaint}", err=True)
            refusals += len(complaints)
            documents += taken > 0
            unchanged += taken == 0 and not complaints
            added += taken
    left_out = len(names) - documents - unchanged
    click.echo(
        f"imported {_counted(added, 'update')} into {_counted(documents, 'document')}, "
        f"{unchanged} unchanged{f', {left_out} left out' if left_out else ''}"
    )
    if refusals:
        counted = _counted(refusals, "refusal")
        raise CollabError(f"expected to take in everything, got {counted}, named above")


async def _take_one(
    source: Source, kept_as: str, name: str, take: _Take
) -> tuple[int, Sequence[str]]:
    """Takes in one document.

    Returns:
        How many updates were new, and what was refused.
    """
    shown = repr(name)
    try:
        taken = await take(check_name(name), list(source.changes(kept_as)))
    except InvalidName as error:
        return 0, [f"{name!a}: {error}"]
    except (BrokenDocument, DocumentDeleted) as error:
        return 0, [f"{shown}: {error}"]
    except RequestRefused as error:
        if error.status not in _OF_THE_DOCUMENT:
            raise
        if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return 0, [f"{shown}: {error}; stop the server to import it"]
        return 0, [f"{shown}: {error}"]
    return taken.added, [
        f"{shown}: update {refused.position}: {refused.reason}" for refused in taken.refused
    ]


async def _append(store: Store, name: str, changes: Sequence[NewEntry]) -> _Taken:
    """Writes to the store itself, which no server has open."""
    stored = await store.load(name)
    exists = stored.seq > 0 or stored.checkpoint is not None
    state = Document.load(stored).encode() if exists else None
    intake = take_in(state, changes)
    if intake.effect is not None:
        whole = intake.effect if state is None else merge([state, intake.effect])
        long = len(intake.entries) > Settings().checkpoint_entries
        append = Append(
            document=name,
            entries=intake.entries,
            checkpoint=whole if long else None,
            base_seq=stored.seq,
            epoch=stored.epoch,
        )
        await store.append([append])
    return _Taken(added=len(intake.entries), refused=intake.refused)


async def _ask(server: RunningServer, name: str, changes: Sequence[NewEntry]) -> _Taken:
    """Has the server that owns the store take them in."""
    if not changes:
        return _Taken(added=0, refused=())
    response = await server.request(
        HTTPMethod.POST,
        document_path(name, "updates"),
        content=encode_entries(changes),
        media_type=MEDIA_TYPE,
    )
    answer = response.json()
    refused = [Refused(position=each["line"], reason=each["error"]) for each in answer["refused"]]
    return _Taken(added=answer["added"], refused=refused)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
