"""EntryStream: a log handed out entry by entry and read batch by batch."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from collab.store import Entry


class EntryStream(AsyncIterator[Entry]):
    """The iterator ``Store.entries`` returns.

    Not an async generator: those must be closed, and a loop that is left by ``break`` closes
    nothing. Between two batches there is nothing to close here.

    Args:
        read_batch: returns the entries that follow those it returned before; none at the end.
    """

    def __init__(self, read_batch: Callable[[], Awaitable[Sequence[Entry]]]) -> None:
        self._read_batch = read_batch
        self._batch: deque[Entry] = deque()

    async def __anext__(self) -> Entry:
        """Returns the next entry."""
        if not self._batch:
            self._batch.extend(await self._read_batch())
        if not self._batch:
            raise StopAsyncIteration
        return self._batch.popleft()
