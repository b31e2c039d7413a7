"""``collab delete``, ``undelete`` and ``duplicate``, with and without a server."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from collab.errors import DocumentDeleted
from collab.server.cli.main import main
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, NewEntry
from tests.core.writing import typed
from tests.e2e.serving import serve
from tests.storage import damage


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one document of two entries, ``team/plan``."""
    path = tmp_path / "collab.db"

    async def fill() -> None:
        async with SQLiteStore(path) as opened:
            entries = [NewEntry(update=update, time_ms=1) for update in typed("one ", "two")]
            await opened.append([Append(document="team/plan", entries=entries)])

    anyio.run(fill)
    return path


@pytest.fixture(params=[False, True], ids=["alone", "beside a server"])
def beside(request: pytest.FixtureRequest, store: Path) -> Iterator[None]:
    """Runs a server, or none, for as long as the test."""
    with serve(store) if request.param else nullcontext():
        yield


def collab(store: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--store", f"sqlite:///{store}"])


def done(store: Path, *arguments: str) -> None:
    result = collab(store, *arguments)
    assert (result.exit_code, result.output) == (0, "")


def text(store: Path, name: str) -> str:
    result = collab(store, "export", name)
    assert result.exit_code == 0, result.output
    return result.stdout.rstrip("\n")


def told(store: Path, *arguments: str, exit_code: int = 1) -> str:
    """What a command says that fails."""
    result = collab(store, *arguments)
    assert result.exit_code == exit_code
    assert result.stdout == ""
    return result.stderr


@pytest.mark.usefixtures("beside")
def test_what_was_deleted_comes_back(store: Path) -> None:
    done(store, "delete", "team/plan")
    gone = "collab: no document named 'team/plan': it was deleted\n"
    assert told(store, "export", "team/plan") == gone
    done(store, "delete", "team/plan")
    done(store, "undelete", "team/plan")
    assert text(store, "team/plan") == "one two"
    done(store, "delete", "team/plan", "--now")
    assert told(store, "undelete", "team/plan") == gone
    assert told(store, "delete", "team/plan") == gone
    assert told(store, "delete", "unknown") == "collab: no document named 'unknown'\n"


@pytest.mark.usefixtures("beside")
def test_a_copy_is_made_once(store: Path) -> None:
    done(store, "duplicate", "team/plan", "copy")
    done(store, "duplicate", "team/plan", "a/whole copy", "--history")
    for copy, changes in (("copy", 1), ("a/whole copy", 2)):
        assert text(store, copy) == "one two"
        assert f'"changes": {changes}' in collab(store, "list", "--json", "--prefix", copy).stdout
    taken = "collab: expected a new name, got that of the document 'copy'\n"
    assert told(store, "duplicate", "team/plan", "copy") == taken
    assert told(store, "duplicate", "unknown", "x") == "collab: no document named 'unknown'\n"


def test_what_a_copy_lacks_of_a_damaged_document_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "collab.db"
    damage.make(path)
    damage.execute(path, "DELETE FROM updates WHERE seq BETWEEN 1250 AND 1259")
    damage.flip(path, "checkpoints", "1", at=20)
    done(path, "duplicate", "d", "copy")
    state, entries = (record.message for record in caplog.records)
    assert state.startswith("'d' is opened from its log: expected a state of 'd' that can be read")
    assert entries == ("'d' is opened from its log: expected entries 1250..1259 of 'd', got none")


def test_a_name_that_is_none_is_told_before_anything_is_touched(tmp_path: Path) -> None:
    store = tmp_path / "none.db"
    for command in (["delete", ""], ["undelete", "a\tb"], ["duplicate", "a", ""]):
        assert told(store, *command, exit_code=2).startswith("collab: expected a name")
    assert told(store, "delete", "x") == f"collab: no store at {store}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_starts_erases_what_was_deleted_long_ago(store: Path) -> None:
    async def delete() -> None:
        async with SQLiteStore(store) as opened:
            await opened.delete("team/plan", time_ms=1)

    async def erased() -> None:
        async with SQLiteStore(store, create=False) as opened:
            with anyio.fail_after(20):
                while await opened.tombstones():  # noqa: ASYNC110 - another process's
                    await anyio.sleep(0.01)
            with pytest.raises(DocumentDeleted):
                await opened.load("team/plan")

    anyio.run(delete)
    with serve(store):
        anyio.run(erased)
