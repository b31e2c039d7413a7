"""Inspection: what an update holds, by client and by root."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collab.checking import check_update
from collab.document import Document
from collab.roots import RootKind, root_kinds
from collab.structs import Kind, read_deletions, read_structs


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one client has written of an update.

    Attributes:
        client: its Yjs client id.
        clock: the clock after its last struct.
        structs: how many structs there are of it.
    """

    client: int
    clock: int
    structs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What an update holds.

    Attributes:
        bytes: how long it is.
        structs: how many structs it has.
        deleted: how many clocks its delete set covers: characters, and one for whatever else.
        waiting_bytes: how much of it waits for changes that it does not hold.
        roots: the kinds of the document's roots, by name.
        shares: what each client has written, the most structs first.
    """

    bytes: int
    structs: int
    deleted: int
    waiting_bytes: int
    roots: Mapping[str, RootKind]
    shares: Sequence[Share]


def inspect_update(update: bytes) -> Inspection:
    """Looks into an update.

    Raises:
        PoisonedUpdate: it is none that a document takes.
    """
    document = Document()
    document.apply(check_update(update))
    counts: dict[int, int] = {}
    clocks: dict[int, int] = {}
    structs = read_structs(update)
    while True:
        try:
            struct = next(structs)
        except StopIteration as end:
            position: int = end.value
            break
        if struct.kind is not Kind.SKIP:  # It stands for structs that are not here.
            counts[struct.client] = counts.get(struct.client, 0) + 1
            clocks[struct.client] = struct.clock + struct.length
    shares = [
        Share(client=client, clock=clocks[client], structs=count)
        for client, count in counts.items()
    ]
    return Inspection(
        bytes=len(update),
        structs=sum(counts.values()),
        deleted=sum(deletion.length for deletion in read_deletions(update, position)),
        waiting_bytes=document.pending_bytes,
        roots=root_kinds([update]),
        shares=sorted(shares, key=lambda share: (-share.structs, share.client)),
    )
