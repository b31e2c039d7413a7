"""Log: what a store has of a document's history, from where it begins."""

from collections import deque
from collections.abc import AsyncIterator

from collab.errors import BrokenEntries
from collab.store import Entry, Store


class Log(AsyncIterator[Entry]):
    """Entries in order of seq. Where old ones were dropped, the whole state after them comes first.

    That state looks like an entry: it has the seq of the last one that is gone, nobody as its
    author, and the time of the entry after it, or 0.
    """

    def __init__(self, head: list[Entry], entries: AsyncIterator[Entry]) -> None:
        self._head = deque(head)
        self._entries = entries

    async def __anext__(self) -> Entry:
        """Returns the next entry."""
        return self._head.popleft() if self._head else await anext(self._entries)


async def open_log(store: Store, document: str, after_seq: int = 0) -> Log:
    """Begins to read a document's log.

    Args:
        store: where it is.
        document: document name.
        after_seq: what the reader has already; 0 for nothing.

    Raises:
        DocumentNotFound: the store has no such document.
        BrokenEntries: the first ones are missing.
    """
    while True:
        base = await store.base(document)
        begin = max(after_seq, base.seq)
        entries = store.entries(document, begin)
        first = await anext(entries, None)
        if first is not None and first.seq == begin + 1:
            break
        # All that follows may have been dropped in between, or a part of it.
        if (await store.base(document)).seq > begin:
            continue
        if first is None:
            break
        missing = first.seq - 1
        what = f"expected entries {begin + 1}..{missing} of {document!r}, got none"
        raise BrokenEntries(what, begin + 1, missing)
    head = [] if first is None else [first]
    if base.update is not None and (after_seq == 0 or after_seq < base.seq):
        time_ms = first.time_ms if first else 0
        head.insert(0, Entry(seq=base.seq, update=base.update, time_ms=time_ms, author=None))
    return Log(head, entries)
