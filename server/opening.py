"""Opening: a document as its store has it, also where part of that does not apply."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import anyio.to_thread

from collab.document import Document
from collab.errors import BrokenDocument, PoisonedUpdate, StoreError
from collab.quarantine import Refused, brief
from collab.replay import Replay
from collab.store import Entry, Store, Stored

logger = logging.getLogger("collab")

_BATCH_ENTRIES = 1_000


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening a document gave.

    Attributes:
        document: all of it that applies.
        stored: what it was made of; without a checkpoint where that did not apply and the whole log
            was read instead, entry by entry.
        left_out: the entries that do not apply.
        checkpoint_error: what is wrong with the checkpoint, or None.
        seeded: whether the document began with this opening.
    """

    document: Document
    stored: Stored
    left_out: Sequence[Refused] = ()
    checkpoint_error: PoisonedUpdate | None = None
    seeded: bool = False


async def open_document(store: Store, name: str) -> Opened:
    """Loads a document; entries that do not apply are left out, all others are in it.

    Raises:
        InvalidName: this cannot name a document.
        StoreError: the store cannot read it.
    """
    stored = await store.load(name)
    try:
        return Opened(await anyio.to_thread.run_sync(Document.load, stored), stored)
    except BrokenDocument:
        pass  # What exactly is broken comes out below.
    try:
        replay = await anyio.to_thread.run_sync(Replay, stored.checkpoint)
    except PoisonedUpdate as error:
        return await _open_without_checkpoint(store, stored, error)
    await anyio.to_thread.run_sync(replay.take, stored.entries)
    return Opened(replay.document, stored, replay.left_out)


async def _open_without_checkpoint(store: Store, stored: Stored, error: PoisonedUpdate) -> Opened:
    replay = Replay()
    seq = 0
    batch: list[Entry] = []
    async for entry in store.entries(stored.document):
        batch.append(entry)
        seq = entry.seq
        if len(batch) == _BATCH_ENTRIES:
            await anyio.to_thread.run_sync(replay.take, batch)
            batch = []
    await anyio.to_thread.run_sync(replay.take, batch)
    read = replace(stored, seq=seq, checkpoint=None, checkpoint_seq=0, entries=())
    return Opened(replay.document, read, replay.left_out, error)


async def report(store: Store, opened: Opened) -> None:
    """Sets aside what an opening left out, and logs it the first time. The store's log keeps it."""
    name = opened.stored.document
    if opened.checkpoint_error is not None:
        error = brief(opened.checkpoint_error)
        logger.error("%r is replayed, as its checkpoint does not apply: %s", name, error)
    if not opened.left_out:
        return
    try:
        outcome = await store.quarantine(name, opened.left_out)
    except StoreError as error:
        logger.error("setting aside %d entries of %r: %s", len(opened.left_out), name, error)
        return
    if outcome.added:
        first = opened.left_out[0]
        logger.error(
            "%r is open without entries that do not apply (%d, the first is %d: %s)",
            name,
            len(opened.left_out),
            first.seq,
            first.reason,
        )
