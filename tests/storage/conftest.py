"""Stores to run the conformance suite over, and event loops to run it on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from collab.storage.memory import MemoryStore
from collab.storage.postgres.store import PostgresStore
from collab.storage.sqlite import SQLiteStore
from collab.store import Store
from tests.postgres import PostgresServer


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Makes stores, not yet entered, over the same documents, as restarts do."""
    if request.param == "memory":
        store = MemoryStore()
        return lambda: store
    if request.param == "sqlite":
        return lambda: SQLiteStore(tmp_path / "collab.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    address = server.new_database()
    return lambda: PostgresStore(address)
