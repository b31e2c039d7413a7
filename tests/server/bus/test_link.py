"""A link to a real Valkey: what it does with answers that are errors, and with what comes after."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import pytest

from collab.server.bus.deployment import Entrance, Standalone
from collab.server.bus.link import Appended, Link, Published
from tests.server.bus.way import way_to
from tests.valkey import ValkeyProcess

pytestmark = pytest.mark.anyio

_DEADLINE_SECONDS = 20.0


class Heard:
    """What a link calls back with."""

    def __init__(self) -> None:
        self.news: list[tuple[str, bytes]] = []
        self.failures: list[Exception] = []

    def take(self, channel: str, payload: bytes) -> None:
        self.news.append((channel, payload))

    def fail(self, error: Exception) -> None:
        self.failures.append(error)


@contextmanager
def user(valkey: ValkeyProcess) -> Iterator[str]:
    """A user of the server who may do everything."""
    name = secrets.token_hex(4)
    valkey.ask("ACL", "SETUSER", name, "on", ">secret", "~*", "&*", "+@all")
    yield name
    valkey.ask("ACL", "DELUSER", name)


@asynccontextmanager
async def linked(
    valkey: ValkeyProcess, name: str, *, port: int | None = None
) -> AsyncIterator[tuple[Link, Heard]]:
    """Links to the server, or to a way to it, as a user."""
    heard = Heard()
    entrance = Entrance("redis", f"{name}:secret", "")
    (node,) = await Standalone(entrance, (valkey.host, port or valkey.port)).find()
    async with Link(node, sharded=False, take=heard.take, failed=heard.fail) as link:
        yield link, heard


@pytest.mark.parametrize("forbidden", ["publish", "subscribe"])
async def test_nothing_that_comes_after_an_error_is_taken_for_an_answer(
    valkey: ValkeyProcess, forbidden: str
) -> None:
    with user(valkey) as name:
        async with linked(valkey, name) as (link, heard):
            link.subscribe(["news"])
            await link.flush()
            valkey.ask("ACL", "SETUSER", name, f"-{forbidden}")
            placed: list[bytes | None] = []
            link.put(Published("news", b"before"))
            link.subscribe(["more"])
            link.put(Appended("stream", "one", 1, b"a", placed.append))
            with anyio.fail_after(_DEADLINE_SECONDS):
                with pytest.raises(ConnectionResetError, match="NOPERM"):
                    await link.read(["stream", "stream"])
                valkey.ask("PUBLISH", "news", "after")
                with pytest.raises(ConnectionResetError, match="NOPERM"):
                    await link.flush()
            assert len(heard.failures) == 1
            assert "NOPERM" in str(heard.failures[0])
            assert placed == []
            assert ("news", b"after") not in heard.news


async def test_who_waits_for_an_answer_hears_that_the_link_has_ended(
    valkey: ValkeyProcess,
) -> None:
    with user(valkey) as name:
        async with (
            way_to(valkey.port) as way,
            linked(valkey, name, port=way.port) as (link, heard),
            anyio.create_task_group() as tasks,
        ):
            way.hold(b"EVALSHA")

            async def read() -> None:
                with pytest.raises(ConnectionResetError):
                    await link.read(["stream"])

            tasks.start_soon(read)
            await way.held.wait()
            assert heard.failures == []
            way.cut()
