"""Which changes a message brings: fast readers of what this load writes.

An update is read down to its struct headers only. Source of the format: https://github.com/yjs/yjs,
``encodeStateAsUpdate`` in src/utils/encoding.js and ``Item.write`` in src/structs/Item.js.
"""

from typing import NamedTuple

from collab.lib0 import read_var_bytes, read_var_uint


class Run(NamedTuple):
    """Consecutive changes of one client.

    Attributes:
        client: id of the author.
        clock: first of them.
        length: how many.
    """

    client: int
    clock: int
    length: int


class UnreadableUpdate(Exception):
    """An update holds what this load never writes."""


def read_runs(update: bytes) -> list[Run]:
    """Reads which changes an update (v1) brings; skips are left out.

    Raises:
        UnreadableUpdate: it holds content other than text, or deletions.
    """
    runs: list[Run] = []
    groups, position = read_var_uint(update, 0)
    for _ in range(groups):
        structs, position = read_var_uint(update, position)
        client, position = read_var_uint(update, position)
        clock, position = read_var_uint(update, position)
        begun = clock
        for _ in range(structs):
            length, present, position = _read_struct(update, position)
            if not present:
                if clock > begun:
                    runs.append(Run(client, begun, clock - begun))
                begun = clock + length
            clock += length
        if clock > begun:
            runs.append(Run(client, begun, clock - begun))
    deletions, position = read_var_uint(update, position)
    if deletions or position != len(update):
        raise UnreadableUpdate(f"expected no deletions and the end, got {update[position:][:20]!r}")
    return runs


def _read_struct(update: bytes, position: int) -> tuple[int, bool, int]:
    """Returns how many changes a struct is, whether it brings them, and where it ends."""
    info = update[position]
    position += 1
    content = info & 0x1F
    if content == 10:  # skip
        length, position = read_var_uint(update, position)
        return length, False, position
    if content != 4:
        raise UnreadableUpdate(f"expected text (4) or a skip (10), got content {content}")
    for flag in (0x80, 0x40):  # left and right origin
        if info & flag:
            _, position = read_var_uint(update, position)
            _, position = read_var_uint(update, position)
    if not info & 0xC0:
        named, position = read_var_uint(update, position)
        if not named:
            raise UnreadableUpdate("expected a root type as parent, got an item")
        _, position = read_var_bytes(update, position)
    text, position = read_var_bytes(update, position)
    if not text.isascii():
        raise UnreadableUpdate(f"expected ASCII text, got {text[:20]!r}")
    return len(text), True, position


def read_presence(body: bytes) -> list[tuple[int, int]]:
    """Reads whose presence a message brings, as (client, clock)."""
    entries = []
    count, position = read_var_uint(body, 0)
    for _ in range(count):
        client, position = read_var_uint(body, position)
        clock, position = read_var_uint(body, position)
        size, position = read_var_uint(body, position)
        position += size
        entries.append((client, clock))
    return entries
