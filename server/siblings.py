"""Siblings: the workers of one server answer for each other what only one of them knows."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path

import httpx
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from collab.protocol.fallback import SESSION_HEADER, instance_of, read_place
from collab.server.headers import header
from collab.server.http.streaming import while_there, write_piece
from collab.server.transports.sse import is_fallback

_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 5.0
_METRICS = "/metrics"
_OF_WHO_ASKS = ("authorization", "cookie", "host")
_ADDRESS_HEADER = b"collab-client-address"
"""Tells a sibling where a client is: a Unix socket knows no addresses."""
_OF_ONE_CONNECTION = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"transfer-encoding",
        b"upgrade",
        b"date",
        b"server",
        _ADDRESS_HEADER,
    }
)
"""Headers that are not passed on: those of one hop, and those that every hop writes itself."""


class Siblings:
    """An ASGI app around a worker's: it passes on what is another worker's, and gathers metrics.

    The system deals connections out without a look at what comes on them. So a session without
    WebSockets, which is made of many requests, finds its way here; and ``/metrics`` tells of all
    workers, each with its number as the label ``worker``. Workers reach each other by Unix sockets
    in one folder, named ``NUMBER.INSTANCE``; what comes on these goes past this app.

    Args:
        app: the worker's own app.
        folder: where the sockets are; nobody else may look into it.
        number: this worker's number.
        instance: this worker's name on the bus.
    """

    def __init__(self, app: ASGIApp, folder: Path, number: int, instance: str) -> None:
        self._app = app
        self._folder = folder
        self._number = str(number)
        self._instance = instance
        self.address = folder / f"{number}.{instance}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one ASGI scope."""
        if scope["type"] == "http" and (scope["method"], scope["path"]) == ("GET", _METRICS):
            await (await self._gather(Request(scope)))(scope, receive, send)
            return
        home = self._home(scope) if scope["type"] == "http" else None
        if home is None or not await _passed_on(home, scope, receive, send):
            await self._app(scope, receive, send)

    def clear(self) -> None:
        """Removes what an earlier worker of this number has left."""
        for left in self._folder.glob(f"{self._number}.*"):
            left.unlink(missing_ok=True)

    def _home(self, scope: Scope) -> Path | None:
        """The socket of the sibling that has a request's session; None for what is served here."""
        if not is_fallback(scope["path"]):
            return None
        headers = Request(scope).headers
        place = read_place(headers.get("Last-Event-ID", ""))
        session = headers.get(SESSION_HEADER) or (place.session if place is not None else "")
        instance = instance_of(session)
        if instance is None or instance == self._instance:
            return None
        homes = (path for path in self._folder.iterdir() if path.name.partition(".")[2] == instance)
        return next(homes, None)

    async def _gather(self, request: Request) -> Response:
        """The metrics of all workers; where this one refuses, its refusal."""
        own = await _ask(self.address, request)
        if not own.is_success:
            return Response(own.content, own.status_code, dict(_answered(own)))
        pages = {self._number: own.text}
        for path in self._folder.iterdir():
            if path != self.address:
                with suppress(httpx.TransportError):  # It has just ended, or has not begun.
                    answer = await _ask(path, request)
                    if answer.is_success:
                        pages[path.name.partition(".")[0]] = answer.text
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        registry = CollectorRegistry()
        registry.register(_Merged(pages))
        headers = {**dict(_answered(own)), "content-type": media_type}
        return Response(encode(registry), headers=headers)


class _Merged(Collector):
    """Metrics of several workers as one page, each sample with its worker's number."""

    def __init__(self, pages: Mapping[str, str]) -> None:
        self._pages = pages

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for number, page in sorted(self._pages.items()):
            for family in text_string_to_metric_families(page):
                merged = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {**sample.labels, "worker": number}
                    merged.add_sample(sample.name, labels, sample.value)
        return families.values()


def _client(path: Path) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        # Nothing is encrypted here: the certificates it would load otherwise take a while.
        transport=httpx.AsyncHTTPTransport(uds=str(path), verify=False),
        timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
        trust_env=False,
    )


async def _ask(path: Path, request: Request) -> httpx.Response:
    """Asks a worker for its metrics, as whoever asks for all.

    Raises:
        httpx.TransportError: there is none, or it does not answer.
    """
    asked = {name: value for name, value in request.headers.items() if name in _OF_WHO_ASKS}
    async with _client(path) as client:
        return await client.get(
            f"http://worker{_METRICS}",
            params=request.query_params,
            headers=asked,
            timeout=_ANSWER_SECONDS,
        )


async def _passed_on(path: Path, scope: Scope, receive: Receive, send: Send) -> bool:
    """Has a sibling answer a request; tells whether it was there to do so."""
    url = httpx.URL("http://worker").copy_with(
        raw_path=scope["raw_path"]
        + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    )
    has_body = scope["method"] == "POST"
    async with _client(path) as client:
        request = client.build_request(
            scope["method"],
            url,
            headers=[*_passable(scope["headers"]), (_ADDRESS_HEADER, _address(scope))],
            content=_body(receive) if has_body else None,
        )
        try:
            answer = await client.send(request, stream=True)
        except ClientDisconnect:
            return True  # Nobody is there to be answered.
        except httpx.TransportError:
            return False
        async with aclosing(answer):
            await send(
                {
                    "type": "http.response.start",
                    "status": answer.status_code,
                    "headers": list(_passable(answer.headers.raw)),
                }
            )
            if has_body:
                await _write(answer, send)
            else:
                async with while_there(receive):
                    await _write(answer, send)
    return True


async def _write(answer: httpx.Response, send: Send) -> None:
    """Passes an answer on; one that breaks off breaks off."""
    with suppress(httpx.TransportError):
        async for piece in answer.aiter_raw():
            await write_piece(send, piece)
        await send({"type": "http.response.body", "body": b""})


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    """Reads a body piece by piece.

    Raises:
        ClientDisconnect: it broke off; without it, what came would look like all of it.
    """
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _answered(answer: httpx.Response) -> Iterator[tuple[str, str]]:
    """The headers of an answer whose body may become another."""
    for name, value in _passable(answer.headers.raw):
        if name.lower() != b"content-length":
            yield name.decode("latin-1").lower(), value.decode("latin-1")


def _address(scope: Scope) -> bytes:
    """The address a request comes from, as text; empty where the server does not know it."""
    client = scope.get("client")
    return str(client[0]).encode() if client else b""


def _passable(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    return (pair for pair in headers if pair[0].lower() not in _OF_ONE_CONNECTION)


def with_addresses(app: ASGIApp) -> ASGIApp:
    """Makes the app for what siblings pass on: clients have the addresses they have there.

    Its socket is in a folder that nobody else may look into, so that the header can be believed.
    """

    async def addressed(scope: Scope, receive: Receive, send: Send) -> None:
        address = header(scope, _ADDRESS_HEADER) if scope["type"] == "http" else None
        await app({**scope, "client": (address, 0)} if address else scope, receive, send)

    return addressed
