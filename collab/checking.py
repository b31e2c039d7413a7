"""Checking: whether bytes are an update that can be kept and passed on."""

import pycrdt

from collab.errors import PoisonedUpdate, ProtocolError, TooLarge
from collab.joining import MAX_LOOSE, continues, join
from collab.structs import Kind, Struct, read_deletions, read_structs
from collab.typed import is_typed

_MAX_STRUCTS = 1_000_000
"""Structs of one update: reading so many takes seconds, and whole books have a tenth of them."""
_MAX_CLOCK = 2**32 - 1
"""yrs counts clocks in 32 bits and begins anew at their end."""


def check_update(update: bytes) -> bytes:
    """Checks that bytes are an update that can be kept and passed on; no promise that it applies.

    They are read strictly first (what typing gives is known at a glance), because the CRDT takes
    more than it can give back: values nested so deeply that its stack overflows and the process
    dies, structs of no length and JSON content, which make its own encoding unreadable, content
    and types that Yjs does not know and that clients fail on, and deletions that overlap or stand
    in no order, of which its merging loses some.

    Returns:
        The update to keep: as it came; where many of its structs continue the one before, with
        those joined, as the CRDT takes long to join them.

    Raises:
        PoisonedUpdate: they are not.
    """
    if is_typed(update):
        return update
    try:
        if _read_strictly(update) > MAX_LOOSE:
            update = join(update)
        pycrdt.get_state(update)
    except BaseException as error:  # noqa: BLE001 - see PoisonedUpdate.of
        raise PoisonedUpdate.of(update, error) from None
    return update


def _read_strictly(update: bytes) -> int:
    """Reads an update, and tells how many of its structs continue the one before."""
    structs = read_structs(update)
    count = loose = 0
    before: Struct | None = None
    while True:
        try:
            struct = next(structs)
        except StopIteration as end:
            deletions = end.value
            break
        count += 1
        if count > _MAX_STRUCTS:
            raise TooLarge(f"expected at most {_MAX_STRUCTS} structs, got more")
        if struct.clock + struct.length > _MAX_CLOCK:
            raise ProtocolError(f"expected clocks of up to {_MAX_CLOCK}, got {struct.clock}")
        if struct.length == 0:
            raise ProtocolError(f"expected structs that cover a clock, got none at {struct.clock}")
        if struct.kind is Kind.JSON:
            raise ProtocolError("expected values as Yjs 13 writes them, got JSON content")
        if before is not None and continues(update, before, struct):
            loose += 1
        before = struct
    client, reached = -1, 0
    for deletion in read_deletions(update, deletions):
        if deletion.client != client:
            client, reached = deletion.client, 0
        if deletion.clock < reached or deletion.length == 0:
            raise ProtocolError(
                f"expected deletions in order from {reached} on, got {deletion.length} clocks"
                f" at {deletion.clock}"
            )
        reached = deletion.clock + deletion.length
        if deletion.clock + deletion.length > _MAX_CLOCK:
            raise ProtocolError(f"expected clocks of up to {_MAX_CLOCK}, got {deletion.clock}")
    return loose
