"""Filed: a document as compaction finds it in a store, and what it makes of its entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from collab.storage.block import pack
from collab.storage.columns import retention_of
from collab.storage.compaction import Block, Shape
from collab.storage.compression import Form, compress
from collab.store import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A document as compaction finds it.

    Attributes:
        id: its row.
        epoch: tells it from one that was made in its place.
        name: its name.
        shape: what the policy knows of it.
    """

    id: int
    epoch: str
    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Packed:
    """A state or a block as it is stored.

    Attributes:
        size: length before packing.
        form: how it is packed.
        payload: what is stored.
    """

    size: int
    form: Form
    payload: bytes

    @classmethod
    def state(cls, update: bytes) -> "Packed":
        """Packs a whole state."""
        return cls(len(update), *compress(update, fast=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBlock:
    """A block to be stored: its columns in ``blocks``."""

    first_seq: int
    last_seq: int
    first_ms: int
    size: int
    form: Form
    payload: bytes

    @classmethod
    def of(cls, entries: Sequence[Entry], now_ms: int | None = None) -> "PackedBlock":
        """Packs entries that follow each other.

        Args:
            entries: the entries, one at least.
            now_ms: what is dated later does not tell how old they are; None where all does.
        """
        form, payload = compress(pack(entries), fast=False)
        dated = (entry for entry in entries if now_ms is None or entry.time_ms <= now_ms)
        return cls(
            first_seq=entries[0].seq,
            last_seq=entries[-1].seq,
            first_ms=next(dated, entries[0]).time_ms,
            size=sum(len(entry.update) for entry in entries),
            form=form,
            payload=payload,
        )


def filed_of(row: tuple[Any, ...]) -> Filed:
    """Reads a row of a store.

    Args:
        row: id, epoch, name, seq, updated_ms and retention_ms of the document; seq and bytes of
            its base, then of its checkpoint, 0 where there is none; first_seq, last_seq and bytes
            of its newest block, or None; the time of its oldest entry, or None.
    """
    document_id, epoch, name, seq, newest_ms, retention_ms, *states = row
    base_seq, base_bytes, checkpoint_seq, checkpoint_bytes, *blocks = states
    first_seq, last_seq, tail_bytes, oldest_ms = blocks
    state_seq, state_bytes = max((checkpoint_seq, checkpoint_bytes), (base_seq, base_bytes))
    shape = Shape(
        seq=seq,
        base_seq=base_seq,
        state_seq=state_seq,
        state_bytes=state_bytes,
        tail=None
        if last_seq is None
        else Block(first_seq=first_seq, last_seq=last_seq, bytes=tail_bytes),
        oldest_ms=oldest_ms,
        newest_ms=newest_ms,
        retention=retention_of(retention_ms),
    )
    return Filed(id=document_id, epoch=epoch, name=name, shape=shape)
