"""``collab compact``: packs what a store holds at once, instead of in time."""

import sys
import time
from collections.abc import Sequence
from http import HTTPMethod, HTTPStatus
from typing import Protocol

import anyio
import click

from collab.access import check_name
from collab.archive import KEEP_ALL, Retention, Terms
from collab.errors import CollabError, DocumentNotFound, RequestRefused, StoreUnavailable
from collab.server.cli.list import human_size
from collab.server.cli.options import RETENTION, store_option
from collab.server.cli.through import RunningServer, document_path, reach
from collab.store import Store

_PAGE = 1000


class _Place(Protocol):
    """Where documents are compacted: in a file, or by the server that owns it."""

    async def names(self, after: str) -> Sequence[str]:
        """The next documents in order of name; none at the end."""
        ...

    async def step(self, document: str) -> bool:
        """Takes a document's next step; returns whether there is more to do."""
        ...

    async def size(self) -> int:
        """How many bytes the store takes on disk."""
        ...

    async def shrink(self) -> None:
        """Gives all free space back."""
        ...


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--history",
    type=RETENTION,
    help="Drop older changes of documents for which nothing else was said: none, or a span such as "
    "30d (s, m, h, d or w). By default all are kept, or what the running server was told.",
)
@store_option
def compact(names: tuple[str, ...], history: Retention | None, address: str) -> None:
    """Pack the documents NAME, or all of them, into as little space as they need.

    Nothing but the file's size changes, unless old changes are to be dropped. A server does the
    same by itself, in time; where one runs, this goes through it.
    """
    wanted = [check_name(name) for name in names]
    failed = anyio.run(_compact, address, wanted, history)
    if failed:
        raise SystemExit(1)


async def _compact(address: str, wanted: Sequence[str], history: Retention | None) -> int:
    """Compacts, shows how far it is, and returns how many documents could not be."""
    async with reach(address) as reached:
        place: _Place = (
            _Server(reached, history)
            if isinstance(reached, RunningServer)
            else _File(reached, history or KEEP_ALL)
        )
        documents = wanted or await _all_names(place)
        before = await place.size()
        failures: list[str] = []
        deleted: list[str] = []
        with click.progressbar(documents, label="compacting", file=sys.stderr) as bar:
            for name in bar:
                try:
                    while await place.step(name):
                        pass
                except StoreUnavailable:
                    raise
                except CollabError as error:
                    if _is_gone(error) and not wanted:
                        deleted.append(name)
                    else:
                        failures.append(f"{name}: {error}")
        await place.shrink()
        after = await place.size()
    for name in deleted:
        click.echo(f"collab: {name}: deleted meanwhile", err=True)
    for failure in failures:
        click.echo(f"collab: {failure}", err=True)
    done = len(documents) - len(failures) - len(deleted)
    plural = "" if done == 1 else "s"
    more = ", which is more than before" if after > before else ""
    sizes = f"{human_size(before)} -> {human_size(after)}{more}"
    click.echo(f"compacted {done} document{plural}: {sizes}")
    return len(failures)


def _is_gone(error: CollabError) -> bool:
    """Whether a document is not there any more, as the store or as a server tells it."""
    if isinstance(error, RequestRefused):
        return error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
    return isinstance(error, DocumentNotFound)


async def _all_names(place: _Place) -> Sequence[str]:
    names: list[str] = []
    while page := await place.names(names[-1] if names else ""):
        names += page
    return names


class _File:
    """A store that nobody serves; it is written anew in the end."""

    def __init__(self, store: Store, history: Retention) -> None:
        self._store = store
        self._terms = Terms(now_ms=time.time_ns() // 1_000_000, history=history, quiet_ms=0)

    async def names(self, after: str) -> Sequence[str]:
        page = await self._store.documents(after=after, limit=_PAGE)
        return [summary.document for summary in page]

    async def step(self, document: str) -> bool:
        return (await self._store.compact(document, self._terms)).more

    async def size(self) -> int:
        return await self._store.bytes_on_disk()

    async def shrink(self) -> None:
        await self._store.rebuild()


class _Server:
    """The server that owns the store: people go on typing meanwhile."""

    def __init__(self, server: RunningServer, history: Retention | None) -> None:
        self._server = server
        self._query = {} if history is None else {"history": str(history)}

    async def names(self, after: str) -> Sequence[str]:
        query = {"after": after, "limit": str(_PAGE)}
        response = await self._server.request(HTTPMethod.GET, "/api/docs", query=query)
        return [document["name"] for document in response.json()["documents"]]

    async def step(self, document: str) -> bool:
        path = document_path(document, "compaction")
        response = await self._server.request(HTTPMethod.POST, path, query=self._query)
        return bool(response.json()["more"])

    async def size(self) -> int:
        response = await self._server.request(HTTPMethod.GET, "/api/compaction")
        return int(response.json()["bytes"])

    async def shrink(self) -> None:
        more = True
        while more:
            response = await self._server.request(HTTPMethod.POST, "/api/compaction")
            more = bool(response.json()["more"])
