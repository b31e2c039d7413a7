"""What every client can count on, in each version people use; the matrix is made of it."""

import random
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from urllib.parse import quote

import httpx
import pycrdt
import pytest

from collab.merging import merge
from tests.clients.driver import Client, Driver
from tests.clients.kinds import KINDS, OWN_KINDS, Y_WEBSOCKET, Family, Kind
from tests.e2e.crowd import check_account, rest_all, type_all
from tests.e2e.serving import Server, export, kept, load, locked, serve
from tests.server.signing import SECRET, token

pytestmark = pytest.mark.node

STOCK = Y_WEBSOCKET[2]
WITH_TOKENS = ["--jwt-secret", SECRET, "--jwt-leeway", "0"]

_NUMBERS = count(1)


@pytest.fixture
def notes() -> str:
    """The name of a document that nobody has used."""
    return f"team/notes 😀 {next(_NUMBERS)}"


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the store that ``server`` has."""
    return tmp_path_factory.mktemp("clients") / "collab.db"


@pytest.fixture(scope="module")
def server(lasting: Path) -> Iterator[Server]:
    """A server for all tests that neither end theirs nor set it up."""
    with serve(lasting) as running:
        yield running


@pytest.fixture(scope="module")
def guarded_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the store that ``guarded`` has."""
    return tmp_path_factory.mktemp("guarded") / "collab.db"


@pytest.fixture(scope="module")
def guarded(guarded_store: Path) -> Iterator[Server]:
    """A server that has everyone show a token."""
    with serve(guarded_store, options=WITH_TOKENS) as running:
        yield running


@pytest.fixture(params=(*KINDS, *OWN_KINDS), ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """A kind of client."""
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def long_notes(server: Server) -> str:
    """The name of a document of more than two megabytes."""
    update = long_document()
    assert len(update) > 2_000_000
    name = f"long/{next(_NUMBERS)}"
    updates = f"{server.url}/api/docs/{quote(name, safe='')}/updates"
    httpx.post(updates, content=update, timeout=30).raise_for_status()
    return name


def meet(
    driver: Driver,
    server: Server,
    kind: Kind,
    notes: str,
    port: int | None = None,
    **options: object,
) -> tuple[Client, Client]:
    """One client of a kind and a stock one, in sync; the first one perhaps through a proxy."""
    one = driver.connect(kind, port or server.port, notes, presence={"name": "one"}, **options)
    other = driver.connect(STOCK, server.port, notes, presence={"name": "other"})
    one.wait_synced()
    other.wait_synced()
    return one, other


@pytest.mark.matrix("sync")
def test_what_is_typed_at_the_same_time_converges(
    driver: Driver, server: Server, lasting: Path, kind: Kind, notes: str
) -> None:
    clients = meet(driver, server, kind, notes)
    type_all(clients, seed=1)
    for client in clients:
        client.wait_acknowledged_more()
        client.wait_hears_others()
    rest_all(clients)
    for client in clients:
        client.wait_acknowledged()
    fresh = driver.connect(kind, server.port, notes)
    text = driver.wait_agreed([*clients, fresh])
    check_account(text, clients)
    assert export(lasting, notes) == text


@pytest.mark.matrix("offline merge")
def test_what_was_typed_offline_is_merged(
    driver: Driver, server: Server, lasting: Path, kind: Kind, notes: str
) -> None:
    proxy = driver.proxy(server.port)
    away, here = meet(driver, server, kind, notes, proxy.port)
    proxy.cut()
    away.wait_disconnected()
    away.insert(0, "away ")
    here.insert(0, "here ")
    here.wait_acknowledged()
    assert not away.facts().saved
    proxy.mend()
    text = driver.wait_agreed([away, here])
    assert sorted(text.split()) == ["away", "here"]
    away.wait_acknowledged()
    assert kept(lasting, notes) == text


@pytest.mark.matrix("offline merge")
def test_it_comes_back_to_a_server_that_was_killed(
    driver: Driver, store: Path, kind: Kind, notes: str
) -> None:
    with serve(store) as server:
        clients = meet(driver, server, kind, notes)
        clients[0].insert(0, "before ")
        clients[0].wait_acknowledged()
        server.kill()
        for client in clients:
            client.wait_disconnected()
        clients[0].insert(0, "between ")
        with serve(store, port=server.port):
            text = driver.wait_agreed(clients)
            assert text == "between before "
            clients[0].wait_acknowledged()
            assert kept(store, notes) == text


@pytest.mark.matrix("presence")
def test_everyone_sees_everyone_and_who_was_cut_off_is_gone_at_once(
    driver: Driver, store: Path, kind: Kind, notes: str
) -> None:
    # Without WebSockets a client keeps its seat for so long.
    with serve(store, options=["--resume-seconds", "1"]) as server:
        one, other = meet(driver, server, kind, notes)
        one.wait_sees(other.id)
        other.wait_sees(one.id)
        leaving = driver.connect(kind, server.port, notes, presence={"name": "leaving"})
        leaving.wait_sees(one.id)
        for client in (one, other):
            client.wait_sees(leaving.id)
        leaving.cut()
        for client in (one, other):
            client.wait_told_gone(leaving.id, within=15)


@pytest.mark.matrix("read-only")
def test_a_reader_reads_and_what_it_writes_goes_nowhere(
    driver: Driver, guarded: Server, guarded_store: Path, kind: Kind, notes: str
) -> None:
    writer = driver.connect(STOCK, guarded.port, notes, tokens=[token()])
    reader = driver.connect(
        kind, guarded.port, notes, tokens=[token(docs={notes: "read"}, user="reader")]
    )
    writer.insert(0, "read this")
    reader.wait_shows("read this")
    reader.insert(0, "scribble: ")
    if kind.family in (Family.Y_WEBSOCKET, Family.COLLAB_CLIENT):
        reader.wait_refused()
    else:
        reader.wait_access("read-only" if kind.family is Family.Y_SWEET else "readonly")
    writer.insert(9, " too")
    reader.wait_shows("scribble: read this too")  # It hears on, and answered what it said.
    writer.wait_acknowledged()
    assert not reader.facts().saved
    assert writer.facts().text == kept(guarded_store, notes) == "read this too"


@pytest.mark.matrix("ack")
def test_a_change_is_said_to_be_saved_once_it_is_durable(
    driver: Driver, store: Path, kind: Kind, notes: str
) -> None:
    with serve(store) as server:
        writer, reader = meet(driver, server, kind, notes)
        writer.insert(0, "kept")
        writer.wait_acknowledged()
        with locked(store):
            writer.insert(4, " and more")
            reader.wait_shows("kept and more")
            assert not writer.facts().saved
            assert len(load(store, notes).entries) == 1
        writer.wait_acknowledged()
        server.kill()
        assert kept(store, notes) == "kept and more"


@pytest.mark.slow
@pytest.mark.matrix("token refresh")
def test_a_token_that_runs_out_is_replaced_and_nothing_is_lost(
    driver: Driver, guarded: Server, guarded_store: Path, kind: Kind, notes: str
) -> None:
    reader = driver.connect(STOCK, guarded.port, notes, tokens=[token()])
    tokens = [token(seconds=3), token(seconds=600)]
    writer = driver.connect(kind, guarded.port, notes, tokens=tokens)
    writer.wait_synced()
    # It has no other token than one that ends after the writer's first, and tells when.
    witness = driver.connect(STOCK, guarded.port, notes, tokens=[token(seconds=4)])
    writer.insert(0, "one ")
    reader.wait_shows("one ")
    writer.wait_admitted(2)
    witness.wait_closed(4500)
    writer.insert(4, "two")
    reader.wait_shows("one two")
    writer.wait_acknowledged()
    assert kept(guarded_store, notes) == "one two"


@pytest.mark.matrix("big document")
def test_a_document_of_megabytes_arrives_whole(
    driver: Driver, server: Server, kind: Kind, long_notes: str
) -> None:
    one, other = (driver.connect(each, server.port, long_notes) for each in (kind, STOCK))
    driver.wait_agreed([one, other])
    one.insert(0, "¶")
    one.wait_acknowledged()
    driver.wait_agreed([one, other])
    assert one.digest() == other.digest()


@cache
def long_document(authors: int = 100) -> bytes:
    """What many people wrote together, with deletions: one update."""
    chance = random.Random(6)
    updates = []
    for author in range(1, authors + 1):
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=author)
        text = doc.get("content", type=pycrdt.Text)
        for _ in range(20):
            text.insert(0, "".join(chance.choices("etaoin shrdlu\n", k=1100)))
            del text[10:20]
        updates.append(doc.get_update())
    return merge(updates)
