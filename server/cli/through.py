"""How commands write beside a running server: through it where there is one, else into the file."""

import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPMethod
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import httpx

from collab.client.refusal import read_refusal
from collab.errors import CollabError, StoreNotFound, StoreOwned
from collab.storage.address import file_of, open_store
from collab.storage.sqlite.ownership import Contact, owned, read_contact
from collab.store import Store

_LOOK_SECONDS = 0.05
_CONNECT_SECONDS = 5.0


class RunningServer:
    """The server that owns a store; what a command asks of it goes through REST.

    Attributes:
        url: where it listens.
    """

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url = url
        self._client = client

    async def request(
        self,
        method: HTTPMethod,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | None = None,
        media_type: str | None = None,
    ) -> httpx.Response:
        """Asks the server for something, as its operator, and waits for as long as it takes.

        Args:
            method: the HTTP method.
            path: from the root, documents' names encoded: see ``document_path``.
            query: parameters after the path.
            json: what to send as JSON; None sends none.
            content: bytes to send instead.
            media_type: what ``content`` is.

        Raises:
            RequestRefused: the server said no; the message is its own.
            CollabError: it could not be asked.
        """
        try:
            response = await self._client.request(
                method,
                path,
                params=query,
                json=json,
                content=content,
                headers={"Content-Type": media_type} if media_type else None,
            )
        except httpx.HTTPError as error:
            raise CollabError(f"expected an answer of {self.url}, got: {error!r}") from error
        if response.is_error:
            raise read_refusal(response)
        return response


def document_path(name: str, *below: str) -> str:
    """Returns the REST path of a document, or of something below it.

    Args:
        name: document name.
        below: further parts of the path.
    """
    return "/".join(["/api/docs", quote(name, safe=""), *below])


@asynccontextmanager
async def reach(
    address: str, *, create: bool = False, patience_seconds: float = 10.0
) -> AsyncIterator[RunningServer | Store]:
    """Finds the way on which a command may write to a store.

    That is the server that owns the store, where one runs. Else it is the store itself, opened and
    owned for as long as the context lasts, so that no server starts to serve it meanwhile without
    knowing. Servers and commands that are about to end are waited for.

    Args:
        address: the store's address.
        create: whether to make a store that is not there.
        patience_seconds: how long to wait for a server that starts or stops, or for another
            command.

    Raises:
        StoreNotFound: there is no store, and ``create`` is false.
        StoreOwned: somebody works on the store and can't be asked.
        StoreError: the store cannot be opened.
    """
    path = file_of(address)
    if path is None:
        # Nobody owns a database: several servers may write to it.
        async with open_store(address, create=create) as store:
            yield store
        return
    if not create and not path.exists():
        raise StoreNotFound(str(path.absolute()))
    async with AsyncExitStack() as exits:
        server = await _server(path, patience_seconds, exits)
        if server is not None:
            yield server
        else:
            yield await exits.enter_async_context(open_store(address, create=create))


async def _server(
    path: Path, patience_seconds: float, exits: AsyncExitStack
) -> RunningServer | None:
    """Finds the server that owns a store; where none does, owns it until the exits are taken."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            exits.enter_context(owned(path))
        except StoreOwned:
            contact = read_contact(path)
            if contact is not None:
                async with AsyncExitStack() as attempt:
                    client = await attempt.enter_async_context(_client(contact))
                    if await _answers(client):
                        exits.push_async_exit(attempt.pop_all())
                        return RunningServer(contact.url, client)
            if time.monotonic() > deadline:
                raise
        else:
            return None
        await anyio.sleep(_LOOK_SECONDS)


def _client(contact: Contact) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=contact.url,
        headers={"Authorization": f"Bearer {contact.secret}"},
        # The secret goes to nobody else: neither through a proxy nor after a redirect.
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
        verify=True if contact.certificate is None else _pinned(contact.certificate),
    )


def _pinned(certificate: str) -> ssl.SSLContext:
    """Trusts this one certificate, whatever name it is for and whoever signed it."""
    context = ssl.create_default_context(cadata=certificate)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        response = await client.get("/healthz", timeout=_CONNECT_SECONDS)
    except httpx.TransportError:
        return False
    return response.is_success
