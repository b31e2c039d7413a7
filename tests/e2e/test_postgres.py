"""``collab serve`` and the commands on a store in a Postgres database."""

import signal
import subprocess
from pathlib import Path

import pycrdt
import pytest

from tests.docs.running import edit
from tests.e2e.serving import COLLAB, serve
from tests.postgres import PostgresServer


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([COLLAB, *arguments], capture_output=True, text=True, check=False)


def typed(text: str) -> "pycrdt.Doc[pycrdt.Text]":
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    doc["content"] = pycrdt.Text(text)
    return doc


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.new_database()


def test_what_was_acknowledged_survives_sigkill_and_commands_read_it(address: str) -> None:
    with serve(address) as server:
        with edit(f"{server.url}/ws/notes", doc=typed("kept")) as editor:
            assert editor.sees("kept")
            editor.send()
        server.kill()
    with serve(address) as server, edit(f"{server.url}/ws/notes") as editor:
        assert editor.sees("kept")
        assert run("export", "notes", "--store", address).stdout == "kept"
        assert run("list", "--store", address).stdout.splitlines()[1].endswith("notes")


def test_two_servers_store_what_their_clients_write(address: str) -> None:
    with serve(address) as one, serve(address) as two:
        for server, text in ((one, "one"), (two, "two")):
            with edit(f"{server.url}/ws/notes", doc=typed(text)) as editor:
                editor.send()
    assert run("export", "notes", "--store", address).stdout in ("onetwo", "twoone")


def test_commands_that_write_work_beside_servers(address: str, tmp_path: Path) -> None:
    update = tmp_path / "plan.update"
    update.write_bytes(typed("imported").get_update())
    with serve(address) as server:
        imported = run("import", str(update), "--from", "update", "--store", address)
        assert imported.returncode == 0, imported.stderr
        with edit(f"{server.url}/ws/plan") as editor:
            assert editor.sees("imported")
        copied = run("duplicate", "plan", "copy", "--store", address)
        assert copied.returncode == 0, copied.stderr
        compacted = run("compact", "--store", address)
        assert compacted.returncode == 0, compacted.stderr
    assert run("export", "copy", "--store", address).stdout == "imported"


@pytest.mark.parametrize("command", [("backup", "copy.db"), ("restore-backup", "copy.db")])
def test_copies_in_a_file_are_refused_with_what_does_it(
    address: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "copy.db").touch()
    name, file = command
    refused = run(name, str(tmp_path / file), "--store", address.replace("//", "//ada:hunter2@"))
    assert refused.returncode == 2
    assert "pg_dump" in refused.stderr.splitlines()[-1]
    assert "hunter2" not in refused.stderr


def test_check_says_that_it_is_for_files(address: str) -> None:
    refused = run("check", "--store", address)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith("collab: expected a store in a file, got")


def test_a_server_that_cannot_reach_postgres_says_so_in_one_line(
    address: str, tmp_path: Path
) -> None:
    nowhere = f"postgresql://ada:hunter2@/notes?host={tmp_path}"
    refused = run("serve", "--bind", "127.0.0.1:0", "--store", nowhere)
    assert refused.returncode == 1
    assert "expected postgresql://" in refused.stderr.splitlines()[-1]
    assert "hunter2" not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_server_ends_in_good_order_while_postgres_is_there(address: str) -> None:
    with serve(address) as server:
        with edit(f"{server.url}/ws/notes", doc=typed("last")) as editor:
            editor.send()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    assert run("export", "notes", "--store", address).stdout == "last"
