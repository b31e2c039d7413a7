"""An app that embeds collab and edits a document itself, as a process: ``... STORE PORT``."""

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pycrdt
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from collab.access import Access, Identity
from collab.server import Collab
from collab.server.auth.keys import OneKey, read_secret
from collab.server.auth.tokens import Tokens
from collab.server.live import LiveDocument
from tests.server.signing import SECRET

ROOM = "everywhere"
ROBOT = Identity(id="robot", access=Access.WRITE)


def app(store: str) -> Starlette:
    """The app.

    ``POST /write/{character}`` is answered when the character is durable, ``POST /agree`` when the
    text is that of the body.

    Args:
        store: file of the store.
    """
    tokens = Tokens(OneKey(read_secret(SECRET)), leeway_seconds=0)
    collab = Collab(f"sqlite:///{store}", authenticate=tokens)
    opened: list[LiveDocument] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with collab, collab.document(ROOM, identity=ROBOT) as document:
            opened.append(document)
            yield

    async def write(request: Request) -> Response:
        (document,) = opened
        text = document.doc.get("content", type=pycrdt.Text)
        text.insert(0, request.path_params["character"])
        await document.saved()
        return Response(status_code=204)

    async def agree(request: Request) -> Response:
        (document,) = opened
        expected = (await request.body()).decode()
        changes = document.changes()
        while str(document.doc.get("content", type=pycrdt.Text)) != expected:
            await anext(changes)
        return Response(status_code=204)

    routes = [
        Route("/write/{character}", write, methods=["POST"]),
        Route("/agree", agree, methods=["POST"]),
        Mount("/", collab),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def main(store: str, port: str) -> None:
    """Serves until the process ends."""
    listener = socket.create_server(("127.0.0.1", int(port)))
    print(f"collab: listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app(store), log_level="error")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
