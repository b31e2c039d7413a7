"""WebSocketWire: one direction while the other one cannot go on, and how it does not begin."""

import socket
import struct
from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from collab.client.server_address import read_address
from collab.client.websocket import open_websocket
from collab.errors import ConnectionEnded

pytestmark = pytest.mark.anyio

_FRAMES = 200
_FRAME = b"x" * 65_536
_MORE_THAN_SOCKETS_KEEP = b"y" * 32 * 1024 * 1024


async def _write(stream: SocketStream, protocol: ServerProtocol) -> None:
    for piece in protocol.data_to_send():
        await stream.send(piece)


async def _say_and_hear_nothing(stream: SocketStream) -> None:
    """A server that reads nothing more before what it says is read."""
    async with stream:
        protocol = ServerProtocol()
        while protocol.state is State.CONNECTING:
            protocol.receive_data(await stream.receive())
            for event in protocol.events_received():
                assert isinstance(event, Request)
                protocol.send_response(protocol.accept(event))
            await _write(stream, protocol)
        for _ in range(_FRAMES):
            protocol.send_ping(b"?")
            protocol.send_binary(_FRAME)
            await _write(stream, protocol)
        await anyio.sleep_forever()


async def test_it_reads_on_while_what_it_sends_is_not_taken() -> None:
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, _say_and_hear_nothing)
        port = listener.extra(SocketAttribute.local_port)
        server = read_address(f"http://127.0.0.1:{port}")
        async with open_websocket(server, None) as wire, anyio.create_task_group() as sending:
            sending.start_soon(wire.send, [_MORE_THAN_SOCKETS_KEEP])
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(30):
                for _ in range(_FRAMES):
                    assert await wire.receive() == _FRAME
            sending.cancel_scope.cancel()
        tasks.cancel_scope.cancel()


async def _hang_up_on_tls(stream: SocketStream) -> None:
    """A server that leaves when TLS is to be agreed on."""
    async with stream:
        await stream.receive()


async def _reset_tls(stream: SocketStream) -> None:
    """The same, of one that is killed."""
    async with stream:
        await stream.receive()
        raw: socket.socket = stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("leave", [_hang_up_on_tls, _reset_tls])
async def test_a_server_that_leaves_before_tls_is_agreed_on_has_ended_the_connection(
    leave: Callable[[SocketStream], Awaitable[None]],
) -> None:
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, leave)
        server = read_address(f"https://127.0.0.1:{listener.extra(SocketAttribute.local_port)}")
        with anyio.fail_after(30), pytest.raises(ConnectionEnded):
            async with open_websocket(server, None):
                pass
        tasks.cancel_scope.cancel()
