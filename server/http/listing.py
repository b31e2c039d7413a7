"""Listing: the documents somebody may read, in order of name."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from collab.access import Access, Identity
from collab.server.auth.guard import Guard
from collab.server.http.search import Search
from collab.store import Store, Summary

_SCAN = 1000
"""Most names that are looked at in one go for a page that is shorter."""
_MISSES = 10_000
"""Most names without what is searched for that a page is looked for in: a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A document that somebody may read.

    Attributes:
        summary: the document.
        access: what they may do with it.
    """

    summary: Summary
    access: Access


@dataclass(frozen=True, slots=True)
class Page:
    """A page of what somebody may read.

    Attributes:
        documents: in order of name.
        next: the name that the next page comes after; None where nothing follows.
    """

    documents: Sequence[Readable]
    next: str | None


async def read_page(
    store: Store,
    guard: Guard,
    identity: Identity,
    prefix: str,
    after: str,
    limit: int,
    search: Search,
) -> Page:
    """Reads one page of what somebody may read.

    Names that may not be read are left out, and nothing tells that they are there: a page is full
    where enough follows, unless many names are passed over that lack what is searched for. Where
    grants change meanwhile it is read again.

    Args:
        store: where documents are kept.
        guard: says what may be read.
        identity: who asks.
        prefix: what names must begin with.
        after: names up to this one are left out.
        limit: most documents on the page.
        search: what names must have.
    """
    while True:
        generation = guard.generation
        page = await _read(store, guard, identity, prefix, after, limit, search)
        if generation == guard.generation:
            return page


async def _read(
    store: Store,
    guard: Guard,
    identity: Identity,
    prefix: str,
    after: str,
    limit: int,
    search: Search,
) -> Page:
    page: list[Readable] = []
    misses = 0
    candidates = _candidates(store, guard.readable_prefixes(identity), prefix, after, limit)
    async with aclosing(candidates):
        async for summary in candidates:
            if search.finds(summary.document):
                access = await guard.access_to(identity, summary.document)
                if access >= Access.READ:
                    page.append(Readable(summary, access))
            else:
                misses += 1
            if len(page) == limit or misses == _MISSES:
                return Page(page, summary.document)
    return Page(page, None)


async def _candidates(
    store: Store, readable: Sequence[str], prefix: str, after: str, limit: int
) -> AsyncGenerator[Summary]:
    """Walks over what may be readable, below the prefixes given and nowhere else."""
    scopes = [scope for scope in readable if scope.startswith(prefix)]
    if any(prefix.startswith(scope) for scope in readable):
        scopes = [prefix]
    size = limit
    for scope in scopes:
        last = after
        while True:
            page = await store.documents(scope, last, size)
            for summary in page:
                yield summary
            if len(page) < size:
                break
            size = max(size, min(2 * size, _SCAN))  # Most of it may be for others' eyes.
            last = page[-1].document
