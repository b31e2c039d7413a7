"""Listing: what may be read and nothing else, page by page."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.access import Access, Grants, Identity
from collab.server.auth.guard import Guard
from collab.server.http.listing import read_page
from collab.server.http.search import Search
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
            page = await read_page(store, guard, identity, prefix, after, limit, Search(""))
            names += [readable.summary.document for readable in page.documents]
            sizes.append(len(page.documents))
            if page.next is None:
                return names, sizes
            assert page.next == names[-1]


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


def test_a_name_is_found_by_its_words_in_any_order_and_case() -> None:
    name = "Team Ünits/Meeting notes ＡＢＣ straße"
    for found in (
        "",
        "  ",
        "meeting",
        "NOTES meet",
        "u\u0308nits",
        "units",
        "abc",
        "STRASSE",
        "ts/mee",
    ):
        assert Search(found).finds(name), found
    for missed in ("meetings", "notes minutes", "b c d"):
        assert not Search(missed).finds(name), missed


@pytest.mark.anyio
async def test_what_is_searched_for_is_found_far_down_and_no_page_looks_at_every_name() -> None:
    everybody = Identity(id="ana", access=Access.READ)
    names = [f"{number:05}" for number in range(20_001)] + [
        "needle in hay",
        "needle 2",
        "~needle 3",
    ]
    entry = NewEntry(update=poison.HELLO, time_ms=1, author=None)
    async with MemoryStore() as store:
        await store.append([Append(document=name, entries=[entry]) for name in names])
        found: list[str] = []
        lengths: list[int] = []
        after: str | None = ""
        while after is not None:
            page = await read_page(
                store, Guard(None, None), everybody, "", after, 2, Search("Needle")
            )
            found += [readable.summary.document for readable in page.documents]
            lengths.append(len(page.documents))
            after = page.next
    assert found == ["needle 2", "needle in hay", "~needle 3"]
    assert lengths == [0, 0, 2, 1]
