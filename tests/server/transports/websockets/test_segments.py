"""What is sent in one go leaves in one segment: each costs both ends as much as a small message."""

import socket
import struct
import sys

import pytest

from collab.awareness import encode_entries
from collab.protocol import yjs
from collab.server.app import Collab
from collab.storage.memory import MemoryStore
from tests.server.hosts import front_door
from tests.server.transports.websockets.raw import Raw, handshake, masked
from tests.server.transports.websockets.serving import contexts

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux corks sockets, and counts"),
]

_DATA_SEGMENTS_IN = 152
"""Where ``struct tcp_info`` of Linux counts them."""


def data_segments(raw: Raw) -> int:
    """How many segments with data have come on a connection."""
    connection = raw.writer.get_extra_info("socket")
    told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    (count,) = struct.unpack_from("I", told, _DATA_SEGMENTS_IN)
    return int(count)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
async def test_answers_to_what_came_together_leave_together(encrypted: bool) -> None:
    server_tls, client_tls = contexts("http/1.1") if encrypted else (None, None)
    hello = yjs.awareness(encode_entries([(7, 1, b"{}")]))
    async with front_door(Collab(MemoryStore()), tls=server_tls) as port:
        keeper = await Raw.open(port, client_tls)
        keeper.write(handshake(), masked(yjs.sync_step1(b"\x00")))
        await keeper.read_head()
        before = await Raw.open(port, client_tls)
        before.write(handshake(), masked(hello))
        await before.read_head()
        while (await keeper.read_frame())[1] != hello:
            pass
        await before.close()
        gone = yjs.awareness(encode_entries([(7, 1, b"null")]))
        while (await keeper.read_frame())[1] != gone:
            pass

        raw = await Raw.open(port, client_tls)
        raw.write(handshake())
        await raw.read_head()
        await raw.read_frame()
        seen = data_segments(raw)
        raw.write(masked(yjs.sync_step1(b"\x00")), masked(hello), masked(b"", opcode=9))
        answers = [await raw.read_frame() for _ in range(3)]
        assert answers == [(2, yjs.sync_step2(b"\x00\x00")), (2, gone), (10, b"")]
        assert data_segments(raw) == seen + 1

        raw.write(masked(b"", opcode=9))  # Nothing waits that comes alone.
        assert await raw.read_frame() == (10, b"")
        await raw.close()
        await keeper.close()
