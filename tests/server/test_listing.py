"""Listing: what may be read and nothing else, page by page."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.access import Access, Grants, Identity
from collab.server.auth.guard import Guard
from collab.server.http.listing import read_page
from collab.storage.memory import MemoryStore
from collab.store import Append, NewEntry
from tests.core import poison

NAMES = ["a", "a/1", "a/2", "a/b/1", "b", "b/1", "c", "é"]


async def everything(
    identity: Identity, prefix: str, limit: int, guard: Guard
) -> tuple[list[str], list[int]]:
    """All pages, and how long they were."""
    async with MemoryStore() as store:
        entry = NewEntry(update=poison.HELLO, time_ms=1, author=None)
        await store.append([Append(document=name, entries=[entry]) for name in NAMES])
        names: list[str] = []
        sizes = []
        while True:
            after = names[-1] if names else ""
            page = await read_page(store, guard, identity, prefix, after, limit)
            names += [readable.summary.document for readable in page]
            sizes.append(len(page))
            if len(page) < limit:
                return names, sizes


@given(
    st.dictionaries(st.text("ab1/*", min_size=1, max_size=4), st.sampled_from(Access), max_size=4),
    st.sampled_from(["", "a", "a/", "b/1", "x"]),
    st.integers(1, 4),
)
def test_pages_have_every_document_that_may_be_read_in_order(
    accesses: dict[str, Access], prefix: str, limit: int
) -> None:
    identity = Identity(id="ana", grants=Grants(accesses))
    names, sizes = anyio.run(everything, identity, prefix, limit, Guard(None, None))
    assert names == [
        name
        for name in NAMES
        if name.startswith(prefix) and identity.access_to(name) >= Access.READ
    ]
    assert all(size == limit for size in sizes[:-1])


@pytest.mark.anyio
async def test_the_application_is_asked_about_each() -> None:
    async def authorize(identity: Identity, document: str) -> Access:
        return Access.READ if "1" in document else Access.NONE

    ana = Identity(id="ana", grants=Grants({}))
    names, _ = await everything(ana, "", 2, Guard(None, authorize))
    assert names == ["a/1", "a/b/1", "b/1"]
