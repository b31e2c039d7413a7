"""Yjs updates (v1) without a document: what they hold, and cuts that need no waiting.

Reading is in ``collab.structs`` and ``collab.roots``; this module gives their names too.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from collab.lib0 import MAX_UINT, read_var_uint, write_var_uint
from collab.roots import RootKind, root_kinds
from collab.structs import (
    HAS_ORIGIN,
    Deletion,
    Id,
    Kind,
    SharedType,
    Struct,
    check_nesting,
    measure_string,
    read_deletions,
    read_struct,
    read_structs,
    skip_any,
    skip_bytes,
)

__all__ = [
    "Deletion",
    "Id",
    "Kind",
    "RootKind",
    "SharedType",
    "Struct",
    "check_nesting",
    "read_deletions",
    "read_structs",
    "root_kinds",
    "split",
]

_SECTION_BYTES = 24  # the most that client, clock and count of a section take up
_UPDATE_BYTES = 17  # the most that the number of sections and an empty delete set take up
_HEAD_BYTES = 41  # the most that a piece of a cut struct takes up beside its content
_CHARACTER_BYTES = 4  # the longest character: a piece ends before one that it would cut in two
MIN_PART_BYTES = 128


def split(update: bytes, max_bytes: int, *, max_pieces: int | None = None) -> Iterator[bytes]:
    """Cuts an update into smaller ones, in an order in which none waits for a later one.

    Applied one after the other they give what the whole gives; deletions come last. A string or a
    list of values that is larger than a part is cut inside, as Yjs cuts when it writes a
    difference; a single value or embed that large stays whole. Skips, which stand for structs that
    the update lacks, go along as they are. An update that fits is given back unread.

    Args:
        update: the update.
        max_bytes: size of a part, in bytes; only a single value makes a larger one, and a piece of
            a string where they would be too many.
        max_pieces: how many pieces one string is cut into at most; None where there is no bound.

    Yields:
        Updates. All structs are read before the first, each is written once.

    Raises:
        ProtocolError: these bytes are no update; before the first part.
    """
    if len(update) <= max_bytes:
        yield update
        return
    if max_bytes < MIN_PART_BYTES:
        raise ValueError(f"expected parts of at least {MIN_PART_BYTES} bytes, got {max_bytes}")
    runs, position = _read_runs(update, max_bytes // 8)
    deletions = list(_deletion_parts(update, position, max_bytes - _UPDATE_BYTES))
    part = _Part(update)
    for client, clock, count, start, end in _in_causal_order(runs):
        if part and part.bytes_with(client, end - start) > max_bytes:
            yield part.encode()
            part = _Part(update)
        if part.bytes_with(client, end - start) <= max_bytes:
            part.add(client, clock, count, start, end)
            continue
        struct = read_struct(update, start, client, clock)
        for piece_clock, piece in _cut_struct(struct, update, max_bytes, max_pieces):
            if part:
                yield part.encode()
                part = _Part(update)
            part.add_piece(client, piece_clock, piece, end)
    if part and deletions and part.bytes + len(deletions[0]) > max_bytes:
        yield part.encode()
        part = _Part(update)
    yield part.encode(*deletions[:1])
    for encoded in deletions[1:]:
        yield _Part(update).encode(encoded)


@dataclass(slots=True)
class _Run:
    """One client's structs, in stretches whose first struct alone may wait for another client.

    ``stretches`` holds seven integers for each: first byte, first clock, number of structs, and two
    clocks of others to wait for, as client and clock (client -1: none).
    """

    client: int
    reached: int
    end: int = 0
    end_clock: int = 0
    next: int = 0
    stretches: "array[int]" = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self.stretches) // 7


def _read_runs(update: bytes, stretch_bytes: int) -> tuple[dict[int, _Run], int]:
    runs: dict[int, _Run] = {}
    run = _Run(-1, 0)
    awaited: dict[int, int] = {}
    structs = read_structs(update)
    while True:
        try:
            struct = next(structs)
        except StopIteration as end:
            return runs, end.value
        client, clock, length, _, origin, right_origin, parent, _, start, _, end_byte = struct
        if client != run.client:
            run = runs[client] = _Run(client, clock)
            awaited = {client: MAX_UINT}
        waits: tuple[int, ...] = ()
        for place in (origin, right_origin, parent):
            if isinstance(place, Id) and awaited.get(place.client, -1) < place.clock:
                awaited[place.client] = place.clock
                waits += place
        stretches = run.stretches
        if stretches and not waits and end_byte - stretches[-7] <= stretch_bytes:
            stretches[-5] += 1
        else:
            stretches.extend((start, clock, 1, *waits, *((-1, 0) * 2)[: 4 - len(waits)]))
        run.end, run.end_clock = end_byte, clock + length


def _in_causal_order(runs: dict[int, _Run]) -> Iterator[tuple[int, int, int, int, int]]:
    """Walks runs as Yjs' integrateStructs does: (client, clock, count, first byte, end byte)."""
    waiting: set[int] = set()
    for first in sorted(runs, reverse=True):
        stack = [(runs[first], MAX_UINT)]
        while stack:
            run, until = stack[-1]
            if run.next == len(run) or run.reached > until:
                stack.pop()
                waiting.discard(run.client)
                continue
            at = run.next * 7
            start, clock, count, *waits = run.stretches[at : at + 7]
            for client, awaited in (waits[:2], waits[2:]):
                other = runs.get(client)
                # Origins in a circle are nobody's real edits: those go out as they come.
                if other and other.reached <= awaited < other.end_clock and client not in waiting:
                    waiting.add(run.client)
                    stack.append((other, awaited))
                    break
            else:
                run.next += 1
                last = run.next == len(run)
                end = run.end if last else run.stretches[at + 7]
                run.reached = run.end_clock if last else run.stretches[at + 8]
                yield run.client, clock, count, start, end


def _cut_struct(
    struct: Struct, update: bytes, max_bytes: int, max_pieces: int | None
) -> Iterator[tuple[int, bytes]]:
    """Cuts one struct inside: clock and encoding of each piece; what cannot be cut stays whole."""
    head = update[struct.start : struct.content]
    clock = struct.clock
    info = update[struct.start] | HAS_ORIGIN
    right = b"".join(map(write_var_uint, struct.right_origin or ()))
    room = max_bytes - _UPDATE_BYTES - _SECTION_BYTES - _HEAD_BYTES
    if max_pieces is not None and struct.kind is Kind.STRING:
        room = max(room, (struct.end - struct.content) // max_pieces + _CHARACTER_BYTES)
    for length, content in _cut_content(struct, update, room):
        yield clock, head + content
        clock += length
        head = bytes((info,)) + write_var_uint(struct.client) + write_var_uint(clock - 1) + right


def _cut_content(struct: Struct, update: bytes, max_bytes: int) -> Iterator[tuple[int, bytes]]:
    if struct.kind is Kind.STRING:
        _, position = read_var_uint(update, struct.content)
        while position < struct.end:
            cut = struct.end
            if cut - position > max_bytes:
                cut = _end_of_character(update, position + max_bytes)
            content = write_var_uint(cut - position) + update[position:cut]
            yield measure_string(content, 0)[0], content
            position = cut
    elif struct.kind in (Kind.ANY, Kind.JSON):
        skip = skip_any if struct.kind is Kind.ANY else skip_bytes
        _, first = read_var_uint(update, struct.content)
        position, count = first, 0
        while position < struct.end:
            after = skip(update, position)
            if count and after - first > max_bytes:
                yield count, write_var_uint(count) + update[first:position]
                first, count = position, 0
            position = after
            count += 1
        yield count, write_var_uint(count) + update[first:position]
    else:
        yield struct.length, update[struct.content : struct.end]


def _end_of_character(update: bytes, cut: int) -> int:
    """The end of a whole character of a string, at ``cut`` or up to three bytes before it."""
    while update[cut] & 0xC0 == 0x80:  # inside of a character
        cut -= 1
    return cut


@dataclass(slots=True)
class _Span:
    """One client's consecutive structs or deletions: a cut struct's piece, then bytes as is."""

    count: int
    start: int
    end: int
    clock: int = 0
    head: bytes = b""


class _Part:
    """An update being gathered from another's bytes."""

    def __init__(self, update: bytes) -> None:
        self._update = update
        self._spans: dict[int, _Span] = {}
        self.bytes = _UPDATE_BYTES

    def __bool__(self) -> bool:
        return bool(self._spans)

    def bytes_with(self, client: int, content_bytes: int) -> int:
        """The most it has after adding so many bytes of a client."""
        return self.bytes + content_bytes + (0 if client in self._spans else _SECTION_BYTES)

    def add(self, client: int, clock: int, count: int, start: int, end: int) -> None:
        """Adds structs that follow those of the same client already in it."""
        self.bytes = self.bytes_with(client, end - start)
        span = self._spans.get(client)
        if span is None:
            self._spans[client] = _Span(count, start, end, clock)
        else:
            span.count += count
            span.end = end

    def add_piece(self, client: int, clock: int, piece: bytes, end: int) -> None:
        """Adds a piece of a struct that was cut, before any other of its client.

        Args:
            client: who wrote the struct.
            clock: first clock of the piece.
            piece: its encoding.
            end: index after the whole struct.
        """
        self.bytes = self.bytes_with(client, len(piece))
        self._spans[client] = _Span(1, end, end, clock, piece)

    def encode(self, deletions: bytes = b"\x00") -> bytes:
        """The update, with an encoded delete set."""
        chunks = [write_var_uint(len(self._spans))]
        for client in sorted(self._spans, reverse=True):
            span = self._spans[client]
            chunks += map(write_var_uint, (span.count, client, span.clock))
            chunks += (span.head, self._update[span.start : span.end])
        return b"".join((*chunks, deletions))


def _deletion_parts(update: bytes, position: int, max_bytes: int) -> Iterator[bytes]:
    """Cuts a delete set into encoded ones of at most so many bytes."""
    spans: dict[int, _Span] = {}
    size = 0
    for client, _, _, start, end in read_deletions(update, position):
        span = spans.get(client)
        grown = end - start + (0 if span else _SECTION_BYTES)
        if (spans and size + grown > max_bytes) or (span and span.end != start):
            yield _encode_deletions(update, spans)
            spans, size, span = {}, 0, None
            grown = end - start + _SECTION_BYTES
        size += grown
        if span is None:
            spans[client] = _Span(1, start, end)
        else:
            span.count += 1
            span.end = end
    if spans:
        yield _encode_deletions(update, spans)


def _encode_deletions(update: bytes, spans: dict[int, _Span]) -> bytes:
    chunks = [write_var_uint(len(spans))]
    for client, span in spans.items():
        chunks += (
            write_var_uint(client),
            write_var_uint(span.count),
            update[span.start : span.end],
        )
    return b"".join(chunks)
