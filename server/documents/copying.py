"""Copying: a document's content under another name."""

import time

from collab.errors import DocumentNotFound
from collab.server.rooms.opening import open_document, report
from collab.store import Append, NewEntry, Store


async def copy_document(
    store: Store, name: str, copy: str, *, history: bool, author: str | None
) -> None:
    """Copies a document within a store; nobody may have the copy open.

    What of it does not apply or cannot be read is not in a copy without history, and is logged.

    Args:
        store: where both are.
        name: document name.
        copy: name of the copy, new or that of a document that was erased.
        history: whether the copy has all entries and versions; otherwise it begins with one entry
            that has the content.
        author: id of the identity that copies, the author of that one entry; or None.

    Raises:
        InvalidName: the copy cannot have this name.
        DocumentNotFound: the store has no such document.
        DocumentExists: there is a document under the name of the copy.
        DocumentDeleted: one of the two was deleted; for the copy: and is not erased.
    """
    if history:
        await store.duplicate(name, copy)
        return
    opened = await open_document(store, name)
    if opened.stored.epoch is None:
        raise DocumentNotFound(name)
    await report(store, opened)
    await store.readmit(copy)
    content = NewEntry(
        update=opened.document.encode(), time_ms=time.time_ns() // 1_000_000, author=author
    )
    await store.append([Append(document=copy, entries=[content], begins=True)])
