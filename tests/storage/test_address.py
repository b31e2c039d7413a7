"""Store addresses."""

from pathlib import Path

import pytest

from collab.errors import SettingsError, StoreNotFound
from collab.storage.address import file_of, open_store
from collab.storage.memory import MemoryStore
from collab.store import Append, NewEntry
from tests.postgres import PostgresServer

pytestmark = pytest.mark.anyio

APPEND = Append(document="a", entries=[NewEntry(update=b"1", time_ms=1)])


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_a_relative_path_is_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_store("sqlite:///my collab%20.db") as store:
        await store.append([APPEND])
    assert names_in(tmp_path) == ["my collab%20.db"]


async def test_an_absolute_path_has_four_slashes(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/collab.db") as store:
        await store.append([APPEND])
    async with open_store(f"sqlite:///{tmp_path}/collab.db", create=False) as store:
        assert (await store.load("a")).seq == 1


async def test_without_create_a_missing_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound):
        await open_store(f"sqlite:///{tmp_path}/collab.db", create=False).__aenter__()
    assert names_in(tmp_path) == []


async def test_memory_is_a_store_of_its_own_each_time() -> None:
    first, second = open_store("memory://"), open_store("memory://", create=False)
    assert isinstance(first, MemoryStore)
    async with first, second:
        await first.append([APPEND])
        assert (await second.load("a")).seq == 0


async def test_postgres_is_reached_by_either_name_of_its_scheme(postgres: PostgresServer) -> None:
    address = postgres.new_database()
    async with open_store(address) as store:
        await store.append([APPEND])
    other = address.replace("postgresql://", "postgres://")
    async with open_store(other, create=False) as store:
        assert (await store.load("a")).seq == 1
    assert file_of(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "postgresql://host/collab?nonsense=1",
        "postgresql:collab",
        "collab.db",
        "/var/lib/collab.db",
        "sqlite:collab.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:////",
        "sqlite:///folder/",
        "sqlite://host/collab.db",
        "sqlite:///:memory:",
        "sqlite:///collab.db?mode=ro",
        "sqlite:///collab\0.db",
        "memory:",
        "memory://name",
        "mysql://host/collab",
    ],
)
async def test_anything_else_is_refused_with_what_was_expected(address: str) -> None:
    with pytest.raises(SettingsError, match=r"^expected .*, got "):
        open_store(address)
