"""Excuses: updates for which documents differ, and nobody can do anything about it here."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from collab.structs import Kind, read_structs


@contextmanager
def excused(updates: Sequence[bytes]) -> Iterator[None]:
    """Lets pass what goes wrong where the CRDT itself does; whoever adds updates may do so later.

    Args:
        updates: everything that was given, all of it checked.
    """
    try:
        yield
    except OtherContent:
        if not name_two_neighbours(updates):
            raise


class OtherContent(AssertionError):
    """Two documents have the same changes, and show something else."""


def name_two_neighbours(updates: Iterable[bytes]) -> bool:
    """Whether a struct names a neighbour on either side.

    Nobody can tell from an update that the right one is on the right, as no Yjs client gets wrong.
    Where it is not, content lands where it was split last, and in another document elsewhere.
    """
    return any(
        struct.origin is not None and struct.right_origin is not None
        for update in updates
        for struct in read_structs(update)
    )


def foresee(updates: Iterable[bytes]) -> bool:
    """Whether a struct names a neighbour that its own client had still to write.

    It waits for what comes after it, which the CRDT takes in one order and not in another.
    """
    return any(
        place is not None and place.client == struct.client and place.clock >= struct.clock
        for update in updates
        for struct in read_structs(update)
        for place in (struct.origin, struct.right_origin)
    )


def contradict(updates: Iterable[bytes]) -> bool:
    """Whether updates give one clock of a client different content, as no Yjs client ever does.

    What such a clock stands for is up to who comes first: nothing can converge then.
    """
    written: dict[int, set[tuple[int, int, bytes]]] = {}
    for update in updates:
        for struct in read_structs(update):
            if struct.kind is not Kind.SKIP:
                span = (struct.clock, struct.clock + struct.length)
                written.setdefault(struct.client, set()).add(
                    (*span, update[struct.start : struct.end])
                )
    for spans in written.values():
        reached = -1
        for clock, end, _ in sorted(spans):
            if clock < reached:
                return True
            reached = end
    return False
