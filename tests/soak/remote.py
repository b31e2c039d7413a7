"""Editors that use collab's Python client, which finds its way around what blocks WebSockets."""

from collections.abc import Callable, Mapping

import anyio
import anyio.abc

from collab.client import RemoteDocument, connect
from tests.soak.pen import Pen


class RemoteEditor:
    """One editor, on a document that ``collab.client`` keeps connected.

    Attributes:
        label: what it is called in what a test says.
        pen: what it types with; there once ``run`` has begun.
    """

    pen: Pen
    _document: RemoteDocument

    def __init__(self, label: str, writer: int, seed: int) -> None:
        self.label = label
        self._writer = writer
        self._seed = seed
        self._leaving = anyio.Event()
        self._goodbye = False

    @property
    def acknowledged(self) -> int:
        """Clock up to which it knows its insertions to be durable."""
        durable = len(self.pen.clocks) - self._document.pending_changes
        return self.pen.clocks[durable - 1] if durable else 0

    @property
    def saved(self) -> bool:
        """Whether it knows that everything it typed is durable."""
        return self._document.pending_changes == 0

    @property
    def present(self) -> Mapping[int, object]:
        """Presence by client id."""
        return self._document.presence()

    async def wait_synced(self) -> None:
        """Waits until it has what the server had when the connection began."""
        await self._document.synced()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Waits for something to be so."""
        while not is_so():
            await self._document.next_change()

    async def run(
        self, url: str, document: str, *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        """Is there until it leaves, through whatever happens to the network."""
        with anyio.CancelScope() as scope:
            async with connect(url, document) as self._document:
                self.pen = Pen(self._document.doc, self._writer, self._seed)
                self._document.show({"cursor": 0})
                task_status.started()
                await self._leaving.wait()
                if not self._goodbye:
                    scope.cancel()

    def leave(self, *, goodbye: bool) -> None:
        """Has it leave for good.

        Args:
            goodbye: whether it closes the document; otherwise it is just gone.
        """
        self._goodbye = goodbye
        self._leaving.set()

    async def type(self, every_seconds: float) -> None:
        """Types, and moves its cursor now and then, until it is cancelled."""
        for strokes in range(1, 1 << 30):
            await anyio.sleep(every_seconds)
            self.pen.type()
            if strokes % 4 == 0:
                self._document.show({"cursor": strokes})
