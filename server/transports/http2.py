"""HTTP/2 of Hypercorn, so that what one stream brings or does not take costs that stream alone."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, PriorityUpdated, RequestReceived, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.events import Closed, Updated
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h2 import H2Protocol
from priority.priority import MissingStreamError

_RESETS_AT_ONCE = 1_000
_RESETS_PER_SECOND = 33
"""How many requests a client may give up; those of nghttp2, since CVE-2023-44487."""


class Context(WorkerContext):
    """What Hypercorn's connections have in common.

    Args:
        blocked_seconds: how long an answer waits for a client that takes nothing of it.
    """

    def __init__(self, blocked_seconds: float) -> None:
        super().__init__(None)
        self.blocked_seconds = blocked_seconds


class HTTP2(H2Protocol):
    """One connection, for requests alone.

    Hypercorn offers WebSockets over HTTP/2, too (RFC 8441). Browsers that have loaded a page so
    would take the offer, and go past the native transport.

    It fails, and with it all else that goes over the connection, on a body that still comes
    after its answer, on requests without a path or with one that is not ASCII, on more priorities
    than it keeps, and after a thousand requests. It waits for ever for a client that opens no
    window for an answer, and takes a connection whose last request was reset for one that is busy.
    """

    context: Context

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        del self.connection.local_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL]
        self._patience: dict[int, asyncio.Timeout] = {}
        self._resets_at = 0.0

    async def initiate(self, *args: Any, **options: Any) -> None:
        """Begins; without TLS Hypercorn takes the preface for a request that is under way."""
        await super().initiate(*args, **options)
        await self.send(Updated(idle=self.idle))

    async def _handle_events(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, DataReceived) and event.stream_id not in self.streams:
                # Taken all the same: otherwise the connection's window would run out.
                self.connection.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
                await self._flush()
            elif isinstance(event, RequestReceived) and not _is_readable(event):
                with suppress(ProtocolError):  # The client has ended it already.
                    self.connection.reset_stream(event.stream_id, ErrorCodes.PROTOCOL_ERROR)
                await self._flush()
            elif isinstance(event, PriorityUpdated):
                pass  # RFC 9113, section 5.3: they mean nothing any more.
            else:
                await super()._handle_events([event])
            if isinstance(event, StreamReset):
                await self._forget(event.stream_id)
                if not self._may_reset():
                    self.connection.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
                    await self._flush()
                    await self.send(Closed())
                    return

    async def _create_stream(self, request: RequestReceived) -> None:
        await super()._create_stream(request)
        self.keep_alive_requests = 0  # At a bound, it would end all streams there are.

    def _may_reset(self) -> bool:
        """Counts a request that was given up; tells whether it was not one too many."""
        now = asyncio.get_running_loop().time()
        self._resets_at = max(self._resets_at, now) + 1 / _RESETS_PER_SECOND
        return self._resets_at - now <= _RESETS_AT_ONCE / _RESETS_PER_SECOND

    async def stream_send(self, event: StreamEvent) -> None:
        """Sends a part of an answer, for as long as something of it is taken now and then."""
        try:
            async with asyncio.timeout(self.context.blocked_seconds) as patience:
                self._patience[event.stream_id] = patience
                await super().stream_send(event)
        except TimeoutError:
            with suppress(ProtocolError):
                self.connection.reset_stream(event.stream_id, ErrorCodes.CANCEL)
            # Not here: the app, which has called this, may have to read before it can be told.
            self.task_group.spawn(self._close_stream, event.stream_id)
            await self._forget(event.stream_id)
            await self._flush()
        finally:
            self._patience.pop(event.stream_id, None)

    async def _flush(self) -> None:
        if not self.closed:  # Otherwise every answer under way would be in the log.
            await super()._flush()

    async def _send_data(self, stream_id: int) -> None:
        before = self._waiting(stream_id)
        with suppress(KeyError, MissingStreamError):  # The stream was forgotten meanwhile.
            await super()._send_data(stream_id)
        patience = self._patience.get(stream_id)
        taken = self._waiting(stream_id) < before
        if taken and patience is not None and not patience.expired():
            now = asyncio.get_running_loop().time()
            patience.reschedule(now + self.context.blocked_seconds)

    def _waiting(self, stream_id: int) -> int:
        """How much of an answer waits to be taken, in bytes."""
        buffer = self.stream_buffers.get(stream_id)
        return 0 if buffer is None else len(buffer.buffer)

    async def _forget(self, stream_id: int) -> None:
        """Keeps nothing of a stream that was reset."""
        buffer = self.stream_buffers.pop(stream_id, None)
        if buffer is not None:
            await buffer.close()
            with suppress(MissingStreamError):
                self.priority.remove_stream(stream_id)
        await self.send(Updated(idle=self.idle))


def _is_readable(request: RequestReceived) -> bool:
    """Whether Hypercorn can read what is asked for."""
    asked = dict(request.headers)
    return all(name in asked and asked[name].isascii() for name in (b":method", b":path"))
