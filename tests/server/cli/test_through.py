"""Commands that write, beside servers that start, run, stop and die."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPMethod
from pathlib import Path

import anyio
import pytest
import trustme

from collab.errors import RequestRefused, StoreNotFound, StoreOwned
from collab.server.cli.through import RunningServer, document_path, reach
from collab.storage.sqlite import SQLiteStore
from collab.storage.sqlite.ownership import Contact, owned, read_contact
from tests.e2e.serving import COLLAB, serve

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "collab.db"


def address(store: Path) -> str:
    return f"sqlite:///{store}"


async def make(store: Path) -> None:
    async with SQLiteStore(store):
        pass


@contextmanager
def serving(store: Path, *options: str) -> Iterator[str]:
    """A server with options of its own, and the line it prints."""
    command = [COLLAB, "serve", "--store", address(store), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline()
        finally:
            process.kill()


async def test_a_running_server_is_asked(store: Path) -> None:
    with serve(store) as server:
        async with reach(address(store)) as place:
            assert isinstance(place, RunningServer)
            assert place.url == server.url
            response = await place.request(HTTPMethod.GET, "/api/docs", query={"limit": "1"})
            assert response.json() == {"documents": [], "next": None}


async def test_what_the_server_refuses_is_told_in_its_words(store: Path) -> None:
    with serve(store):
        async with reach(address(store)) as place:
            assert isinstance(place, RunningServer)
            with pytest.raises(RequestRefused, match=r"^no document named 'a/b'$") as refused:
                await place.request(HTTPMethod.GET, document_path("a/b", "content"))
            assert refused.value.status == 404


async def test_without_a_server_the_file_is_opened_and_owned(store: Path) -> None:
    await make(store)
    async with reach(address(store)) as place:
        assert isinstance(place, SQLiteStore)
        with pytest.raises(StoreOwned), owned(store):
            pass
    with owned(store):
        pass


async def test_a_store_that_is_not_there_is_only_made_when_asked_for(store: Path) -> None:
    with pytest.raises(StoreNotFound):
        async with reach(address(store)):
            pass
    assert list(store.parent.iterdir()) == []
    async with reach(address(store), create=True) as place:
        assert isinstance(place, SQLiteStore)
    assert [path.name for path in store.parent.iterdir()] == ["collab.db"]


async def test_a_server_that_was_killed_leaves_the_store_free(store: Path) -> None:
    with serve(store) as server:
        server.kill()
    async with reach(address(store)) as place:
        assert isinstance(place, SQLiteStore)


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0"])
async def test_a_server_on_every_address_is_asked_on_the_loopback_one(
    store: Path, bind: str
) -> None:
    with serving(store, "--bind", bind, "--open-to-everyone") as line:
        assert "listening" in line
        async with reach(address(store)) as place:
            assert isinstance(place, RunningServer)
            assert place.url.startswith(("http://127.0.0.1:", "http://[::1]:"))
            await place.request(HTTPMethod.GET, "/api/docs")


async def test_a_server_with_tls_is_known_by_its_certificate(store: Path) -> None:
    authority = trustme.CA()  # Nobody else trusts it, and the name is another.
    issued = authority.issue_cert("collab.example.org")
    issued.private_key_pem.write_to_path(store.parent / "key.pem")
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(store.parent / "chain.pem", append=number > 0)
    certified = ["--certfile", str(store.parent / "chain.pem")]
    certified += ["--keyfile", str(store.parent / "key.pem")]
    with serving(store, "--bind", "127.0.0.1:0", *certified) as line:
        assert "https" in line
        async with reach(address(store)) as place:
            assert isinstance(place, RunningServer)
            assert (await place.request(HTTPMethod.GET, "/api/docs")).status_code == 200


async def test_of_two_servers_the_second_owns_when_the_first_has_ended(store: Path) -> None:
    with serve(store) as first, serve(store) as second:
        contact = read_contact(store)
        assert contact is not None
        assert contact.url == first.url
        first.terminate()
        with anyio.fail_after(20):
            while read_contact(store) in (None, contact):  # noqa: ASYNC110 - another process's
                await anyio.sleep(0.05)
        async with reach(address(store)) as place:
            assert isinstance(place, RunningServer)
            assert place.url == second.url


async def test_another_command_is_waited_for_and_then_told(store: Path) -> None:
    await make(store)
    with owned(store), pytest.raises(StoreOwned, match="another process works on"):
        async with reach(address(store), patience_seconds=0.2):
            pass


async def test_a_server_that_does_not_answer_is_told(store: Path) -> None:
    await make(store)
    nobody = Contact(url="http://127.0.0.1:9", secret="s")
    with owned(store, nobody), pytest.raises(StoreOwned):
        async with reach(address(store), patience_seconds=0.2):
            pass
