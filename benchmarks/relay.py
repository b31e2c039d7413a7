"""A bare relay: the least that a server on this stack pays, as a floor beside the table.

It passes every change on to the others of its room and back to its writer, frame by frame as it
came, in y-websocket's words. It reads no update, keeps no document and stores nothing.
"""

import asyncio
import signal
from collections import defaultdict
from typing import Final

import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

_STEP_1: Final = b"\x00\x00\x01\x00"
"""A step 1 of who knows nothing."""
_STEP_2: Final = b"\x00\x01\x02\x00\x00"
"""A step 2 without a change."""

_rooms: defaultdict[bytes, dict["_Client", None]] = defaultdict(dict)


class _Client(WSListener):
    """One connection."""

    def __init__(self, path: bytes) -> None:
        self._room = _rooms[path]
        self._transport: WSTransport | None = None

    def send(self, frame: bytes) -> None:
        """Sends a frame at once."""
        if self._transport is not None:
            self._transport.send(WSMsgType.BINARY, frame)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Takes its place in the room."""
        self._transport = transport
        self._room[self] = None
        self.send(_STEP_1)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answers a step 1; passes on changes and presence."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.BINARY:
            message = frame.get_payload_as_bytes()
            if message.startswith(_STEP_1[:2]):
                self.send(_STEP_2)
            elif not message.startswith(_STEP_2[:2]):
                for client in tuple(self._room):
                    client.send(message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Leaves the room."""
        self._transport = None
        self._room.pop(self, None)


def _listener(request: WSUpgradeRequest) -> WSListener:
    return _Client(request.path)


async def _serve() -> None:
    server = await ws_create_server(_listener, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()


if __name__ == "__main__":
    uvloop.run(_serve())
