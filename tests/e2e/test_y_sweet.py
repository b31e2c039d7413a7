"""What y-sweet's client and its SDK do that others do not: client tokens, and calls over HTTP."""

from pathlib import Path

import pytest

from tests.clients.driver import Driver
from tests.clients.kinds import Y_SWEET, Y_WEBSOCKET
from tests.e2e.serving import export, kept, locked, serve
from tests.e2e.test_clients import WITH_TOKENS
from tests.server.signing import private_key, public_pem, token

pytestmark = pytest.mark.node

STOCK = Y_WEBSOCKET[2]
SIGN_OF_LIFE_BYTES = 3


@pytest.mark.parametrize("room", ["notes", "team/plan b 😀"])
def test_the_sdk_makes_reads_and_writes_documents_that_clients_have_open(
    driver: Driver, store: Path, transport: str, room: str
) -> None:
    with serve(store, transport=transport, options=WITH_TOKENS) as server:
        manager = driver.manager(Y_SWEET, server.port, token())
        assert manager.check() == {"ok": True}
        assert manager.create(room) == room
        assert manager.read(room) == ""
        client = driver.connect(Y_SWEET, server.port, room, tokens=[token()])
        client.wait_synced()
        manager.write(room, "from the server")
        client.wait_shows("from the server")
        client.insert(0, "not only ")
        client.wait_acknowledged()
        assert manager.read(room) == "not only from the server"
        other = manager.create_with("another one")
        assert other != manager.create()
        assert manager.read(other) == "another one"
        assert export(store, other) == "another one"


def test_who_asks_with_no_credential_is_told_so(driver: Driver, store: Path) -> None:
    with serve(store, options=WITH_TOKENS) as server:
        for credential, complaint in (("", "NoAuthProvided"), ("nobody", "InvalidAuthProvided")):
            manager = driver.manager(Y_SWEET, server.port, credential)
            with pytest.raises(AssertionError, match=complaint):
                manager.read("notes")


@pytest.mark.parametrize("options", [[], WITH_TOKENS], ids=["open", "with tokens"])
def test_a_token_for_reading_alone_is_no_more_whoever_asked_for_it(
    driver: Driver, store: Path, transport: str, options: list[str]
) -> None:
    tokens = [token()] if options else []
    with serve(store, transport=transport, options=options) as server:
        writer = driver.connect(STOCK, server.port, "notes", tokens=tokens)
        reader = driver.connect(
            Y_SWEET, server.port, "notes", tokens=tokens, authorization="read-only"
        )
        reader.wait_access("read-only")
        reader.wait_synced()
        reader.insert(0, "scribble")
        writer.insert(0, "heard")
        reader.wait_hears("heard")
        assert not reader.facts().saved
        assert writer.facts().text == "heard"
        writer.wait_acknowledged()
        assert kept(store, "notes") == "heard"


def test_a_client_stays_through_a_stall_of_the_store_that_is_longer_than_its_patience(
    driver: Driver, store: Path, transport: str
) -> None:
    with serve(store, transport=transport) as server:
        client = driver.connect(Y_SWEET, server.port, "notes")
        client.insert(0, "one ")
        client.wait_acknowledged()
        with locked(store):
            client.insert(4, "two")
            # It asks again 2 s after it heard something, and gives up where nothing comes for 3 s.
            client.wait_received(client.facts().bytes_received + 3 * SIGN_OF_LIFE_BYTES)
            assert not client.facts().saved
        client.wait_acknowledged()
        assert client.facts().statuses == ["connected"]
        assert kept(store, "notes") == "one two"


@pytest.mark.parametrize("shared", [True, False], ids=["shared secret", "public key"])
def test_a_token_of_a_server_that_is_gone_is_still_good_or_is_replaced(
    driver: Driver, store: Path, shared: bool
) -> None:
    options, shown = WITH_TOKENS, token()
    if not shared:  # Then passes are signed with what each server makes up.
        key = store.parent / "public.pem"
        key.write_bytes(public_pem("EdDSA"))
        options = ["--jwt-public-key", str(key)]
        shown = token(key=private_key("EdDSA"), algorithm="EdDSA")
    with serve(store, options=options) as server:
        client = driver.connect(Y_SWEET, server.port, "notes", tokens=[shown])
        client.wait_synced()
        server.kill()
        client.wait_disconnected()
        client.insert(0, "meanwhile")
        with serve(store, port=server.port, options=options):
            client.wait_acknowledged()
            assert kept(store, "notes") == "meanwhile"
