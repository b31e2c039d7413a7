"""The load's WebSocket frames: what a server wrote is read back however the network cut it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from benchmarks.load.frames import BINARY, PING, FrameReader, write_frame

SIZES = st.sampled_from([0, 1, 125, 126, 127, 65535, 65536, 70000])


def from_server(payload: bytes, opcode: Opcode = Opcode.BINARY, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin=fin).serialize(mask=False)


@given(st.lists(SIZES, max_size=5), st.lists(st.integers(0, 200_000), max_size=6))
def test_messages_survive_any_cut(sizes: list[int], cuts: list[int]) -> None:
    messages = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    stream = b"".join(map(from_server, messages))
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    reader = FrameReader()
    read = []
    for begin, end in pairwise(edges):
        read += reader.feed(stream[begin:end])
    assert read == [(BINARY, message) for message in messages]


def test_messages_survive_single_bytes() -> None:
    stream = from_server(b"a" * 130) + from_server(b"") + from_server(b"b")
    reader = FrameReader()
    read = [message for byte in stream for message in reader.feed(bytes([byte]))]
    assert read == [(BINARY, b"a" * 130), (BINARY, b""), (BINARY, b"b")]


def test_a_ping_between_fragments_is_read_first() -> None:
    stream = (
        from_server(b"one ", fin=False)
        + from_server(b"alive?", Opcode.PING)
        + from_server(b"two", Opcode.CONT)
    )
    assert FrameReader().feed(stream) == [(PING, b"alive?"), (BINARY, b"one two")]


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_websocket_library_reads_what_a_client_writes(size: int) -> None:
    stream = StreamReader()
    stream.feed_data(write_frame(b"\x05\xff" * (size // 2) + b"\x01" * (size % 2)))
    reading = Frame.parse(stream.read_exact, mask=True)
    with pytest.raises(StopIteration) as stopped:
        next(reading)
    frame = stopped.value.value
    assert frame.opcode is Opcode.BINARY
    assert frame.data == b"\x05\xff" * (size // 2) + b"\x01" * (size % 2)
