import multiprocessing
import os
import signal
import stat
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from collab.errors import StoreError, StoreOwned
from collab.storage.sqlite.ownership import Contact, owned, read_contact
from tests.storage.refusing import run_refused

SERVER = Contact(url="http://127.0.0.1:8000", secret="opensesame")


def own_and_tell(path: Path, told: Connection) -> None:
    with owned(path, SERVER):
        told.send("owned")
        told.recv()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "collab.db"


def test_a_store_has_one_owner_at_a_time(store: Path) -> None:
    with owned(store):
        with pytest.raises(StoreOwned, match=r"expected .*collab\.db to be free"), owned(store):
            pass
        assert read_contact(store) is None
    with owned(store):
        pass


def test_an_owner_can_be_reached_until_it_ends(store: Path) -> None:
    contact = Contact(url="https://127.0.0.1:1", secret="s", certificate="PEM")
    with owned(store, contact):
        assert read_contact(store) == contact
    assert read_contact(store) is None
    assert list(store.parent.iterdir()) == []


def test_only_the_owner_s_account_reads_the_secret(store: Path) -> None:
    lock = store.with_name("collab.db-server")
    lock.touch(mode=0o644)
    with owned(store, SERVER):
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_where_the_secret_cannot_be_kept_from_others_that_is_said(store: Path) -> None:
    owning = (
        "import pathlib, sys; from collab.storage.sqlite.ownership import owned\n"
        "with owned(pathlib.Path(sys.argv[1])): pass"
    )
    refused = run_refused("fchmod", [sys.executable, "-c", owning, str(store)])
    said = refused.stderr.splitlines()[-1]
    assert said.startswith("collab.errors.StoreError: expected a file system where ")


def test_names_of_one_file_are_one_store(store: Path) -> None:
    store.touch()
    link = store.with_name("link.db")
    link.symlink_to(store)
    with owned(store, SERVER):
        assert read_contact(link) == SERVER
        with pytest.raises(StoreOwned), owned(link):
            pass


def test_the_death_of_an_owner_frees_the_store(store: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=own_and_tell, args=(store, there))
    process.start()
    assert here.poll(30)
    assert here.recv() == "owned"
    with pytest.raises(StoreOwned), owned(store):
        pass
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    here.close()
    there.close()
    with owned(store):
        assert read_contact(store) is None  # What the dead one said is gone.


def test_half_a_contact_is_none(store: Path) -> None:
    store.with_name("collab.db-server").write_text('{"url": "http://127')
    assert read_contact(store) is None


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match=r"expected to lock .*db-server, got: No such file"),
        owned(tmp_path / "missing" / "collab.db"),
    ):
        pass
