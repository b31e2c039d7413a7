"""ResumableConnection: a connection that outlives the requests it is made of."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio

from collab.close import CloseCode
from collab.errors import OutOfTurn, SessionEnded
from collab.event_stream import PADDING, SIGN_OF_LIFE
from collab.protocol.fallback import Place, closed, frame_event, opened
from collab.server.connection import GOODBYE_SECONDS, RESUME_SHARE
from collab.server.http.streaming import QUIET_SECONDS
from collab.server.metrics import Metrics
from collab.server.peers.peer import Peer
from collab.server.settings import Settings
from collab.server.timers import Timer, Timers
from collab.server.transports.intake import Intake

_WRITE_BYTES = 64 * 1024
"""Frames that are written in one go, before base64."""

Write = Callable[[bytes], Awaitable[None]]


class ResumableConnection:
    """A session of the fallback protocol; see ``collab.server.connection.Connection``.

    Frames are numbered and wait for a reader: a stream or a poll, one at a time, the newest. What
    was written is kept, within ``Settings.outbox_max_bytes``, until the client tells how far it has
    read, or for ``Settings.dead_seconds``: who was not heard for so long is gone. Without a reader
    for ``Settings.resume_seconds`` it ends, and until then little waits.

    Args:
        session: its id.
        peer: what becomes of its frames.
        settings: the server's settings.
        timers: where its end without a reader is waited for.
        metrics: where its end is counted.
        forget: called when nobody can come back to it any more.
    """

    __slots__ = (
        "_bytes_in_flight",
        "_bytes_kept",
        "_bytes_queued",
        "_closing",
        "_expiry",
        "_finished",
        "_forget",
        "_forgotten",
        "_intake",
        "_kept",
        "_last_post",
        "_marks",
        "_metrics",
        "_paused",
        "_peer",
        "_peer_ended",
        "_poster",
        "_queue",
        "_reader",
        "_settings",
        "_streams",
        "_timers",
        "_wake",
        "heard",
        "session",
        "told",
    )

    def __init__(
        self,
        session: str,
        peer: Peer,
        settings: Settings,
        timers: Timers,
        metrics: Metrics,
        forget: Callable[[], None],
    ) -> None:
        self.session = session
        self.heard = True
        self.told = True
        self._peer = peer
        self._settings = settings
        self._timers = timers
        self._metrics = metrics
        self._intake = Intake(settings, metrics)
        self._forget = forget
        self._queue: deque[bytes] = deque()
        self._bytes_queued = 0
        self._bytes_in_flight = 0
        self._kept: deque[bytes] = deque()
        self._bytes_kept = 0
        self._marks: deque[tuple[float, int]] = deque()  # When frames were written, up to which.
        self._forgotten = 0  # Frames from the first on that were written and are not kept.
        self._wake = anyio.Event()
        self._closing: tuple[CloseCode, str] | None = None
        self._reader: anyio.CancelScope | None = None
        self._poster: anyio.CancelScope | None = None
        self._last_post = 0
        self._streams = False
        self._paused = False
        self._peer_ended = False
        self._finished = False
        self._expiry: Timer | None = None

    def open(self) -> None:
        """Tells the peer that it is there; a reader must come."""
        self._wait_for_reader()
        self._peer.opened(self)

    # What rooms call.

    @property
    def queued_bytes(self) -> int:
        """What waits to be written, in bytes."""
        return self._bytes_queued + self._bytes_in_flight

    @property
    def send_seconds(self) -> float:
        """Frames are written many at a time, which costs next to nothing for each."""
        return 0.0

    def send(self, frame: bytes) -> None:
        """Queues a frame."""
        if self._closing is not None:
            return
        self.told = True
        self._queue.append(frame)
        self._bytes_queued += len(frame)
        self._wake.set()
        self._pause_if_full()

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Ends the connection; a reader that is there, or comes in time, is told why."""
        if self._closing is not None:
            return
        self._metrics.count_close(code)
        self._closing = (code, reason)
        self._wake.set()
        self._intake.end()
        if self._reader is not None:
            self._reader.deadline = anyio.current_time() + GOODBYE_SECONDS
        # Later: rooms close members in the middle of other work.
        self._timers.call_later(0, self._end_peer)

    def abort(self) -> None:
        """Ends the connection at once; a reader that is there is told why."""
        self.close(CloseCode.GOING_AWAY)
        self._finish()

    def pause_reading(self) -> None:
        """Takes no more frames until ``resume_reading``."""
        self._intake.pause()

    def resume_reading(self) -> None:
        """Takes frames again."""
        self._intake.resume()

    def probe(self) -> bool:
        """HTTP has no pings."""
        return False

    # What requests call.

    @property
    def closed(self) -> bool:
        """Whether it is only there to say why it was closed."""
        return self._closing is not None

    @property
    def known(self) -> bool:
        """See ``Peer.known``."""
        return self._peer.known

    @property
    def post_max_bytes(self) -> int:
        """How long a POST may be, by who is known to send it."""
        if self.known:
            return self._settings.message_max_bytes
        return min(self._settings.unauthenticated_max_bytes, self._settings.message_max_bytes)

    def can_resume(self, number: int) -> bool:
        """Whether all that was written after the frame of this number is still here."""
        return self._forgotten <= number <= self._forgotten + len(self._kept)

    async def stream(self, number: int, write: Write, *, resumed: bool) -> None:
        """Writes events as they come, until a newer reader, or ``close``, ends it.

        Args:
            number: the last frame the client has; ``can_resume`` was just asked about it.
            write: writes a piece, and returns when there is room for another.
            resumed: whether the client asked for this session.
        """
        with self._reading(number) as reader:
            self._streams = True
            await write(PADDING + opened(Place(self.session, number), resumed=resumed))
            while not reader.cancel_called:
                events = self._take()
                if events:
                    await write(events)
                    if not reader.cancel_called:
                        self._written()
                elif self._closing is not None:
                    await write(closed(*self._closing))
                    self._finish()
                    return
                elif not await self._woken(QUIET_SECONDS):
                    await write(SIGN_OF_LIFE)
                    self._forget_old()

    async def poll(self, number: int, *, resumed: bool) -> bytes | None:
        """Gathers events: what there is, or what comes within ``Settings.poll_seconds``.

        Args:
            number: as ``stream`` takes it.
            resumed: likewise; a new session is answered at once.

        Returns:
            Encoded events, or None where a newer reader has come.
        """
        with self._reading(number) as reader:
            self._streams = False
            if resumed and not self._queue and self._closing is None:
                await self._woken(self._settings.poll_seconds)
            if not reader.cancel_called:
                gathered = [opened(Place(self.session, number), resumed=resumed)]
                size = 0
                while size <= self._settings.outbox_max_bytes and (events := self._take()):
                    gathered.append(events)
                    size += len(events)
                    self._written()
                if not self._queue and self._closing is not None:
                    gathered.append(closed(*self._closing))
                return b"".join(gathered)
        return None

    @contextmanager
    def posting(self, deadline: float) -> Iterator[anyio.CancelScope]:
        """Cancels what is done in it at a deadline, or when another POST of this session comes."""
        if self._poster is not None:
            self._poster.cancel()
        poster = self._poster = anyio.CancelScope(deadline=deadline)
        try:
            with poster:
                yield poster
        finally:
            if self._poster is poster:
                self._poster = None

    async def readable(self) -> None:
        """Waits until frames are taken in: the room can, and the client was not too fast."""
        await self._intake.opened()

    def receive(self, number: int, frames: list[bytes]) -> None:
        """Takes in a POST, once.

        Args:
            number: which one of the session it is.
            frames: what it brings.

        Raises:
            OutOfTurn: one before it did not come.
            SessionEnded: the session is closed, perhaps for one of these frames.
        """
        self.heard = True
        if number > self._last_post + 1:
            raise OutOfTurn(f"expected POST {self._last_post + 1} of this session, got {number}")
        if number == self._last_post + 1:
            self._last_post = number
            for frame in frames:
                if self._closing is None:
                    self._peer.receive(frame)
                    self._intake.count(len(frame))
        if self._closing is not None:
            code, reason = self._closing
            raise SessionEnded(f"expected an open session, got one closed with {code}: {reason}")

    # Readers.

    @contextmanager
    def _reading(self, number: int) -> Iterator[anyio.CancelScope]:
        """Makes the caller the reader, who has the frames up to ``number``."""
        if self._reader is not None:
            self._reader.cancel()
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        reader = self._reader = anyio.CancelScope()
        self.heard = True
        self._rewind(number)
        try:
            with reader:
                yield reader
        finally:
            if self._reader is reader:
                self._reader = None
                self._wait_for_reader()
                self._pause_if_full()

    def _rewind(self, number: int) -> None:
        """Queues what was written after the frame of this number once more."""
        while self._forgotten < number:
            self._forgotten += 1
            self._kept.popleft()
        self._queue.extendleft(reversed(self._kept))
        self._bytes_queued = sum(map(len, self._queue))
        self._kept.clear()
        self._marks.clear()
        self._bytes_kept = self._bytes_in_flight = 0
        self._pause_if_full()
        self._resume_if_drained()  # It may have had all that was in flight.

    def _take(self) -> bytes:
        """Encodes what is written next, none where nothing waits."""
        events = []
        size = 0
        while self._queue and size < _WRITE_BYTES:
            frame = self._queue.popleft()
            size += len(frame)
            self._kept.append(frame)
            number = self._forgotten + len(self._kept)
            events.append(frame_event(Place(self.session, number), frame))
        self._bytes_queued -= size
        self._bytes_kept += size
        self._bytes_in_flight = size
        return b"".join(events)

    def _written(self) -> None:
        """What was taken is written: a part of it is kept, and there may be room again."""
        self._bytes_in_flight = 0
        self._marks.append((anyio.current_time(), self._forgotten + len(self._kept)))
        while self._bytes_kept > self._settings.outbox_max_bytes:
            self._forget_first()
        self._forget_old()
        self._resume_if_drained()

    def _forget_old(self) -> None:
        """Keeps nothing that was written so long ago that the client has it, or is gone."""
        until = anyio.current_time() - self._settings.dead_seconds
        while self._marks and self._marks[0][0] <= until:
            number = self._marks.popleft()[1]
            while self._forgotten < number:
                self._forget_first()

    def _forget_first(self) -> None:
        self._bytes_kept -= len(self._kept.popleft())
        self._forgotten += 1

    def _pause_if_full(self) -> None:
        most = self._settings.outbox_max_bytes
        if self._reader is None and self._streams:  # It was cut off; between polls nobody is there.
            most //= RESUME_SHARE
        if self.queued_bytes > most and not self._paused:
            self._paused = True
            if not self._peer_ended:
                self._peer.pause()

    def _resume_if_drained(self) -> None:
        if self._paused and self.queued_bytes <= self._settings.outbox_max_bytes // RESUME_SHARE:
            self._paused = False
            if not self._peer_ended:
                self._peer.resume()

    async def _woken(self, seconds: float) -> bool:
        """Waits until there is something to do; tells whether there is."""
        if self._wake.is_set():
            self._wake = anyio.Event()
        if self._queue or self._closing is not None:
            return True
        with anyio.move_on_after(seconds):
            await self._wake.wait()
            return True
        return False

    def _wait_for_reader(self) -> None:
        if not self._finished:
            self._expiry = self._timers.call_later(self._settings.resume_seconds, self._expire)

    def _expire(self) -> None:
        self.close(CloseCode.GOING_AWAY, "nobody came back")
        self._finish()

    def _finish(self) -> None:
        """Nobody can come back to it any more."""
        self._finished = True
        if self._expiry is not None:
            self._expiry.cancel()
        self._forget()

    def _end_peer(self) -> None:
        if not self._peer_ended:
            self._peer_ended = True
            self._peer.ended()
