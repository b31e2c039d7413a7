"""Seeds: what documents begin with when they are opened for the first time."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import anyio.to_thread

from collab.checking import check_update
from collab.errors import (
    CollabError,
    DocumentExists,
    InvalidSeed,
    PoisonedUpdate,
    SeedUnavailable,
    SettingsError,
)
from collab.protocol.messages import EMPTY_UPDATE
from collab.seeding import parse_roots, seed_roots, seed_text
from collab.server.failures import unforeseen
from collab.server.rooms.opening import Opened, open_document
from collab.store import Append, NewEntry, Store

logger = logging.getLogger("collab")

Seed = Callable[[str], Awaitable[bytes | None]]
"""Gives what a new document of this name begins with, as an update; None leaves it empty.

Make it with ``collab.seeding``, or keep it as it was made once: the same content must be the same
update each time.
"""

_TEXTS = (".txt", ".md")
_ENDINGS = (*_TEXTS, ".json", ".update")


async def open_seeded(store: Store, name: str, seed: Seed | None) -> Opened:
    """Loads a document; one that is not there yet begins with its seed, stored before it is shown.

    Where another process makes the document meanwhile, it is loaded as that one has made it.

    Raises:
        InvalidName: this cannot name a document.
        SeedUnavailable: its seed cannot be had.
        StoreError: the store cannot read or write it.
    """
    opened = await open_document(store, name)
    if seed is None or opened.stored.epoch is not None:
        return opened
    try:
        update = await seed(name)
        if update is None or update == EMPTY_UPDATE:
            return opened
        update = await anyio.to_thread.run_sync(check_update, update)
    except Exception as error:
        logger.error("seeding %r: %s", name, error, exc_info=unforeseen(error, CollabError))
        raise SeedUnavailable(name) from error
    entry = NewEntry(update=update, time_ms=time.time_ns() // 1_000_000)
    try:
        await store.append([Append(document=name, entries=[entry], begins=True)])
    except DocumentExists:
        return await open_document(store, name)
    return replace(await open_document(store, name), seeded=True)


class SeedFiles:
    """Seeds out of one file, for every document, or of a folder with a file for each.

    In a folder the file is named like the document, with the slashes of the name as folders, and
    ends like what it holds: ``.txt`` and ``.md`` a text for the root ``content``, as it stands;
    ``.json`` an object of roots (``collab.seeding.seed_roots``); ``.update`` a Yjs update.

    Args:
        path: the file or the folder. Files are read when a document is opened first.

    Raises:
        SettingsError: it is neither, or a file with another ending.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        if not self._path.exists():
            raise SettingsError(f"expected a file or a folder to seed from, got none at {path}")
        if self._path.is_file() and self._path.suffix not in _ENDINGS:
            raise SettingsError(f"expected a file ending in {', '.join(_ENDINGS)}, got {path}")

    async def __call__(self, name: str) -> bytes | None:
        """Reads the seed of a document; None where there is no file for it."""
        return await anyio.to_thread.run_sync(self._read, name)

    def _read(self, name: str) -> bytes | None:
        if self._path.is_file():
            return read_seed(self._path)
        for ending in _ENDINGS:
            path = (self._path / f"{name}{ending}").resolve()
            # A name may have dots and slashes that lead elsewhere.
            if path.is_relative_to(self._path) and path.is_file():
                return read_seed(path)
        return None


def read_seed(path: Path) -> bytes:
    """Makes a seed of a file, by its ending.

    Raises:
        InvalidSeed: it holds something else, or cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidSeed(f"expected to read {path}, got: {error.strerror}") from error
    return make_seed(content, path.suffix)


def make_seed(content: bytes, ending: str) -> bytes:
    """Makes a seed of what a file holds.

    Args:
        content: its bytes.
        ending: ``.txt`` or ``.md``, ``.json`` or ``.update``.

    Raises:
        InvalidSeed: it is something else.
    """
    if ending == ".update":
        try:
            return check_update(content)
        except PoisonedUpdate as error:
            raise InvalidSeed(str(error)) from error
    if ending == ".json":
        return seed_roots(parse_roots(content))
    try:
        return seed_text(content.decode())
    except UnicodeDecodeError as error:
        raise InvalidSeed(f"expected UTF-8, got: {error}") from error
