"""Socket: a connection to a server of Valkey or Redis that speaks RESP3, for bytes."""

import asyncio

import anyio
from redis.asyncio.connection import Connection

from collab.server.bus.deployment import ANSWER_SECONDS, connect

_READ_BYTES = 256 * 1024


class Socket:
    """A connection that redis-py makes, with its TLS and its passwords, and that is ours then.

    Commands that are packed and answers that are read one by one cost it more than all that this
    server does with a change.

    Args:
        url: where to, and how; see ``Entrance.url``.
    """

    def __init__(self, url: str) -> None:
        self._client = connect(url)
        pool = self._client.connection_pool
        self._connection: Connection = pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py's own
        self._incoming: asyncio.StreamReader | None = None
        self._outgoing: asyncio.StreamWriter | None = None

    @property
    def waiting_bytes(self) -> int:
        """What waits to be sent."""
        return self._outgoing.transport.get_write_buffer_size() if self._outgoing else 0

    async def open(self, first: bytes) -> bytes:
        """Connects, and gives a first command.

        Returns:
            Its answer.

        Raises:
            RedisError: it cannot be reached, or refuses the command.
            OSError: likewise.
        """
        try:
            await self._connection.connect()  # type: ignore[no-untyped-call]  # redis-py's own
            await self._connection.send_packed_command([first])
            answer = await self._connection.read_response(timeout=ANSWER_SECONDS)
        except BaseException:
            await self.close()
            raise
        assert isinstance(answer, bytes)
        self._incoming = self._connection._reader
        self._outgoing = self._connection._writer
        return answer

    async def receive(self) -> bytes:
        """Waits for bytes.

        Raises:
            OSError: it has ended.
        """
        if self._incoming is None:
            raise ConnectionResetError("expected an open connection, got one that is closed")
        received = await self._incoming.read(_READ_BYTES)
        if not received:
            raise ConnectionResetError("expected more, got the end of the connection")
        return received

    def send(self, packed: bytes) -> None:
        """Sends bytes; where it has ended they are dropped, and ``receive`` raises."""
        if self._outgoing is not None and not self._outgoing.is_closing():
            self._outgoing.write(packed)

    async def close(self) -> None:
        """Disconnects."""
        self._incoming = self._outgoing = None
        with anyio.move_on_after(1, shield=True):
            await self._connection.disconnect()
            await self._client.aclose()
