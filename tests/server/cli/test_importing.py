import sqlite3
import subprocess
from contextlib import closing, nullcontext, suppress
from pathlib import Path

import anyio
import httpx
import pytest
from click.testing import CliRunner, Result

from collab.document import Document
from collab.server.cli.main import main
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, Entry, NewEntry
from tests.core import poison
from tests.core.writing import read, typed
from tests.docs.running import edit
from tests.e2e.serving import COLLAB, serve
from tests.fixtures.stores import HOCUSPOCUS, NAMES, Y_LEVELDB
from tests.fixtures.ystores import write_sqlite


def collab(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "collab.db"


def import_into(store: Path, kind: str, source: Path, *options: str) -> Result:
    return collab("import", "--from", kind, str(source), "--store", f"sqlite:///{store}", *options)


def log(store: Path, name: str) -> list[Entry]:
    async def read_log() -> list[Entry]:
        async with SQLiteStore(store, create=False) as opened:
            return [entry async for entry in opened.entries(name)]

    return anyio.run(read_log)


def names(store: Path) -> set[str]:
    async def read_names() -> set[str]:
        async with SQLiteStore(store, create=False) as opened:
            return {summary.document for summary in await opened.documents()}

    return anyio.run(read_names)


def text(store: Path, name: str) -> str:
    return read([entry.update for entry in log(store, name)])


def test_documents_of_hocuspocus_come_in(store: Path) -> None:
    result = import_into(store, "hocuspocus-sqlite", HOCUSPOCUS)
    assert (result.exit_code, result.stdout) == (
        0,
        "imported 3 updates into 3 documents, 0 unchanged\n",
    )
    assert names(store) == NAMES
    assert text(store, "team/plan") == "eam/plan, kept by Hocuspocus"


def test_a_dump_of_y_leveldb_comes_in_update_by_update(store: Path) -> None:
    result = import_into(store, "y-leveldb-dump", Y_LEVELDB)
    assert result.exit_code == 0
    assert [entry.seq for entry in log(store, "notes")] == [1, 2, 3]
    assert text(store, "emoji 😀") == "emoji 😀, kept by y-leveldb"


def test_an_update_comes_in_under_the_name_it_is_given(store: Path, tmp_path: Path) -> None:
    source = tmp_path / "export.bin"
    source.write_bytes(typed("hello")[0])
    assert import_into(store, "update", source, "--name", "team/a").exit_code == 0
    assert text(store, "team/a") == "hello"


def test_times_are_kept(store: Path, tmp_path: Path) -> None:
    updates = typed("a", "b")
    source = anyio.run(write_sqlite, tmp_path / "ystore.db", {"d": updates})
    with closing(sqlite3.connect(source)) as database, database:
        database.execute("UPDATE yupdates SET timestamp = 1000.5 + rowid")
    assert import_into(store, "pycrdt-store", source).exit_code == 0
    entries = log(store, "d")
    assert [(entry.update, entry.time_ms) for entry in entries] == list(
        zip(updates, (1_001_500, 1_002_500), strict=True)
    )


def test_importing_again_adds_nothing_but_what_came_since(store: Path, tmp_path: Path) -> None:
    updates = typed("a", "b", "c")
    source = anyio.run(write_sqlite, tmp_path / "ystore.db", {"d": updates[:2]})
    assert import_into(store, "pycrdt-store", source).exit_code == 0
    again = import_into(store, "pycrdt-store", source)
    assert again.stdout == "imported 0 updates into 0 documents, 1 unchanged\n"
    anyio.run(write_sqlite, source, {"d": updates[2:]})
    since = import_into(store, "pycrdt-store", source)
    assert since.stdout == "imported 1 update into 1 document, 0 unchanged\n"
    assert [entry.update for entry in log(store, "d")] == updates


def test_a_long_document_comes_in_with_a_checkpoint(store: Path, tmp_path: Path) -> None:
    updates = typed(*[f"{number} " for number in range(500)])
    source = anyio.run(write_sqlite, tmp_path / "ystore.db", {"d": updates})
    assert import_into(store, "pycrdt-store", source).exit_code == 0

    async def check() -> None:
        async with SQLiteStore(store) as opened:
            stored = await opened.load("d")
            assert (stored.seq, stored.checkpoint_seq) == (500, 500)
            assert Document.load(stored).doc.get_state() == Document.load(stored).state_vector

    anyio.run(check)
    assert text(store, "d") == "".join(f"{number} " for number in range(500))


def test_what_cannot_be_taken_in_is_named_and_the_rest_comes_in(
    store: Path, tmp_path: Path
) -> None:
    bad = {
        "good": typed("fine"),
        "": typed("x"),
        "two\nlines": typed("x"),
        "poisoned": [poison.HELLO, poison.CHILD_OF_A_STRING, b"noise", *typed("on", client_id=5)],
    }
    source = anyio.run(write_sqlite, tmp_path / "ystore.db", bad)
    result = import_into(store, "pycrdt-store", source)
    assert result.exit_code == 1
    assert result.stdout == "imported 3 updates into 2 documents, 0 unchanged, 2 left out\n"
    complaints = [line for line in result.stderr.splitlines() if line.startswith("collab: ")]
    assert [complaint[:32] for complaint in complaints] == [
        "collab: '': expected a name of 1",
        "collab: 'poisoned': update 2: ex",
        "collab: 'poisoned': update 3: ex",
        "collab: 'two\\nlines': expected a",
        "collab: expected to take in ever",
    ]
    assert names(store) == {"good", "poisoned"}
    assert text(store, "poisoned") == "on"


@pytest.mark.parametrize("served", [False, True])
def test_a_deleted_document_is_named_and_stays_deleted(store: Path, served: bool) -> None:
    async def delete() -> None:
        async with SQLiteStore(store) as opened:
            entry = NewEntry(update=typed("x")[0], time_ms=1)
            await opened.append([Append(document="notes", entries=[entry])])
            await opened.delete("notes", time_ms=2)

    anyio.run(delete)
    with serve(store) if served else nullcontext():
        result = import_into(store, "hocuspocus-sqlite", HOCUSPOCUS)
    assert result.exit_code == 1
    assert result.stdout == "imported 2 updates into 2 documents, 0 unchanged, 1 left out\n"
    assert "collab: 'notes': " in result.stderr
    assert names(store) == NAMES - {"notes"}


def test_a_name_for_several_documents_is_refused(store: Path) -> None:
    result = import_into(store, "y-leveldb-dump", Y_LEVELDB, "--name", "x")
    assert result.exit_code == 1
    assert result.stderr == "collab: expected one document to call 'x', got 3\n"
    assert not store.exists()


def test_a_source_that_is_none_is_refused_in_one_line(store: Path, tmp_path: Path) -> None:
    result = import_into(store, "pycrdt-store", tmp_path / "nothing")
    assert result.exit_code == 1
    assert result.stderr.startswith("collab: expected something to import at ")
    assert len(result.stderr.splitlines()) == 1
    assert not store.exists()


def test_beside_a_server_whoever_has_the_document_open_sees_it(store: Path, tmp_path: Path) -> None:
    updates = typed("im", "port", "ed")
    source = anyio.run(
        write_sqlite,
        tmp_path / "ystore.db",
        {"open/日": updates, "bad": [b"noise"], "closed": typed("x")},
    )
    with closing(sqlite3.connect(source)) as database, database:
        database.execute("UPDATE yupdates SET timestamp = 1000")
    with serve(store) as server, edit(f"{server.websockets}/open/日") as editor:
        result = import_into(store, "pycrdt-store", source)
        assert result.exit_code == 1
        assert result.stdout == "imported 4 updates into 2 documents, 0 unchanged, 1 left out\n"
        assert "collab: 'bad': update 1: expected" in result.stderr
        assert editor.sees("imported")
        again = import_into(store, "pycrdt-store", source)
        assert again.stdout == "imported 0 updates into 0 documents, 2 unchanged, 1 left out\n"
        assert httpx.get(f"{server.url}/api/docs/closed/content?format=text").text == "x"
    entries = log(store, "open/日")
    assert [(entry.update, entry.time_ms) for entry in entries] == [
        (update, 1_000_000) for update in updates
    ]


def test_beside_a_server_a_document_that_is_full_takes_what_is_imported(
    store: Path, tmp_path: Path
) -> None:
    source = anyio.run(write_sqlite, tmp_path / "ystore.db", {"a": typed("x" * 300, "y" * 300)})
    with serve(store, options=["--document-max-bytes", "200"]) as server:
        path = f"{server.url}/api/docs/a/content"
        headers = {"Content-Type": "text/plain"}
        assert httpx.put(path, content="z" * 300, headers=headers).status_code == 201
        assert httpx.put(path, content="z" * 400, headers=headers).status_code == 507
        assert import_into(store, "pycrdt-store", source).exit_code == 0
        assert len(httpx.get(f"{path}?format=text").text) == 900


def test_a_document_above_the_server_s_bound_is_named_and_the_rest_comes_in(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = {"large": typed("x" * 20_000), "small": typed("x")}
    source = anyio.run(write_sqlite, tmp_path / "ystore.db", documents)
    monkeypatch.setenv("COLLAB_MESSAGE_MAX_BYTES", "10000")
    with serve(store):
        result = import_into(store, "pycrdt-store", source)
    assert result.exit_code == 1
    assert result.stdout == "imported 1 update into 1 document, 0 unchanged, 1 left out\n"
    assert (
        "collab: 'large': expected a body of at most 10000 bytes, got more; stop the server to "
        "import it"
    ) in result.stderr
    assert import_into(store, "pycrdt-store", source).exit_code == 0
    assert names(store) == set(documents)


@pytest.mark.parametrize("served", [False, True])
def test_killed_in_the_middle_each_document_is_whole_or_absent(
    store: Path, tmp_path: Path, served: bool
) -> None:
    documents = {
        f"d{number:03}": typed(*[f"{word} " for word in range(20)], client_id=number + 1)
        for number in range(60)
    }
    whole = read(documents["d000"])
    source = anyio.run(write_sqlite, tmp_path / "ystore.db", documents)
    command = [COLLAB, "import", "--from", "pycrdt-store", str(source)]
    command += ["--store", f"sqlite:///{store}"]

    def kill_after(documents: int) -> None:
        """Kills an import once the store has so many documents."""
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and count(store) < documents:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.005)
            process.kill()

    def check() -> None:
        for name in names(store):
            assert text(store, name) == whole

    if served:
        with serve(store):
            kill_after(5)
            check()
            assert import_into(store, "pycrdt-store", source).exit_code == 0
    else:
        kill_after(5)
        check()
        assert import_into(store, "pycrdt-store", source).exit_code == 0
    check()
    assert names(store) == set(documents)
    assert all(len(log(store, name)) == 20 for name in documents)


def count(store: Path) -> int:
    """How many documents a store has, where it is one already."""
    if not store.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
            (documents,) = database.execute("SELECT count(*) FROM documents").fetchone()
            return int(documents)
    except sqlite3.OperationalError:  # Being made.
        return 0
