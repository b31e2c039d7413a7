"""Socket: a connection to a server of Valkey or Redis that speaks RESP3, for bytes."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import anyio
from redis.asyncio.connection import Connection

from collab.server.bus.deployment import ANSWER_SECONDS, connect
from collab.server.loop_context import loop_context


class Socket(asyncio.Protocol):
    """A connection that redis-py makes, with its TLS and its passwords, and that is ours then.

    Commands that are packed and answers that are read one by one, in a task that is woken for each,
    cost it more than all else that this server does with a change.

    Args:
        url: where to, and how; see ``Entrance.url``.
        received: called with bytes as they come, after ``open``.
        ended: called when the other side has ended it.
    """

    def __init__(
        self, url: str, received: Callable[[bytes], None], ended: Callable[[Exception], None]
    ) -> None:
        self._client = connect(url)
        pool = self._client.connection_pool
        self._connection: Connection = pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py's own
        self._received = received
        self._ended = ended
        self._context = loop_context()
        self._transport: asyncio.WriteTransport | None = None
        self._before: asyncio.BaseProtocol | None = None

    @property
    def waiting_bytes(self) -> int:
        """What waits to be sent."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    async def open(self, first: Sequence[bytes]) -> Sequence[Any]:
        """Connects, and gives first commands.

        Returns:
            Their answers.

        Raises:
            RedisError: it cannot be reached, or refuses a command.
            OSError: likewise.
        """
        try:
            await self._connection.connect()  # type: ignore[no-untyped-call]  # redis-py's own
            await self._connection.send_packed_command(first)
            answers = [await self._connection.read_response(timeout=ANSWER_SECONDS) for _ in first]
        except BaseException:
            await self.close()
            raise
        writer = self._connection._writer
        assert writer is not None
        self._transport = writer.transport
        self._before = self._transport.get_protocol()
        self._transport.set_protocol(self)
        return answers

    def send(self, packed: bytes) -> None:
        """Sends bytes; where it has ended they are dropped."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(packed)

    def abort(self) -> None:
        """Ends it here: nothing more is received, and what waits to be sent is dropped."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    async def close(self) -> None:
        """Disconnects."""
        self.abort()  # What waits to be sent would keep it, where the other side reads no more.
        with anyio.move_on_after(1, shield=True):
            await self._connection.disconnect()
            await self._client.aclose()

    # What the event loop calls.

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._transport is not None:
            self._context.run(self._received, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, on whichever side."""
        assert self._before is not None
        self._before.connection_lost(exc)  # Whoever closes it waits for this.
        if self._transport is not None:
            self._transport = None
            end = ConnectionResetError("expected more, got the end of the connection")
            self._context.run(self._ended, exc or end)
