"""Documents on a server, as a Python program has them open."""

import anyio
import anyio.to_thread
import httpx
import pytest
from anyio.abc import TaskStatus

import collab
from collab.client import RemoteDocument, Status
from collab.errors import (
    ConnectionEnded,
    InvalidMessage,
    InvalidName,
    InvalidQuery,
    WrongThread,
)
from tests.client.gate import gate_to
from tests.client.writing import WITHIN_SECONDS, text_of, until, until_shows, write
from tests.e2e.serving import Server

pytestmark = pytest.mark.anyio


def authors(server: Server, room: str) -> list[str | None]:
    """Who wrote the runs of a document's text."""
    path = f"{server.url}/api/docs/{room.replace('/', '%2F')}/attribution"
    (text,) = httpx.get(path).json()["texts"]
    return [run["author"] for run in text["runs"]]


def content(server: Server, room: str) -> str:
    """What the server says a document is."""
    path = f"{server.url}/api/docs/{room.replace('/', '%2F')}/content"
    return httpx.get(path, params={"format": "text"}).text


async def test_what_was_written_is_durable_when_the_context_was_left(
    server: Server, room: str
) -> None:
    async with collab.connect(server.url, room) as document:
        write(document, "hello")
    assert content(server, room).strip() == "hello"
    async with collab.connect(server.url, room) as document:
        await document.synced()
        assert str(text_of(document)) == "hello"
        assert document.status is Status.CONNECTED


@pytest.mark.parametrize(
    ("blocks_websockets", "holds_back_streams"),
    [(False, False), (True, False), (True, True)],
    ids=["websocket", "stream", "polls"],
)
async def test_the_history_knows_what_an_author_calls_itself(
    server: Server, room: str, blocks_websockets: bool, holds_back_streams: bool
) -> None:
    with gate_to(server.port) as gate:
        gate.blocks_websockets = blocks_websockets
        gate.holds_back_streams = holds_back_streams
        async with collab.connect(gate.url, room, author="Ada & co. 👋") as document:
            write(document, "hello")
    assert authors(server, room) == ["~Ada & co. 👋"]


async def test_people_see_each_other_write(server: Server, room: str) -> None:
    async with (
        collab.connect(server.url, room) as ada,
        collab.connect(f"{server.url.replace('http', 'ws')}/", room) as ben,
    ):
        write(ada, "hello")
        await until_shows(ben, "hello")
        write(ben, " 👋🏽 world")
        await until_shows(ada, "hello 👋🏽 world")


async def test_what_is_saved_is_on_the_server(server: Server, room: str) -> None:
    async with collab.connect(server.url, room) as document:
        for number in range(100):
            write(document, f"{number} ")
        assert document.pending_changes == 100
        await document.saved()
        assert document.pending_changes == 0
        shown = content(server, room).split()
        assert shown == [str(number) for number in range(100)]


async def test_presence_is_shared_and_ends_with_the_context(server: Server, room: str) -> None:
    async with collab.connect(server.url, room) as ada:
        ada.show({"user": {"name": "Ada"}})
        async with collab.connect(server.url, room) as ben:
            await until(ben, lambda: bool(ben.presence()), "Ada")
            assert ben.presence() == {ada.doc.client_id: {"user": {"name": "Ada"}}}
            ben.show({"user": {"name": "Ben"}})
            await until(ada, lambda: len(ada.presence()) == 2, "both")
            ben.show({"user": {"name": "Ben"}, "cursor": 3})
            theirs = {"user": {"name": "Ben"}, "cursor": 3}
            await until(ada, lambda: ada.presence().get(ben.doc.client_id) == theirs, "a cursor")
            ada.show(None)
            await until(ben, lambda: ada.doc.client_id not in ben.presence(), "Ada gone")
        await until(ada, lambda: not ada.presence(), "nobody")


async def test_messages_are_heard_by_others_and_counted(server: Server, room: str) -> None:
    async with (
        collab.connect(server.url, room) as ada,
        collab.connect(server.url, room) as ben,
    ):
        await ada.synced()
        await ben.synced()
        heard = ben.messages()
        not_heard = ada.messages()
        with anyio.fail_after(WITHIN_SECONDS):
            assert await ada.send_message("ping", {"n": 1}) == 1
            message = await anext(heard)
            assert (message.type, message.payload) == ("ping", {"n": 1})
            assert await ben.send_message("pong", None) == 1
            message = await anext(not_heard)
            assert message.type == "pong"
        with pytest.raises(InvalidMessage, match="expected a payload that is JSON"):
            await ada.send_message("ping", float("nan"))


async def test_messages_end_when_the_document_is_left(server: Server, room: str) -> None:
    async with collab.connect(server.url, room) as document:
        messages = document.messages()
    assert [message async for message in messages] == []


async def test_what_changes_while_nobody_waits_is_told_of(server: Server, room: str) -> None:
    async with (
        collab.connect(server.url, room) as ada,
        collab.connect(server.url, room) as ben,
    ):
        await ben.synced()
        changes = ben.changes()
        write(ada, "hello")
        await until_shows(ben, "hello")
        with anyio.move_on_after(0) as patience:
            await anext(changes)
        assert not patience.cancelled_caught


async def test_changes_end_when_the_document_is_left(server: Server, room: str) -> None:
    async with collab.connect(server.url, room) as document:
        changes = document.changes()
    assert [each async for each in changes] == []


async def test_a_change_on_another_thread_raises_there_and_on_leaving_and_is_not_sent(
    server: Server, room: str
) -> None:
    async def stray() -> None:
        async with collab.connect(server.url, room) as document:
            write(document, "here")
            await document.saved()
            with pytest.raises(ExceptionGroup) as failed:
                await anyio.to_thread.run_sync(text_of(document).insert, 4, " there")
            assert failed.group_contains(WrongThread)
            with pytest.raises(ExceptionGroup) as failed:
                write(document, " and here")  # After what the others will never have.
            assert failed.group_contains(WrongThread)
            with pytest.raises(WrongThread), anyio.fail_after(WITHIN_SECONDS):
                await document.saved()

    with pytest.raises(WrongThread, match=r"thread that opened it.*from_thread"):
        await stray()
    assert content(server, room).strip() == "here"


async def test_what_the_program_raises_comes_out_as_it_is(server: Server, room: str) -> None:
    async def fail() -> None:
        async with collab.connect(server.url, room) as document:
            await document.synced()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
async def test_a_program_that_ends_inside_ends_as_it_says(
    server: Server, room: str, error: BaseException
) -> None:
    async def end() -> None:
        async with collab.connect(server.url, room):
            raise error

    with pytest.raises(type(error)) as ended:
        await end()
    assert ended.value is error


async def test_who_is_cut_off_by_a_deadline_is_told_so_and_leaves(
    server: Server, room: str
) -> None:
    with anyio.move_on_after(0.1) as patience:
        async with collab.connect(server.url, room) as document:
            await anyio.sleep_forever()
    assert patience.cancelled_caught
    assert document.status is Status.OFFLINE


async def test_what_is_changed_after_leaving_is_not_said_to_be_saved(
    server: Server, room: str
) -> None:
    async with collab.connect(server.url, room) as document:
        await document.synced()
    assert document.status is Status.OFFLINE
    write(document, "too late")
    with pytest.raises(ConnectionEnded, match="the document was left"):
        await document.saved()


async def test_who_waits_for_an_answer_is_told_that_the_document_was_left(
    server: Server, room: str
) -> None:
    told: list[bool] = []

    async def ask(document: RemoteDocument, *, task_status: TaskStatus[None]) -> None:
        task_status.started()
        with anyio.fail_after(WITHIN_SECONDS), pytest.raises(ConnectionEnded):
            await document.send_message("ping", None)
        told.append(True)

    with gate_to(server.port) as gate:
        async with anyio.create_task_group() as tasks, collab.connect(gate.url, room) as document:
            await document.synced()
            gate.allowance = 0  # The server never hears it.
            await tasks.start(ask, document)
            await anyio.wait_all_tasks_blocked()
    assert told


@pytest.mark.parametrize("url", ["ftp://localhost", "localhost:8000", "http://", "http://h:port"])
async def test_an_address_of_no_server_is_refused(url: str) -> None:
    with pytest.raises(InvalidQuery, match="expected"):
        async with collab.connect(url, "notes"):
            pass


async def test_a_name_of_no_author_is_refused(server: Server, room: str) -> None:
    with pytest.raises(InvalidName):
        async with collab.connect(server.url, room, author="Ada\n"):
            pass


async def test_a_name_of_no_document_is_refused(server: Server) -> None:
    with pytest.raises(InvalidName):
        async with collab.connect(server.url, ""):
            pass
