"""Tokens, and what a client does when the server will not have it."""

import os
from collections.abc import Iterator

import anyio
import httpx
import pytest

import collab
from collab.client import Access, RemoteDocument, Status, Timing, Token
from collab.errors import AccessDenied, DocumentDeleted, Unauthenticated
from tests.client.gate import gate_to
from tests.client.writing import WITHIN_SECONDS, text_of, until, until_shows, write
from tests.e2e.serving import Server, serve
from tests.server.signing import SECRET, token

pytestmark = pytest.mark.anyio

QUICK = Timing(base_seconds=0.01, cap_seconds=0.1)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for tokens."""
    store = tmp_path_factory.mktemp("tokens") / "collab.db"
    options = ["--jwt-secret", SECRET, "--jwt-leeway", "0"]
    with serve(store, options=options) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["websocket", "fallback"])
def address(request: pytest.FixtureRequest, guarded: Server) -> Iterator[str]:
    """Where to connect: to the server, or to a gate that blocks WebSockets."""
    with gate_to(guarded.port) as gate:
        gate.blocks_websockets = request.param
        yield gate.url


async def until_refused(document: RemoteDocument) -> None:
    """Waits until the server will not have it; raises why."""
    with anyio.fail_after(WITHIN_SECONDS):
        async for _ in document.changes():
            pass


async def ask(server: Server, method: str, path: str, json: object = None) -> None:
    """Asks a server for something, as an administrator."""
    headers = {"Authorization": f"Bearer {token(user='root')}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        (await http.request(method, path, json=json)).raise_for_status()


async def test_a_token_that_is_not_good_is_refused(address: str) -> None:
    async with collab.connect(address, "notes", token="none") as document:
        with pytest.raises(Unauthenticated), anyio.fail_after(WITHIN_SECONDS):
            await document.synced()
        assert document.status is Status.REFUSED


async def test_the_function_is_asked_for_another_token_once(address: str, room: str) -> None:
    given: list[str] = []

    async def give() -> str:
        given.append("none" if not given else token())
        return given[-1]

    async with collab.connect(address, room, token=give) as document:
        write(document, "hello")
    assert len(given) == 2


async def test_a_function_that_has_no_good_token_is_not_asked_for_ever(address: str) -> None:
    given: list[str] = []

    def give() -> str:
        given.append("none")
        return "none"

    async with collab.connect(address, "notes", token=give) as document:
        with pytest.raises(Unauthenticated), anyio.fail_after(WITHIN_SECONDS):
            await document.synced()
    assert len(given) <= 3  # Where WebSockets are blocked, the first one is older when it is shown.


def give_none() -> str:
    """Gives what is no token, as programs without types do."""
    return os.environ.get("NO_SUCH_VARIABLE")  # type: ignore[return-value]


async def give_none_later() -> str:
    return give_none()


def give_what_cannot_be_sent() -> str:
    return "\udc80"


def give_by_mistake() -> str:
    return ({"token": "..."}).token  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    ("give", "why"),
    [
        (give_none, "expected a token, got NoneType"),
        (give_none_later, "expected a token, got NoneType"),
        (give_what_cannot_be_sent, "expected a token, got text that cannot be sent"),
        (give_by_mistake, "got AttributeError: 'dict' object has no attribute 'token'"),
    ],
)
async def test_a_function_that_is_wrong_is_told_of_at_once(give: Token, why: str) -> None:
    async with collab.connect("http://127.0.0.1:1", "notes", token=give) as document:
        with pytest.raises(Unauthenticated, match=why), anyio.fail_after(WITHIN_SECONDS):
            await document.synced()
        assert document.status is Status.REFUSED


async def test_a_token_that_is_none_is_refused_before_it_is_shown() -> None:
    with pytest.raises(Unauthenticated, match="expected a token, got bytes"):
        async with collab.connect("http://127.0.0.1:1", "notes", token=b"..."):  # type: ignore[arg-type]
            pass


async def test_what_fails_in_passing_is_told_and_asked_again(
    address: str, room: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = 0

    def give() -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise httpx.ConnectError("nobody gives tokens now")
        return token()

    async with collab.connect(address, room, token=give) as document:
        await until(document, lambda: document.status is Status.CONNECTED, "another token")
    assert "nobody gives tokens now" in caplog.text


async def test_a_connection_ends_with_a_function_that_goes_wrong(
    guarded: Server, address: str, room: str
) -> None:
    given: list[str] = []

    def give() -> str:
        given.append(token(user=room))
        return given[0] if len(given) == 1 else give_none()

    async with collab.connect(address, room, token=give) as document:
        await document.synced()
        await ask(guarded, "POST", "/api/sessions/revoke", {"user": room})
        with pytest.raises(Unauthenticated, match="got NoneType"):
            await until_refused(document)


async def test_a_token_that_went_bad_before_it_was_judged_is_replaced_however_often_it_happens(
    guarded: Server, room: str
) -> None:
    given: list[str] = []

    with gate_to(guarded.port) as gate:

        def give() -> str:
            given.append("none" if not given else token(user=f"{room} {len(given)}"))
            if len(given) in (2, 3):
                gate.cut()
            return given[-1]

        async with collab.connect(gate.url, room, token=give, timing=QUICK) as document:
            for bad in (1, 2):
                await until(document, lambda bad=bad: len(given) == bad + 1, "another token")  # type: ignore[misc]  # a closure in a loop
                await ask(guarded, "POST", "/api/sessions/revoke", {"user": f"{room} {bad}"})
                gate.mend()
            with anyio.fail_after(WITHIN_SECONDS):
                await document.synced()
    assert len(given) == 4


async def test_a_document_that_the_token_does_not_open_is_refused(address: str) -> None:
    narrow = token(docs={"mine": "write"})
    async with collab.connect(address, "theirs", token=narrow) as document:
        with pytest.raises(AccessDenied) as refused, anyio.fail_after(WITHIN_SECONDS):
            await document.synced()
    assert refused.value.document == "theirs"


async def test_changes_of_a_reader_are_not_saved(guarded: Server, address: str, room: str) -> None:
    async with collab.connect(guarded.url, room, token=token()) as writer:
        write(writer, "hello")
        await writer.saved()
        assert writer.access is Access.WRITE

    async def write_as_a_reader() -> None:
        reading = token(user="ben", docs={room: "read"})
        async with collab.connect(address, room, token=reading) as reader:
            assert reader.access is None
            await until_shows(reader, "hello")
            assert reader.access is Access.READ
            write(reader, " world")

    with pytest.raises(AccessDenied, match="read-only"):
        await write_as_a_reader()


async def test_a_deleted_document_is_gone(guarded: Server, address: str, room: str) -> None:
    async with collab.connect(address, room, token=token()) as document:
        write(document, "hello")
        await document.saved()
        await ask(guarded, "DELETE", f"/api/docs/{room.replace('/', '%2F')}")
        with pytest.raises(DocumentDeleted):
            await until_refused(document)


async def test_who_is_revoked_asks_for_another_token_and_stays_where_it_is_good(
    guarded: Server, address: str, room: str
) -> None:
    given: list[str] = []

    def give() -> str:
        given.append(token(user="eve" if not given else "ada"))
        return given[-1]

    async with collab.connect(address, room, token=give) as document:
        await document.synced()
        await ask(guarded, "POST", "/api/sessions/revoke", {"user": "eve"})
        await until(document, lambda: len(given) >= 2, "another token asked for")
        write(document, "still here")
        with anyio.fail_after(WITHIN_SECONDS):
            await document.saved()
        assert str(text_of(document)) == "still here"


@pytest.mark.slow
async def test_a_token_that_ends_is_replaced_without_a_break(address: str, room: str) -> None:
    given: list[str] = []

    def give() -> str:
        given.append(token(seconds=8 if not given else 600))
        return given[-1]

    async with collab.connect(address, room, token=give) as document:
        await document.synced()
        await until(document, lambda: len(given) >= 2, "another token asked for")
        assert document.status is Status.CONNECTED
        write(document, "hello")
        with anyio.fail_after(WITHIN_SECONDS):
            await document.saved()
        assert document.status is Status.CONNECTED
