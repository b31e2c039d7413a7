from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from collab.server.cli.main import main
from tests.core.writing import typed
from tests.docs.running import edit
from tests.e2e.serving import Server, export, serve


def collab(*arguments: str, store: Path) -> Result:
    return CliRunner().invoke(main, [*arguments, "--store", f"sqlite:///{store}"])


def type_into(server: Server, word: str, client_id: int) -> None:
    """Has somebody type a word into ``notes``, and waits for the acknowledgement."""
    with edit(f"{server.websockets}/notes") as editor:
        for update in typed(word, client_id=client_id):
            editor.doc.apply_update(update)
        editor.send()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "collab.db"


def test_beside_a_server_it_has_what_was_acknowledged_and_comes_back(
    store: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    with serve(store) as server:
        type_into(server, "kept", 5)
        result = collab("backup", str(backup), store=store)
        assert result.exit_code == 0
        assert result.stdout.startswith("backed up 1 document, ")
        type_into(server, "later", 6)
        refused = collab("restore-backup", str(backup), store=store)
        assert refused.exit_code == 1
        assert refused.stderr.splitlines()[-1] == (
            f"collab: expected {store} to be free, got one that another process works on"
        )
    assert export(backup, "notes") == "kept"
    assert sorted(export(store, "notes")) == sorted("keptlater")
    result = collab("restore-backup", str(backup), store=store)
    assert result.exit_code == 0
    said = result.stdout.strip()
    assert said.startswith("restored; what was there is now ")
    assert sorted(export(Path(said.rpartition(" ")[2]), "notes")) == sorted("keptlater")
    assert export(store, "notes") == "kept"


def test_a_second_backup_needs_force(store: Path, tmp_path: Path) -> None:
    with serve(store):
        pass
    backup = tmp_path / "backup.db"
    assert collab("backup", str(backup), store=store).exit_code == 0
    refused = collab("backup", str(backup), store=store)
    assert refused.exit_code == 1
    assert refused.stderr == f"collab: expected --force to replace {backup}, got none\n"
    assert collab("backup", "--force", str(backup), store=store).exit_code == 0


def test_a_store_in_memory_has_no_backup(tmp_path: Path) -> None:
    for command in ("backup", "restore-backup"):
        result = CliRunner().invoke(main, [command, str(tmp_path / "x"), "--store", "memory://"])
        assert result.exit_code == 2
        assert "expected a store in a file, got 'memory://'" in result.stderr
