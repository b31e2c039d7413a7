"""Blocks: a run of log entries packed into one value, every byte of them kept.

A block is the columns of its entries one after the other, then their updates::

    entries   u32    how many
    authors   u32    how many names, then for each: u32 length, UTF-8
    lengths   u32    of each update, by planes
    times     u64    difference to the one before, modulo 2**64, by planes
    author    u32    of each entry: 0 for none, else its place in the names, by planes
    updates          one after the other

Numbers are little-endian. *By planes*: first the lowest byte of each number, then the second of
each, and so on; typing gives planes of zeros, and the whole compresses as well as variable-length
numbers do, at a fifth of their cost.
"""

import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise

from collab.errors import StoreError
from collab.store import Entry

_MASK = (1 << 64) - 1


def pack(entries: Sequence[Entry]) -> bytes:
    """Packs entries that follow each other; their seqs are kept beside the block."""
    names: dict[str, int] = {}
    authors = [
        0 if entry.author is None else names.setdefault(entry.author, len(names) + 1)
        for entry in entries
    ]
    times = [0, *(entry.time_ms for entry in entries)]
    parts = [struct.pack("<II", len(entries), len(names))]
    for name in names:
        encoded = name.encode()
        parts += [struct.pack("<I", len(encoded)), encoded]
    parts += [
        _planes("I", [len(entry.update) for entry in entries]),
        _planes("Q", [(after - before) & _MASK for before, after in pairwise(times)]),
        _planes("I", authors),
        *(entry.update for entry in entries),
    ]
    return b"".join(parts)


def unpack(block: bytes, first_seq: int) -> list[Entry]:
    """Returns the entries of a block.

    Raises:
        StoreError: it is broken.
    """
    try:
        return _unpack(block, first_seq)
    except (struct.error, IndexError, ValueError) as error:
        raise StoreError(f"expected a block of entries, got a broken one: {error}") from error


def _unpack(block: bytes, first_seq: int) -> list[Entry]:
    count, names = struct.unpack_from("<II", block)
    position = 8
    if count * 16 > len(block):
        raise StoreError(f"expected a block of {count} entries, got a broken one of {len(block)}")
    authors: list[str | None] = [None]
    for _ in range(names):
        (length,) = struct.unpack_from("<I", block, position)
        position += 4
        authors.append(block[position : position + length].decode())
        position += length
    lengths = _numbers("I", block, position, count)
    position += 4 * count
    differences = _numbers("Q", block, position, count)
    position += 8 * count
    places = _numbers("I", block, position, count)
    position += 4 * count
    if position + sum(lengths) != len(block):
        raise StoreError(
            f"expected a block of {position + sum(lengths)} bytes, got a broken one of {len(block)}"
        )
    ends = accumulate(lengths, initial=position)
    times = accumulate(differences, lambda before, difference: (before + difference) & _MASK)
    return [
        Entry(
            seq=seq,
            update=block[begin:end],
            time_ms=time if time < 1 << 63 else time - (1 << 64),
            author=authors[place],
        )
        for seq, (begin, end), time, place in zip(
            range(first_seq, first_seq + count), pairwise(ends), times, places, strict=True
        )
    ]


def _planes(kind: str, numbers: Sequence[int]) -> bytes:
    packed = struct.pack(f"<{len(numbers)}{kind}", *numbers)
    width = struct.calcsize(f"<{kind}")
    return b"".join(packed[plane::width] for plane in range(width))


def _numbers(kind: str, block: bytes, position: int, count: int) -> tuple[int, ...]:
    width = struct.calcsize(f"<{kind}")
    packed = bytearray(width * count)
    for plane in range(width):
        begin = position + plane * count
        packed[plane::width] = block[begin : begin + count]
    return struct.unpack(f"<{count}{kind}", packed)
