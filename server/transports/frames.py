"""Frames: picows' protocol, which reads them, however what was received comes to it."""

from picows.picows import WSProtocol  # type: ignore[attr-defined]  # public in picows, not typed


class Frames(WSProtocol):  # type: ignore[misc]  # not typed
    """Reads into its own buffer, and takes what was read into another.

    Over TLS aiofastnet reads on as it has begun to, also where a protocol made way for this one
    meanwhile, and more came than fits in one piece.
    """

    __slots__ = ()

    def data_received(self, received: bytes) -> None:
        """Takes what was received for a protocol that stood before it."""
        rest = memoryview(received)
        while rest:
            room = self.get_buffer(-1)
            size = min(len(room), len(rest))
            room[:size] = rest[:size]
            rest = rest[size:]
            self.buffer_updated(size)
