"""Opening: a document as its store has it, also where part of that does not apply."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import anyio.to_thread

from collab.document import Document
from collab.errors import (
    BrokenDocument,
    BrokenEntries,
    DocumentNotFound,
    EntriesDropped,
    PoisonedUpdate,
    StoreError,
)
from collab.quarantine import Refused, brief
from collab.replay import Replay
from collab.store import Entry, Store, Stored

logger = logging.getLogger("collab")

_BATCH_ENTRIES = 1_000


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening a document gave.

    Attributes:
        document: all of it that can be read and applies.
        stored: what it was made of; without a checkpoint where that is broken and the whole log was
            read instead, entry by entry.
        left_out: the entries that do not apply.
        broken: what else is broken, in words.
        seeded: whether the document began with this opening.
    """

    document: Document
    stored: Stored
    left_out: Sequence[Refused] = ()
    broken: Sequence[str] = ()
    seeded: bool = False


async def open_document(store: Store, name: str) -> Opened:
    """Loads a document; entries that do not apply are left out, all others are in it.

    Raises:
        InvalidName: this cannot name a document.
        StoreError: the store cannot read it.
    """
    try:
        stored = await store.load(name)
    except BrokenDocument as error:
        return await _open_from_log(store, name, error)
    try:
        return Opened(await anyio.to_thread.run_sync(Document.load, stored), stored)
    except BrokenDocument:
        pass  # What exactly is broken comes out below.
    try:
        replay = await anyio.to_thread.run_sync(Replay, stored.checkpoint)
    except PoisonedUpdate as error:
        return await _open_from_log(store, name, error)
    await anyio.to_thread.run_sync(replay.take, stored.entries)
    return Opened(replay.document, stored, replay.left_out)


async def _open_from_log(store: Store, name: str, error: Exception) -> Opened:
    """Replays all there is, where the newest state is broken."""
    summaries = await store.documents(prefix=name, limit=1)
    if not summaries or summaries[0].document != name:
        raise DocumentNotFound(name)
    while True:
        begin_seq, replay, faults = await _begin(store, name)
        try:
            faults += await _replay_all(store, name, begin_seq, replay)
        except EntriesDropped:
            continue
        # The first ones that were to come may have been dropped as well: that shows now alone.
        if begin_seq is None or (await store.base(name)).seq == begin_seq:
            break
    stored = Stored(
        document=name,
        seq=summaries[0].seq,
        checkpoint=None,
        checkpoint_seq=begin_seq or 0,
        entries=(),
        epoch=summaries[0].epoch,
    )
    return Opened(replay.document, stored, replay.left_out, [brief(error), *faults])


async def _begin(store: Store, name: str) -> tuple[int | None, Replay, list[str]]:
    """Begins a replay at the base.

    Returns:
        Its seq, None where it cannot be read; the replay; and what is broken.
    """
    try:
        base = await store.base(name)
    except BrokenDocument as error:
        return None, Replay(), [brief(error)]
    try:
        return base.seq, await anyio.to_thread.run_sync(Replay, base.update), []
    except PoisonedUpdate as error:
        return base.seq, Replay(), [brief(error)]


async def _replay_all(
    store: Store, name: str, begin_seq: int | None, replay: Replay
) -> Sequence[str]:
    """Replays all entries that can be read; returns what is said of the others."""
    seq = begin_seq or 0
    broken = []
    while gap := await _replay_from(store, name, seq, replay):
        broken.append(brief(gap))
        seq = gap.last_seq
    return broken


async def _replay_from(
    store: Store, name: str, after_seq: int, replay: Replay
) -> BrokenEntries | None:
    """Replays entries up to the first ones that cannot be read.

    Returns:
        What the store says of those; None where it came to the end.
    """
    batch: list[Entry] = []
    gap = None
    try:
        async for entry in store.entries(name, after_seq):
            batch.append(entry)
            if len(batch) == _BATCH_ENTRIES:
                await anyio.to_thread.run_sync(replay.take, batch)
                batch = []
    except BrokenEntries as error:
        gap = error
    await anyio.to_thread.run_sync(replay.take, batch)
    return gap


async def report(store: Store, opened: Opened) -> None:
    """Sets aside what an opening left out, and logs it the first time. The store's log keeps it."""
    name = opened.stored.document
    for what in opened.broken:
        logger.error("%r is opened from its log: %s", name, what)
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
