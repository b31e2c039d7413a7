"""Amendments: what Hypercorn is made to do otherwise, where it has no settings for it."""

from collections.abc import Sequence
from typing import Any

from h2.events import DataReceived, Event
from h2.settings import SettingCodes
from hypercorn import protocol
from hypercorn.protocol import h11, ws_stream
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.h2 import H2Protocol
from wsproto.extensions import PerMessageDeflate


def amend_hypercorn() -> None:
    """Has the amendments hold, for all of this process; doing it twice changes nothing."""
    ws_stream.PerMessageDeflate = _NoCompression  # type: ignore[attr-defined]  # not exported
    h11.WSStream = _WebSocket  # type: ignore[attr-defined]  # not exported
    protocol.H2Protocol = _HTTP2  # type: ignore[attr-defined]  # not exported


class _NoCompression(PerMessageDeflate):
    """The compression that Hypercorn would agree to with every client, declined.

    It unpacks on the event loop, a thousand times what came: half a megabyte held everybody up for
    seconds. It also costs 150 kB a connection.
    """

    def accept(self, offer: str) -> None:
        """Says no, whatever a client offers."""


class _WebSocket(ws_stream.WSStream):
    """Hypercorn's WebSocket over HTTP/1.1, which is over where Hypercorn itself refuses it.

    A handshake without a key, and a frame that comes before the answer, it answers with 400 and
    then forgets: the connection would stay for as long as the client likes, and the app would not
    hear that the client is gone.
    """

    async def _send_error_response(self, status_code: int) -> None:
        await super()._send_error_response(status_code)
        await self.send(StreamClosed(stream_id=self.stream_id))


class _HTTP2(H2Protocol):
    """Hypercorn's HTTP/2, for requests alone, where a body that outlasts its answer ends nothing.

    Hypercorn offers WebSockets over HTTP/2, too (RFC 8441). Browsers that have loaded a page so
    would take the offer, and go past the native transport.

    For what still comes of a body it would look for the request, find none and fail: the connection
    would break off, and with it all else that goes over it.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        del self.connection.local_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL]

    async def _handle_events(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, DataReceived) and event.stream_id not in self.streams:
                # Taken all the same: otherwise the connection's window would run out.
                self.connection.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
                await self._flush()
            else:
                await super()._handle_events([event])
