"""What tests ask of ``append`` most: how far the documents are after it."""

from collections.abc import Sequence

from collab.store import Append, Store


async def append(store: Store, appends: Sequence[Append]) -> list[int]:
    """Appends; returns the newest seq of each document."""
    return [seq for seq, _ in await store.append(appends)]
